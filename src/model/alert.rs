//! Alert rules as configured.

use std::time::Duration;

use super::named_enum::named_enum;
use super::severity::Severity;
use super::statistic::Statistic;

/// Fixed thresholds, on the statistic's own scale.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Thresholds {
    /// The threshold of [`Severity::Warning`].
    pub warning: Option<f64>,
    /// The threshold of [`Severity::Critical`].
    pub critical: Option<f64>,
}

impl Thresholds {
    /// Returns the threshold of a severity.
    #[must_use]
    pub const fn of(&self, severity: Severity) -> Option<f64> {
        match severity {
            Severity::Warning => self.warning,
            Severity::Critical => self.critical,
        }
    }
}

/// The smallest effect that is worth an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Tolerance {
    /// The default of the statistic: a shift of the mean by [`Tolerance::DEFAULT_STD`], or a share
    /// of values for the rates, see [`Tolerance::default_share`].
    #[default]
    Default,
    /// A number on the statistic's own scale.
    Score(f64),
    /// A shift of the mean, in standard deviations.
    Std(f64),
    /// A share of values that lie elsewhere, 0..=1.
    Mass(f64),
}

impl Tolerance {
    /// The default of statistics that compare distributions, in standard deviations of the mean.
    pub const DEFAULT_STD: f64 = 0.14;

    /// The default of rates, as a share of values: 0.001 for invalid, unseen and out-of-range
    /// values, 0.005 for missing ones; `None` for statistics that are not rates of values.
    #[must_use]
    pub const fn default_share(statistic: Statistic) -> Option<f64> {
        match statistic {
            Statistic::MissingRatio => Some(0.005),
            Statistic::InvalidRatio | Statistic::UnseenRatio | Statistic::OutOfRangeRatio => {
                Some(0.001)
            }
            _ => None,
        }
    }
}

named_enum! {
    /// The scope of a budget of false alarms.
    FalseAlarmScope {
        /// The monitor as a whole, which is what a person expects who writes `30d`.
        Monitor = "monitor",
        /// Each feature in each window against each reference.
        Feature = "feature",
    }
}

/// A budget of false alarms, from which thresholds are calibrated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// The severity of the alert.
    pub severity: Severity,
    /// The accepted average time between false alarms of one feature, window and reference. The
    /// statistics of the feature that have a budget share it.
    pub false_alarm_interval: Duration,
    /// Smaller effects are not worth an alarm.
    pub tolerance: Tolerance,
}

impl Budget {
    /// The default of `false_alarm_interval`: 30 days.
    pub const INTERVAL: Duration = Duration::from_secs(30 * 86_400);

    /// The default budget.
    pub const DEFAULT: Budget = Budget {
        severity: Severity::Critical,
        false_alarm_interval: Budget::INTERVAL,
        tolerance: Tolerance::Default,
    };
}

impl Default for Budget {
    fn default() -> Self {
        Budget::DEFAULT
    }
}

/// An alert rule: a statistic, its thresholds or budget, and how long it must be exceeded.
#[derive(Debug, Clone, PartialEq)]
pub struct AlertSpec {
    /// The statistic that is compared with a threshold.
    pub statistic: Statistic,
    /// Fixed thresholds; empty if there is a budget.
    pub thresholds: Thresholds,
    /// The budget of calibrated thresholds.
    pub budget: Option<Budget>,
    /// Consecutive evaluations beyond the threshold until the alert fires; at least 1.
    pub for_evaluations: u32,
    /// Evaluations that the alert keeps firing after the last one beyond the threshold.
    pub keep_firing_for: u32,
    /// The features it applies to; `None` = every feature that has the statistic.
    pub features: Option<Vec<String>>,
}

impl AlertSpec {
    /// The default of `for`, in evaluations.
    pub const DEFAULT_FOR: u32 = 1;
    /// The default of `keep_firing_for`, in evaluations.
    pub const DEFAULT_KEEP_FIRING_FOR: u32 = 0;
    /// The statistics of a monitor or a comparison without configured alerts, and of the policies
    /// that a backtest proposes: shape, distance moved, and the rates.
    pub const DEFAULT_STATISTICS: [Statistic; 6] = [
        Statistic::Js,
        Statistic::Wasserstein,
        Statistic::MissingRatio,
        Statistic::InvalidRatio,
        Statistic::UnseenRatio,
        Statistic::OutOfRangeRatio,
    ];

    /// The statistic that is compared with the rule's threshold.
    #[must_use]
    pub fn evaluated_statistic(&self) -> Statistic {
        match self.budget {
            Some(_) => self.statistic.budgeted(),
            None => self.statistic,
        }
    }

    /// True if both rules watch the same thing: one statistic, or one that both are evaluated on.
    /// Wasserstein in two units is one statistic to a budget.
    #[must_use]
    pub fn competes_with(&self, rule: &AlertSpec) -> bool {
        self.statistic == rule.statistic || self.evaluated_statistic() == rule.evaluated_statistic()
    }

    /// The rules of a monitor or a comparison without configured alerts: a default budget for each
    /// of [`Self::DEFAULT_STATISTICS`].
    #[must_use]
    pub fn defaults() -> Vec<Self> {
        Self::DEFAULT_STATISTICS
            .iter()
            .map(|statistic| AlertSpec {
                statistic: *statistic,
                thresholds: Thresholds::default(),
                budget: Some(Budget::DEFAULT),
                for_evaluations: Self::DEFAULT_FOR,
                keep_firing_for: Self::DEFAULT_KEEP_FIRING_FOR,
                features: None,
            })
            .collect()
    }

    /// True if the rule raises alerts of this severity.
    #[must_use]
    pub fn has(&self, severity: Severity) -> bool {
        self.budget
            .is_some_and(|budget| budget.severity == severity)
            || self.thresholds.of(severity).is_some()
    }
}
