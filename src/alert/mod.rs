//! When a score is an alarm: fixed lines, consecutive evaluations, and a state that does not flap.
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

/// How many evaluations it takes to fire and to resolve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patience {
    /// The line; a score above it counts.
    pub threshold: f64,
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
    /// Takes the next evaluation: the score, or why there is none.
    pub fn step(
        &mut self,
        score: Result<f64, NotReady>,
        patience: &Patience,
    ) -> (AlertState, Option<Transition>) {
        match score {
            Ok(value) if value > patience.threshold => self.raise(patience),
            Ok(_) => self.calm(patience, AlertState::Inactive),
            Err(reason) => self.calm(patience, AlertState::NotReady(reason)),
        }
    }

    fn raise(&mut self, patience: &Patience) -> (AlertState, Option<Transition>) {
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

    fn calm(&mut self, patience: &Patience, rest: AlertState) -> (AlertState, Option<Transition>) {
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

    /// Runs evaluations written as `^` above, `.` below, `?` not ready; returns states as `i p f n`, a transition in upper case (`F` fires, `R` resolves).
    fn run(evaluations: &str, for_evaluations: u32, keep_firing_for: u32) -> String {
        let patience = Patience {
            threshold: 1.0,
            for_evaluations,
            keep_firing_for,
        };
        let mut alert = Alert::default();
        let step = |symbol: char| {
            let score = match symbol {
                '^' => Ok(1.5),
                '.' => Ok(1.0),
                _ => Err(NotReady::Partial),
            };
            match alert.step(score, &patience) {
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
    fn a_gap_neither_resolves_nor_keeps_it_for_ever() {
        check("^??^", 1, 2, "Ffff");
        check("^???", 1, 2, "FffR");
        check("????", 1, 0, "nnnn");
    }
}
