//! JSON for scripts: the content of the page as data.
//!
//! Keys are documented in `docs/http-api.md` and only ever added. `null` means that a value does
//! not exist.

use std::cmp::Reverse;

use serde_json::{Map, Value, json};

use super::readiness;
use crate::alert::AlertState;
use crate::engine::{
    AlertView, Assessment, ComparisonView, FeatureView, MonitorView, ReferenceView,
    WindowFeatureView, WindowView, status_names,
};
use crate::export::explain::{AlertContext, explain, explain_volume};
use crate::export::explanations::Explanations;
use crate::export::exporter::Exporter;
use crate::export::unexpected::{invalid_values, unseen_categories};
use crate::model::{KafkaReport, NotReady, Statistic};
use crate::reference::Reference;

/// `/api/v1/monitors`: every monitor with its references, windows, features and scores.
pub(super) fn monitors(exporter: &Exporter) -> Value {
    let view = exporter.view();
    json!({"monitors": view.monitors.iter().map(monitor_json).collect::<Vec<_>>()})
}

fn monitor_json(monitor: &MonitorView) -> Value {
    let references: Vec<Value> = monitor
        .references
        .iter()
        .map(|reference| {
            json!({
                "name": reference.name,
                "kind": reference.kind,
                "loaded": reference.problem.is_none(),
                "problem": reference.problem,
                "hash": reference.loaded.as_ref().map(|loaded| &loaded.hash),
                "rows": reference.loaded.as_ref().map(|loaded| loaded.rows),
                "incidents": reference.loaded.as_ref().map(|loaded| incidents_json(loaded)),
            })
        })
        .collect();
    json!({
        "name": monitor.spec.name,
        "source": monitor.spec.source,
        "events": monitor.events,
        "events_late": monitor.events_late,
        "events_dropped": counts_json(&monitor.dropped),
        "silent_since": monitor.silent_since.map(|time| time.to_string()),
        "newest_event": monitor.newest_event.map(|time| time.to_string()),
        "watermark": monitor.watermark.map(|time| time.to_string()),
        "held_by": monitor.held_by.as_ref().map(ToString::to_string),
        "references": references,
        "windows": monitor
            .windows
            .iter()
            .map(|window| window_json(monitor, window))
            .collect::<Vec<_>>(),
    })
}

/// The time ranges that are left out of a reference's thresholds.
fn incidents_json(reference: &Reference) -> Value {
    reference
        .incidents()
        .into_iter()
        .map(|(incident, features)| {
            json!({
                "from": incident.from().to_string(),
                "until": incident.until().to_string(),
                "features": features,
            })
        })
        .collect()
}

fn window_json(monitor: &MonitorView, window: &WindowView) -> Value {
    let features: Vec<Value> = monitor
        .features
        .iter()
        .zip(&window.features)
        .map(|(feature, window_feature)| feature_json(&monitor.references, feature, window_feature))
        .collect();
    json!({
        "name": window_name(monitor, window),
        "end": window.end.map(|end| end.to_string()),
        "coverage": window.coverage,
        "volume": window.volume.as_ref().map(volume_json),
        "features": features,
    })
}

fn volume_json(volume: &AlertView) -> Value {
    json!({
        "events": volume.value,
        "min_events": volume.lower_threshold(),
        "alert": volume.state.name(),
    })
}

fn feature_json(
    references: &[ReferenceView],
    feature: &FeatureView,
    window_feature: &WindowFeatureView,
) -> Value {
    let comparisons: Vec<Value> = references
        .iter()
        .zip(&window_feature.comparisons)
        .map(|(reference, comparison)| comparison_json(&reference.name, comparison))
        .collect();
    json!({
        "name": feature.name,
        "kind": feature.kind.name(),
        "samples": window_feature.counts.as_ref().map(|counts| counts.tallies.values),
        "missing_ratio": window_feature.rates.missing,
        "invalid_ratio": window_feature.rates.invalid,
        "unseen_categories": window_feature
            .counts
            .as_ref()
            .map(|counts| names_json("category", &unseen_categories(counts, feature.kind))),
        "invalid_values": window_feature
            .counts
            .as_ref()
            .map(|counts| names_json("value", &invalid_values(counts, feature.kind))),
        "references": comparisons,
    })
}

/// The most frequent unexpected values with their counts; `key` names the value.
#[must_use]
pub fn names_json(key: &str, names: &[(&str, u64)]) -> Value {
    names
        .iter()
        .map(|(name, count)| json!({key: name, "count": count}))
        .collect()
}

fn comparison_json(reference: &str, comparison: &ComparisonView) -> Value {
    let scores: Map<String, Value> = comparison
        .scores
        .iter()
        .flat_map(|scores| {
            Statistic::ALL.iter().filter_map(|statistic| {
                let score = scores.get(*statistic)?;
                Some((statistic.name().to_owned(), number_json(score)))
            })
        })
        .collect();
    json!({
        "name": reference,
        "ready": comparison.scores.is_ok(),
        "reason": comparison.not_ready().map(NotReady::reason),
        "scores": scores,
        "beyond_reference": comparison.scores.ok().and_then(|scores| {
            scores.distances.map(|distances| distances.beyond_reference)
        }),
        "status": status_names(
            comparison.scores.as_ref().ok(),
            comparison.assessment.as_deref(),
        ),
        "calibration": comparison.assessment.as_deref().map(calibration_json),
        "alert": comparison.alert_state().map(AlertState::name),
    })
}

/// The assessment of a comparison: levels by statistic, the design effect, and the reasons to trust
/// the thresholds less.
#[must_use]
pub fn calibration_json(assessment: &Assessment) -> Value {
    let mut object: Map<String, Value> = assessment
        .statistics
        .iter()
        .map(|level| {
            let value = json!({
                "noise_floor": level.noise_floor,
                "threshold": level.threshold,
                "p_value": level.p_value,
                "minimum_detectable_shift": level.detectable_shift,
            });
            (level.statistic.name().to_owned(), value)
        })
        .collect();
    let statuses = assessment
        .statuses
        .iter()
        .map(|status| status.name())
        .collect();
    object.insert("design_effect".to_owned(), json!(assessment.design_effect));
    object.insert("status".to_owned(), statuses);
    object.into()
}

/// `/api/v1/alerts`: every alert, the firing ones first.
pub(super) fn alerts(exporter: &Exporter) -> Value {
    let (view, explanations) = (exporter.view(), exporter.explanations());
    let mut alerts: Vec<(u8, Value)> = Vec::new();
    for monitor in &view.monitors {
        for window in &monitor.windows {
            alerts.extend(window.volume.iter().map(|volume| {
                let names = ("", "");
                let state = explain_volume(volume);
                let text = explanations.complete(state, monitor, window, names, volume);
                alert_json(monitor, window, names, volume, &text)
            }));
            for (feature, window_feature) in monitor.features.iter().zip(&window.features) {
                alerts.extend(feature_alerts(
                    monitor,
                    window,
                    feature,
                    window_feature,
                    &explanations,
                ));
            }
        }
    }
    alerts.sort_by_key(|(rank, _)| Reverse(*rank));
    json!({"alerts": alerts.into_iter().map(|(_, alert)| alert).collect::<Vec<_>>()})
}

/// The alerts of a feature in a window, each with the rank of its state.
fn feature_alerts<'a>(
    monitor: &'a MonitorView,
    window: &'a WindowView,
    feature: &'a FeatureView,
    window_feature: &'a WindowFeatureView,
    explanations: &'a Explanations,
) -> impl Iterator<Item = (u8, Value)> + 'a {
    monitor
        .references
        .iter()
        .zip(&window_feature.comparisons)
        .enumerate()
        .flat_map(move |(index, (reference, comparison))| {
            let context = AlertContext::new(feature, window_feature, comparison);
            comparison
                .alerts
                .iter()
                .filter(move |alert| alert.statistic.applies_to_reference(index))
                .map(move |alert| {
                    let names = (&*feature.name, &*reference.name);
                    let state = format!("{}: {}", feature.name, explain(alert, &context));
                    let text = explanations.complete(state, monitor, window, names, alert);
                    alert_json(monitor, window, names, alert, &text)
                })
        })
}

/// An alert, with the rank of its state; the names of feature and reference are empty for the
/// number of events.
fn alert_json(
    monitor: &MonitorView,
    window: &WindowView,
    (feature, reference): (&str, &str),
    alert: &AlertView,
    explanation: &str,
) -> (u8, Value) {
    let value = json!({
        "monitor": monitor.spec.name,
        "feature": feature,
        "segment": "",
        "window": window_name(monitor, window),
        "reference": reference,
        "statistic": alert.statistic.name(),
        "severity": alert.severity.name(),
        "threshold": alert.upper_threshold(),
        "threshold_lower": alert.lower_threshold(),
        "value": alert.value.map(number_json),
        "state": alert.state.name(),
        "since": alert.since.map(|since| since.to_string()),
        "held": alert.is_held(),
        "explanation": explanation,
    });
    (alert.state.rank(), value)
}

/// `/api/v1/sources`: the Kafka side of every source that this process reads.
pub(super) fn sources(exporter: &Exporter) -> Value {
    let view = exporter.view();
    let sources: Vec<Value> = exporter
        .reports()
        .iter()
        .map(|(name, report)| {
            let counted = view.sources.iter().find(|source| source.name == *name);
            json!({
                "name": name,
                "up": report.up,
                "problem": report.problem,
                "topics": topics_json(report),
                "decoded": counted.map(|source| source.decoded),
                "decode_errors": counts_json(
                    counted.map_or(&[][..], |source| &source.decode_errors)
                ),
            })
        })
        .collect();
    json!({"sources": sources})
}

fn topics_json(report: &KafkaReport) -> Value {
    report
        .topics
        .iter()
        .map(|(topic, topic_report)| {
            let lag: Option<u64> = topic_report.lags.values().copied().sum();
            json!({
                "topic": topic,
                "partitions": topic_report.lags.len(),
                "records": topic_report.records,
                "bytes": topic_report.bytes,
                "tombstones": topic_report.tombstones,
                "offsets_lost": topic_report.offsets_lost,
                "lag_records": lag,
            })
        })
        .collect()
}

/// `/api/v1/status`: version, readiness, and the problem of the latest reload.
pub(super) fn status(exporter: &Exporter) -> Value {
    let reasons = readiness::reasons(exporter);
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "ready": reasons.is_empty(),
        "reasons": reasons,
        "notices": readiness::notices(&exporter.view()),
        "reload_problem": exporter.reload_problem(),
    })
}

fn window_name<'a>(monitor: &'a MonitorView, window: &WindowView) -> Option<&'a str> {
    monitor
        .spec
        .windows
        .get(window.index)
        .map(|spec| spec.name.as_str())
}

/// Counts by reason as an object.
fn counts_json(counts: &[(&'static str, u64)]) -> Value {
    counts
        .iter()
        .map(|(reason, count)| ((*reason).to_owned(), json!(count)))
        .collect::<Map<_, _>>()
        .into()
}

/// A score; `"inf"` where JSON has no number for it.
fn number_json(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| json!("inf"), Value::Number)
}
