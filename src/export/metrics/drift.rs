//! The drift block: what changes with an evaluation, and only then.

use super::catalog as m;
use super::families::Families;
use crate::alert::AlertState;
use crate::calibration::CalibrationStatus;
use crate::engine::{
    AlertView, ComparisonView, EngineView, MonitorPlan, MonitorView, ReferenceView,
    WindowFeatureView, WindowView,
};
use crate::model::{MonitorSpec, Statistic};
use crate::stats::{discoveries, share};

/// Of the features called significant, this share may be luck.
const FALSE_DISCOVERIES: f64 = 0.05;

/// The drift block of a snapshot.
pub(in crate::export) fn block(snapshot: &EngineView) -> Families {
    let mut families = Families::default();
    for monitor in &snapshot.monitors {
        let names: Vec<&str> = monitor
            .features
            .iter()
            .map(|own| own.name.as_str())
            .collect();
        for window in &monitor.windows {
            add_window(
                &mut families,
                &monitor.spec,
                &monitor.references,
                &names,
                window,
            );
        }
        add_references(&mut families, monitor);
    }
    families
}

/// The drift block of one evaluation; `names` are the features'.
pub(in crate::export) fn add_window(
    families: &mut Families,
    monitor: &MonitorSpec,
    references: &[ReferenceView],
    names: &[&str],
    window: &WindowView,
) {
    let Some(spec) = monitor.windows.get(window.index) else {
        return;
    };
    let labels = [monitor.name.as_str(), spec.name.as_str()];
    families.count(m::WINDOW_MIN_SAMPLES, &labels, spec.min_samples);
    if let Some(end) = window.end {
        families.add(m::WINDOW_COVERAGE_RATIO, &labels, window.coverage);
        families.add(m::WINDOW_END, &labels, end.as_secs_f64());
    }
    for (feature, scores) in names.iter().zip(&window.features) {
        let labels = [monitor.name.as_str(), feature, "", &spec.name];
        add_feature(families, monitor, references, &labels, scores);
    }
    add_totals(families, monitor, references, &spec.name, window);
}

fn add_feature(
    families: &mut Families,
    monitor: &MonitorSpec,
    references: &[ReferenceView],
    labels: &[&str; 4],
    state: &WindowFeatureView,
) {
    if let Some(counts) = &state.counts {
        families.count(m::WINDOW_SAMPLES, labels, counts.tallies.values);
    }
    if let Some(missing) = state.rates.missing {
        families.add(m::WINDOW_MISSING_RATIO, labels, missing);
    }
    for (index, (reference, comparison)) in references.iter().zip(&state.comparisons).enumerate() {
        let [monitor_name, feature_name, segment, window] = *labels;
        let labels = [monitor_name, feature_name, segment, window, &reference.name];
        add_scores(families, &labels, comparison);
        add_statistics(families, monitor, &labels, comparison, index);
        add_statuses(families, &labels, comparison);
    }
}

/// What there is one of per reference.
fn add_scores(families: &mut Families, labels: &[&str; 5], comparison: &ComparisonView) {
    let scores = &comparison.scores;
    families.count(m::SCORE_READY, labels, u64::from(scores.is_ok()));
    match scores {
        Err(reason) => {
            let [monitor, feature, segment, window, reference] = *labels;
            families.add(
                m::SCORE_NOT_READY,
                &[
                    monitor,
                    feature,
                    segment,
                    window,
                    reference,
                    reason.reason(),
                ],
                1.0,
            );
        }
        Ok(scores) => {
            let d = &scores.divergences;
            families.add(m::SUPPORT_OVERLAP, labels, d.support_overlap);
            families.add(m::WINDOW_ENTROPY_BITS, labels, d.entropy);
            families.add(m::WINDOW_CROSS_ENTROPY_BITS, labels, d.cross_entropy);
            if let Some(distances) = &scores.distances {
                families.add(m::WASSERSTEIN_DISTANCE, labels, distances.wasserstein);
            }
        }
    }
}

/// Scores and lines per statistic: those asked for, and those a rule judges.
fn add_statistics(
    families: &mut Families,
    spec: &MonitorSpec,
    labels: &[&str; 5],
    comparison: &ComparisonView,
    index: usize,
) {
    let [monitor, feature, segment, window, reference] = *labels;
    for statistic in Statistic::ALL {
        let labels = [
            monitor,
            feature,
            segment,
            window,
            reference,
            statistic.name(),
        ];
        let is_own =
            |line: &&AlertView| line.statistic == *statistic && statistic.is_judged_against(index);
        let own = || comparison.alerts.iter().filter(is_own);
        let level = comparison
            .assessment
            .as_deref()
            .and_then(|assessment| assessment.level(*statistic))
            .filter(|_| own().next().is_some() || is_asked(spec, *statistic));
        if let Some(level) = level {
            families.add(m::DRIFT_NOISE_FLOOR, &labels, level.noise_floor);
            families.add(m::DRIFT_P_VALUE, &labels, level.p_value);
            families.add(m::DRIFT_DESIGN_EFFECT, &labels, level.design_effect);
            if let Some(shift) = level.detectable_shift {
                families.add(m::DRIFT_DETECTABLE_SHIFT, &labels, shift);
            }
        }
        if let Some(value) = value(spec, comparison, *statistic, own().next()) {
            families.add(m::DRIFT_SCORE, &labels, value);
        }
        for line in own() {
            let [monitor, feature, segment, window, reference, statistic] = labels;
            let labels = [
                monitor,
                feature,
                segment,
                window,
                reference,
                statistic,
                line.severity.name(),
            ];
            if let Some(threshold) = line.threshold {
                families.add(m::DRIFT_THRESHOLD, &labels, threshold);
            }
            if !matches!(line.state, AlertState::NotReady(_)) {
                families.count(
                    m::ALERT_ACTIVE,
                    &labels,
                    u64::from(line.state == AlertState::Firing),
                );
            }
        }
    }
}

/// A score's value, if it is asked for and ready; what a rule judges is exported as it was judged.
fn value(
    spec: &MonitorSpec,
    comparison: &ComparisonView,
    statistic: Statistic,
    line: Option<&AlertView>,
) -> Option<f64> {
    match line {
        Some(line) => line.value,
        None if spec.statistics.contains(&statistic) => comparison.scores.ok()?.get(statistic),
        // The body is what a calibrated line is about: it stands beside raw Wasserstein once there is one.
        None if is_asked(spec, statistic) => {
            comparison.assessment.as_ref()?;
            comparison.scores.ok()?.get(statistic)
        }
        None => None,
    }
}

/// Whether a statistic's series were asked for; who asks for Wasserstein asks for its calibrated form.
fn is_asked(spec: &MonitorSpec, statistic: Statistic) -> bool {
    let mut asked = spec.statistics.iter();
    asked.any(|asked| *asked == statistic || asked.budgeted() == statistic)
}

fn add_statuses(families: &mut Families, labels: &[&str; 5], comparison: &ComparisonView) {
    let [monitor, feature, segment, window, reference] = *labels;
    let assessment = comparison.assessment.as_deref();
    for status in assessment.into_iter().flat_map(|own| &own.statuses) {
        let labels = [monitor, feature, segment, window, reference, status.name()];
        families.add(m::CALIBRATION_STATUS, &labels, 1.0);
    }
}

/// How many features of a window drift.
fn add_totals(
    families: &mut Families,
    monitor: &MonitorSpec,
    references: &[ReferenceView],
    name: &str,
    window: &WindowView,
) {
    for (index, reference) in references.iter().enumerate() {
        let labels = [monitor.name.as_str(), name, &reference.name];
        let comparisons: Vec<&ComparisonView> = window
            .features
            .iter()
            .filter_map(|feature| feature.comparisons.get(index))
            .filter(|comparison| comparison.scores.is_ok())
            .collect();
        let judged = comparisons
            .iter()
            .filter(|comparison| !comparison.alerts.is_empty())
            .count();
        let firing = comparisons
            .iter()
            .filter(|comparison| {
                comparison
                    .alerts
                    .iter()
                    .any(|alert| alert.state == AlertState::Firing)
            })
            .count();
        if let Some(ratio) = share(firing as u64, judged as u64) {
            families.add(m::FEATURES_DRIFTING, &labels, ratio);
        }
        let mut p_values: Vec<f64> = comparisons
            .iter()
            .filter_map(|comparison| p_value(comparison))
            .collect();
        if !p_values.is_empty() {
            let significant = discoveries(&mut p_values, FALSE_DISCOVERIES);
            families.count(m::FEATURES_SIGNIFICANT, &labels, significant as u64);
        }
    }
}

/// A feature's p-value: the smallest of its alerting statistics, times their number.
fn p_value(comparison: &ComparisonView) -> Option<f64> {
    let assessment = comparison.assessment.as_deref()?;
    let lines = || comparison.alerts.iter();
    let judged = assessment
        .levels
        .iter()
        .filter(|level| lines().any(|line| line.statistic == level.statistic));
    let p_values: Vec<f64> = judged.map(|level| level.p_value).collect();
    let smallest = p_values.iter().copied().min_by(f64::total_cmp)?;
    Some((smallest * p_values.len() as f64).min(1.0))
}

fn add_references(families: &mut Families, monitor: &MonitorView) {
    for reference in &monitor.references {
        let labels = [monitor.spec.name.as_str(), &reference.name];
        families.count(
            m::REFERENCE_LOADED,
            &labels,
            u64::from(reference.problem.is_none()),
        );
        let Some(loaded) = &reference.loaded else {
            continue;
        };
        families.add(
            m::REFERENCE_INFO,
            &[labels[0], labels[1], &loaded.hash],
            1.0,
        );
        families.add(m::REFERENCE_CREATED, &labels, loaded.created.as_secs_f64());
        for feature in monitor
            .features
            .iter()
            .filter_map(|feature| loaded.feature(&feature.name))
        {
            let labels = [labels[0], labels[1], &feature.name];
            families.count(m::REFERENCE_SAMPLES, &labels, feature.counts.tallies.values);
            if let Some(missing) = feature.counts.tallies.missing_ratio() {
                families.add(m::REFERENCE_MISSING_RATIO, &labels, missing);
            }
        }
    }
}

/// The most series a monitor can produce, its counters included.
#[must_use]
pub fn estimate_series(plan: &MonitorPlan) -> usize {
    const PER_MONITOR: usize = 70;
    const PER_FEATURE: usize = 12;
    let (windows, references) = (plan.spec.windows.len(), plan.references.len());
    let per_window: usize = plan
        .features
        .iter()
        .map(|feature| {
            let asked = plan
                .spec
                .statistics
                .iter()
                .filter(|statistic| feature.kind.has(**statistic));
            let mut statistics: Vec<Statistic> = asked
                .copied()
                .chain(feature.rules.iter().map(|rule| rule.statistic))
                .collect();
            statistics.sort_unstable();
            statistics.dedup();
            let (levels, statuses) = if feature.budgeted_statistics > 0 {
                (4 * (statistics.len() + 1) + 1, CalibrationStatus::ALL.len())
            } else {
                (0, 0)
            };
            2 + references * (6 + statistics.len() + levels + statuses + 2 * feature.rules.len())
        })
        .sum();
    PER_MONITOR
        + PER_FEATURE * plan.features.len()
        + windows * (per_window + 3 + 2 * references)
        + references * (3 + 2 * plan.features.len())
}
