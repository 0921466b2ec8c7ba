//! The counters block: totals of accepted commits.
//!
//! It is encoded by the first scrape of a view. The totals come from the pane log, so they continue
//! after a restart and are equal for two scorers at the same position.

use super::catalog;
use super::families::Families;
use crate::engine::{EngineView, FeatureView, MonitorView, SourceView};
use crate::model::{InvalidReason, MissingKind};
use crate::stats::{DELAY_BOUNDS, EVALUATION_BOUNDS, Layout};

/// The counters block of a view.
pub(in crate::export) fn block(view: &EngineView) -> Families {
    let mut families = Families::default();
    for source in &view.sources {
        add_source(&mut families, source);
    }
    for monitor in &view.monitors {
        add_monitor(&mut families, monitor);
        for feature in &monitor.features {
            add_feature(&mut families, &monitor.spec.name, feature);
        }
    }
    families
}

fn add_source(families: &mut Families, source: &SourceView) {
    let name = source.name.as_str();
    for (reason, count) in &source.decode_errors {
        families.count(catalog::DECODE_ERRORS, &[name, reason], *count);
    }
    families.count(catalog::PANE_LOG_COMMITS, &[name], source.commits);
    families.count(catalog::PANE_LOG_BYTES, &[name], source.commit_bytes);
    for (reason, count) in &source.rejected {
        families.count(catalog::PANE_LOG_REJECTED, &[name, reason], *count);
    }
}

fn add_monitor(families: &mut Families, monitor: &MonitorView) {
    let spec = &monitor.spec;
    let name = spec.name.as_str();
    families.add(catalog::MONITOR_INFO, &[name, &spec.source], 1.0);
    families.count(catalog::EVENTS, &[name], monitor.events);
    families.count(catalog::EVENTS_LATE, &[name], monitor.events_late);
    for (reason, count) in &monitor.dropped {
        families.count(catalog::EVENTS_DROPPED, &[name, reason], *count);
    }
    for (severity, to, count) in &monitor.transitions {
        families.count(
            catalog::ALERT_TRANSITIONS,
            &[name, severity.name(), to],
            *count,
        );
    }
    families.count(catalog::EVALUATIONS, &[name], monitor.evaluations);
    families.count(
        catalog::EVALUATIONS_SKIPPED,
        &[name, "empty"],
        monitor.evaluations_skipped,
    );
    families.histogram(
        catalog::EVALUATION_DURATION,
        &[name],
        &monitor.evaluation_times,
        &EVALUATION_BOUNDS,
    );
    let labels = [spec.source.as_str(), name];
    families.histogram(
        catalog::EVENT_DELAY,
        &labels,
        &monitor.delays,
        &DELAY_BOUNDS,
    );
    let is_silent = u64::from(monitor.silent_since.is_some());
    families.count(catalog::MONITOR_SILENT, &[name], is_silent);
    if let Some(newest) = monitor.newest_event {
        families.add(catalog::NEWEST_EVENT, &[name], newest.as_secs_f64());
    }
    if let Some(watermark) = monitor.watermark {
        families.add(catalog::WATERMARK, &labels, watermark.as_secs_f64());
    }
}

fn add_feature(families: &mut Families, monitor: &str, feature: &FeatureView) {
    let name = feature.name.as_str();
    let labels = [monitor, name];
    families.add(
        catalog::FEATURE_INFO,
        &[monitor, name, feature.role.name(), feature.kind.name()],
        1.0,
    );
    families.count(catalog::FEATURE_VALUES, &labels, feature.tallies.values);
    for kind in MissingKind::ALL {
        families.count(
            catalog::FEATURE_MISSING,
            &[monitor, name, kind.name()],
            feature.tallies.missing[kind as usize],
        );
    }
    for reason in InvalidReason::ALL {
        families.count(
            catalog::FEATURE_INVALID,
            &[monitor, name, reason.name()],
            feature.tallies.invalid[reason as usize],
        );
    }
    match feature.layout.as_deref() {
        Some(Layout::Categorical(_)) => {
            families.count(catalog::FEATURE_UNSEEN, &labels, feature.unseen);
        }
        Some(Layout::Numeric(numeric)) => {
            let (below, above) = feature.out_of_range;
            if numeric.bins.has_lower_guard() {
                families.count(
                    catalog::FEATURE_OUT_OF_RANGE,
                    &[monitor, name, "below"],
                    below,
                );
            }
            if numeric.bins.has_upper_guard() {
                families.count(
                    catalog::FEATURE_OUT_OF_RANGE,
                    &[monitor, name, "above"],
                    above,
                );
            }
        }
        None => {}
    }
}
