//! The counts block: life-long counters of accepted commits.

use super::catalog as m;
use super::families::Families;
use crate::engine::{EngineView, FeatureView, MonitorView};
use crate::model::{InvalidReason, MissingKind};
use crate::stats::Layout;

/// Upper bounds of an event's delay, seconds.
const DELAY_BOUNDS: &[f64] = &[
    0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0,
];
/// Upper bounds of an evaluation's duration, seconds.
const DURATION_BOUNDS: &[f64] = &[0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0];

/// The counts block of a snapshot.
pub(in crate::export) fn block(snapshot: &EngineView) -> Families {
    let mut families = Families::default();
    for source in &snapshot.sources {
        for (reason, count) in &source.decode_errors {
            families.count(m::DECODE_ERRORS, &[&source.name, reason], *count);
        }
        families.count(m::PANE_LOG_COMMITS, &[&source.name], source.commits);
        families.count(m::PANE_LOG_BYTES, &[&source.name], source.commit_bytes);
        for (reason, count) in &source.rejected {
            families.count(m::PANE_LOG_REJECTED, &[&source.name, reason], *count);
        }
    }
    for monitor in &snapshot.monitors {
        add_monitor(&mut families, monitor);
        for feature in &monitor.features {
            add_feature(&mut families, &monitor.spec.name, feature);
        }
    }
    families
}

fn add_monitor(families: &mut Families, monitor: &MonitorView) {
    let spec = &monitor.spec;
    let name = spec.name.as_str();
    families.add(m::MONITOR_INFO, &[name, &spec.source], 1.0);
    families.count(m::EVENTS, &[name], monitor.events);
    families.count(m::EVENTS_LATE, &[name], monitor.events_late);
    for (reason, count) in &monitor.dropped {
        families.count(m::EVENTS_DROPPED, &[name, reason], *count);
    }
    for (severity, to, count) in &monitor.transitions {
        families.count(m::ALERT_TRANSITIONS, &[name, severity.name(), to], *count);
    }
    families.count(m::EVALUATIONS, &[name], monitor.evaluations);
    families.count(
        m::EVALUATIONS_SKIPPED,
        &[name, "empty"],
        monitor.evaluations_skipped,
    );
    families.histogram(
        m::EVALUATION_DURATION,
        &[name],
        &monitor.evaluation_us,
        1e-6,
        DURATION_BOUNDS,
    );
    families.histogram(
        m::EVENT_DELAY,
        &[&spec.source, name],
        &monitor.delay_ms,
        1e-3,
        DELAY_BOUNDS,
    );
    if let Some(watermark) = monitor.watermark {
        families.add(m::WATERMARK, &[&spec.source, name], watermark.as_secs_f64());
    }
}

fn add_feature(families: &mut Families, monitor: &str, feature: &FeatureView) {
    let labels = [monitor, &feature.name];
    let with = |last: &'static str| [labels[0], labels[1], last];
    families.add(
        m::FEATURE_INFO,
        &[
            labels[0],
            labels[1],
            feature.role.name(),
            feature.kind.name(),
        ],
        1.0,
    );
    families.count(m::FEATURE_VALUES, &labels, feature.tallies.values);
    for kind in MissingKind::ALL {
        families.count(
            m::FEATURE_MISSING,
            &with(kind.name()),
            feature.tallies.missing[kind as usize],
        );
    }
    for reason in InvalidReason::ALL {
        families.count(
            m::FEATURE_INVALID,
            &with(reason.name()),
            feature.tallies.invalid[reason as usize],
        );
    }
    match feature.layout.as_deref() {
        Some(Layout::Categorical(_)) => families.count(m::FEATURE_UNSEEN, &labels, feature.unseen),
        Some(Layout::Numeric(numeric)) => {
            if numeric.bins.has_lower_guard() {
                families.count(
                    m::FEATURE_OUT_OF_RANGE,
                    &with("below"),
                    feature.out_of_range.0,
                );
            }
            if numeric.bins.has_upper_guard() {
                families.count(
                    m::FEATURE_OUT_OF_RANGE,
                    &with("above"),
                    feature.out_of_range.1,
                );
            }
        }
        None => {}
    }
}
