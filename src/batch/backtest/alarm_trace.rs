//! One candidate on one feature, in one window and against one reference, evaluation by evaluation.

use std::ops::Add;
use std::time::Duration;

use crate::alert::{Alert, AlertState, AlertTiming, Threshold};
use crate::engine::{AlertView, Assessment};
use crate::model::{EventTime, NotReady};

/// An alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Alarm {
    /// End of the window that raised it.
    pub(crate) at: EventTime,
    /// Evaluations since the ledger began to count, this one included.
    pub(crate) evaluations: u64,
}

/// What evaluations of a candidate came to; adds up over windows, references and features.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Cost {
    /// Evaluations that at least one rule could judge.
    pub(crate) judged: u64,
    /// Those above at least one line.
    pub(crate) above: u64,
    /// Alarms: episodes.
    pub(crate) alarms: u64,
    /// Windows, side by side, that had an alarm on.
    pub(crate) alarm_windows: u64,
}

impl Add for Cost {
    type Output = Cost;

    fn add(self, other: Cost) -> Cost {
        Cost {
            judged: self.judged + other.judged,
            above: self.above + other.above,
            alarms: self.alarms + other.alarms,
            alarm_windows: self.alarm_windows + other.alarm_windows,
        }
    }
}

/// One candidate on one feature, in one window and against one reference.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trail {
    /// Evaluations.
    pub(crate) evaluations: u64,
    /// What they came to.
    pub(crate) cost: Cost,
    /// The earliest.
    pub(crate) first: Option<Alarm>,
    /// The latest evaluation at which an alarm was on.
    pub(crate) last_on: Option<EventTime>,
    is_on: bool,
    /// End of the latest of the `alarm_windows`.
    counted_at: Option<EventTime>,
    /// By rule; where the engine's alerts have another patience.
    alerts: Vec<Alert>,
}

/// The window that is evaluated.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    /// Its end.
    pub(crate) end: EventTime,
    /// Its length.
    pub(crate) size: Duration,
}

/// One rule in one evaluation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged<'a> {
    line: &'a AlertView,
    bar: Option<&'a Threshold>,
}

impl Trail {
    /// Whether an alert fires; with a `patience`, of alerts that have it.
    pub(crate) fn is_firing(&mut self, judged: &[Judged<'_>], patience: Option<u32>) -> bool {
        let Some(for_evaluations) = patience else {
            let mut rules = judged.iter();
            return rules.any(|own| own.line.state == AlertState::Firing);
        };
        let patience = AlertTiming {
            for_evaluations,
            keep_firing_for: 0,
        };
        self.alerts.resize(judged.len(), Alert::default());
        let steps = self.alerts.iter_mut().zip(judged).map(|(alert, own)| {
            let (state, _) = alert.step(own.score(), own.bar, &patience);
            state == AlertState::Firing
        });
        steps.fold(false, |any, is_on| any | is_on)
    }

    pub(crate) fn step(&mut self, is_on: bool, judged: &[Judged<'_>], at: At, since: EventTime) {
        let end = at.end;
        let has_begun = is_on && !self.is_on;
        self.is_on = is_on;
        if is_on {
            self.last_on = Some(end);
        }
        if end <= since {
            return;
        }
        self.evaluations += 1;
        self.cost.judged += u64::from(judged.iter().any(|own| is_judged(own.line)));
        self.cost.above += u64::from(judged.iter().any(Judged::is_above));
        let overlaps = |counted_at| at.end.minus(at.size) < counted_at;
        if is_on && !self.counted_at.is_some_and(overlaps) {
            self.cost.alarm_windows += 1;
            self.counted_at = Some(end);
        }
        if has_begun {
            self.cost.alarms += 1;
            let evaluations = self.evaluations;
            self.first.get_or_insert(Alarm {
                at: end,
                evaluations,
            });
        }
    }

    pub(crate) fn with(self, other: &Trail) -> Trail {
        let earliest = |a: Alarm, b: Alarm| if b.at < a.at { b } else { a };
        Trail {
            evaluations: self.evaluations + other.evaluations,
            cost: self.cost + other.cost,
            first: match (self.first, other.first) {
                (Some(a), Some(b)) => Some(earliest(a, b)),
                (one, other) => one.or(other),
            },
            last_on: self.last_on.max(other.last_on),
            is_on: self.is_on || other.is_on,
            counted_at: self.counted_at.max(other.counted_at),
            alerts: Vec::new(),
        }
    }
}

pub(crate) fn is_judged(line: &AlertView) -> bool {
    !matches!(line.state, AlertState::NotReady(_))
}

/// The lines of a reference with what the engine compared them with.
pub(crate) fn judged<'a>(
    lines: &'a [AlertView],
    assessment: Option<&'a Assessment>,
) -> Vec<Judged<'a>> {
    let bar = |place: usize| assessment?.lines.get(place)?.as_ref();
    let numbered = lines.iter().enumerate();
    let judged = numbered.map(|(place, line)| Judged {
        line,
        bar: bar(place),
    });
    judged.collect()
}

impl Judged<'_> {
    fn score(&self) -> Result<f64, NotReady> {
        match (self.line.state, self.line.value) {
            (AlertState::NotReady(reason), _) => Err(reason),
            (_, value) => value.ok_or(NotReady::Empty),
        }
    }

    /// Whether the line is exceeded; an alert that is held by its hysteresis is not.
    fn is_above(&self) -> bool {
        let AlertView {
            threshold, lower, ..
        } = self.line;
        let exceeds = |value: f64| {
            threshold.is_some_and(|above| value > above) || lower.is_some_and(|lower| value < lower)
        };
        self.score().is_ok_and(exceeds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Severity, Statistic};

    fn line(value: f64, state: AlertState) -> AlertView {
        AlertView {
            statistic: Statistic::Js,
            severity: Severity::Critical,
            threshold: Some(1.0),
            interval: None,
            lower: None,
            value: Some(value),
            state,
        }
    }

    const BAR: Threshold = Threshold {
        above: 1.0,
        cleared: 0.8,
        below: None,
    };

    /// One evaluation a second: `.` below, `p` pending, `f` firing above the line, `h` firing by hysteresis, `?` not ready.
    fn trail(evaluations: &str, patience: Option<u32>, since: i64) -> Trail {
        let mut trail = Trail::default();
        for (second, symbol) in (1..).zip(evaluations.chars()) {
            let line = match symbol {
                '.' => line(0.5, AlertState::Inactive),
                'p' => line(1.5, AlertState::Pending),
                'f' => line(1.5, AlertState::Firing),
                'h' => line(0.9, AlertState::Firing),
                _ => line(1.5, AlertState::NotReady(NotReady::Partial)),
            };
            let judged = [Judged {
                line: &line,
                bar: Some(&BAR),
            }];
            let is_on = trail.is_firing(&judged, patience);
            let [end, since] = [second, since].map(EventTime::from_millis);
            let size = Duration::from_millis(3);
            trail.step(is_on, &judged, At { end, size }, since);
        }
        trail
    }

    #[test]
    fn an_episode_is_one_alarm_and_only_values_above_the_line_exceed_it() {
        let found = trail("..pfh.f?", None, 0);
        let Cost {
            judged,
            above,
            alarms,
            ..
        } = found.cost;
        let counts = (found.evaluations, judged, above, alarms);
        assert_eq!(counts, (8, 7, 3, 2), "{found:?}");
        let first = found.first.map(|alarm| alarm.evaluations);
        assert_eq!(first, Some(4), "the fourth evaluation fires");
    }

    #[test]
    fn an_alarm_that_was_on_before_is_not_a_new_one() {
        let found = trail(".fff..f", None, 2);
        assert_eq!((found.cost.alarms, found.evaluations), (1, 5), "{found:?}");
        let first = found.first.map(|alarm| alarm.evaluations);
        assert_eq!(first, Some(5), "counted from the third on");
    }

    #[test]
    fn an_alarm_that_lasts_counts_once_per_length_of_its_window() {
        let check = |evaluations: &str, expected: u64| {
            let found = trail(evaluations, None, 0);
            assert_eq!(found.cost.alarm_windows, expected, "{evaluations}");
        };
        check("fff...", 1);
        check("ffffff", 2);
        check("f.f.ff", 2);
    }

    #[test]
    fn patience_is_counted_here_where_the_engine_has_another() {
        let check = |patience, alarms, evaluations| {
            let found = trail(".ff.fffh.f?ff", Some(patience), 0);
            let first = found.first.map(|alarm| alarm.evaluations);
            assert_eq!(
                (found.cost.alarms, first),
                (alarms, evaluations),
                "{patience}"
            );
        };
        check(1, 4, Some(2));
        check(3, 1, Some(7));
        check(4, 0, None);
    }
}
