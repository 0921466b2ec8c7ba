//! Recommends, among the candidates that keep the budget, the one that detects most faults soonest.
//!
//! A history can show that a candidate kept the budget, but only a long one shows that it will: one
//! week without an alarm is likely enough even at several alarms per month. So a candidate must
//! also be supported: by a history of three times the budget, or by its own thresholds, which all
//! features together exceed no more often than the budget allows.

use std::collections::BTreeSet;
use std::time::Duration;

use super::alarm_trace::AlarmCounts;
use super::candidates::{Candidate, Candidates};
use super::operating_curve::Backtest;
use super::policy::{Policy, effective_intervals};
use crate::engine::{FeaturePlan, ThresholdSource};
use crate::model::duration;

/// Length of a supporting history in budgets.
///
/// With no alarm in three budgets, the true rate is within the budget with 95 % confidence: the
/// "rule of three", as `exp(-3) = 0.05`.
const SUPPORTING_BUDGETS: u32 = 3;
/// Upper limit of the expected alarms per budget; above 1 only for rounding errors.
const MAX_BY_DESIGN: f64 = 1.0 + 1e-9;

/// The budget of false alarms and the length of the history that it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct HistoryBudget {
    /// Time in which one false alarm of the whole monitor is accepted.
    pub(crate) budget: Duration,
    /// Time from the first to the last evaluated window.
    pub(crate) length: Duration,
}

/// The result of a candidate: its false alarms, the budget, and the faults that it detected.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CandidateResult {
    /// Counts on the unchanged history, without features that are never quiet.
    pub(crate) counts: AlarmCounts,
    /// Upper limit of the expected alarms per budget, from the thresholds; `None` if some are fixed
    /// numbers, which promise nothing.
    pub(crate) by_design: Option<f64>,
    /// The alarms on the history are within the budget.
    pub(crate) keeps_budget: bool,
    /// The history or the thresholds support that the budget is kept in the future.
    pub(crate) is_supported: bool,
    /// Number of detections over all faults and features.
    pub(crate) detected: usize,
    /// Sum of the times to detection.
    pub(crate) delay: Duration,
}

/// The recommended candidate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recommendation {
    /// Index in the list of candidates.
    pub(crate) candidate: usize,
    pub(crate) policy: Policy,
    /// Reason for the choice, one sentence without a full stop.
    pub(crate) reason: String,
}

impl HistoryBudget {
    /// Number of alarms that the budget allows on the history.
    #[must_use]
    pub(crate) fn allowed_alarms(&self) -> f64 {
        self.length.as_secs_f64() / self.budget.as_secs_f64()
    }

    /// Reports whether the history is long enough to support a policy.
    #[must_use]
    pub(crate) fn is_long_enough(&self) -> bool {
        self.length >= self.needed_length()
    }

    /// Length of the shortest history that supports a policy.
    #[must_use]
    pub(crate) fn needed_length(&self) -> Duration {
        self.budget * SUPPORTING_BUDGETS
    }
}

/// Returns the result of every candidate in the order of the list.
///
/// Features in `noisy` do not count as false alarms.
#[must_use]
pub(crate) fn candidate_results(
    candidates: &Candidates,
    backtest: &Backtest,
    history: &HistoryBudget,
    noisy: &BTreeSet<usize>,
) -> Vec<CandidateResult> {
    candidates
        .list
        .iter()
        .enumerate()
        .map(|(index, candidate)| {
            candidate_result(index, candidate, candidates, backtest, history, noisy)
        })
        .collect()
}

fn candidate_result(
    index: usize,
    candidate: &Candidate,
    candidates: &Candidates,
    backtest: &Backtest,
    history: &HistoryBudget,
    noisy: &BTreeSet<usize>,
) -> CandidateResult {
    let quiet = backtest
        .unchanged
        .features()
        .iter()
        .filter(|feature| !noisy.contains(feature));
    let counts = backtest.unchanged_counts(index, quiet);
    let by_design = match candidate.policy {
        Some(policy) => Some(alarms_by_design(&policy, candidates, history)),
        None => configured_by_design(candidates.features(), &candidates.slides(), history),
    };
    let mut result = CandidateResult {
        counts,
        by_design,
        keeps_budget: counts.alarm_windows as f64 <= history.allowed_alarms(),
        is_supported: history.is_long_enough()
            || by_design.is_some_and(|alarms| alarms <= MAX_BY_DESIGN),
        detected: 0,
        delay: Duration::ZERO,
    };
    for (_, faulty) in &backtest.faulty {
        let detection = backtest.detection(index, faulty);
        result.detected += detection.delays.len();
        result.delay += detection.delays.iter().sum::<Duration>();
    }
    result
}

/// Returns an upper limit of the expected exceedances per budget over all comparisons.
///
/// Each window has the same share of the interval, so it is the mean of
/// `budget / effective interval` over the windows.
fn alarms_by_design(policy: &Policy, candidates: &Candidates, history: &HistoryBudget) -> f64 {
    let slides = candidates.slides();
    let intervals = effective_intervals(policy.interval, candidates.comparisons(), &slides);
    let rate: f64 = intervals
        .iter()
        .map(|interval| 1.0 / interval.as_secs_f64())
        .sum();
    rate / slides.len().max(1) as f64 * history.budget.as_secs_f64()
}

/// Returns the upper limit for the configured alerts; `None` if a threshold is a fixed number.
///
/// It is `budget * sum(alpha / slide)` over all rules, windows and references.
fn configured_by_design(
    features: &[FeaturePlan],
    slides: &[Duration],
    history: &HistoryBudget,
) -> Option<f64> {
    let mut rate = 0.0;
    for feature in features {
        let comparisons = feature.scorers().count() as f64;
        for rule in &feature.rules {
            let ThresholdSource::Budget { interval, .. } = rule.threshold_source else {
                return None;
            };
            let of_slide = |slide: &Duration| {
                comparisons * feature.alpha(interval, Some(*slide)) / slide.as_secs_f64()
            };
            rate += slides.iter().map(of_slide).sum::<f64>();
        }
    }
    Some(rate * history.budget.as_secs_f64())
}

/// Returns the policy to take; `None` without policies.
///
/// If no policy keeps the budget and is supported, it is the one with the fewest alarms.
#[must_use]
pub(crate) fn recommend(
    candidates: &Candidates,
    results: &[CandidateResult],
    history: &HistoryBudget,
) -> Option<Recommendation> {
    let policies: Vec<(usize, Policy, &CandidateResult)> = candidates
        .list
        .iter()
        .zip(results)
        .enumerate()
        .filter_map(|(index, (candidate, result))| Some((index, candidate.policy?, result)))
        .collect();
    let best = policies
        .iter()
        .filter(|(_, _, result)| result.keeps_budget && result.is_supported)
        .min_by_key(|(_, _, result)| {
            (
                usize::MAX - result.detected,
                result.delay,
                result.counts.alarms,
            )
        });
    let quietest = policies
        .iter()
        .min_by_key(|(_, _, result)| (result.counts.alarm_windows, result.counts.above));
    let (candidate, policy, _) = best.or(quietest)?;
    Some(Recommendation {
        candidate: *candidate,
        policy: *policy,
        reason: reason(best.is_some(), history),
    })
}

fn reason(keeps_budget: bool, history: &HistoryBudget) -> String {
    let budget = duration::format(history.budget);
    if !keeps_budget {
        return format!(
            "No candidate keeps the budget of one false alarm of the whole monitor in {budget}; \
             this one has the fewest alarms on the history"
        );
    }
    let support = if history.is_long_enough() {
        "which is long enough to support them"
    } else {
        "and whose thresholds keep it for all features together"
    };
    format!(
        "Of the candidates that kept the budget of one false alarm of the whole monitor in \
         {budget} on this history, {support}, this one detects the most faults, and \
         soonest"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::backtest::policy::DAY;

    #[test]
    fn a_history_of_three_budgets_supports_a_policy() {
        let history = |days: u32| HistoryBudget {
            budget: DAY * 7,
            length: DAY * days,
        };
        assert!(
            history(21).is_long_enough() && !history(20).is_long_enough(),
            "21 days"
        );
        assert!(
            (history(14).allowed_alarms() - 2.0).abs() < 1e-12,
            "two weeks"
        );
    }
}
