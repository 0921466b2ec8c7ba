//! The explanations of firing alerts, as Prometheus sees them, and the latest ones of alerts that
//! are held.
//!
//! A text is the value of a label, so every new text is a new series. Values change with every
//! evaluation; therefore a text is made when its alert begins to fire, and renewed only after a
//! window's length, when the window holds other events. A text without a value (the score of an
//! alert that is held is not ready) never replaces one with a value.

use std::collections::BTreeMap;

use super::explain::{AlertContext, explain_briefly, explain_volume};
use super::metrics::catalog;
use super::metrics::families::Families;
use super::metrics::labels::{ALL_EVENTS, ComparisonLabels};
use super::numbers::shortened;
use crate::alert::AlertState;
use crate::engine::{AlertView, EngineView, MonitorView, WindowView};
use crate::model::{EventTime, Severity, Statistic, WindowSpec};

/// The most characters of an exported text.
const MAX_CHARACTERS: usize = 300;

/// The texts of all firing alerts.
#[derive(Debug, Default)]
pub(super) struct Explanations {
    texts: BTreeMap<AlertKey, Explanation>,
}

/// The identity of an alert.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct AlertKey {
    monitor: String,
    window: String,
    feature: String,
    reference: String,
    statistic: Statistic,
    severity: Severity,
}

/// A text and the window that it is about.
#[derive(Debug, Clone)]
struct Explanation {
    text: String,
    /// The end of the window.
    made_at: Option<EventTime>,
    /// False while the score of the alert was not ready.
    has_value: bool,
}

impl Explanation {
    /// True if the text still stands for the alert in a window that ends at `end`.
    fn is_current(&self, alert: &AlertView, end: Option<EventTime>, window: &WindowSpec) -> bool {
        if alert.value.is_none() {
            return true;
        }
        let is_recent = match (self.made_at, end) {
            (Some(made_at), Some(end)) => end < made_at.plus(window.size),
            _ => true,
        };
        self.has_value && is_recent
    }
}

impl AlertKey {
    fn new(
        monitor: &MonitorView,
        window: &WindowSpec,
        (feature, reference): (&str, &str),
        alert: &AlertView,
    ) -> Self {
        AlertKey {
            monitor: monitor.spec.name.clone(),
            window: window.name.clone(),
            feature: feature.to_owned(),
            reference: reference.to_owned(),
            statistic: alert.statistic,
            severity: alert.severity,
        }
    }
}

impl Explanations {
    /// Completes the explanation of an alert that is held: since when it fires, and what was found
    /// when it last had a score. Others keep their text.
    ///
    /// `names` are those of feature and reference; both are empty for the number of events.
    pub(super) fn complete(
        &self,
        text: String,
        monitor: &MonitorView,
        window: &WindowView,
        names: (&str, &str),
        alert: &AlertView,
    ) -> String {
        if !alert.is_held() {
            return text;
        }
        let latest = monitor
            .spec
            .windows
            .get(window.index)
            .and_then(|spec| self.texts.get(&AlertKey::new(monitor, spec, names, alert)))
            .filter(|explanation| explanation.has_value);
        let mut sentences = vec![text];
        sentences.extend(alert.since.map(|since| format!("firing since {since}")));
        sentences.extend(latest.map(|latest| format!("last score: {}", latest.text)));
        sentences.join("; ")
    }

    /// The explanations of a view, as far as possible with the texts of the previous one.
    pub(super) fn next(&self, view: &EngineView) -> Self {
        let mut next = Explanations::default();
        for monitor in &view.monitors {
            for window in &monitor.windows {
                self.explain_window(monitor, window, &mut next);
            }
        }
        next
    }

    fn explain_window(&self, monitor: &MonitorView, window: &WindowView, next: &mut Self) {
        let Some(spec) = monitor.spec.windows.get(window.index) else {
            return;
        };
        for (feature, window_feature) in monitor.features.iter().zip(&window.features) {
            for (index, (reference, comparison)) in monitor
                .references
                .iter()
                .zip(&window_feature.comparisons)
                .enumerate()
            {
                let context = AlertContext::new(feature, window_feature, comparison);
                for alert in comparison.alerts.iter().filter(|alert| {
                    alert.state == AlertState::Firing && alert.statistic.applies_to_reference(index)
                }) {
                    let names = (&*feature.name, &*reference.name);
                    let key = AlertKey::new(monitor, spec, names, alert);
                    let text = || explain_briefly(alert, &context);
                    next.texts.insert(
                        key.clone(),
                        self.keep_or_make(&key, alert, window.end, spec, text),
                    );
                }
            }
        }
        if let Some(alert) = window
            .volume
            .as_ref()
            .filter(|alert| alert.state == AlertState::Firing)
        {
            let key = AlertKey::new(monitor, spec, ("", ""), alert);
            let text = || explain_volume(alert);
            next.texts.insert(
                key.clone(),
                self.keep_or_make(&key, alert, window.end, spec, text),
            );
        }
    }

    /// The text of a firing alert: the previous one while it is current, else a new one.
    fn keep_or_make(
        &self,
        key: &AlertKey,
        alert: &AlertView,
        end: Option<EventTime>,
        window: &WindowSpec,
        text: impl FnOnce() -> String,
    ) -> Explanation {
        let kept = self
            .texts
            .get(key)
            .filter(|explanation| explanation.is_current(alert, end, window))
            .cloned();
        kept.unwrap_or_else(|| Explanation {
            text: shortened(&text(), MAX_CHARACTERS),
            made_at: end,
            has_value: alert.value.is_some(),
        })
    }

    /// Adds one series per firing alert.
    pub(super) fn add_to(&self, families: &mut Families) {
        for (key, explanation) in &self.texts {
            let labels = ComparisonLabels {
                monitor: &key.monitor,
                feature: &key.feature,
                segment: ALL_EVENTS,
                window: &key.window,
                reference: &key.reference,
            };
            families.count(
                catalog::ALERT_EXPLANATION,
                &labels.with_text(key.statistic, key.severity, &explanation.text),
                1,
            );
        }
    }
}
