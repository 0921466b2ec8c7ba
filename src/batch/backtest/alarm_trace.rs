//! The alarms of one candidate on one comparison: a feature in one window against one reference.
//!
//! The engine steps the alerts of candidates that fire at once. Candidates with another `for` share
//! the rules of those, so their alerts are stepped here, by the engine's own state machine.

use std::ops::Add;
use std::time::Duration;

use crate::alert::{Alert, AlertState, AlertTiming, Threshold};
use crate::engine::{AlertView, Assessment};
use crate::model::{EventTime, NotReady};

/// The beginning of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Alarm {
    /// End of the window that raised it.
    pub(crate) at: EventTime,
    /// Evaluations since counting began, this one included.
    pub(crate) evaluations: u64,
}

/// Counts of evaluations and alarms; they add up over windows, references and features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct AlarmCounts {
    /// Evaluations in which at least one rule was ready.
    pub(crate) ready: u64,
    /// Evaluations beyond at least one threshold.
    pub(crate) above: u64,
    /// Alarms: runs of consecutive evaluations in which an alert fires.
    pub(crate) alarms: u64,
    /// Non-overlapping windows with a firing alert; this is held against the budget.
    pub(crate) alarm_windows: u64,
}

impl Add for AlarmCounts {
    type Output = AlarmCounts;

    fn add(self, other: Self) -> AlarmCounts {
        AlarmCounts {
            ready: self.ready + other.ready,
            above: self.above + other.above,
            alarms: self.alarms + other.alarms,
            alarm_windows: self.alarm_windows + other.alarm_windows,
        }
    }
}

/// The evaluations of one candidate on one comparison.
#[derive(Debug, Clone, Default)]
pub(crate) struct AlarmTrace {
    /// Number of counted evaluations.
    pub(crate) evaluations: u64,
    /// Counts of those evaluations.
    pub(crate) counts: AlarmCounts,
    /// The earliest counted alarm.
    pub(crate) first: Option<Alarm>,
    /// The latest evaluation with a firing alert, counted or not.
    pub(crate) last_firing: Option<EventTime>,
    is_firing: bool,
    /// End of the latest of the `alarm_windows`.
    last_alarm_window: Option<EventTime>,
    /// By rule; empty if the engine steps the alerts.
    alerts: Vec<Alert>,
}

/// The window of an evaluation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EvaluatedWindow {
    pub(crate) end: EventTime,
    pub(crate) size: Duration,
}

/// One rule in one evaluation, with the threshold that the engine used.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EvaluatedRule<'a> {
    alert: &'a AlertView,
    threshold: Option<&'a Threshold>,
}

impl AlarmTrace {
    /// Returns whether an alert fires in this evaluation.
    ///
    /// Without `for_evaluations`, the engine's alerts decide. With it, alerts with that `for` are
    /// stepped, so each evaluation must be passed once and in order.
    pub(crate) fn update_firing(
        &mut self,
        rules: &[EvaluatedRule<'_>],
        for_evaluations: Option<u32>,
    ) -> bool {
        let Some(for_evaluations) = for_evaluations else {
            return rules
                .iter()
                .any(|rule| rule.alert.state == AlertState::Firing);
        };
        let timing = AlertTiming {
            for_evaluations,
            keep_firing_for: 0,
        };
        self.alerts.resize(rules.len(), Alert::default());
        let mut is_firing = false;
        for (alert, rule) in self.alerts.iter_mut().zip(rules) {
            let (state, _) = alert.step(rule.score(), rule.threshold, &timing, rule.is_held());
            is_firing |= state == AlertState::Firing;
        }
        is_firing
    }

    /// Adds an evaluation; it counts if its window ends after `since`.
    pub(crate) fn record(
        &mut self,
        is_firing: bool,
        rules: &[EvaluatedRule<'_>],
        window: EvaluatedWindow,
        since: EventTime,
    ) {
        let begins = is_firing && !self.is_firing;
        self.is_firing = is_firing;
        if is_firing {
            self.last_firing = Some(window.end);
        }
        if window.end <= since {
            return;
        }
        self.evaluations += 1;
        self.counts.ready += u64::from(rules.iter().any(|rule| is_ready(rule.alert)));
        self.counts.above += u64::from(rules.iter().any(EvaluatedRule::is_beyond));
        let overlaps_last = self
            .last_alarm_window
            .is_some_and(|last_end| window.end.minus(window.size) < last_end);
        if is_firing && !overlaps_last {
            self.counts.alarm_windows += 1;
            self.last_alarm_window = Some(window.end);
        }
        if begins {
            self.counts.alarms += 1;
            self.first.get_or_insert(Alarm {
                at: window.end,
                evaluations: self.evaluations,
            });
        }
    }

    /// Adds the counts of another comparison and keeps the earlier first alarm.
    pub(crate) fn merge(self, other: &Self) -> AlarmTrace {
        AlarmTrace {
            evaluations: self.evaluations + other.evaluations,
            counts: self.counts + other.counts,
            first: [self.first, other.first]
                .into_iter()
                .flatten()
                .min_by_key(|alarm| alarm.at),
            last_firing: self.last_firing.max(other.last_firing),
            is_firing: self.is_firing || other.is_firing,
            last_alarm_window: self.last_alarm_window.max(other.last_alarm_window),
            alerts: Vec::new(),
        }
    }
}

/// Reports whether a rule had a score to compare with its threshold.
pub(crate) fn is_ready(alert: &AlertView) -> bool {
    !matches!(alert.state, AlertState::NotReady(_))
}

/// Joins the alerts of a comparison with the calibrated thresholds that the engine used.
pub(crate) fn evaluated_rules<'a>(
    alerts: &'a [AlertView],
    assessment: Option<&'a Assessment>,
) -> Vec<EvaluatedRule<'a>> {
    alerts
        .iter()
        .enumerate()
        .map(|(index, alert)| EvaluatedRule {
            alert,
            threshold: assessment.and_then(|assessment| assessment.thresholds.get(index)?.as_ref()),
        })
        .collect()
}

impl EvaluatedRule<'_> {
    fn score(&self) -> Result<f64, NotReady> {
        match (self.alert.state, self.alert.value) {
            (AlertState::NotReady(reason), _) => Err(reason),
            (_, value) => value.ok_or(NotReady::Empty),
        }
    }

    /// Reports whether the engine holds the alert because the stream has stopped.
    fn is_held(&self) -> bool {
        self.alert.state == AlertState::Firing && self.alert.value.is_none()
    }

    /// Reports whether the value is beyond a threshold, without the hysteresis of a firing alert.
    fn is_beyond(&self) -> bool {
        is_ready(self.alert) && self.alert.is_exceeded()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Severity, Statistic};

    fn alert(value: f64, state: AlertState) -> AlertView {
        AlertView {
            statistic: Statistic::Js,
            severity: Severity::Critical,
            threshold: Some(1.0),
            interval: None,
            lower: None,
            value: Some(value),
            state,
            transition: None,
            since: None,
        }
    }

    const THRESHOLD: Threshold = Threshold {
        above: 1.0,
        cleared: 0.8,
        below: None,
    };

    /// Traces one evaluation per second.
    ///
    /// `.` is below the threshold, `p` pending, `f` firing above it, `h` firing by hysteresis, and
    /// `?` not ready.
    fn trace(evaluations: &str, for_evaluations: Option<u32>, since: i64) -> AlarmTrace {
        let mut trace = AlarmTrace::default();
        for (second, symbol) in (1..).zip(evaluations.chars()) {
            let alert = match symbol {
                '.' => alert(0.5, AlertState::Inactive),
                'p' => alert(1.5, AlertState::Pending),
                'f' => alert(1.5, AlertState::Firing),
                'h' => alert(0.9, AlertState::Firing),
                _ => alert(1.5, AlertState::NotReady(NotReady::Partial)),
            };
            let rules = [EvaluatedRule {
                alert: &alert,
                threshold: Some(&THRESHOLD),
            }];
            let window = EvaluatedWindow {
                end: EventTime::from_millis(second),
                size: Duration::from_millis(3),
            };
            let is_firing = trace.update_firing(&rules, for_evaluations);
            trace.record(is_firing, &rules, window, EventTime::from_millis(since));
        }
        trace
    }

    #[test]
    fn a_run_of_firing_evaluations_is_one_alarm_and_hysteresis_is_not_above() {
        let trace = trace("..pfh.f?", None, 0);
        let AlarmCounts {
            ready,
            above,
            alarms,
            ..
        } = trace.counts;
        let counts = (trace.evaluations, ready, above, alarms);
        assert_eq!(counts, (8, 7, 3, 2), "{trace:?}");
        let first = trace.first.map(|alarm| alarm.evaluations);
        assert_eq!(first, Some(4), "the fourth evaluation fires");
    }

    /// Every evaluation of a rule on the number of values was counted as beyond its minimum.
    #[test]
    fn a_volume_is_beyond_its_threshold_only_below_it() {
        let mut trace = AlarmTrace::default();
        for (second, value, state) in [
            (1, 250.0, AlertState::Inactive),
            (2, 100.0, AlertState::Inactive),
            (3, 99.0, AlertState::Firing),
        ] {
            let alert = AlertView {
                statistic: Statistic::Samples,
                threshold: Some(100.0),
                ..alert(value, state)
            };
            let rules = [EvaluatedRule {
                alert: &alert,
                threshold: None,
            }];
            let window = EvaluatedWindow {
                end: EventTime::from_millis(second),
                size: Duration::from_millis(1),
            };
            let is_firing = trace.update_firing(&rules, None);
            trace.record(is_firing, &rules, window, EventTime::MIN);
        }
        assert_eq!((trace.counts.ready, trace.counts.above), (3, 1));
    }

    #[test]
    fn an_alarm_that_began_before_the_counted_time_is_not_new() {
        let trace = trace(".fff..f", None, 2);
        assert_eq!(
            (trace.counts.alarms, trace.evaluations),
            (1, 5),
            "{trace:?}"
        );
        let first = trace.first.map(|alarm| alarm.evaluations);
        assert_eq!(first, Some(5), "counted from the third on");
    }

    #[test]
    fn a_long_alarm_counts_once_per_length_of_its_window() {
        let check = |evaluations: &str, expected: u64| {
            let trace = trace(evaluations, None, 0);
            assert_eq!(trace.counts.alarm_windows, expected, "{evaluations}");
        };
        check("fff...", 1);
        check("ffffff", 2);
        check("f.f.ff", 2);
    }

    #[test]
    fn alerts_with_another_for_are_stepped_here() {
        let check = |for_evaluations, alarms, evaluations| {
            let trace = trace(".ff.fffh.f?ff", Some(for_evaluations), 0);
            let first = trace.first.map(|alarm| alarm.evaluations);
            assert_eq!(
                (trace.counts.alarms, first),
                (alarms, evaluations),
                "{for_evaluations}"
            );
        };
        check(1, 4, Some(2));
        check(3, 1, Some(7));
        check(4, 0, None);
    }
}
