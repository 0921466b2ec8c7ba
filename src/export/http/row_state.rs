//! The state of a comparison in one word, for the rows of the pages.

use crate::alert::AlertState;
use crate::engine::{AlertView, ComparisonView};

/// The state of a row, in ascending order of urgency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum RowState {
    Ok,
    /// There is a score, and no alert that judges it.
    NoAlert,
    /// No alert fired when the stream stopped.
    Silent,
    NotReady,
    Pending,
    Firing,
}

impl RowState {
    /// The state of a comparison. Only what is judged now is ok: the last window before a silence
    /// says nothing about the present, and neither does a rule that waits for its threshold.
    pub(super) fn of(comparison: &ComparisonView, is_silent: bool) -> Self {
        match comparison.alert_state() {
            Some(AlertState::Firing) => RowState::Firing,
            Some(AlertState::Pending) => RowState::Pending,
            _ if comparison.scores.is_err() || unjudged(comparison).is_some() => RowState::NotReady,
            None => RowState::NoAlert,
            Some(_) if is_silent => RowState::Silent,
            Some(_) => RowState::Ok,
        }
    }

    /// The word in the table.
    pub(super) const fn name(self) -> &'static str {
        match self {
            RowState::Ok => "ok",
            RowState::NoAlert => "no alert",
            RowState::Silent => "silent",
            RowState::NotReady => "not ready",
            RowState::Pending => "pending",
            RowState::Firing => "firing",
        }
    }

    /// The class in the style sheet.
    pub(super) const fn class(self) -> &'static str {
        match self {
            RowState::NoAlert | RowState::Silent | RowState::NotReady => "wait",
            RowState::Ok | RowState::Pending | RowState::Firing => self.name(),
        }
    }
}

/// An alert that the latest evaluation did not judge.
pub(super) fn unjudged(comparison: &ComparisonView) -> Option<&AlertView> {
    comparison
        .alerts
        .iter()
        .find(|alert| matches!(alert.state, AlertState::NotReady(_)))
}
