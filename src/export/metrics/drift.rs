//! The drift block: everything that changes with an evaluation and only then.
//!
//! It is the large block, with scores, thresholds, alerts and windows. It is encoded once per
//! evaluation, on the scorer's thread, and a scrape only copies it.

use super::families::Families;
use super::labels::{ALL_EVENTS, ComparisonLabels};
use super::{alerts, bins, catalog};
use crate::alert::AlertState;
use crate::engine::{
    AlertView, ComparisonView, EngineView, MonitorView, ReferenceView, WindowFeatureView,
    WindowView, status_names,
};
use crate::model::{MonitorSpec, Statistic};
use crate::stats::{discoveries, share};

/// The accepted share of false discoveries among the features that are reported as significant.
const FALSE_DISCOVERY_RATE: f64 = 0.05;

/// The drift block of a view.
pub(in crate::export) fn block(view: &EngineView) -> Families {
    let mut families = Families::default();
    for monitor in &view.monitors {
        let feature_names: Vec<&str> = monitor
            .features
            .iter()
            .map(|feature| feature.name.as_str())
            .collect();
        for window in &monitor.windows {
            add_window(
                &mut families,
                &monitor.spec,
                &monitor.references,
                &feature_names,
                window,
            );
        }
        add_references(&mut families, monitor);
    }
    families
}

/// Adds the series of one evaluation.
pub(in crate::export) fn add_window(
    families: &mut Families,
    monitor: &MonitorSpec,
    references: &[ReferenceView],
    feature_names: &[&str],
    window: &WindowView,
) {
    let Some(spec) = monitor.windows.get(window.index) else {
        return;
    };
    let window_labels = [monitor.name.as_str(), spec.name.as_str()];
    families.count(
        catalog::WINDOW_MIN_SAMPLES,
        &window_labels,
        spec.min_samples,
    );
    families.add(
        catalog::WINDOW_SIZE,
        &window_labels,
        spec.size.as_secs_f64(),
    );
    families.add(
        catalog::WINDOW_SLIDE,
        &window_labels,
        spec.slide.as_secs_f64(),
    );
    if let Some(end) = window.end {
        families.add(
            catalog::WINDOW_COVERAGE_RATIO,
            &window_labels,
            window.coverage,
        );
        families.add(catalog::WINDOW_END, &window_labels, end.as_secs_f64());
    }
    for (feature_name, feature) in feature_names.iter().zip(&window.features) {
        let feature_labels = [
            monitor.name.as_str(),
            feature_name,
            ALL_EVENTS,
            spec.name.as_str(),
        ];
        add_feature(families, monitor, references, &feature_labels, feature);
    }
    let named_window = (spec.name.as_str(), window);
    bins::add(families, monitor, references, feature_names, named_window);
    if let Some(volume) = &window.volume {
        add_volume(families, &window_labels, volume);
    }
    add_totals(families, &window_labels, references, window);
}

/// Adds the alert on the number of events, which belongs to no feature and no reference.
fn add_volume(families: &mut Families, [monitor, window]: &[&str; 2], volume: &AlertView) {
    let labels = ComparisonLabels {
        monitor,
        feature: "",
        segment: ALL_EVENTS,
        window,
        reference: "",
    };
    if let Some(events) = volume.value {
        let statistic_labels = labels.with_statistic(volume.statistic);
        families.add(catalog::DRIFT_SCORE, &statistic_labels, events);
    }
    alerts::add(families, &labels, volume);
}

fn add_feature(
    families: &mut Families,
    monitor: &MonitorSpec,
    references: &[ReferenceView],
    feature_labels: &[&str; 4],
    feature: &WindowFeatureView,
) {
    if let Some(counts) = &feature.counts {
        let samples = counts.tallies.values;
        families.count(catalog::WINDOW_SAMPLES, feature_labels, samples);
    }
    if let Some(missing) = feature.rates.missing {
        families.add(catalog::WINDOW_MISSING_RATIO, feature_labels, missing);
    }
    let [monitor_name, feature_name, segment, window] = *feature_labels;
    for (index, (reference, comparison)) in references.iter().zip(&feature.comparisons).enumerate()
    {
        let labels = ComparisonLabels {
            monitor: monitor_name,
            feature: feature_name,
            segment,
            window,
            reference: &reference.name,
        };
        let alerts: Vec<&AlertView> = comparison
            .alerts
            .iter()
            .filter(|alert| alert.statistic.applies_to_reference(index))
            .collect();
        add_scores(families, &labels, comparison);
        for statistic in Statistic::ALL {
            add_statistic(families, monitor, &labels, comparison, &alerts, *statistic);
        }
        add_statuses(families, &labels, comparison);
    }
}

/// Adds the series that a comparison has once.
fn add_scores(families: &mut Families, labels: &ComparisonLabels<'_>, comparison: &ComparisonView) {
    let is_ready = u64::from(comparison.scores.is_ok());
    families.count(catalog::SCORE_READY, &labels.values(), is_ready);
    if let Some(reason) = comparison.not_ready() {
        let reason_labels = labels.with_reason(reason.reason());
        families.add(catalog::SCORE_NOT_READY, &reason_labels, 1.0);
    }
    let Ok(scores) = &comparison.scores else {
        return;
    };
    let (values, divergences) = (labels.values(), &scores.divergences);
    families.add(
        catalog::SUPPORT_OVERLAP,
        &values,
        divergences.support_overlap,
    );
    families.add(catalog::WINDOW_ENTROPY_BITS, &values, divergences.entropy);
    families.add(
        catalog::WINDOW_CROSS_ENTROPY_BITS,
        &values,
        divergences.cross_entropy,
    );
    if let Some(distances) = &scores.distances {
        families.add(
            catalog::WASSERSTEIN_DISTANCE,
            &values,
            distances.wasserstein,
        );
    }
}

/// Adds the series of one statistic, if it is exported or has an alert.
fn add_statistic(
    families: &mut Families,
    monitor: &MonitorSpec,
    labels: &ComparisonLabels<'_>,
    comparison: &ComparisonView,
    judged_alerts: &[&AlertView],
    statistic: Statistic,
) {
    let statistic_alerts: Vec<&AlertView> = judged_alerts
        .iter()
        .copied()
        .filter(|alert| alert.statistic == statistic)
        .collect();
    let first_alert = statistic_alerts.first().copied();
    let statistic_labels = labels.with_statistic(statistic);
    let level = comparison
        .assessment
        .as_deref()
        .and_then(|assessment| assessment.statistic(statistic))
        .filter(|_| first_alert.is_some() || is_exported(monitor, statistic));
    if let Some(level) = level {
        families.add(
            catalog::DRIFT_NOISE_FLOOR,
            &statistic_labels,
            level.noise_floor,
        );
        families.add(catalog::DRIFT_P_VALUE, &statistic_labels, level.p_value);
        families.add(
            catalog::DRIFT_DESIGN_EFFECT,
            &statistic_labels,
            level.design_effect,
        );
        if let Some(shift) = level.detectable_shift {
            families.add(catalog::DRIFT_DETECTABLE_SHIFT, &statistic_labels, shift);
        }
    }
    if let Some(score) = exported_score(monitor, comparison, statistic, first_alert) {
        families.add(catalog::DRIFT_SCORE, &statistic_labels, score);
    }
    for alert in statistic_alerts {
        alerts::add(families, labels, alert);
    }
}

/// The score of a statistic, if it is exported and ready. With an alert, it is the value that the
/// alert compared with its threshold.
fn exported_score(
    monitor: &MonitorSpec,
    comparison: &ComparisonView,
    statistic: Statistic,
    alert: Option<&AlertView>,
) -> Option<f64> {
    match alert {
        Some(alert) => alert.value,
        None if monitor.statistics.contains(&statistic) => comparison.scores.ok()?.get(statistic),
        // Calibrated thresholds apply to the body of a Wasserstein score, so the body is exported
        // beside the raw score once the comparison is calibrated.
        None if is_exported(monitor, statistic) => {
            comparison.assessment.as_ref()?;
            comparison.scores.ok()?.get(statistic)
        }
        None => None,
    }
}

/// True when the configuration lists the statistic, or the one that it is the calibrated form of.
fn is_exported(monitor: &MonitorSpec, statistic: Statistic) -> bool {
    monitor
        .statistics
        .iter()
        .any(|listed| *listed == statistic || listed.budgeted() == statistic)
}

fn add_statuses(
    families: &mut Families,
    labels: &ComparisonLabels<'_>,
    comparison: &ComparisonView,
) {
    let scores = comparison.scores.as_ref().ok();
    for status in status_names(scores, comparison.assessment.as_deref()) {
        families.add(
            catalog::CALIBRATION_STATUS,
            &labels.with_status(status),
            1.0,
        );
    }
}

/// Totals over the features of a window against one reference.
///
/// A feature counts by its rules and not by its scores: the features that lost all of their values
/// have no score, and their rates drift most.
#[derive(Default)]
struct ReferenceTotals {
    /// Features with a rule that is judged.
    judged: u64,
    /// Features with a firing alert.
    firing: u64,
    /// The p-values of calibrated features with a rule that is judged.
    p_values: Vec<f64>,
}

impl ReferenceTotals {
    /// Adds a comparison with the monitor's reference of this index.
    fn add(&mut self, comparison: &ComparisonView, reference: usize) {
        let judged: Vec<&AlertView> = comparison
            .alerts
            .iter()
            .filter(|alert| alert.statistic.applies_to_reference(reference))
            .filter(|alert| !matches!(alert.state, AlertState::NotReady(_)))
            .collect();
        let is_firing = judged.iter().any(|alert| alert.state == AlertState::Firing);
        self.judged += u64::from(!judged.is_empty());
        self.firing += u64::from(is_firing);
        self.p_values.extend(smallest_p_value(comparison, &judged));
    }
}

/// Adds how many features of a window drift, for each reference.
fn add_totals(
    families: &mut Families,
    [monitor, window_name]: &[&str; 2],
    references: &[ReferenceView],
    window: &WindowView,
) {
    let mut totals: Vec<ReferenceTotals> = references
        .iter()
        .map(|_| ReferenceTotals::default())
        .collect();
    for feature in &window.features {
        for (index, (totals, comparison)) in totals.iter_mut().zip(&feature.comparisons).enumerate()
        {
            totals.add(comparison, index);
        }
    }
    for (reference, mut totals) in references.iter().zip(totals) {
        let labels = [monitor, window_name, reference.name.as_str()];
        if let Some(ratio) = share(totals.firing, totals.judged) {
            families.add(catalog::FEATURES_DRIFTING, &labels, ratio);
        }
        if !totals.p_values.is_empty() {
            let significant = discoveries(&mut totals.p_values, FALSE_DISCOVERY_RATE);
            families.count(catalog::FEATURES_SIGNIFICANT, &labels, significant as u64);
        }
    }
}

/// The p-value of a comparison over the statistics of its judged alerts, in 0..=1: the smallest one
/// times their number (Bonferroni). `None` where none of them is calibrated.
fn smallest_p_value(comparison: &ComparisonView, judged: &[&AlertView]) -> Option<f64> {
    let p_values: Vec<f64> = comparison
        .assessment
        .as_deref()?
        .statistics
        .iter()
        .filter(|level| {
            judged
                .iter()
                .any(|alert| alert.statistic == level.statistic)
        })
        .map(|level| level.p_value)
        .collect();
    let smallest = p_values.iter().copied().min_by(f64::total_cmp)?;
    Some((smallest * p_values.len() as f64).min(1.0))
}

fn add_references(families: &mut Families, monitor: &MonitorView) {
    let monitor_name = monitor.spec.name.as_str();
    for reference in &monitor.references {
        let labels = [monitor_name, &reference.name];
        let is_loaded = u64::from(reference.problem.is_none());
        families.count(catalog::REFERENCE_LOADED, &labels, is_loaded);
        let Some(loaded) = &reference.loaded else {
            continue;
        };
        families.add(
            catalog::REFERENCE_INFO,
            &[monitor_name, &reference.name, &loaded.hash],
            1.0,
        );
        families.add(
            catalog::REFERENCE_CREATED,
            &labels,
            loaded.created.as_secs_f64(),
        );
        for feature in monitor
            .features
            .iter()
            .filter_map(|feature| loaded.feature(&feature.name))
        {
            let feature_labels = [monitor_name, &reference.name, &feature.name];
            let tallies = &feature.counts.tallies;
            families.count(catalog::REFERENCE_SAMPLES, &feature_labels, tallies.values);
            if let Some(missing) = tallies.missing_ratio() {
                families.add(catalog::REFERENCE_MISSING_RATIO, &feature_labels, missing);
            }
        }
    }
}
