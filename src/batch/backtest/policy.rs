//! Candidate policies: how rarely a clean stream may raise an alarm, what is no news, and for how long a line has to be exceeded.
//!
//! A small grid instead of a search: what is chosen has to be understood by whoever is woken by it, and a history of some weeks cannot tell finer steps apart.

use std::time::Duration;

use crate::model::{AlertSpec, Budget, Statistic, Thresholds, Tolerance};

/// What every candidate judges: where values lie, how far they moved, and the three rates.
const STATISTICS: [Statistic; 5] = [
    Statistic::Js,
    Statistic::Wasserstein,
    Statistic::MissingRatio,
    Statistic::UnseenRatio,
    Statistic::OutOfRangeRatio,
];
/// Intervals between false alarms of one feature that people choose.
const INTERVALS_DAYS: [u32; 3] = [7, 30, 90];
/// The shortest of them.
pub(crate) const SHORTEST: Duration = Duration::from_secs(INTERVALS_DAYS[0] as u64 * 86_400);
/// Twice the default tolerance; of missing values none is tolerated by default.
const TOLERANT: [Tolerance; 2] = [Tolerance::Std(0.28), Tolerance::Mass(0.002)];
/// Consecutive evaluations.
pub(crate) const FOR: [u32; 2] = [1, 3];
/// However short the interval, a line is exceeded by at most one clean window in so many.
pub(crate) const LEAST_WINDOWS: u32 = 100;
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// A candidate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// One false alarm in this time, per feature, window and reference, is accepted.
    pub(crate) interval: Duration,
    /// Whether twice the default tolerance is no news.
    pub(crate) is_tolerant: bool,
    /// Evaluations in a row above a line before it fires.
    pub(crate) for_evaluations: u32,
}

impl Policy {
    /// What sets it apart, as it is written in a configuration: `30d 0.28std for 3`.
    #[must_use]
    pub(crate) fn name(&self) -> String {
        let tolerance = written(self.tolerance(Statistic::Js)).map(|text| format!(" {text}"));
        let patience = (self.for_evaluations > 1).then(|| format!(" for {}", self.for_evaluations));
        span(self.interval) + &tolerance.unwrap_or_default() + &patience.unwrap_or_default()
    }

    /// Whether it is the one of those that differ in their patience only that the engine plays.
    #[must_use]
    pub(crate) fn is_eager(&self) -> bool {
        self.for_evaluations == FOR[0]
    }

    /// Its rules on these statistics, for every feature.
    #[must_use]
    pub(crate) fn alerts(&self, statistics: &[Statistic]) -> Vec<AlertSpec> {
        let rule = |statistic: &Statistic| AlertSpec {
            statistic: *statistic,
            thresholds: Thresholds::default(),
            budget: Some(Budget {
                false_alarm_interval: self.interval,
                tolerance: self.tolerance(*statistic),
                ..Budget::default()
            }),
            for_evaluations: self.for_evaluations,
            keep_firing_for: 0,
            features: None,
        };
        statistics.iter().map(rule).collect()
    }

    /// The rules as lines of a configuration, without indentation.
    #[must_use]
    pub(crate) fn yaml(&self, statistics: &[Statistic]) -> Vec<String> {
        let rule = |statistic: &Statistic| {
            let interval = span(self.interval);
            let tolerance = written(self.tolerance(*statistic));
            let tolerance = tolerance.map(|text| format!(", tolerance: {text}"));
            let patience = self.for_evaluations;
            let patience = (patience > 1).then(|| format!(", for: {patience}"));
            format!(
                "  - {{statistic: {statistic}, false_alarm_interval: {interval}{}{}}}",
                tolerance.unwrap_or_default(),
                patience.unwrap_or_default()
            )
        };
        let rules = statistics.iter().map(rule);
        std::iter::once("alerts:".to_owned()).chain(rules).collect()
    }

    fn tolerance(&self, statistic: Statistic) -> Tolerance {
        match statistic {
            _ if !self.is_tolerant => Tolerance::Default,
            Statistic::MissingRatio => Tolerance::Default,
            rate if rate.is_rate() => TOLERANT[1],
            _ => TOLERANT[0],
        }
    }
}

/// A tolerance as a configuration has it; `None` for the default.
fn written(tolerance: Tolerance) -> Option<String> {
    match tolerance {
        Tolerance::Default => None,
        Tolerance::Score(number) => Some(number.to_string()),
        Tolerance::Std(std) => Some(format!("{std}std")),
        Tolerance::Mass(share) => Some(format!("{}%", share * 100.0)),
    }
}

/// A span as a configuration has it: whole days as `30d`, else as `1day 12h`.
#[must_use]
pub(crate) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    if seconds > 0 && seconds.is_multiple_of(DAY.as_secs()) && span.subsec_nanos() == 0 {
        format!("{}d", seconds / DAY.as_secs())
    } else {
        humantime::format_duration(span).to_string()
    }
}

/// What candidates judge, of what the features have.
#[must_use]
pub(crate) fn statistics(has: impl Fn(Statistic) -> bool) -> Vec<Statistic> {
    let wanted = STATISTICS.into_iter();
    wanted.filter(|statistic| has(*statistic)).collect()
}

/// Every candidate for a monitor that may raise one false alarm in `budget`: the usual intervals, and the one with which each of `watched` features, windows and
/// references gets an equal part of the budget; of those that make no difference to windows that come every `slides`, the longest.
#[must_use]
pub(crate) fn ladder(budget: Duration, watched: usize, slides: &[Duration]) -> Vec<Policy> {
    let mut intervals: Vec<Duration> = INTERVALS_DAYS.iter().map(|days| DAY * *days).collect();
    intervals.push(shared(budget, watched));
    intervals.sort_unstable_by(|a, b| b.cmp(a));
    intervals.dedup_by_key(|interval| in_force(*interval, slides));
    intervals.reverse();
    let of_interval = |interval| {
        let tolerances = [false, true].into_iter();
        tolerances.flat_map(move |is_tolerant| {
            FOR.map(|for_evaluations| Policy {
                interval,
                is_tolerant,
                for_evaluations,
            })
        })
    };
    intervals.into_iter().flat_map(of_interval).collect()
}

/// The time in which a clean stream exceeds a line once, by slide: at least as long as it takes to make `LEAST_WINDOWS` of them.
pub(crate) fn in_force(interval: Duration, slides: &[Duration]) -> Vec<Duration> {
    let slides = slides.iter();
    slides
        .map(|slide| interval.max(*slide * LEAST_WINDOWS))
        .collect()
}

/// The interval at which `watched` equal parts make up the budget, in whole days.
fn shared(budget: Duration, watched: usize) -> Duration {
    let watched = u64::try_from(watched.max(1)).unwrap_or(u64::MAX);
    let seconds = budget.as_secs().max(1).saturating_mul(watched);
    let days = seconds.div_ceil(DAY.as_secs());
    Duration::from_secs(days.saturating_mul(DAY.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_named_as_it_is_written() {
        let check = |days: u32, is_tolerant, for_evaluations, expected: &str| {
            let policy = Policy {
                interval: DAY * days,
                is_tolerant,
                for_evaluations,
            };
            assert_eq!(policy.name(), expected, "{policy:?}");
        };
        check(30, false, 1, "30d");
        check(7, true, 3, "7d 0.28std for 3");
    }

    #[test]
    fn rates_tolerate_shares_and_nobody_tolerates_nulls() {
        let policy = Policy {
            interval: DAY * 90,
            is_tolerant: true,
            for_evaluations: 3,
        };
        let all = [
            Statistic::Js,
            Statistic::MissingRatio,
            Statistic::UnseenRatio,
        ];
        let expected = [
            "alerts:",
            "  - {statistic: js, false_alarm_interval: 90d, tolerance: 0.28std, for: 3}",
            "  - {statistic: missing_ratio, false_alarm_interval: 90d, for: 3}",
            "  - {statistic: unseen_ratio, false_alarm_interval: 90d, tolerance: 0.2%, for: 3}",
        ];
        assert_eq!(policy.yaml(&all), expected, "ready to paste");
    }

    #[test]
    fn every_budget_has_candidates_that_keep_it_by_design() {
        let minute = Duration::from_secs(60);
        let check = |days: u32, watched: usize, slide: Duration, expected: &[&str]| {
            let found = ladder(DAY * days, watched, &[slide]);
            let steady: Vec<String> = found
                .iter()
                .filter(|policy| !policy.is_tolerant && policy.for_evaluations == 1)
                .map(Policy::name)
                .collect();
            assert_eq!(
                steady, expected,
                "{days} days, {watched} watched, {slide:?}"
            );
        };
        check(7, 5, minute, &["7d", "30d", "35d", "90d"]);
        check(30, 3, minute, &["7d", "30d", "90d"]);
        check(7, 100, minute, &["7d", "30d", "90d", "700d"]);
        check(7, 5, DAY, &["90d"]);
        check(7, 5, DAY / 2, &["35d", "90d"]);
    }
}
