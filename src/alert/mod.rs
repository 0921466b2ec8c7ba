//! When a score is an alarm: lines, consecutive evaluations, and a state that does not flap.
//!
//! A line may move from window to window with the number of samples, so it comes with the score. A firing alert under a calibrated line is cleared only once its score is
//! clearly below it: a score that sways around its line fires once.
//!
//! An alert fires after `for` consecutive evaluations above its line and is resolved once more than `keep_firing_for` consecutive ones were not. A score that
//! is not ready says nothing either way: a pending alert starts over, a firing one is held for `keep_firing_for` evaluations, so that a restart or a gap of
//! data neither resolves it nor keeps it for ever.

use crate::model::NotReady;

/// How an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum AlertState {
    /// Below the line.
    Inactive,
    /// Above the line, not yet for long enough.
    Pending,
    /// Above the line for long enough, or not long enough below it since.
    Firing,
    /// There is no score to judge.
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

    /// How far along the alert is: a firing one is further than a pending one.
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

/// A change worth counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transition {
    /// The alert began to fire.
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

/// Where a score is an alarm, on its own scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Threshold {
    /// A score above it counts.
    pub above: f64,
    /// A firing alert is not cleared before its score is at or below this; at most `above`.
    pub cleared: f64,
    /// A score below it counts too; rates that may fall as well as rise.
    pub below: Option<f64>,
}

impl Threshold {
    /// A fixed line, at which an alert fires and is cleared.
    #[must_use]
    pub const fn fixed(threshold: f64) -> Self {
        Threshold {
            above: threshold,
            cleared: threshold,
            below: None,
        }
    }

    /// A fixed line below which an alert fires, and at which it is cleared.
    #[must_use]
    pub const fn at_least(threshold: f64) -> Self {
        Threshold {
            above: f64::INFINITY,
            cleared: f64::INFINITY,
            below: Some(threshold),
        }
    }

    /// Whether a score is an alarm.
    #[must_use]
    pub fn is_exceeded_by(&self, score: f64) -> bool {
        score > self.above || self.below.is_some_and(|below| score < below)
    }

    /// Whether a score keeps a firing alert firing.
    fn holds(&self, score: f64) -> bool {
        score > self.cleared || self.below.is_some_and(|below| score < below)
    }
}

/// How many evaluations it takes to fire and to resolve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertTiming {
    /// At least 1.
    pub for_evaluations: u32,
    /// Evaluations a firing alert outlives its cause.
    pub keep_firing_for: u32,
}

/// The memory of one alert.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Alert {
    /// Consecutive evaluations above the line.
    above: u32,
    /// Consecutive evaluations that were not, while firing.
    quiet: u32,
    is_firing: bool,
}

impl Alert {
    /// Takes the next evaluation: the score, or why there is none, and the line, where there is one.
    pub fn step(
        &mut self,
        score: Result<f64, NotReady>,
        line: Option<&Threshold>,
        patience: &AlertTiming,
    ) -> (AlertState, Option<Transition>) {
        let exceeds = |value| {
            line.is_some_and(|line| {
                line.is_exceeded_by(value) || (self.is_firing && line.holds(value))
            })
        };
        match score {
            Ok(value) if exceeds(value) => self.raise(patience),
            Ok(_) => self.calm(patience, AlertState::Inactive),
            Err(reason) => self.calm(patience, AlertState::NotReady(reason)),
        }
    }

    fn raise(&mut self, patience: &AlertTiming) -> (AlertState, Option<Transition>) {
        self.quiet = 0;
        self.above = self.above.saturating_add(1);
        if self.is_firing {
            return (AlertState::Firing, None);
        }
        if self.above < patience.for_evaluations {
            return (AlertState::Pending, None);
        }
        self.is_firing = true;
        (AlertState::Firing, Some(Transition::Firing))
    }

    fn calm(
        &mut self,
        patience: &AlertTiming,
        rest: AlertState,
    ) -> (AlertState, Option<Transition>) {
        self.above = 0;
        if !self.is_firing {
            return (rest, None);
        }
        self.quiet = self.quiet.saturating_add(1);
        if self.quiet <= patience.keep_firing_for {
            return (AlertState::Firing, None);
        }
        *self = Alert::default();
        (rest, Some(Transition::Resolved))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs evaluations written as `^` above, `~` between line and clearance, `.` below, `_` below the lower line, `?` not ready; returns states as `i p f n`, a transition in upper case (`F` fires, `R` resolves).
    fn run(evaluations: &str, for_evaluations: u32, keep_firing_for: u32) -> String {
        let line = Threshold {
            above: 1.0,
            cleared: 0.8,
            below: Some(0.1),
        };
        let patience = AlertTiming {
            for_evaluations,
            keep_firing_for,
        };
        let mut alert = Alert::default();
        let step = |symbol: char| {
            let score = match symbol {
                '^' => Ok(1.5),
                '~' => Ok(1.0),
                '.' => Ok(0.8),
                '_' => Ok(0.05),
                _ => Err(NotReady::Partial),
            };
            match alert.step(score, Some(&line), &patience) {
                (_, Some(Transition::Firing)) => 'F',
                (_, Some(Transition::Resolved)) => 'R',
                (AlertState::Inactive, None) => 'i',
                (AlertState::Pending, None) => 'p',
                (AlertState::Firing, None) => 'f',
                (AlertState::NotReady(_), None) => 'n',
            }
        };
        evaluations.chars().map(step).collect()
    }

    fn check(evaluations: &str, for_evaluations: u32, keep_firing_for: u32, expected: &str) {
        let found = run(evaluations, for_evaluations, keep_firing_for);
        assert_eq!(
            found, expected,
            "{evaluations} for {for_evaluations} keep {keep_firing_for}"
        );
    }

    #[test]
    fn fires_after_consecutive_evaluations_above_the_line() {
        check(".^..", 1, 0, "iFRi");
        check("^^.^^^^", 3, 0, "ppippFf");
        check("^?^", 2, 0, "pnp");
    }

    #[test]
    fn is_kept_firing_for_a_while_after_its_cause() {
        check("^...", 1, 2, "FffR");
        check("^.^...", 1, 2, "FffffR");
    }

    #[test]
    fn a_score_that_sways_around_its_line_fires_once() {
        check("~^~^~.", 1, 0, "iFfffR");
        check("~~^.", 2, 0, "iipi");
    }

    #[test]
    fn a_rate_that_falls_below_its_lower_line_fires_too() {
        check("._..", 1, 0, "iFRi");
    }

    #[test]
    fn a_score_without_a_line_is_no_alarm() {
        let patience = AlertTiming {
            for_evaluations: 1,
            keep_firing_for: 0,
        };
        let (state, _) = Alert::default().step(Ok(1e9), None, &patience);
        assert_eq!(state, AlertState::Inactive, "nothing to compare with");
    }

    #[test]
    fn a_gap_neither_resolves_nor_keeps_it_for_ever() {
        check("^??^", 1, 2, "Ffff");
        check("^???", 1, 2, "FffR");
        check("????", 1, 0, "nnnn");
    }
}
