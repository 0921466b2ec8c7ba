//! Alerts and shifts in plain words: what an on-call engineer reads first.
//!
//! One line has the score and its threshold, the number of samples, and what changed in the data:
//! the bin whose share changed most, the medians, and the unit error that the shift looks like.

use crate::engine::{
    AlertView, Assessment, ComparisonView, FeatureView, WindowFeatureView, effective_samples,
};
use crate::model::duration;
use crate::reference::FeatureReference;
use crate::stats::{CellScale, FeatureCounts, Layout};

use super::numbers::{bin_text, grouped, percent, short_number};

/// Factors of common unit errors: powers of ten, time, inch and centimetre, pound and kilogram,
/// mile and kilometre.
const UNIT_FACTORS: [f64; 9] = [
    1e6, 3600.0, 1000.0, 100.0, 60.0, 10.0, 2.54, 2.204_62, 1.609_34,
];
/// The largest relative difference of median and quartile range from a factor.
const FACTOR_TOLERANCE: f64 = 0.2;

/// The largest changes between a reference and a window with the same layout: the bin whose share
/// changed most, the medians, and the unit error that the shift looks like.
#[must_use]
pub fn describe_shift(
    layout: &Layout,
    window: &FeatureCounts,
    reference: &FeatureReference,
) -> Vec<String> {
    let window_values = window.tallies.values as f64;
    let reference_values = reference.counts.tallies.values as f64;
    let most_changed_bin = window
        .bins
        .iter()
        .zip(&reference.counts.bins)
        .map(|(after, before)| {
            (
                *before as f64 / reference_values,
                *after as f64 / window_values,
            )
        })
        .enumerate()
        .max_by(|(_, a), (_, b)| (a.1 - a.0).abs().total_cmp(&(b.1 - b.0).abs()));
    let mut changes = Vec::new();
    if let Some((index, (before, after))) = most_changed_bin {
        let bin = bin_text(layout.name(index));
        changes.push(format!("{bin}: {} -> {}", percent(before), percent(after)));
    }
    let Some(scale) = layout.numeric().map(|numeric| &numeric.cells) else {
        return changes;
    };
    let median = |counts: &FeatureCounts| counts.cells.quantile(scale, 0.5);
    if let (Some(before), Some(after)) = (median(&reference.counts), median(window)) {
        let (before, after) = (short_number(before), short_number(after));
        changes.push(format!("median {before} -> {after}"));
    }
    changes.extend(unit_error(scale, window, reference));
    changes
}

/// The unit error that a shift looks like: median and quartile range both changed by one factor.
fn unit_error(
    scale: &CellScale,
    window: &FeatureCounts,
    reference: &FeatureReference,
) -> Option<String> {
    let median_and_range = |counts: &FeatureCounts| {
        let [lower, median, upper] =
            [0.25, 0.5, 0.75].map(|share| counts.cells.quantile(scale, share));
        Some((median?, upper? - lower?))
    };
    let (median_before, range_before) = median_and_range(&reference.counts)?;
    let (median_after, range_after) = median_and_range(window)?;
    let ratios = [median_after / median_before, range_after / range_before];
    let agrees = |factor: f64| {
        ratios
            .iter()
            .all(|ratio| (ratio / factor - 1.0).abs() < FACTOR_TOLERANCE)
    };
    let multiplied = UNIT_FACTORS.iter().find(|factor| agrees(**factor));
    let divided = UNIT_FACTORS.iter().find(|factor| agrees(factor.recip()));
    match (multiplied, divided) {
        (Some(factor), _) => Some(format!("looks like x{factor}")),
        (None, Some(factor)) => Some(format!("looks like /{factor}")),
        (None, None) => None,
    }
}

/// The comparison that an alert belongs to, as far as its explanation needs it.
#[derive(Debug, Clone, Copy)]
pub(super) struct AlertContext<'a> {
    /// The name of the feature.
    feature: &'a str,
    /// The layout of the counts.
    layout: Option<&'a Layout>,
    /// The counts of the window.
    counts: Option<&'a FeatureCounts>,
    /// The reference in force.
    reference: Option<&'a FeatureReference>,
    /// The assessment by calibration.
    assessment: Option<&'a Assessment>,
}

impl<'a> AlertContext<'a> {
    /// The context of the alerts of one comparison.
    pub(super) fn new(
        feature: &'a FeatureView,
        window: &'a WindowFeatureView,
        comparison: &'a ComparisonView,
    ) -> Self {
        AlertContext {
            feature: &feature.name,
            layout: feature.layout.as_deref(),
            counts: window.counts.as_deref(),
            reference: comparison.reference.as_deref(),
            assessment: comparison.assessment.as_deref(),
        }
    }
}

/// One line that explains the state of an alert.
#[must_use]
pub(super) fn explain(alert: &AlertView, context: &AlertContext<'_>) -> String {
    let mut clauses = vec![score_text(alert, context)];
    clauses.extend(threshold_text(alert));
    let level = context
        .assessment
        .and_then(|assessment| assessment.statistic(alert.statistic));
    if let Some(level) = level {
        clauses.push(format!("{} without drift", short_number(level.noise_floor)));
    }
    if let Some(counts) = context.counts {
        clauses.push(samples_text(counts, context.assessment));
    }
    let mut line = clauses.join(", ");
    if let (Some(layout), Some(counts), Some(reference)) =
        (context.layout, context.counts, context.reference)
    {
        for change in describe_shift(layout, counts, reference) {
            line += "; ";
            line += &change;
        }
    }
    line
}

fn score_text(alert: &AlertView, context: &AlertContext<'_>) -> String {
    let (feature, statistic, unit) = (context.feature, alert.statistic, alert.statistic.unit());
    match alert.value.map(short_number) {
        None => format!("{feature}: {statistic} not ready"),
        Some(value) if unit.is_empty() => format!("{feature}: {statistic} {value}"),
        Some(value) => format!("{feature}: {statistic} {value} {unit}"),
    }
}

fn threshold_text(alert: &AlertView) -> Option<String> {
    let threshold = short_number(alert.threshold?);
    let mut text = if alert.statistic.alarms_below() {
        format!("threshold below {threshold}")
    } else {
        format!("threshold {threshold}")
    };
    if let Some(lower) = alert.lower {
        text += &format!(" or below {}", short_number(lower));
    }
    if let Some(interval) = alert.interval {
        text += &format!(" (1 false alarm per {})", duration::format(interval));
    }
    Some(text)
}

fn samples_text(counts: &FeatureCounts, assessment: Option<&Assessment>) -> String {
    let samples = counts.tallies.values;
    let mut text = format!("{} samples", grouped(samples));
    if let Some(assessment) = assessment.filter(|assessment| assessment.design_effect > 1.0) {
        let effective = effective_samples(samples, assessment.design_effect);
        text += &format!(" ({} effective)", grouped(effective));
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::alert::AlertState;
    use crate::engine::StatisticAssessment;
    use crate::model::{Kind, Severity, Statistic};
    use crate::reference::{Column, FitOptions, fit};

    fn reference_of(values: impl Iterator<Item = f64>) -> FeatureReference {
        let column = Column {
            numbers: values.collect(),
            ..Column::default()
        };
        fit("amount", Kind::Numeric, column, &FitOptions::default()).unwrap()
    }

    fn alert() -> AlertView {
        AlertView {
            statistic: Statistic::Js,
            severity: Severity::Critical,
            threshold: Some(0.019),
            lower: None,
            interval: Some(Duration::from_secs(30 * 86_400)),
            value: Some(0.9),
            state: AlertState::Firing,
        }
    }

    #[test]
    fn an_alert_is_explained_in_one_line() {
        let reference = reference_of((0..10_000).map(|i| 10.0 + f64::from(i % 100)));
        let layout = reference.layout.numeric().unwrap();
        let mut window = FeatureCounts::new(&reference.layout);
        (0..6210).for_each(|i| window.record_number(layout, 100.0 * (10.0 + f64::from(i % 100))));
        let assessment = Assessment {
            statistics: vec![StatisticAssessment {
                statistic: Statistic::Js,
                noise_floor: 0.004,
                p_value: 1e-9,
                threshold: 0.019,
                design_effect: 1.5,
                detectable_shift: None,
            }],
            design_effect: 1.5,
            ..Assessment::default()
        };
        let context = AlertContext {
            feature: "amount",
            layout: Some(&reference.layout),
            counts: Some(&window),
            reference: Some(&reference),
            assessment: Some(&assessment),
        };
        let line = explain(&alert(), &context);
        let beginning = "amount: js 0.900 bit, threshold 0.01900 (1 false alarm per 30d), \
                         0.00400 without drift, 6,210 samples (4,140 effective); \
                         above 109: 0.0 % -> ";
        assert!(line.starts_with(beginning), "{line}");
        assert!(line.ends_with("looks like x100"), "{line}");
    }

    #[test]
    fn an_alert_without_a_score_is_not_ready() {
        let context = AlertContext {
            feature: "amount",
            layout: None,
            counts: None,
            reference: None,
            assessment: None,
        };
        let alert = AlertView {
            value: None,
            interval: None,
            lower: Some(0.001),
            ..alert()
        };
        assert_eq!(
            explain(&alert, &context),
            "amount: js not ready, threshold 0.01900 or below 0.00100"
        );
    }

    #[test]
    fn a_shift_of_the_mean_is_not_a_unit_error() {
        let reference = reference_of((0..1000).map(f64::from));
        let layout = reference.layout.numeric().unwrap();
        let mut window = FeatureCounts::new(&reference.layout);
        (0..1000).for_each(|i| window.record_number(layout, f64::from(i) + 4500.0));
        let changes = describe_shift(&reference.layout, &window, &reference).join("; ");
        assert!(
            !changes.contains("looks like"),
            "ten times the median, but not ten times the range: {changes}"
        );
    }
}
