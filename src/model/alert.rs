//! When a score is an alarm.

use std::time::Duration;

use super::{Severity, Statistic};

/// Fixed alarm lines on a score's own scale.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Thresholds {
    /// The line of `Severity::Warning`.
    pub warning: Option<f64>,
    /// The line of `Severity::Critical`.
    pub critical: Option<f64>,
}

impl Thresholds {
    /// The line of a severity.
    #[must_use]
    pub const fn of(&self, severity: Severity) -> Option<f64> {
        match severity {
            Severity::Warning => self.warning,
            Severity::Critical => self.critical,
        }
    }

    /// The lowest line.
    #[must_use]
    pub fn lowest(&self) -> Option<f64> {
        match (self.warning, self.critical) {
            (Some(warning), Some(critical)) => Some(warning.min(critical)),
            (one, other) => one.or(other),
        }
    }
}

/// A shift too small to be news.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Tolerance {
    /// A shift of the mean by 0.14 standard deviations; a tenth of a per cent for unseen and out-of-range values, none for missing ones.
    #[default]
    Default,
    /// On the statistic's own scale.
    Score(f64),
    /// A shift of the mean, in standard deviations.
    Std(f64),
    /// A share of values that lie elsewhere, 0..=1.
    Mass(f64),
}

/// A budget of false alarms, from which the line follows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// How urgent.
    pub severity: Severity,
    /// One false alarm in this time, per feature and window, is accepted.
    pub false_alarm_interval: Duration,
    /// What is not news.
    pub tolerance: Tolerance,
}

impl Default for Budget {
    fn default() -> Self {
        Budget {
            severity: Severity::Critical,
            false_alarm_interval: Budget::INTERVAL,
            tolerance: Tolerance::Default,
        }
    }
}

impl Budget {
    /// One false alarm in 30 days.
    pub const INTERVAL: Duration = Duration::from_secs(30 * 86_400);
}

/// One rule: which statistic is judged, by which lines, and for how long.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertSpec {
    /// What is judged.
    pub statistic: Statistic,
    /// The fixed lines; none where there is a budget.
    pub thresholds: Thresholds,
    /// The budget, where lines are calibrated.
    pub budget: Option<Budget>,
    /// Consecutive evaluations above the line before it fires; at least 1.
    pub for_evaluations: u32,
    /// Evaluations a firing alert outlives the end of its cause.
    pub keep_firing_for: u32,
    /// The features it applies to; `None` = every feature that has the statistic.
    pub features: Option<Vec<String>>,
}

impl AlertSpec {
    /// Whether the rule has a line of this severity.
    #[must_use]
    pub fn has(&self, severity: Severity) -> bool {
        let budgeted = self
            .budget
            .is_some_and(|budget| budget.severity == severity);
        budgeted || self.thresholds.of(severity).is_some()
    }
}
