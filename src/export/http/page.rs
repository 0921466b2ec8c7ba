//! The page: state and reasons at a glance, for an on-call engineer with a phone.
//!
//! One row is one comparison. Rows with firing alerts come first, then pending ones and those that
//! are not ready. The page has no script and reloads itself every 15 s.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use askama::Template;

use super::feature::{link, window_state};
use super::readiness;
use super::row_state::{RowState, unjudged};
use crate::alert::AlertState;
use crate::engine::{
    AlertView, ComparisonView, FeatureView, MonitorView, ReferenceView, SourceView,
    WindowFeatureView, WindowView, status_names,
};
use crate::export::chart::{Bars, bars};
use crate::export::explain::{AlertContext, explain, explain_volume, not_judged_text};
use crate::export::explanations::Explanations;
use crate::export::exporter::Exporter;
use crate::export::numbers::{NO_VALUE, percent, short_number};
use crate::model::{KafkaReport, Statistic};

#[derive(Template)]
#[template(path = "page.html", config = ".askama.toml")]
struct Page {
    version: &'static str,
    problems: Vec<String>,
    /// Silent monitors.
    notices: Vec<String>,
    firing: usize,
    /// Alerts, and those of them that the latest evaluation judged.
    alerts: usize,
    judged: usize,
    monitors: Vec<MonitorSection>,
    sources: Vec<SourceRow>,
}

struct MonitorSection {
    name: String,
    source: String,
    events: u64,
    dropped: String,
    /// The records of its source that could not be decoded, by reason; `None` without any.
    undecodable: Option<String>,
    watermark: String,
    /// Incidents of its references, each with the name of the reference.
    incidents: Vec<String>,
    windows: Vec<WindowTable>,
}

struct WindowTable {
    name: String,
    /// The end of the latest evaluated window and its coverage.
    state: String,
    volume: Option<VolumeRow>,
    /// The calibration statuses of all rows, each once.
    statuses: String,
    rows: Vec<ComparisonRow>,
}

/// The alert on the number of events of a window.
struct VolumeRow {
    class: &'static str,
    text: String,
}

fn volume_row(volume: &AlertView, is_silent: bool, text: String) -> VolumeRow {
    VolumeRow {
        class: match volume.state {
            AlertState::Firing => "firing",
            AlertState::Pending => "pending",
            AlertState::Inactive if !is_silent => "ok",
            AlertState::Inactive | AlertState::NotReady(_) => "wait",
        },
        text,
    }
}

/// One feature against one reference.
struct ComparisonRow {
    state: RowState,
    feature: String,
    /// The address of the page of the feature.
    link: String,
    /// The shares of its bins, reference and window.
    bars: Option<Bars>,
    kind: &'static str,
    reference: String,
    explanation: String,
    js: String,
    wasserstein: String,
    missing: String,
    samples: String,
}

struct SourceRow {
    name: String,
    state: &'static str,
    detail: String,
}

/// Renders the page.
///
/// While the pane log is read, the view shows the past, so it is left out, as in a scrape.
///
/// # Errors
/// The template fails.
pub(super) fn render(exporter: &Exporter) -> askama::Result<String> {
    let view = if exporter.is_recovering() {
        Arc::default()
    } else {
        exporter.view()
    };
    let explanations = exporter.explanations();
    let monitors: Vec<MonitorSection> = view
        .monitors
        .iter()
        .map(|monitor| monitor_section(monitor, &view.sources, &explanations))
        .collect();
    let rows = monitors
        .iter()
        .flat_map(|monitor| &monitor.windows)
        .flat_map(|window| &window.rows);
    let firing_rows = rows.filter(|row| row.state == RowState::Firing).count();
    let states: Vec<AlertState> = view.monitors.iter().flat_map(alert_states).collect();
    let firing_volumes = view
        .monitors
        .iter()
        .flat_map(|monitor| &monitor.windows)
        .filter_map(|window| window.volume.as_ref())
        .filter(|volume| volume.state == AlertState::Firing)
        .count();
    Page {
        version: env!("CARGO_PKG_VERSION"),
        problems: readiness::reasons(exporter),
        notices: readiness::notices(&view),
        firing: firing_rows + firing_volumes,
        alerts: states.len(),
        judged: states
            .iter()
            .filter(|state| !matches!(state, AlertState::NotReady(_)))
            .count(),
        monitors,
        sources: exporter.reports().into_iter().map(source_row).collect(),
    }
    .render()
}

/// The states of all alerts of a monitor.
fn alert_states(monitor: &MonitorView) -> impl Iterator<Item = AlertState> {
    monitor.windows.iter().flat_map(|window| {
        window
            .features
            .iter()
            .flat_map(WindowFeatureView::alerts)
            .chain(&window.volume)
            .map(|alert| alert.state)
    })
}

/// Counts by reason, without those that are zero; "none" where all are.
fn by_reason(counts: &[(&'static str, u64)]) -> String {
    let counts: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| format!("{count} {}", reason.replace('_', " ")))
        .collect();
    if counts.is_empty() {
        "none".to_owned()
    } else {
        counts.join(", ")
    }
}

fn monitor_section(
    monitor: &MonitorView,
    sources: &[SourceView],
    explanations: &Explanations,
) -> MonitorSection {
    let source = sources
        .iter()
        .find(|source| source.name == monitor.spec.source);
    MonitorSection {
        name: monitor.spec.name.clone(),
        source: monitor.spec.source.clone(),
        events: monitor.events,
        dropped: by_reason(&monitor.dropped),
        undecodable: source
            .map(|source| by_reason(&source.decode_errors))
            .filter(|counts| counts != "none"),
        watermark: monitor
            .watermark
            .map_or_else(|| "not known yet".to_owned(), |time| time.to_string()),
        incidents: incidents(&monitor.references),
        windows: monitor
            .windows
            .iter()
            .map(|window| window_table(monitor, window, explanations))
            .collect(),
    }
}

/// Incidents of all references, each once with the first reference that is loaded from its file.
fn incidents(references: &[ReferenceView]) -> Vec<String> {
    let mut hashes = BTreeSet::new();
    references
        .iter()
        .filter_map(|reference| Some((&reference.name, reference.loaded.as_ref()?)))
        .filter(|(_, loaded)| hashes.insert(loaded.hash.clone()))
        .flat_map(|(name, loaded)| {
            let texts = loaded.incident_texts().into_iter();
            texts.map(move |text| format!("reference {name}: {text}"))
        })
        .collect()
}

fn window_table(
    monitor: &MonitorView,
    window: &WindowView,
    explanations: &Explanations,
) -> WindowTable {
    let is_silent = monitor.silent_since.is_some();
    let window_name = monitor
        .spec
        .windows
        .get(window.index)
        .map_or("", |spec| spec.name.as_str());
    let mut rows: Vec<ComparisonRow> = monitor
        .features
        .iter()
        .zip(&window.features)
        .flat_map(|(feature, window_feature)| {
            monitor
                .references
                .iter()
                .zip(&window_feature.comparisons)
                .map(move |(reference, comparison)| {
                    let state = RowState::of(comparison, is_silent);
                    let names = (&*feature.name, &*reference.name);
                    let complete = |text: String, alert: &AlertView| {
                        explanations.complete(text, monitor, window, names, alert)
                    };
                    let explanation =
                        explanation(state, feature, window_feature, comparison, &complete);
                    comparison_row(
                        state,
                        link(
                            &monitor.spec.name,
                            &feature.name,
                            window_name,
                            &reference.name,
                        ),
                        feature,
                        window_feature,
                        reference,
                        comparison,
                        explanation,
                    )
                })
        })
        .collect();
    rows.sort_by_key(|row| Reverse(row.state));
    WindowTable {
        name: window_name.to_owned(),
        state: window_state(window),
        volume: window.volume.as_ref().map(|volume| {
            let state = explain_volume(volume);
            let text = explanations.complete(state, monitor, window, ("", ""), volume);
            volume_row(volume, is_silent, text)
        }),
        statuses: statuses_text(window),
        rows,
    }
}

/// The reason for the state of a comparison; `complete` completes the text of an alert.
fn explanation(
    state: RowState,
    feature: &FeatureView,
    window_feature: &WindowFeatureView,
    comparison: &ComparisonView,
    complete: &dyn Fn(String, &AlertView) -> String,
) -> String {
    let furthest_alert = comparison
        .alerts
        .iter()
        .max_by_key(|alert| (alert.state.rank(), alert.severity));
    match (state, furthest_alert, &comparison.scores) {
        (RowState::Firing | RowState::Pending, Some(alert), _) => {
            let context = AlertContext::new(feature, window_feature, comparison);
            let text = complete(explain(alert, &context), alert);
            format!("{}: {text}", alert.severity)
        }
        (_, _, Err(reason)) => reason.to_string(),
        (_, _, Ok(_)) => unjudged(comparison)
            .and_then(|alert| not_judged_text(alert.state))
            .unwrap_or_default(),
    }
}

fn comparison_row(
    state: RowState,
    link: String,
    feature: &FeatureView,
    window_feature: &WindowFeatureView,
    reference: &ReferenceView,
    comparison: &ComparisonView,
    explanation: String,
) -> ComparisonRow {
    let sides = comparison
        .reference
        .as_deref()
        .zip(window_feature.counts.as_deref());
    ComparisonRow {
        state,
        feature: feature.name.clone(),
        link,
        bars: sides.and_then(|(reference, counts)| bars(&reference.counts, counts)),
        kind: feature.kind.name(),
        reference: reference.name.clone(),
        explanation,
        js: score_and_threshold(comparison, Statistic::Js, Statistic::Js),
        wasserstein: score_and_threshold(
            comparison,
            Statistic::WassersteinNormalized,
            Statistic::WassersteinBody,
        ),
        missing: window_feature
            .rates
            .missing
            .map_or_else(|| NO_VALUE.to_owned(), percent),
        samples: window_feature.counts.as_ref().map_or_else(
            || NO_VALUE.to_owned(),
            |counts| counts.tallies.values.to_string(),
        ),
    }
}

/// A score, followed by its threshold: that of an alert, else the calibrated one.
///
/// With a budget, the calibrated form of the score stands beside the threshold that is made for it.
fn score_and_threshold(
    comparison: &ComparisonView,
    statistic: Statistic,
    calibrated: Statistic,
) -> String {
    let level = comparison
        .assessment
        .as_deref()
        .and_then(|assessment| assessment.statistic(calibrated));
    let threshold_of = |statistic: Statistic| {
        comparison
            .alerts
            .iter()
            .filter(|alert| alert.statistic == statistic)
            .filter_map(|alert| alert.upper_threshold())
            .min_by(f64::total_cmp)
    };
    let (shown, threshold) = match (threshold_of(statistic), level) {
        (Some(threshold), _) => (statistic, Some(threshold)),
        (None, Some(level)) => (calibrated, level.threshold),
        (None, None) => (statistic, threshold_of(calibrated)),
    };
    let score = comparison
        .scores
        .ok()
        .and_then(|scores| scores.get(shown))
        .map_or_else(|| NO_VALUE.to_owned(), |score| format!("{score:.3}"));
    match threshold {
        Some(threshold) => format!("{score} / {}", short_number(threshold)),
        None => score,
    }
}

/// The limits of the thresholds and scores of a window, each with the number of its comparisons.
fn statuses_text(window: &WindowView) -> String {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for comparison in window
        .features
        .iter()
        .flat_map(|feature| &feature.comparisons)
    {
        let scores = comparison.scores.as_ref().ok();
        for name in status_names(scores, comparison.assessment.as_deref()) {
            *counts.entry(name).or_default() += 1;
        }
    }
    let texts: Vec<String> = counts
        .iter()
        .map(|(name, rows)| format!("{name} ({rows})"))
        .collect();
    texts.join(", ")
}

fn source_row((name, report): (String, KafkaReport)) -> SourceRow {
    let records: u64 = report.topics.values().map(|topic| topic.records).sum();
    let lag: Option<u64> = report
        .topics
        .values()
        .flat_map(|topic| topic.lags.values().copied())
        .sum();
    let detail = match (report.problem, lag) {
        (Some(problem), _) => problem,
        (None, Some(lag)) => format!("{records} records read, lag {lag}"),
        (None, None) => format!("{records} records read, lag unknown"),
    };
    SourceRow {
        name,
        state: if report.up { "up" } else { "down" },
        detail,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Engine, MonitorPlan};
    use crate::model::MonitorSpec;

    /// A source of broken JSON was shown as "dropped: none" beside a monitor without events.
    #[test]
    fn records_that_cannot_be_decoded_stand_beside_each_monitor_of_their_source() {
        let mut spec = MonitorSpec::bare();
        spec.source = "orders".to_owned();
        let view = Engine::new(vec![MonitorPlan::new(spec, Vec::new())]).view();
        let mut source = SourceView {
            name: "orders".to_owned(),
            decoded: 10,
            decode_errors: vec![("json", 1800), ("utf8", 0), ("duplicate_key", 2)],
            tombstones: 0,
            commits: 1,
            commit_bytes: 0,
            rejected: Vec::new(),
        };
        let shown = |sources: &[SourceView]| {
            let none = Explanations::default();
            monitor_section(&view.monitors[0], sources, &none).undecodable
        };
        let expected = "1800 json, 2 duplicate key".to_owned();
        assert_eq!(shown(std::slice::from_ref(&source)), Some(expected));
        source.decode_errors = vec![("json", 0)];
        assert_eq!(shown(std::slice::from_ref(&source)), None, "none");
        assert_eq!(shown(&[]), None, "another process reads");
    }
}
