//! Warnings about fixed thresholds that noise alone crosses, before the first window.

use super::feature::FeaturePlan;
use super::reference::ReferencePlan;
use super::rule::ThresholdSource;
use crate::calibration::{NullModel, WindowContext};
use crate::reference::Reference;
use crate::score::Scorer;
use crate::stats::FeatureCounts;

/// Warns of each fixed threshold of a feature that is not above the noise floor.
///
/// The noise floor is that of the smallest stored null window. A reference without stored null
/// tables gives no warning: nothing is simulated here.
pub(super) fn noise_warnings(
    feature: &FeaturePlan,
    plan: &ReferencePlan,
    reference: &Reference,
) -> Vec<String> {
    let (Some(stored), Some(scorer)) = (reference.calibration_of(&feature.name), &plan.scorer)
    else {
        return Vec::new();
    };
    let Some(table) = stored.nulls.first() else {
        return Vec::new();
    };
    let null_model = NullModel::new(Scorer::clone(scorer), &reference.hash, Some(stored));
    let samples = table.size.values();
    let mut window = FeatureCounts::default();
    window.tallies.values = samples;
    feature
        .rules
        .iter()
        .filter_map(|rule| {
            let ThresholdSource::Fixed(threshold) = rule.threshold_source else {
                return None;
            };
            if rule.statistic.is_rate() || !null_model.is_prepared(samples) {
                return None;
            }
            let floor = null_model
                .null_distribution(rule.statistic, &window, &WindowContext::default())?
                .noise_floor();
            (floor >= threshold).then(|| {
                format!(
                    "feature {}: {} of windows of {samples} samples without drift is {floor:.4} on \
                     average, not below the {} threshold of {threshold}",
                    feature.name, rule.statistic, rule.severity
                )
            })
        })
        .collect()
}
