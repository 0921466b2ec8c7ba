//! JSON for scripts: what the page shows, as data.

use serde_json::{Map, Value, json};

use crate::engine::{Assessment, MonitorView, WindowFeatureView, WindowView};
use crate::export::Exporter;
use crate::export::explain::{Subject, explain};

/// `/api/v1/monitors`
pub(in crate::export) fn monitors(exporter: &Exporter) -> Value {
    let snapshot = exporter.view();
    json!({"monitors": snapshot.monitors.iter().map(monitor).collect::<Vec<_>>()})
}

fn monitor(state: &MonitorView) -> Value {
    let references = state.references.iter().map(|reference| {
        json!({
            "name": reference.name,
            "kind": reference.kind,
            "loaded": reference.problem.is_none(),
            "problem": reference.problem,
            "hash": reference.loaded.as_ref().map(|loaded| &loaded.hash),
            "rows": reference.loaded.as_ref().map(|loaded| loaded.rows),
        })
    });
    json!({
        "name": state.spec.name,
        "source": state.spec.source,
        "events": state.events,
        "events_late": state.events_late,
        "events_dropped": state.dropped.iter().map(|(reason, count)| ((*reason).to_owned(), json!(count))).collect::<Map<_, _>>(),
        "watermark": state.watermark.map(|time| time.to_string()),
        "references": references.collect::<Vec<_>>(),
        "windows": state.windows.iter().map(|window| self::window(state, window)).collect::<Vec<_>>(),
    })
}

fn window(state: &MonitorView, window: &WindowView) -> Value {
    let name = state
        .spec
        .windows
        .get(window.index)
        .map(|spec| spec.name.as_str());
    let features = state.features.iter().zip(&window.features);
    let features = features
        .map(|(feature, scores)| self::feature(state, &feature.name, feature.kind.name(), scores));
    json!({
        "name": name,
        "end": window.end.map(|end| end.to_string()),
        "coverage": window.coverage,
        "features": features.collect::<Vec<_>>(),
    })
}

fn feature(state: &MonitorView, name: &str, kind: &str, feature: &WindowFeatureView) -> Value {
    let references =
        state
            .references
            .iter()
            .zip(&feature.comparisons)
            .map(|(reference, comparison)| {
                let scores = comparison.scores;
                let values = scores.map(|scores| {
                    let found = crate::model::Statistic::ALL
                        .iter()
                        .filter_map(|statistic| Some((statistic.name(), scores.get(*statistic)?)));
                    found
                        .map(|(name, value)| (name.to_owned(), number(value)))
                        .collect::<Map<_, _>>()
                });
                let furthest = comparison
                    .alerts
                    .iter()
                    .max_by_key(|line| line.state.rank());
                json!({
                    "name": reference.name,
                    "ready": scores.is_ok(),
                    "reason": scores.err().map(|reason| reason.reason()),
                    "scores": values.unwrap_or_default(),
                    "calibration": comparison.assessment.as_deref().map(calibration_json),
                    "alert": furthest.map(|line| line.state.name()),
                })
            });
    json!({
        "name": name,
        "kind": kind,
        "samples": feature.counts.as_ref().map(|counts| counts.tallies.values),
        "missing_ratio": feature.rates.missing,
        "references": references.collect::<Vec<_>>(),
    })
}

/// Levels by statistic, and how far to trust them.
#[must_use]
pub fn calibration_json(assessment: &Assessment) -> Value {
    let levels = assessment.levels.iter().map(|level| {
        let value = json!({
            "noise_floor": level.noise_floor,
            "threshold": level.threshold,
            "p_value": level.p_value,
            "minimum_detectable_shift": level.detectable_shift,
        });
        (level.statistic.name().to_owned(), value)
    });
    let mut object: Map<String, Value> = levels.collect();
    let statuses = assessment.statuses.iter().map(|status| status.name());
    object.insert("design_effect".to_owned(), json!(assessment.design_effect));
    object.insert("status".to_owned(), statuses.collect());
    object.into()
}

/// `/api/v1/alerts`: every line, firing ones first.
pub(in crate::export) fn alerts(exporter: &Exporter) -> Value {
    let snapshot = exporter.view();
    let mut found = Vec::new();
    for state in &snapshot.monitors {
        for window in &state.windows {
            let name = state
                .spec
                .windows
                .get(window.index)
                .map(|spec| spec.name.as_str());
            for (feature, scores) in state.features.iter().zip(&window.features) {
                for (index, reference) in state.references.iter().enumerate() {
                    let subject = Subject::of(feature, scores, index);
                    let own = scores.comparisons[index].alerts.iter();
                    let own = own.filter(|line| line.statistic.is_judged_against(index));
                    found.extend(own.map(|line| {
                        let value = json!({
                            "monitor": state.spec.name, "feature": feature.name, "segment": "", "window": name, "reference": reference.name,
                            "statistic": line.statistic.name(), "severity": line.severity.name(), "threshold": line.threshold,
                            "value": line.value.map(number), "state": line.state.name(), "explanation": explain(line, &subject),
                        });
                        (std::cmp::Reverse(line.state.rank()), value)
                    }));
                }
            }
        }
    }
    found.sort_by_key(|(rank, _)| *rank);
    json!({"alerts": found.into_iter().map(|(_, value)| value).collect::<Vec<_>>()})
}

/// `/api/v1/sources`
pub(in crate::export) fn sources(exporter: &Exporter) -> Value {
    let snapshot = exporter.view();
    let sources = exporter.reports().into_iter().map(|(name, report)| {
        let counted = snapshot.sources.iter().find(|source| source.name == name);
        let topics = report.topics.iter().map(|(topic, read)| {
            let lag: Option<u64> = read.lags.values().copied().sum();
            json!({
                "topic": topic, "partitions": read.lags.len(), "records": read.records, "bytes": read.bytes,
                "tombstones": read.tombstones, "offsets_lost": read.offsets_lost, "lag_records": lag,
            })
        });
        let errors = counted.iter().flat_map(|source| &source.decode_errors);
        json!({
            "name": name, "up": report.up, "problem": report.problem, "topics": topics.collect::<Vec<_>>(),
            "decoded": counted.map(|source| source.decoded),
            "decode_errors": errors.map(|(reason, count)| ((*reason).to_owned(), json!(count))).collect::<Map<_, _>>(),
        })
    });
    json!({"sources": sources.collect::<Vec<_>>()})
}

/// `/api/v1/status`
pub(in crate::export) fn status(exporter: &Exporter) -> Value {
    let reasons = exporter.unready();
    json!({"version": env!("CARGO_PKG_VERSION"), "ready": reasons.is_empty(), "reasons": reasons, "reload_problem": exporter.reload_problem()})
}

/// A number, or the text `inf` where JSON has none.
fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| json!("inf"), Value::Number)
}
