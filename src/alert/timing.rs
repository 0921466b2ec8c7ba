//! The number of evaluations that an alert needs to fire and to resolve.

/// Evaluations until an alert fires and until it resolves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AlertTiming {
    /// Consecutive evaluations beyond the threshold until the alert fires; at least 1.
    pub for_evaluations: u32,
    /// Evaluations for which the alert keeps firing after the last one beyond the threshold.
    pub keep_firing_for: u32,
}
