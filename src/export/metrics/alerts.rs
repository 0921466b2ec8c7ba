//! The series of one alert: its thresholds, its distance from them, and its state.
//!
//! The upper and the lower threshold are metrics of their own, because a rate may have both. Their
//! ratio to the value is one metric in which above 1 is beyond the threshold on every scale.

use super::catalog;
use super::families::Families;
use super::labels::ComparisonLabels;
use crate::alert::AlertState;
use crate::engine::AlertView;

/// Adds the series of an alert.
pub(super) fn add(families: &mut Families, labels: &ComparisonLabels<'_>, alert: &AlertView) {
    let alert_labels = labels.with_alert(alert.statistic, alert.severity);
    let (upper, lower) = if alert.statistic.alarms_below() {
        (None, alert.threshold)
    } else {
        (alert.threshold, alert.lower)
    };
    if let Some(upper) = upper {
        families.add(catalog::DRIFT_THRESHOLD, &alert_labels, upper);
    }
    if let Some(lower) = lower {
        families.add(catalog::DRIFT_THRESHOLD_LOWER, &alert_labels, lower);
    }
    if let Some(ratio) = alert.value.and_then(|value| ratio(value, upper, lower)) {
        families.add(catalog::DRIFT_THRESHOLD_RATIO, &alert_labels, ratio);
    }
    if let Some(since) = alert.since {
        families.add(catalog::ALERT_SINCE, &alert_labels, since.as_secs_f64());
    }
    if !matches!(alert.state, AlertState::NotReady(_)) {
        let is_firing = u64::from(alert.state == AlertState::Firing);
        families.count(catalog::ALERT_ACTIVE, &alert_labels, is_firing);
    }
}

/// The value divided by the upper threshold, or the lower threshold divided by the value, whichever
/// is larger. Infinite where the divisor is 0; `None` without a threshold, and for 0 / 0.
fn ratio(value: f64, upper: Option<f64>, lower: Option<f64>) -> Option<f64> {
    let above = upper.map(|upper| value / upper);
    let below = lower.map(|lower| lower / value);
    above
        .into_iter()
        .chain(below)
        .filter(|ratio| !ratio.is_nan())
        .max_by(f64::total_cmp)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn above_one_is_beyond_the_threshold_on_either_side() {
        assert_eq!(ratio(0.2, Some(0.1), None), Some(2.0), "a score");
        assert_eq!(ratio(50.0, None, Some(200.0)), Some(4.0), "a volume");
        let two_sided = |value: f64| ratio(value, Some(0.4), Some(0.1)).unwrap();
        assert!(two_sided(0.2) < 1.0, "between both");
        assert!(two_sided(0.5) > 1.0 && two_sided(0.05) > 1.0);
        assert_eq!(ratio(0.0, None, Some(200.0)), Some(f64::INFINITY));
        assert_eq!(ratio(0.0, Some(0.0), None), None, "0 / 0 is no ratio");
    }
}
