//! Which candidate to take: the one that finds most of the damage, soonest, among those that keep the budget of false alarms.
//!
//! The history says whether a candidate kept the budget, but only a long one can say that it will: no alarm in a week is what one alarm in two days looks like in
//! one week of seven. So a candidate also has to be vouched for, by a history of three times the budget's time, or by its own lines, which are drawn so
//! that all features together exceed them no more often.

use std::collections::BTreeSet;
use std::time::Duration;

use super::alarm_trace::Cost;
use super::candidates::{Candidate, Candidates};
use super::operating_curve::Trials;
use super::policy::{Policy, in_force, span};

/// A history this many times the budget's time long vouches for a policy: without an alarm, the true rate is within the budget with 95 % confidence.
const VOUCHING: u32 = 3;
/// A promise of exactly the budget is one within it, whatever the last bit says.
const WITHIN: f64 = 1.0 + 1e-9;

/// The budget, and what there is to hold against it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Evidence {
    /// One false alarm of the whole monitor is accepted in this time.
    pub(crate) budget: Duration,
    /// How long the history is, by its evaluations.
    pub(crate) span: Duration,
}

/// How a candidate stands to the budget.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Standing {
    /// What it did on the features that could be quiet.
    pub(crate) cost: Cost,
    /// False alarms in the budget's time, at most, by its lines; `None` where there are fixed ones.
    pub(crate) by_design: Option<f64>,
    /// Whether the alarms on the history are within the budget.
    pub(crate) is_kept: bool,
    /// Whether something vouches for the time to come.
    pub(crate) is_vouched_for: bool,
    /// Damaged features in which an alarm was raised, over all damage.
    pub(crate) found: usize,
    /// Damaged features in which one could have been raised.
    pub(crate) findable: usize,
    /// Sum of the times that took.
    pub(crate) delay: Duration,
}

/// The candidate to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proposal {
    /// Its place in the list.
    pub(crate) candidate: usize,
    /// It.
    pub(crate) policy: Policy,
    /// The rule by which it was chosen, in words.
    pub(crate) because: String,
}

impl Evidence {
    /// Alarms that the budget allows on the history.
    #[must_use]
    pub(crate) fn allowed(&self) -> f64 {
        self.span.as_secs_f64() / self.budget.as_secs_f64()
    }

    /// Whether the history is long enough to vouch for a policy.
    #[must_use]
    pub(crate) fn is_long(&self) -> bool {
        self.span >= self.budget * VOUCHING
    }

    /// How long a history would have to be.
    #[must_use]
    pub(crate) fn needed(&self) -> Duration {
        self.budget * VOUCHING
    }
}

/// How every candidate stands, in the order of the list; features of `noisy` are left out.
#[must_use]
pub(crate) fn standings(
    candidates: &Candidates,
    trials: &Trials,
    evidence: &Evidence,
    noisy: &BTreeSet<usize>,
) -> Vec<Standing> {
    let one = |(index, candidate): (usize, &Candidate)| {
        let features = trials.clean.features().iter();
        let cost = trials.cost(index, features.filter(|feature| !noisy.contains(feature)));
        let detections = trials.damaged.iter();
        let detections = detections.map(|(_, ledger)| trials.detection(index, ledger));
        let by_design = candidate
            .policy
            .map(|policy| by_design(&policy, candidates, evidence));
        let mut standing = Standing {
            cost,
            by_design,
            is_kept: cost.alarm_windows as f64 <= evidence.allowed(),
            is_vouched_for: evidence.is_long() || by_design.is_some_and(|most| most <= WITHIN),
            found: 0,
            findable: 0,
            delay: Duration::ZERO,
        };
        for detection in detections {
            standing.found += detection.delays.len();
            standing.findable += detection.features;
            standing.delay += detection.delays.iter().sum::<Duration>();
        }
        standing
    };
    candidates.list.iter().enumerate().map(one).collect()
}

/// Exceedances in the budget's time, at most, over all features, windows and references.
fn by_design(policy: &Policy, candidates: &Candidates, evidence: &Evidence) -> f64 {
    let slides = candidates.slides();
    let each = candidates.watched() as f64 / slides.len().max(1) as f64;
    let intervals = in_force(policy.interval, &slides);
    let rates = intervals.iter().map(|own| each / own.as_secs_f64());
    rates.sum::<f64>() * evidence.budget.as_secs_f64()
}

/// The policy to take; `None` where there is none.
#[must_use]
pub(crate) fn propose(
    candidates: &Candidates,
    standings: &[Standing],
    evidence: &Evidence,
) -> Option<Proposal> {
    let pairs = candidates.list.iter().zip(standings).enumerate();
    let policies: Vec<(usize, Policy, &Standing)> = pairs
        .filter_map(|(index, (candidate, standing))| Some((index, candidate.policy?, standing)))
        .collect();
    let fits = policies
        .iter()
        .filter(|(_, _, own)| own.is_kept && own.is_vouched_for);
    let best = fits.min_by_key(|(_, _, own)| (usize::MAX - own.found, own.delay, own.cost.alarms));
    let quietest = || {
        let all = policies.iter();
        all.min_by_key(|(_, _, own)| (own.cost.alarm_windows, own.cost.above))
    };
    let because = because(best.is_some(), evidence);
    let (candidate, policy, _) = best.or_else(quietest)?;
    Some(Proposal {
        candidate: *candidate,
        policy: *policy,
        because,
    })
}

fn because(fits: bool, evidence: &Evidence) -> String {
    let budget = span(evidence.budget);
    if !fits {
        return format!(
            "No candidate keeps one false alarm of the whole monitor in {budget}; this one raised the fewest alarms on the history"
        );
    }
    let vouched = if evidence.is_long() {
        "which is long enough to vouch for it"
    } else {
        "and whose lines promise it for all features together"
    };
    format!(
        "Of the candidates that kept one false alarm of the whole monitor in {budget} on this history, {vouched}, it found most of the damage, and soonest"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::backtest::policy::DAY;

    #[test]
    fn a_history_of_three_budgets_vouches() {
        let evidence = |days: u32| Evidence {
            budget: DAY * 7,
            span: DAY * days,
        };
        assert!(evidence(21).is_long() && !evidence(20).is_long(), "21 days");
        assert!((evidence(14).allowed() - 2.0).abs() < 1e-12, "two weeks");
    }
}
