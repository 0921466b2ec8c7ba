//! The distributions of window and reference as series: one share per score bin and side.
//!
//! Bins are the largest part of a comparison and matter only where something is wrong. By default,
//! only features with a firing alert have them. When a source breaks as a whole, all of its
//! features fire at once; a limit per window and reference keeps that incident from adding
//! thousands of series. `compare` has every bin of every feature.

use super::catalog;
use super::families::Families;
use super::labels::{ALL_EVENTS, ComparisonLabels};
use crate::alert::AlertState;
use crate::engine::{
    ComparisonView, FeaturePlan, MonitorPlan, ReferenceView, WindowFeatureView, WindowView,
};
use crate::export::numbers::bin_text;
use crate::model::{BinExport, MonitorSpec};
use crate::stats::{FeatureCounts, Layout, share};

/// The most features per window and reference that have bins because an alert fires.
const MAX_FIRING_FEATURES: usize = 20;
/// The most bins of a feature that has bins; their label has two digits.
const MAX_BINS: usize = 100;

/// Adds the bins of one evaluation.
pub(super) fn add(
    families: &mut Families,
    monitor: &MonitorSpec,
    references: &[ReferenceView],
    feature_names: &[&str],
    (window_name, window): (&str, &WindowView),
) {
    let limit = match monitor.export_bins {
        BinExport::None => 0,
        BinExport::Firing => MAX_FIRING_FEATURES,
        BinExport::All => usize::MAX,
    };
    for (index, reference) in references.iter().enumerate() {
        let exported = feature_names
            .iter()
            .zip(&window.features)
            .filter_map(|(name, feature)| Some((name, feature, feature.comparisons.get(index)?)))
            .filter(|(_, _, comparison)| {
                monitor.export_bins == BinExport::All || is_firing(comparison, index)
            })
            .take(limit);
        for (feature_name, feature, comparison) in exported {
            let labels = ComparisonLabels {
                monitor: &monitor.name,
                feature: feature_name,
                segment: ALL_EVENTS,
                window: window_name,
                reference: &reference.name,
            };
            add_comparison(families, &labels, feature, comparison);
        }
    }
}

/// True while an alert of the comparison with the monitor's reference of this index fires.
fn is_firing(comparison: &ComparisonView, reference: usize) -> bool {
    comparison.alerts.iter().any(|alert| {
        alert.state == AlertState::Firing && alert.statistic.applies_to_reference(reference)
    })
}

fn add_comparison(
    families: &mut Families,
    labels: &ComparisonLabels<'_>,
    feature: &WindowFeatureView,
    comparison: &ComparisonView,
) {
    let (Some(counts), Some(reference)) = (&feature.counts, &comparison.reference) else {
        return;
    };
    let layout = &reference.layout;
    if layout.len() > MAX_BINS {
        return;
    }
    let [window_total, reference_total] = [counts.as_ref(), &reference.counts].map(total);
    for bin in 0..layout.len() {
        let (current, expected) = (counts.in_bin(bin), reference.counts.in_bin(bin));
        if layout.is_optional(bin) && current + expected == 0 {
            continue;
        }
        let (number, bound) = (format!("{bin:02}"), bin_text(layout.name(bin)));
        let bin_labels = labels.with_bin(&number, &bound);
        if let Some(ratio) = share(current, window_total) {
            families.add(catalog::WINDOW_BIN_RATIO, &bin_labels, ratio);
        }
        if let Some(ratio) = share(expected, reference_total) {
            families.add(catalog::REFERENCE_BIN_RATIO, &bin_labels, ratio);
        }
    }
}

/// The values in all bins.
fn total(counts: &FeatureCounts) -> u64 {
    counts.bins.iter().sum()
}

/// The most series of bins that a monitor can have per window and reference.
pub(super) fn estimate_bins(plan: &MonitorPlan) -> usize {
    let mut lengths: Vec<usize> = plan
        .features
        .iter()
        .filter(|feature| plan.spec.export_bins == BinExport::All || !feature.rules.is_empty())
        .map(bins_of)
        .filter(|bins| *bins <= MAX_BINS)
        .collect();
    lengths.sort_unstable_by(|a, b| b.cmp(a));
    let limit = match plan.spec.export_bins {
        BinExport::None => 0,
        BinExport::Firing => MAX_FIRING_FEATURES,
        BinExport::All => lengths.len(),
    };
    2 * lengths.iter().take(limit).sum::<usize>()
}

fn bins_of(feature: &FeaturePlan) -> usize {
    feature.layout.as_deref().map_or(0, Layout::len)
}
