//! What a replay came to: which alarms would have fired and when, and where each score lay.

use std::collections::BTreeMap;

use crate::alert::AlertState;
use crate::engine::{AlertView, MonitorPlan, WindowView};
use crate::export::short_number;
use crate::model::{EventTime, Severity, Statistic};
use crate::stats::quantile_sorted;

/// More alarms than this are counted, not listed.
const LISTED: usize = 50;

/// Collects evaluations.
#[derive(Debug, Default)]
pub struct Alarms {
    /// By monitor, window, reference, feature and statistic.
    scores: BTreeMap<Key, Vec<f64>>,
    /// Rules that fire now.
    firing: BTreeMap<(Key, Severity), EventTime>,
    /// Alarms in the order in which they began.
    fired: Vec<Fired>,
}

/// The beginning of an alarm.
#[derive(Debug)]
struct Fired {
    at: EventTime,
    key: Key,
    line: AlertView,
}

type Key = (String, String, String, String, Statistic);

impl Alarms {
    /// Takes an evaluation.
    pub fn take(&mut self, plan: &MonitorPlan, window: &WindowView) {
        let (Some(spec), Some(end)) = (plan.spec.windows.get(window.index), window.end) else {
            return;
        };
        for (feature, state) in plan.features.iter().zip(&window.features) {
            for (index, reference) in plan.references.iter().enumerate() {
                let key = |statistic| {
                    let names = [&plan.spec.name, &spec.name, &reference.name, &feature.name];
                    let [monitor, window, reference, feature] = names.map(Clone::clone);
                    (monitor, window, reference, feature, statistic)
                };
                let scores = state.comparisons[index].scores.ok();
                for statistic in &plan.spec.statistics {
                    let score = scores.and_then(|scores| scores.get(*statistic));
                    let own = score.map(|score| (key(*statistic), score));
                    own.into_iter()
                        .for_each(|(key, score)| self.scores.entry(key).or_default().push(score));
                }
                for line in &state.comparisons[index].alerts {
                    self.note(key(line.statistic), *line, end);
                }
            }
        }
    }

    fn note(&mut self, key: Key, line: AlertView, at: EventTime) {
        let place = (key, line.severity);
        if line.state != AlertState::Firing {
            self.firing.remove(&place);
        } else if !self.firing.contains_key(&place) {
            let key = place.0.clone();
            self.fired.push(Fired { at, key, line });
            self.firing.insert(place, at);
        }
    }

    /// For people, without a newline at the end.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut said = Vec::new();
        for ((monitor, window, reference, feature, statistic), scores) in &self.scores {
            let mut sorted = scores.clone();
            sorted.sort_by(f64::total_cmp);
            let [median, high, highest] =
                [0.5, 0.99, 1.0].map(|share| short_number(quantile_sorted(&sorted, share)));
            said.push(format!(
                "{monitor} {window} {reference} {feature} {statistic}: {} evaluations, median {median}, 99 % {high}, largest {highest}",
                sorted.len()
            ));
        }
        said.extend(self.fired.iter().take(LISTED).map(Fired::to_string));
        if let Some(more) = self.fired.len().checked_sub(LISTED + 1) {
            said.push(format!("and {} more alarms", more + 1));
        }
        said.join("\n")
    }
}

impl std::fmt::Display for Fired {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (at, severity) = (self.at, self.line.severity);
        let (monitor, window, reference, feature, statistic) = &self.key;
        write!(
            f,
            "{at} {severity}: {monitor} {window} {reference} {feature} by {statistic}"
        )?;
        let unit = match statistic.unit() {
            "" => String::new(),
            unit => format!(" {unit}"),
        };
        let numbers = self.line.value.zip(self.line.threshold);
        numbers.map_or(Ok(()), |(value, line)| {
            write!(
                f,
                ", {}{unit}, line {}",
                short_number(value),
                short_number(line)
            )
        })
    }
}
