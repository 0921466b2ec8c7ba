//! The summary of a replay: the distribution of each score, and the alarms with their times.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::alert::AlertState;
use crate::engine::{AlertView, MonitorPlan, WindowView};
use crate::export::short_number;
use crate::model::{EventTime, Severity, Statistic};
use crate::stats::quantile_sorted;

/// Number of alarms that are listed; the rest is counted.
const MAX_LISTED: usize = 50;

/// Collects the scores and alarms of a replay.
#[derive(Debug, Default)]
pub(crate) struct AlarmSummary {
    scores: BTreeMap<StatisticKey, Vec<f64>>,
    /// Numbers of events by monitor and window, where a minimum is configured.
    volumes: BTreeMap<(String, String), Vec<f64>>,
    /// Rules that fire in the latest evaluation.
    firing: BTreeSet<(StatisticKey, Severity)>,
    /// Alarms in the order in which they began.
    alarms: Vec<BegunAlarm>,
}

/// The beginning of an alarm.
#[derive(Debug)]
struct BegunAlarm {
    at: EventTime,
    key: StatisticKey,
    alert: AlertView,
}

/// A statistic of a comparison by the names that users gave. The number of events belongs to a
/// window and not to a comparison: its feature and reference are empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct StatisticKey {
    monitor: String,
    window: String,
    reference: String,
    feature: String,
    statistic: Statistic,
}

impl AlarmSummary {
    /// Adds an evaluation.
    pub(crate) fn record(&mut self, plan: &MonitorPlan, window: &WindowView) {
        let (Some(spec), Some(end)) = (plan.spec.windows.get(window.index), window.end) else {
            return;
        };
        for (feature, state) in plan.features.iter().zip(&window.features) {
            for (comparison, reference) in state.comparisons.iter().zip(&plan.references) {
                let key = |statistic| StatisticKey {
                    monitor: plan.spec.name.clone(),
                    window: spec.name.clone(),
                    reference: reference.name.clone(),
                    feature: feature.name.clone(),
                    statistic,
                };
                let scores = comparison.scores.ok();
                for statistic in &plan.spec.statistics {
                    if let Some(score) = scores.and_then(|scores| scores.get(*statistic)) {
                        let of_statistic = self.scores.entry(key(*statistic)).or_default();
                        of_statistic.push(score);
                    }
                }
                for alert in &comparison.alerts {
                    self.record_alert(key(alert.statistic), *alert, end);
                }
            }
        }
        if let Some(volume) = window.volume {
            let (monitor, window) = (plan.spec.name.clone(), spec.name.clone());
            let events = self.volumes.entry((monitor.clone(), window.clone()));
            events.or_default().extend(volume.value);
            let key = StatisticKey {
                monitor,
                window,
                reference: String::new(),
                feature: String::new(),
                statistic: volume.statistic,
            };
            self.record_alert(key, volume, end);
        }
    }

    fn record_alert(&mut self, key: StatisticKey, alert: AlertView, at: EventTime) {
        let rule = (key.clone(), alert.severity);
        if alert.state != AlertState::Firing {
            self.firing.remove(&rule);
        } else if self.firing.insert(rule) {
            self.alarms.push(BegunAlarm { at, key, alert });
        }
    }

    /// Returns the summary as text without a final newline; empty if nothing was recorded.
    #[must_use]
    pub(crate) fn text(&self) -> String {
        let mut lines = Vec::new();
        for (key, scores) in &self.scores {
            let mut sorted = scores.clone();
            sorted.sort_by(f64::total_cmp);
            let [median, high, largest] =
                [0.5, 0.99, 1.0].map(|share| short_number(quantile_sorted(&sorted, share)));
            let StatisticKey {
                monitor,
                window,
                reference,
                feature,
                statistic,
            } = key;
            lines.push(format!(
                "{monitor} {window} {reference} {feature} {statistic}: {} evaluations, \
                 median {median}, 99 % {high}, largest {largest}",
                sorted.len()
            ));
        }
        for ((monitor, window), events) in &self.volumes {
            let mut sorted = events.clone();
            sorted.sort_by(f64::total_cmp);
            if let Some(smallest) = sorted.first() {
                lines.push(format!(
                    "{monitor} {window} volume: {} evaluations, median {:.0} events, smallest \
                     {smallest}",
                    sorted.len(),
                    quantile_sorted(&sorted, 0.5)
                ));
            }
        }
        lines.extend(
            self.alarms
                .iter()
                .take(MAX_LISTED)
                .map(BegunAlarm::to_string),
        );
        if self.alarms.len() > MAX_LISTED {
            let unlisted = self.alarms.len() - MAX_LISTED;
            lines.push(format!("and {unlisted} more alarms"));
        }
        lines.join("\n")
    }
}

impl fmt::Display for BegunAlarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StatisticKey {
            monitor,
            window,
            reference,
            feature,
            statistic,
        } = &self.key;
        write!(
            f,
            "{} {}: {monitor} {window} ",
            self.at, self.alert.severity
        )?;
        let limits = self.alert.value.zip(self.alert.threshold);
        if feature.is_empty() {
            f.write_str("volume")?;
            return match limits {
                Some((events, expected)) => {
                    write!(
                        f,
                        ", {events} events where at least {expected} are expected"
                    )
                }
                None => Ok(()),
            };
        }
        write!(f, "{reference} {feature} by {statistic}")?;
        let Some((value, threshold)) = limits else {
            return Ok(());
        };
        let unit = match statistic.unit() {
            "" => String::new(),
            unit => format!(" {unit}"),
        };
        let (value, threshold) = (short_number(value), short_number(threshold));
        write!(f, ", {value}{unit}, threshold {threshold}")
    }
}
