//! One log line per change of an alert, with the explanation that the page shows.
//!
//! The page and the metrics show only the present. The log is where an operator looks up when an
//! alert began and ended, and why, on a machine without Prometheus too.

use std::collections::BTreeSet;

use tracing::{info, warn};

use crate::alert::{AlertState, Transition};
use crate::engine::{AlertView, EngineView, MonitorPlan, WindowView};
use crate::export::{AlertContext, explain, explain_volume};
use crate::model::{EventTime, MonitorSpec};

/// Logs the alerts that started or stopped firing in the latest evaluation of a window.
pub(super) fn log_transitions(plan: &MonitorPlan, window: &WindowView) {
    let spec = &plan.spec;
    if let Some(volume) = &window.volume {
        let names = AlertNames::new(spec, window, None, None, volume);
        log_transition(names, volume, || explain_volume(volume));
    }
    for (feature, window_feature) in plan.features.iter().zip(&window.features) {
        for (reference, comparison) in plan.references.iter().zip(&window_feature.comparisons) {
            let layout = feature.layout.as_deref();
            let context = AlertContext::with_layout(layout, window_feature, comparison);
            let (feature, reference) = (Some(&*feature.name), Some(&*reference.name));
            for alert in &comparison.alerts {
                let names = AlertNames::new(spec, window, feature, reference, alert);
                log_transition(names, alert, || explain(alert, &context));
            }
        }
    }
}

/// Logs the alerts that fired before a reload and that the new configuration does not have: nothing
/// resolves them, so their series would end without a word.
pub(super) fn log_removed_alerts(before: &EngineView, after: &EngineView) {
    let kept: BTreeSet<AlertNames<'_>> =
        alerts(after).into_iter().map(|(names, _)| names).collect();
    for (names, alert) in alerts(before) {
        if alert.state == AlertState::Firing && !kept.contains(&names) {
            let AlertNames {
                monitor,
                window,
                feature,
                reference,
                statistic,
                severity,
            } = names;
            info!(
                monitor,
                feature,
                window,
                reference,
                statistic,
                severity,
                "alert removed while it fired: the new configuration does not have it"
            );
        }
    }
}

/// All alerts of a view.
fn alerts(view: &EngineView) -> Vec<(AlertNames<'_>, &AlertView)> {
    let mut alerts = Vec::new();
    for monitor in &view.monitors {
        for window in &monitor.windows {
            let names = |feature, reference, alert: &AlertView| {
                AlertNames::new(&monitor.spec, window, feature, reference, alert)
            };
            alerts.extend(
                window
                    .volume
                    .iter()
                    .map(|alert| (names(None, None, alert), alert)),
            );
            for (feature, window_feature) in monitor.features.iter().zip(&window.features) {
                for (reference, comparison) in
                    monitor.references.iter().zip(&window_feature.comparisons)
                {
                    let feature = Some(feature.name.as_str());
                    let reference = Some(reference.name.as_str());
                    alerts.extend(
                        comparison
                            .alerts
                            .iter()
                            .map(|alert| (names(feature, reference, alert), alert)),
                    );
                }
            }
        }
    }
    alerts
}

/// The monitors whose silence was logged.
#[derive(Debug, Default)]
pub(super) struct SilenceLog {
    silent: BTreeSet<String>,
}

impl SilenceLog {
    /// Logs the silences that began or ended; each monitor comes with the time since which it is
    /// silent.
    pub(super) fn log_changes<'a>(
        &mut self,
        monitors: impl Iterator<Item = (&'a str, Option<EventTime>)>,
    ) {
        for (monitor, silent_since) in monitors {
            match silent_since {
                Some(since) if !self.silent.contains(monitor) => {
                    self.silent.insert(monitor.to_owned());
                    warn!(monitor, "monitor is silent: no events since {since}");
                }
                None if self.silent.remove(monitor) => {
                    info!(monitor, "monitor receives events again");
                }
                _ => {}
            }
        }
    }
}

/// The names in the log lines of an alert; a volume has no feature and no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct AlertNames<'a> {
    monitor: &'a str,
    window: &'a str,
    feature: Option<&'a str>,
    reference: Option<&'a str>,
    statistic: &'static str,
    severity: &'static str,
}

impl<'a> AlertNames<'a> {
    fn new(
        monitor: &'a MonitorSpec,
        window: &WindowView,
        feature: Option<&'a str>,
        reference: Option<&'a str>,
        alert: &AlertView,
    ) -> Self {
        AlertNames {
            monitor: &monitor.name,
            window: monitor
                .windows
                .get(window.index)
                .map_or("", |spec| spec.name.as_str()),
            feature,
            reference,
            statistic: alert.statistic.name(),
            severity: alert.severity.name(),
        }
    }
}

fn log_transition(names: AlertNames<'_>, alert: &AlertView, explanation: impl FnOnce() -> String) {
    let AlertNames {
        monitor,
        window,
        feature,
        reference,
        statistic,
        severity,
    } = names;
    match alert.transition {
        Some(Transition::Firing) => warn!(
            monitor,
            feature,
            window,
            reference,
            statistic,
            severity,
            "alert firing: {}",
            explanation()
        ),
        Some(Transition::Resolved) => info!(
            monitor,
            feature,
            window,
            reference,
            statistic,
            severity,
            "alert resolved: {}",
            explanation()
        ),
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app::captured_log::log_lines;
    use crate::engine::{ComparisonView, Engine, WindowFeatureView};
    use crate::model::{
        FeatureSpec, Kind, NotReady, ReferenceSpec, Severity, Statistic, WindowSpec,
    };
    use crate::score::Rates;

    fn plan() -> MonitorPlan {
        let mut spec = MonitorSpec::bare();
        spec.name = "fraud".to_owned();
        spec.features = vec![FeatureSpec::new("amount", Kind::Numeric)];
        spec.windows = vec![WindowSpec {
            name: "15m".to_owned(),
            size: std::time::Duration::from_secs(900),
            slide: std::time::Duration::from_secs(60),
            min_samples: 1,
        }];
        spec.references = vec![ReferenceSpec::fitted("training", "none")];
        MonitorPlan::new(spec, vec![Err("not there".to_owned())])
    }

    /// A window whose only alert, on missing values, has just made this transition.
    fn window(value: f64, transition: Option<Transition>) -> WindowView {
        let alert = AlertView {
            statistic: Statistic::MissingRatio,
            severity: Severity::Critical,
            threshold: Some(0.02),
            interval: None,
            lower: None,
            value: Some(value),
            state: AlertState::Inactive,
            since: None,
            transition,
        };
        WindowView {
            index: 0,
            end: None,
            coverage: 1.0,
            features: vec![WindowFeatureView {
                counts: None,
                incomplete: None,
                rates: Rates::default(),
                comparisons: vec![ComparisonView {
                    scores: Err(NotReady::NoReference),
                    reference: None,
                    assessment: None,
                    awaits_thresholds: false,
                    alerts: vec![alert],
                }],
            }],
            volume: None,
        }
    }

    /// Alerts came and went without a line in the log.
    #[test]
    fn an_alert_that_begins_or_ends_is_one_line_with_its_explanation() {
        let lines = log_lines(|| {
            log_transitions(&plan(), &window(0.5, Some(Transition::Firing)));
            log_transitions(&plan(), &window(0.6, None));
            log_transitions(&plan(), &window(0.01, Some(Transition::Resolved)));
        });
        let names = "monitor=\"fraud\" feature=\"amount\" window=\"15m\" reference=\"training\" \
                     statistic=\"missing_ratio\" severity=\"critical\"";
        let expected = [
            format!("WARN alert firing: missing 50.0 %, threshold 2.0 % {names}"),
            format!("INFO alert resolved: missing 1.0 %, threshold 2.0 % {names}"),
        ];
        assert_eq!(lines, expected);
    }

    /// A reload that removed a feature ended its alert without a line.
    #[test]
    fn an_alert_that_a_reload_removes_while_it_fires_is_one_line() {
        let view_with = |state| {
            let mut view = Engine::new(vec![plan()]).view();
            let mut window = window(0.5, None);
            window.features[0].comparisons[0].alerts[0].state = state;
            view.monitors[0].windows = vec![window];
            view
        };
        let firing = view_with(AlertState::Firing);
        let without = Engine::new(Vec::new()).view();
        let lines = log_lines(|| {
            log_removed_alerts(&firing, &firing);
            log_removed_alerts(&view_with(AlertState::Inactive), &without);
            log_removed_alerts(&firing, &without);
        });
        let expected = "INFO alert removed while it fired: the new configuration does not have it \
                        monitor=\"fraud\" feature=\"amount\" window=\"15m\" \
                        reference=\"training\" statistic=\"missing_ratio\" severity=\"critical\"";
        assert_eq!(lines, [expected]);
    }

    /// A volume was logged with `feature="" reference=""`.
    #[test]
    fn a_volume_is_logged_without_a_feature() {
        let mut view = window(0.5, None);
        view.volume = Some(AlertView {
            statistic: Statistic::Samples,
            threshold: Some(200.0),
            value: Some(60.0),
            transition: Some(Transition::Firing),
            ..view.features[0].comparisons[0].alerts[0]
        });
        let lines = log_lines(|| log_transitions(&plan(), &view));
        let text = "alert firing: 60 events in the window, below the expected 200";
        let names = "monitor=\"fraud\" window=\"15m\" statistic=\"samples\" severity=\"critical\"";
        assert_eq!(lines, [format!("WARN {text} {names}")]);
    }
}
