//! Fixed lines that noise alone would cross, found before the first window.

use std::sync::Arc;

use super::{FeaturePlan, ThresholdSource};
use crate::calibration::{NullModel, WindowContext};
use crate::reference::Reference;
use crate::stats::FeatureCounts;

/// What is to be said about the fixed lines of a feature against one reference; only where the reference stores what clean windows do.
pub(super) fn noisy_lines(
    feature: &FeaturePlan,
    scorer: usize,
    reference: &Reference,
) -> Vec<String> {
    let (Some(stored), Some(Some(scorer))) = (
        reference.calibration_of(&feature.name),
        feature.scorers.get(scorer),
    ) else {
        return Vec::new();
    };
    let Some(table) = stored.nulls.first() else {
        return Vec::new();
    };
    let calibration = Arc::new(NullModel::new(
        scorer.clone(),
        &reference.hash,
        Some(stored),
    ));
    let mut window = FeatureCounts::default();
    window.tallies.values = table.size.values();
    let said = feature.rules.iter().filter_map(|rule| {
        let ThresholdSource::Fixed(threshold) = rule.threshold_source else {
            return None;
        };
        if rule.statistic.is_rate() || !calibration.is_prepared(window.tallies.values) {
            return None;
        }
        let gauge = calibration.gauge(rule.statistic, &window, &WindowContext::default())?;
        let floor = gauge.noise_floor();
        (floor >= threshold).then(|| {
            let (name, samples) = (&feature.name, window.tallies.values);
            format!(
                "feature {name}: {} of clean windows of {samples} samples is {floor:.4} on average, not below the {} line of {threshold}",
                rule.statistic, rule.severity
            )
        })
    });
    said.collect()
}
