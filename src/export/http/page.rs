//! The landing page: what is monitored and how it stands, for somebody who was just woken up.

use askama::Template;

use crate::alert::AlertState;
use crate::engine::{FeatureView, MonitorView, ReferenceView, WindowFeatureView, WindowView};
use crate::export::Exporter;
use crate::export::explain::{Subject, explain, short_number};
use crate::model::Statistic;

#[derive(Template)]
#[template(path = "page.html", config = ".askama.toml")]
struct Page {
    version: &'static str,
    problems: Vec<String>,
    firing: usize,
    monitors: Vec<Monitor>,
    sources: Vec<Source>,
}

struct Monitor {
    name: String,
    source: String,
    events: u64,
    dropped: String,
    watermark: String,
    windows: Vec<Window>,
}

struct Window {
    name: String,
    end: String,
    coverage: String,
    rows: Vec<Row>,
}

/// One feature against one reference.
struct Row {
    rank: u8,
    feature: String,
    kind: &'static str,
    reference: String,
    state: &'static str,
    note: String,
    js: String,
    wasserstein: String,
    missing: String,
    samples: String,
}

struct Source {
    name: String,
    state: &'static str,
    detail: String,
}

pub(in crate::export) fn render(exporter: &Exporter) -> askama::Result<String> {
    let snapshot = exporter.view();
    let monitors: Vec<Monitor> = snapshot.monitors.iter().map(monitor).collect();
    let rows = monitors
        .iter()
        .flat_map(|monitor| &monitor.windows)
        .flat_map(|window| &window.rows);
    let firing = rows.filter(|row| row.state == "firing").count();
    Page {
        version: env!("CARGO_PKG_VERSION"),
        problems: exporter.unready(),
        firing,
        monitors,
        sources: sources(exporter),
    }
    .render()
}

fn monitor(state: &MonitorView) -> Monitor {
    let dropped = state.dropped.iter().filter(|(_, count)| *count > 0);
    let dropped: Vec<String> = dropped
        .map(|(reason, count)| format!("{count} {}", reason.replace('_', " ")))
        .collect();
    Monitor {
        name: state.spec.name.clone(),
        source: state.spec.source.clone(),
        events: state.events,
        dropped: if dropped.is_empty() {
            "none".to_owned()
        } else {
            dropped.join(", ")
        },
        watermark: state
            .watermark
            .map_or_else(|| "no events yet".to_owned(), |time| time.to_string()),
        windows: state
            .windows
            .iter()
            .map(|window| self::window(state, window))
            .collect(),
    }
}

fn window(state: &MonitorView, window: &WindowView) -> Window {
    let mut rows: Vec<Row> = Vec::new();
    for (feature, scores) in state.features.iter().zip(&window.features) {
        for (index, reference) in state.references.iter().enumerate() {
            rows.push(row(feature, scores, index, reference));
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.rank));
    Window {
        name: state
            .spec
            .windows
            .get(window.index)
            .map(|spec| spec.name.clone())
            .unwrap_or_default(),
        end: window
            .end
            .map_or_else(|| "not evaluated yet".to_owned(), |end| end.to_string()),
        coverage: format!("{:.0} %", window.coverage * 100.0),
        rows,
    }
}

fn row(
    feature: &FeatureView,
    state: &WindowFeatureView,
    index: usize,
    reference: &ReferenceView,
) -> Row {
    let scores = state.comparisons[index].scores;
    let furthest = state.comparisons[index]
        .alerts
        .iter()
        .max_by_key(|line| (line.state.rank(), line.severity));
    let (word, rank) = match (furthest.map(|line| line.state), scores) {
        (Some(AlertState::Firing), _) => ("firing", 4),
        (Some(AlertState::Pending), _) => ("pending", 3),
        (_, Err(_)) => ("not ready", 2),
        (_, Ok(_)) => ("ok", 1),
    };
    let score = |statistic| {
        scores
            .ok()
            .and_then(|scores| scores.get(statistic))
            .map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
    };
    let note = match (furthest.filter(|line| line.state.rank() > 1), scores) {
        (Some(line), _) if line.state != AlertState::Inactive => {
            let subject = Subject::of(feature, state, index);
            format!("{}: {}", line.severity, explain(line, &subject))
        }
        (_, Err(reason)) => reason.to_string(),
        (_, Ok(_)) => statuses(state, index),
    };
    Row {
        rank,
        feature: feature.name.clone(),
        kind: feature.kind.name(),
        reference: reference.name.clone(),
        state: word,
        note,
        js: with_line(score(Statistic::Js), state, index, Statistic::Js),
        wasserstein: with_line(
            score(Statistic::WassersteinNormalized),
            state,
            index,
            Statistic::WassersteinBody,
        ),
        missing: state
            .rates
            .missing
            .map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", share * 100.0)),
        samples: state.counts.as_ref().map_or_else(
            || "-".to_owned(),
            |counts| counts.tallies.values.to_string(),
        ),
    }
}

/// A score with its calibrated line.
fn with_line(
    score: String,
    state: &WindowFeatureView,
    index: usize,
    statistic: Statistic,
) -> String {
    let level = state.comparisons[index]
        .assessment
        .as_deref()
        .and_then(|assessment| assessment.level(statistic));
    match level {
        Some(level) => format!("{score} / {}", short_number(level.threshold)),
        None => score,
    }
}

/// What limits the trust in the lines.
fn statuses(state: &WindowFeatureView, index: usize) -> String {
    let assessment = state.comparisons[index].assessment.as_deref();
    let statuses = assessment.map_or(&[][..], |assessment| &assessment.statuses);
    let names: Vec<&str> = statuses.iter().map(|status| status.name()).collect();
    names.join(", ")
}

fn sources(exporter: &Exporter) -> Vec<Source> {
    let describe = |(name, report): (String, crate::model::KafkaReport)| {
        let lag: Option<u64> = report
            .topics
            .values()
            .flat_map(|topic| topic.lags.values().copied())
            .sum();
        let records: u64 = report.topics.values().map(|topic| topic.records).sum();
        let lag = lag.map_or_else(|| "lag not known".to_owned(), |lag| format!("lag {lag}"));
        let detail = report
            .problem
            .unwrap_or_else(|| format!("{records} records read, {lag}"));
        Source {
            name,
            state: if report.up { "up" } else { "down" },
            detail,
        }
    };
    exporter.reports().into_iter().map(describe).collect()
}
