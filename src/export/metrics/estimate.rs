//! The upper bound of the series of a monitor, checked before it starts.
//!
//! `docs/metrics.md` has the formula. It counts every series that a monitor can have at the same
//! time, so `limits.max_series` refuses a configuration before Prometheus has to.

use super::bins::estimate_bins;
use crate::calibration::CalibrationStatus;
use crate::engine::{FeaturePlan, MonitorPlan};
use crate::model::{MonitorSpec, Statistic};
use crate::score::ScoreStatus;

/// Series of a monitor beside those of its features and windows: counters and two histograms.
const PER_MONITOR: usize = 72;
/// Series of a feature outside windows: counters by kind and reason, and its info.
const PER_FEATURE: usize = 12;
/// Series of a comparison beside those per statistic, rule and status.
const PER_COMPARISON: usize = 6;
/// Series of a calibrated statistic: floor, p-value, design effect, detectable shift.
const PER_CALIBRATED_STATISTIC: usize = 4;

/// Series of an alert: two thresholds, their ratio, state, beginning, explanation.
const PER_ALERT: usize = 6;
/// Series of a window beside those of its features: its sizes, coverage and end.
const PER_WINDOW: usize = 5;

/// Series of a volume alert: those of an alert but for one threshold, and the number of events.
const PER_VOLUME: usize = 5;

/// The most series that a monitor can produce, its counters included.
#[must_use]
pub fn estimate_series(plan: &MonitorPlan) -> usize {
    let (windows, references) = (plan.spec.windows.len(), plan.references.len());
    let per_window: usize = plan
        .features
        .iter()
        .map(|feature| 2 + references * series_of_comparison(&plan.spec, feature))
        .sum();
    let per_volume = plan.spec.volume.map_or(0, |_| PER_VOLUME);
    PER_MONITOR
        + PER_FEATURE * plan.features.len()
        + windows * (per_window + PER_WINDOW + per_volume + references * (2 + estimate_bins(plan)))
        + references * (3 + 2 * plan.features.len())
}

/// The most series of one feature in one window against one reference.
fn series_of_comparison(spec: &MonitorSpec, feature: &FeaturePlan) -> usize {
    let mut statistics: Vec<Statistic> = spec
        .statistics
        .iter()
        .copied()
        .filter(|statistic| feature.kind.has(*statistic))
        .chain(feature.rules.iter().map(|rule| rule.statistic))
        .collect();
    statistics.sort_unstable();
    statistics.dedup();
    let calibrated = if feature.budgeted_statistics > 0 {
        // One more statistic and its score: the calibrated body of a Wasserstein score.
        PER_CALIBRATED_STATISTIC * (statistics.len() + 1) + 1 + CalibrationStatus::ALL.len()
    } else {
        0
    };
    PER_COMPARISON
        + ScoreStatus::ALL.len()
        + statistics.len()
        + calibrated
        + PER_ALERT * feature.rules.len()
}
