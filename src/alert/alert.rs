//! The state machine of one alert.
//!
//! An alert fires after `for_evaluations` consecutive evaluations beyond its threshold. It resolves
//! once more than `keep_firing_for` consecutive ones were not. Under a calibrated threshold a
//! firing alert clears only once its score is clearly below: a score that sways around its
//! threshold fires once.
//!
//! A score that is not ready counts as an evaluation that is not beyond the threshold: a pending
//! alert starts again, a firing one is kept for `keep_firing_for` evaluations. So a restart or a
//! hole in the counts neither resolves an alert at once nor keeps it for ever. A stream that stops
//! is different: nobody knows whether the cause is gone, so a firing alert is held until there is a
//! score again.

use super::threshold::Threshold;
use super::timing::AlertTiming;
use crate::model::NotReady;

/// The state of an alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum AlertState {
    /// Not beyond the threshold.
    Inactive,
    /// Beyond the threshold, for fewer than `for_evaluations` evaluations.
    Pending,
    /// Beyond the threshold for long enough, or kept firing since.
    Firing,
    /// Without a score, for this reason.
    NotReady(NotReady),
}

impl AlertState {
    /// The name used in JSON and on the page.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            AlertState::Inactive => "inactive",
            AlertState::Pending => "pending",
            AlertState::Firing => "firing",
            AlertState::NotReady(_) => "not_ready",
        }
    }

    /// The order of urgency: 0 not ready, 1 inactive, 2 pending, 3 firing.
    #[must_use]
    pub const fn rank(self) -> u8 {
        match self {
            AlertState::NotReady(_) => 0,
            AlertState::Inactive => 1,
            AlertState::Pending => 2,
            AlertState::Firing => 3,
        }
    }
}

/// A change of state that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// The alert started to fire.
    Firing,
    /// The alert stopped firing.
    Resolved,
}

impl Transition {
    /// The value of the label `to`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Transition::Firing => "firing",
            Transition::Resolved => "resolved",
        }
    }
}

/// The counters of one alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Alert {
    /// Consecutive evaluations beyond the threshold.
    beyond: u32,
    /// Consecutive evaluations that were not, while firing.
    quiet: u32,
    is_firing: bool,
    /// True from an evaluation without data on until the next one with a score.
    is_held: bool,
}

impl Alert {
    /// True while the alert fires.
    #[must_use]
    pub const fn is_firing(&self) -> bool {
        self.is_firing
    }

    /// True while the alert is pending or fires.
    #[must_use]
    pub const fn is_raised(&self) -> bool {
        self.is_firing || self.beyond > 0
    }

    /// Advances by one evaluation: a score, or the reason why there is none. Without a threshold no
    /// score is an alarm.
    ///
    /// `is_paused` is true if the stream has stopped: then a firing alert is held until there is a
    /// score again, because nothing says that its cause is gone.
    pub fn step(
        &mut self,
        score: Result<f64, NotReady>,
        threshold: Option<&Threshold>,
        timing: &AlertTiming,
        is_paused: bool,
    ) -> (AlertState, Option<Transition>) {
        self.is_held = score.is_err() && self.is_firing && (self.is_held || is_paused);
        if self.is_held {
            return (AlertState::Firing, None);
        }
        match score {
            Ok(score) if self.is_alarm(score, threshold) => self.raise(timing),
            Ok(_) => self.calm(timing, AlertState::Inactive),
            Err(reason) => self.calm(timing, AlertState::NotReady(reason)),
        }
    }

    fn is_alarm(&self, score: f64, threshold: Option<&Threshold>) -> bool {
        threshold.is_some_and(|threshold| {
            threshold.is_exceeded_by(score) || (self.is_firing && threshold.keeps_firing(score))
        })
    }

    fn raise(&mut self, timing: &AlertTiming) -> (AlertState, Option<Transition>) {
        self.quiet = 0;
        self.beyond = self.beyond.saturating_add(1);
        if self.is_firing {
            return (AlertState::Firing, None);
        }
        if self.beyond < timing.for_evaluations {
            return (AlertState::Pending, None);
        }
        self.is_firing = true;
        (AlertState::Firing, Some(Transition::Firing))
    }

    /// Takes an evaluation that is not beyond the threshold; `rest` is the state of an alert that
    /// does not fire.
    fn calm(&mut self, timing: &AlertTiming, rest: AlertState) -> (AlertState, Option<Transition>) {
        self.beyond = 0;
        if !self.is_firing {
            return (rest, None);
        }
        self.quiet = self.quiet.saturating_add(1);
        if self.quiet <= timing.keep_firing_for {
            return (AlertState::Firing, None);
        }
        *self = Alert::default();
        (rest, Some(Transition::Resolved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs evaluations and returns their states.
    ///
    /// Evaluations: `^` above, `~` between threshold and clearance, `.` at the clearance, `_` below
    /// the lower limit, `?` not ready, `-` not ready because the stream has stopped. States: `i p f
    /// n`; a transition is upper case, `F` firing, `R` resolved.
    fn run(evaluations: &str, for_evaluations: u32, keep_firing_for: u32) -> String {
        let threshold = Threshold {
            above: 1.0,
            cleared: 0.8,
            below: Some(0.1),
        };
        let timing = AlertTiming {
            for_evaluations,
            keep_firing_for,
        };
        let mut alert = Alert::default();
        evaluations
            .chars()
            .map(|symbol| {
                let score = match symbol {
                    '^' => Ok(1.5),
                    '~' => Ok(1.0),
                    '.' => Ok(0.8),
                    '_' => Ok(0.05),
                    _ => Err(NotReady::Partial),
                };
                match alert.step(score, Some(&threshold), &timing, symbol == '-') {
                    (_, Some(Transition::Firing)) => 'F',
                    (_, Some(Transition::Resolved)) => 'R',
                    (AlertState::Inactive, None) => 'i',
                    (AlertState::Pending, None) => 'p',
                    (AlertState::Firing, None) => 'f',
                    (AlertState::NotReady(_), None) => 'n',
                }
            })
            .collect()
    }

    fn check(evaluations: &str, for_evaluations: u32, keep_firing_for: u32, expected: &str) {
        assert_eq!(
            run(evaluations, for_evaluations, keep_firing_for),
            expected,
            "{evaluations} for {for_evaluations} keep {keep_firing_for}"
        );
    }

    #[test]
    fn fires_after_consecutive_evaluations_above_the_threshold() {
        check(".^..", 1, 0, "iFRi");
        check("^^.^^^^", 3, 0, "ppippFf");
        check("^?^", 2, 0, "pnp");
    }

    #[test]
    fn keeps_firing_for_some_evaluations_after_the_last_alarm() {
        check("^...", 1, 2, "FffR");
        check("^.^...", 1, 2, "FffffR");
    }

    #[test]
    fn a_score_that_sways_around_its_threshold_fires_once() {
        check("~^~^~.", 1, 0, "iFfffR");
        check("~~^.", 2, 0, "iipi");
    }

    #[test]
    fn a_rate_below_its_lower_limit_fires_too() {
        check("._..", 1, 0, "iFRi");
    }

    #[test]
    fn a_score_without_a_threshold_is_not_an_alarm() {
        let timing = AlertTiming {
            for_evaluations: 1,
            keep_firing_for: 0,
        };
        let (state, _) = Alert::default().step(Ok(1e9), None, &timing, false);
        assert_eq!(state, AlertState::Inactive, "nothing to compare with");
    }

    /// A stream that stopped resolved its alerts: the windows without a score were quiet.
    #[test]
    fn a_stream_that_stops_holds_a_firing_alert_until_there_is_a_score_again() {
        check("^--------^", 1, 0, "Ffffffffff");
        check("^---??.", 1, 0, "FfffffR");
        check("^--.", 1, 1, "Ffff");
        check("-^-.", 1, 0, "nFfR");
        check("^-^--^.", 2, 0, "pnpnnpi");
    }

    #[test]
    fn a_gap_neither_resolves_an_alert_at_once_nor_keeps_it_for_ever() {
        check("^??^", 1, 2, "Ffff");
        check("^???", 1, 2, "FffR");
        check("????", 1, 0, "nnnn");
    }
}
