//! Alert rules of a feature: one threshold on one statistic.
//!
//! The configuration names statistics and severities; a rule is what remains after the most
//! specific alert was chosen for a feature. A budgeted rule carries no number: its threshold
//! follows from the null distribution of each window.

use std::time::Duration;

use crate::alert::{AlertTiming, Threshold};
use crate::model::{AlertIndex, Kind, Severity, Statistic, Tolerance};

/// The origin of a rule's threshold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ThresholdSource {
    /// A number given by the user.
    Fixed(f64),
    /// A budget of false alarms.
    Budget {
        /// One false alarm in this time is accepted.
        interval: Duration,
        /// The largest shift that is not worth an alarm.
        tolerance: Tolerance,
        /// The statistic that the alert names; the tolerance has its unit.
        of: Statistic,
    },
}

/// One threshold on one statistic.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rule {
    /// The statistic that is compared with the threshold.
    pub statistic: Statistic,
    /// The severity of its alarm.
    pub severity: Severity,
    /// The origin of its threshold.
    pub threshold_source: ThresholdSource,
    /// Evaluations until it fires and until it resolves.
    pub timing: AlertTiming,
}

impl Rule {
    /// The threshold at a number given by the user: a minimum for volume, a maximum for the others.
    #[must_use]
    pub const fn fixed_threshold(&self, threshold: f64) -> Threshold {
        if self.statistic.alarms_below() {
            Threshold::at_least(threshold)
        } else {
            Threshold::fixed(threshold)
        }
    }

    /// The rule of one alert; `None` where no alert of this severity names the statistic.
    fn of_alert(
        feature: &str,
        named: Statistic,
        severity: Severity,
        alerts: &AlertIndex<'_>,
    ) -> Option<Self> {
        let alert = alerts.alert_for(feature, named, severity)?;
        let (statistic, threshold_source) = match alert.budget {
            Some(budget) => (
                named.budgeted(),
                ThresholdSource::Budget {
                    interval: budget.false_alarm_interval,
                    tolerance: budget.tolerance,
                    of: named,
                },
            ),
            None => (
                named,
                ThresholdSource::Fixed(alert.thresholds.of(severity)?),
            ),
        };
        Some(Rule {
            statistic,
            severity,
            threshold_source,
            timing: AlertTiming {
                for_evaluations: alert.for_evaluations,
                keep_firing_for: alert.keep_firing_for,
            },
        })
    }
}

/// The rules of a feature, by statistic and severity.
pub(super) fn rules_of(feature: &str, kind: Kind, alerts: &AlertIndex<'_>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for statistic in Statistic::ALL.iter().filter(|named| kind.has(**named)) {
        for severity in Severity::ALL {
            let Some(rule) = Rule::of_alert(feature, *statistic, *severity, alerts) else {
                continue;
            };
            // Wasserstein in two units is one statistic to a budget.
            if !rules
                .iter()
                .any(|known| known.statistic == rule.statistic && known.severity == rule.severity)
            {
                rules.push(rule);
            }
        }
    }
    rules
}

/// The number of different statistics that have a budget.
pub(super) fn budgeted_statistics(rules: &[Rule]) -> u32 {
    let mut statistics: Vec<Statistic> = rules
        .iter()
        .filter(|rule| matches!(rule.threshold_source, ThresholdSource::Budget { .. }))
        .map(|rule| rule.statistic)
        .collect();
    statistics.sort_unstable();
    statistics.dedup();
    u32::try_from(statistics.len()).unwrap_or(u32::MAX)
}
