//! When a score is an alarm: fixed lines, consecutive evaluations, and a state that does not flap.

use crate::model::NotReady;

/// How an alert stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
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
}
