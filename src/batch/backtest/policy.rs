//! Candidate policies: false alarm interval, tolerance, and evaluations above the threshold.
//!
//! The candidates are a small grid and not the result of a search. The on-call engineer has to
//! understand the policy, and a history of some weeks cannot distinguish finer steps.

use std::time::Duration;

use crate::model::{AlertSpec, Budget, Statistic, Thresholds, Tolerance, duration};

/// False alarm intervals of a monitor in days.
const INTERVALS_DAYS: [u32; 3] = [7, 30, 90];
/// The shortest of the false alarm intervals.
pub(crate) const SHORTEST_INTERVAL: Duration =
    Duration::from_secs(INTERVALS_DAYS[0] as u64 * 86_400);
/// The tolerances of a tolerant policy, in multiples of the default tolerances.
const WIDE_TOLERANCE: f64 = 2.0;
/// Numbers of consecutive evaluations above the threshold before an alert fires.
pub(crate) const FOR_EVALUATIONS: [u32; 2] = [1, 3];
/// At most one window without drift in this many exceeds a threshold, however short the interval.
pub(crate) const MIN_WINDOWS_PER_ALARM: u32 = 100;
pub(crate) const DAY: Duration = Duration::from_secs(86_400);

/// An alert policy for all features of a monitor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Policy {
    /// Accepted time between false alarms of the whole monitor.
    pub(crate) interval: Duration,
    /// Uses twice the default tolerances if set.
    pub(crate) is_tolerant: bool,
    /// Consecutive evaluations above a threshold before an alert fires.
    pub(crate) for_evaluations: u32,
}

impl Policy {
    /// Names the policy by its options, as `30d 0.28std for 3`.
    #[must_use]
    pub(crate) fn name(&self) -> String {
        let mut name = duration::format(self.interval);
        if let Some(tolerance) = tolerance_text(self.tolerance(Statistic::Js)) {
            name += &format!(" {tolerance}");
        }
        if self.for_evaluations > 1 {
            name += &format!(" for {}", self.for_evaluations);
        }
        name
    }

    /// Reports whether the policy fires at the first evaluation above a threshold.
    ///
    /// The engine evaluates only these: policies that differ in `for` alone share their rules, and
    /// [`super::alarm_trace::AlarmTrace`] steps their alerts.
    #[must_use]
    pub(crate) fn fires_at_once(&self) -> bool {
        self.for_evaluations == FOR_EVALUATIONS[0]
    }

    /// Returns the rules of the policy, which apply to every feature.
    #[must_use]
    pub(crate) fn alerts(&self, statistics: &[Statistic]) -> Vec<AlertSpec> {
        statistics
            .iter()
            .map(|statistic| AlertSpec {
                statistic: *statistic,
                thresholds: Thresholds::default(),
                budget: Some(Budget {
                    false_alarm_interval: self.interval,
                    tolerance: self.tolerance(*statistic),
                    ..Budget::default()
                }),
                for_evaluations: self.for_evaluations,
                keep_firing_for: AlertSpec::DEFAULT_KEEP_FIRING_FOR,
                features: None,
            })
            .collect()
    }

    /// Returns the rules as lines of a configuration without indentation.
    #[must_use]
    pub(crate) fn yaml(&self, statistics: &[Statistic]) -> Vec<String> {
        let interval = duration::format(self.interval);
        let mut lines = vec!["alerts:".to_owned()];
        for statistic in statistics {
            let mut options = format!("statistic: {statistic}, false_alarm_interval: {interval}");
            if let Some(tolerance) = tolerance_text(self.tolerance(*statistic)) {
                options += &format!(", tolerance: {tolerance}");
            }
            if self.for_evaluations > 1 {
                options += &format!(", for: {}", self.for_evaluations);
            }
            lines.push(format!("  - {{{options}}}"));
        }
        lines
    }

    fn tolerance(&self, statistic: Statistic) -> Tolerance {
        match Tolerance::default_share(statistic) {
            _ if !self.is_tolerant => Tolerance::Default,
            Some(share) => Tolerance::Mass(WIDE_TOLERANCE * share),
            None => Tolerance::Std(WIDE_TOLERANCE * Tolerance::DEFAULT_STD),
        }
    }
}

/// Formats a tolerance as a configuration has it; `None` for the default.
fn tolerance_text(tolerance: Tolerance) -> Option<String> {
    match tolerance {
        Tolerance::Default => None,
        Tolerance::Score(score) => Some(score.to_string()),
        Tolerance::Std(std) => Some(format!("{std}std")),
        Tolerance::Mass(share) => Some(format!("{}%", share * 100.0)),
    }
}

/// Returns the statistics of the candidates that at least one feature has.
#[must_use]
pub(crate) fn candidate_statistics(is_available: impl Fn(Statistic) -> bool) -> Vec<Statistic> {
    AlertSpec::DEFAULT_STATISTICS
        .into_iter()
        .filter(|statistic| is_available(*statistic))
        .collect()
}

/// Returns every policy for a monitor that accepts one false alarm in `budget`.
///
/// The intervals are the usual ones and the budget itself. Of intervals that are the same in effect
/// for these slides and `comparisons`, the calibrated combinations of feature, window and
/// reference, only the longest is returned.
#[must_use]
pub(crate) fn ladder(budget: Duration, comparisons: usize, slides: &[Duration]) -> Vec<Policy> {
    let mut intervals: Vec<Duration> = INTERVALS_DAYS.iter().map(|days| DAY * *days).collect();
    intervals.push(whole_days(budget));
    intervals.sort_unstable_by(|a, b| b.cmp(a));
    intervals.dedup_by_key(|interval| effective_intervals(*interval, comparisons, slides));
    intervals.reverse();
    let mut policies = Vec::new();
    for interval in intervals {
        for is_tolerant in [false, true] {
            policies.extend(FOR_EVALUATIONS.map(|for_evaluations| Policy {
                interval,
                is_tolerant,
                for_evaluations,
            }));
        }
    }
    policies
}

/// Returns the mean time between exceedances of a stream without drift, by slide.
///
/// It is `max(interval, MIN_WINDOWS_PER_ALARM * slide / comparisons)`: a comparison exceeds its
/// thresholds in one window of a hundred at most, so rare windows have longer intervals.
pub(crate) fn effective_intervals(
    interval: Duration,
    comparisons: usize,
    slides: &[Duration],
) -> Vec<Duration> {
    let comparisons = u32::try_from(comparisons.max(1)).unwrap_or(u32::MAX);
    slides
        .iter()
        .map(|slide| interval.max(*slide * MIN_WINDOWS_PER_ALARM / comparisons))
        .collect()
}

/// Rounds a budget up to whole days.
fn whole_days(budget: Duration) -> Duration {
    let days = budget.as_secs().max(1).div_ceil(DAY.as_secs());
    Duration::from_secs(days.saturating_mul(DAY.as_secs()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_is_named_by_its_options() {
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
    fn rates_have_a_tolerance_in_percent() {
        let policy = Policy {
            interval: DAY * 90,
            is_tolerant: true,
            for_evaluations: 3,
        };
        let statistics = [
            Statistic::Js,
            Statistic::MissingRatio,
            Statistic::UnseenRatio,
        ];
        let expected = [
            "alerts:",
            "  - {statistic: js, false_alarm_interval: 90d, tolerance: 0.28std, for: 3}",
            "  - {statistic: missing_ratio, false_alarm_interval: 90d, tolerance: 1%, for: 3}",
            "  - {statistic: unseen_ratio, false_alarm_interval: 90d, tolerance: 0.2%, for: 3}",
        ];
        assert_eq!(policy.yaml(&statistics), expected, "ready to paste");
    }

    #[test]
    fn every_budget_has_candidates_that_keep_it_by_design() {
        let minute = Duration::from_secs(60);
        let check = |days: u32, comparisons: usize, slide: Duration, expected: &[&str]| {
            let names: Vec<String> = ladder(DAY * days, comparisons, &[slide])
                .iter()
                .filter(|policy| !policy.is_tolerant && policy.for_evaluations == 1)
                .map(Policy::name)
                .collect();
            assert_eq!(
                names, expected,
                "{days} days, {comparisons} comparisons, {slide:?}"
            );
        };
        check(10, 5, minute, &["7d", "10d", "30d", "90d"]);
        check(30, 3, minute, &["7d", "30d", "90d"]);
        check(7, 5, DAY, &["7d", "30d", "90d"]);
        check(7, 1, DAY, &["90d"]);
        check(10, 2, DAY / 2, &["10d", "30d", "90d"]);
    }
}
