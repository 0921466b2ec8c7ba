//! Alerts in plain words: what an on-call engineer reads first.
//!
//! A rate is told as before -> after. A score is told by what changed in the data, because "0.9
//! bit" wakes nobody: the bin whose share changed most, the medians, the unit error that the shift
//! looks like. Value, threshold and number of samples follow.

use super::numbers::{grouped, number_text, percent, short_number};
use super::shift::{describe_beyond, describe_rate, describe_shift};
use super::unexpected::advice;
use crate::alert::AlertState;
use crate::engine::{
    AlertView, Assessment, ComparisonView, FeatureView, WindowFeatureView, effective_samples,
};
use crate::model::{NotReady, Statistic, duration};
use crate::reference::FeatureReference;
use crate::score::Distances;
use crate::stats::{FeatureCounts, Layout};

/// The comparison that an alert belongs to, as far as its explanation needs it.
#[derive(Debug, Clone, Copy)]
pub struct AlertContext<'a> {
    /// The layout of the counts.
    layout: Option<&'a Layout>,
    /// The counts of the window.
    counts: Option<&'a FeatureCounts>,
    /// The reference in force.
    reference: Option<&'a FeatureReference>,
    /// The assessment by calibration.
    assessment: Option<&'a Assessment>,
    /// The distances of a numeric feature, where they are ready.
    distances: Option<Distances>,
    /// The reason why there is no score.
    not_ready: Option<NotReady>,
}

impl<'a> AlertContext<'a> {
    /// The context of the alerts of one comparison.
    pub(super) fn new(
        feature: &'a FeatureView,
        window: &'a WindowFeatureView,
        comparison: &'a ComparisonView,
    ) -> Self {
        AlertContext::with_layout(feature.layout.as_deref(), window, comparison)
    }

    /// The context of the alerts of one comparison whose counts have this layout.
    #[must_use]
    pub fn with_layout(
        layout: Option<&'a Layout>,
        window: &'a WindowFeatureView,
        comparison: &'a ComparisonView,
    ) -> Self {
        AlertContext {
            layout,
            counts: window.counts.as_deref(),
            reference: comparison.reference.as_deref(),
            assessment: comparison.assessment.as_deref(),
            distances: comparison.scores.ok().and_then(|scores| scores.distances),
            not_ready: comparison.scores.err(),
        }
    }
}

/// The length of an explanation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Detail {
    /// For a message, which people read on a phone.
    Brief,
    /// With the budget, the level without drift, and the effective samples.
    Full,
}

/// One line that explains the state of an alert; the feature is not named.
#[must_use]
pub fn explain(alert: &AlertView, context: &AlertContext<'_>) -> String {
    explain_in(Detail::Full, alert, context)
}

/// The explanation for a message: without the budget of the threshold and the level without drift,
/// which the page has.
#[must_use]
pub(super) fn explain_briefly(alert: &AlertView, context: &AlertContext<'_>) -> String {
    explain_in(Detail::Brief, alert, context)
}

fn explain_in(detail: Detail, alert: &AlertView, context: &AlertContext<'_>) -> String {
    let mut sentences = match alert.value {
        None => vec![not_ready_text(alert, context)],
        Some(value) if alert.statistic.is_rate() => vec![rate_text(detail, alert, value, context)],
        Some(value) => {
            let mut sentences = changes(context);
            let distances = context.distances.filter(|_| is_distance(alert.statistic));
            sentences.extend(distances.as_ref().and_then(describe_beyond));
            sentences.push(score_text(detail, alert, value, context));
            sentences
        }
    };
    if alert.value.is_some() {
        sentences.extend(not_judged_text(alert.state));
    }
    sentences.join("; ")
}

/// The reason why an alert does not judge a score that exists; `None` while it does.
#[must_use]
pub(super) fn not_judged_text(state: AlertState) -> Option<String> {
    match state {
        // The window is full, or it would have no score: what it waits for is the null tables.
        AlertState::NotReady(NotReady::Warming) => {
            Some("not judged yet: the threshold is being calibrated".to_owned())
        }
        AlertState::NotReady(reason) => Some(format!("not judged: {reason}")),
        AlertState::Inactive | AlertState::Pending | AlertState::Firing => None,
    }
}

/// One line that explains the alert on the number of events of a window.
#[must_use]
pub fn explain_volume(alert: &AlertView) -> String {
    let whole = |number: f64| number_text(number, number.fract() == 0.0);
    let min_events = alert.threshold.map(whole).unwrap_or_default();
    let Some(events) = alert.value.map(whole) else {
        return match alert.state {
            AlertState::NotReady(reason) => format!("number of events not known: {reason}"),
            _ => "number of events not known, the alert is held".to_owned(),
        };
    };
    if alert.is_exceeded() {
        format!("{events} events in the window, below the expected {min_events}")
    } else {
        format!("{events} events in the window, at least {min_events} are expected")
    }
}

/// True for the statistics that measure how far values have moved.
const fn is_distance(statistic: Statistic) -> bool {
    matches!(
        statistic,
        Statistic::Wasserstein | Statistic::WassersteinNormalized | Statistic::WassersteinBody
    )
}

/// The changes in the data; none without values and a reference.
fn changes(context: &AlertContext<'_>) -> Vec<String> {
    match (context.layout, context.counts, context.reference) {
        (Some(layout), Some(counts), Some(reference)) => describe_shift(layout, counts, reference),
        _ => Vec::new(),
    }
}

/// The reason why there is no value. A window without values says where its events went.
fn not_ready_text(alert: &AlertView, context: &AlertContext<'_>) -> String {
    let reason = match alert.state {
        AlertState::NotReady(reason) => Some(reason),
        AlertState::Inactive | AlertState::Pending | AlertState::Firing => context.not_ready,
    };
    let mut text = format!("{} not ready", alert.statistic);
    if let Some(reason) = reason {
        text += &format!(": {reason}");
    }
    let missing = context
        .counts
        .filter(|counts| counts.tallies.values == 0)
        .and_then(|counts| counts.tallies.missing_ratio());
    if let Some(missing) = missing {
        text += &format!(", {} missing", percent(missing));
    }
    if alert.state == AlertState::Firing {
        text += ", the alert is held";
    }
    text
}

/// A rate before and after, or a volume.
fn rate_text(detail: Detail, alert: &AlertView, value: f64, context: &AlertContext<'_>) -> String {
    if alert.statistic == Statistic::Samples {
        let threshold = alert.threshold.map(short_number).unwrap_or_default();
        let samples = short_number(value);
        return match alert.state {
            AlertState::Firing | AlertState::Pending => {
                format!("{samples} values in the window, fewer than the threshold of {threshold}")
            }
            AlertState::Inactive | AlertState::NotReady(_) => {
                format!("{samples} values in the window, threshold below {threshold}")
            }
        };
    }
    let mut clauses = vec![describe_rate(
        alert.statistic,
        context.reference,
        value,
        context.counts,
    )];
    let window = context
        .counts
        .zip(context.reference)
        .map(|(counts, reference)| (counts, reference.kind));
    if alert.statistic == Statistic::InvalidRatio {
        clauses.extend(window.and_then(|(counts, kind)| advice(counts, kind)));
    }
    clauses.extend(threshold_text(detail, alert, value, percent));
    if let Some(counts) = context.counts {
        let events = grouped(counts.tallies.events());
        clauses.push(format!("{events} events"));
    }
    clauses.join(", ")
}

/// A score with its threshold, its level without drift, and the number of samples.
fn score_text(detail: Detail, alert: &AlertView, value: f64, context: &AlertContext<'_>) -> String {
    let (statistic, unit) = (alert.statistic, alert.statistic.unit());
    let is_lower_bound = context
        .distances
        .is_some_and(|distances| distances.is_lower_bound);
    let at_least = match statistic {
        Statistic::Wasserstein | Statistic::WassersteinNormalized if is_lower_bound => "at least ",
        _ => "",
    };
    let mut clauses = vec![
        format!("{statistic} {at_least}{} {unit}", short_number(value))
            .trim_end()
            .to_owned(),
    ];
    clauses.extend(threshold_text(detail, alert, value, short_number));
    let level = context
        .assessment
        .and_then(|assessment| assessment.statistic(statistic))
        .filter(|_| detail == Detail::Full);
    if let Some(level) = level {
        clauses.push(format!("{} without drift", short_number(level.noise_floor)));
    }
    if let Some(counts) = context.counts {
        let assessment = context.assessment.filter(|_| detail == Detail::Full);
        clauses.push(samples_text(counts, assessment));
    }
    clauses.join(", ")
}

/// The threshold on the side of the value, with its budget.
fn threshold_text(
    detail: Detail,
    alert: &AlertView,
    value: f64,
    number: fn(f64) -> String,
) -> Option<String> {
    let threshold = number(alert.threshold?);
    let mut text = match alert.lower {
        Some(lower) if value < lower => format!("below the threshold of {}", number(lower)),
        _ => format!("threshold {threshold}"),
    };
    if let Some(interval) = alert.interval.filter(|_| detail == Detail::Full) {
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
    use crate::engine::StatisticAssessment;
    use crate::model::{Kind, Severity};
    use crate::reference::{Column, FitOptions, fit};
    use crate::stats::Tallies;

    const NOTHING: AlertContext<'_> = AlertContext {
        layout: None,
        counts: None,
        reference: None,
        assessment: None,
        distances: None,
        not_ready: None,
    };

    /// Values from 10 to 109, and 200 of 10,200 rows without one.
    fn reference() -> FeatureReference {
        let column = Column {
            numbers: (0..10_000).map(|i| 10.0 + f64::from(i % 100)).collect(),
            tallies: Tallies {
                missing: [200, 0, 0],
                ..Tallies::default()
            },
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
            transition: None,
            since: None,
        }
    }

    #[test]
    fn a_score_is_explained_by_the_data_first() {
        let reference = reference();
        let layout = reference.layout.numeric().unwrap();
        let mut window = FeatureCounts::new(&reference.layout);
        (0..6210).for_each(|i| window.record_number(layout, 100.0 * (10.0 + f64::from(i % 100))));
        let assessment = Assessment {
            statistics: vec![StatisticAssessment {
                statistic: Statistic::Js,
                noise_floor: 0.004,
                p_value: 1e-9,
                threshold: Some(0.019),
                design_effect: 1.5,
                detectable_shift: None,
            }],
            design_effect: 1.5,
            ..Assessment::default()
        };
        let context = AlertContext {
            layout: Some(&reference.layout),
            counts: Some(&window),
            reference: Some(&reference),
            assessment: Some(&assessment),
            distances: None,
            not_ready: None,
        };
        assert_eq!(
            explain(&alert(), &context),
            "above 109: 0.0 % -> 100.0 %; median 59 -> 5969; looks like x100; js 0.900 bit, \
             threshold 0.01900 (1 false alarm per 30d), 0.00400 without drift, 6,210 samples \
             (4,140 effective)"
        );
        assert_eq!(
            explain_briefly(&alert(), &context),
            "above 109: 0.0 % -> 100.0 %; median 59 -> 5969; looks like x100; js 0.900 bit, \
             threshold 0.01900, 6,210 samples"
        );
    }

    #[test]
    fn a_distance_says_how_much_of_it_lies_beyond_the_reference() {
        // It was in JSON only, and a lower bound looked like a measured distance.
        let context = AlertContext {
            distances: Some(Distances {
                wasserstein: 1000.0,
                wasserstein_normalized: 33.0,
                beyond_reference: 820.0,
                body: 0.4,
                ks: 0.2,
                is_lower_bound: true,
                is_unscaled: false,
            }),
            ..NOTHING
        };
        let of = |statistic: Statistic, value: f64| AlertView {
            statistic,
            value: Some(value),
            threshold: Some(0.3),
            interval: None,
            ..alert()
        };
        assert_eq!(
            explain(&of(Statistic::WassersteinNormalized, 33.0), &context),
            "82 % of the distance comes from values beyond the reference; wasserstein_normalized at \
             least 33.0 std, threshold 0.300"
        );
        let js = explain(&of(Statistic::Js, 0.9), &context);
        assert_eq!(js, "js 0.900 bit, threshold 0.300", "no distance");
    }

    /// An alert of the missing ratio was explained by bins of the values that are left.
    #[test]
    fn a_rate_is_explained_as_before_and_after() {
        let reference = reference();
        let mut window = FeatureCounts::new(&reference.layout);
        window.tallies.values = 722;
        window.tallies.missing = [0, 278, 0];
        let context = AlertContext {
            layout: Some(&reference.layout),
            counts: Some(&window),
            reference: Some(&reference),
            ..NOTHING
        };
        let missing = |value: f64| AlertView {
            statistic: Statistic::MissingRatio,
            threshold: Some(0.031),
            lower: Some(0.009),
            value: Some(value),
            interval: None,
            ..alert()
        };
        assert_eq!(
            explain(&missing(0.278), &context),
            "missing 2.0 % -> 27.8 %, threshold 3.1 %, 1,000 events"
        );
        assert_eq!(
            explain(&missing(0.001), &context),
            "missing 2.0 % -> 0.1 %, below the threshold of 0.9 %, 1,000 events"
        );
    }

    #[test]
    fn text_in_place_of_numbers_is_explained_with_what_to_do() {
        let reference = reference();
        let mut window = FeatureCounts::new(&reference.layout);
        window.tallies.invalid[0] = 500;
        (0..500).for_each(|_| window.unexpected_values.record("\"12.5\""));
        let context = AlertContext {
            layout: Some(&reference.layout),
            counts: Some(&window),
            reference: Some(&reference),
            ..NOTHING
        };
        let alert = AlertView {
            statistic: Statistic::InvalidRatio,
            threshold: Some(0.001),
            value: Some(1.0),
            interval: None,
            ..alert()
        };
        assert_eq!(
            explain(&alert, &context),
            "invalid values 0.0 % -> 100.0 %: \"12.5\" (500), numbers are expected: set \
             `coerce: true` or `kind: categorical`, threshold 0.1 %, 500 events"
        );
    }

    /// Sixty events were "60.0 events".
    #[test]
    fn a_number_of_events_is_whole() {
        let volume = AlertView {
            statistic: Statistic::Samples,
            threshold: Some(200.0),
            value: Some(60.0),
            ..alert()
        };
        assert_eq!(
            explain_volume(&volume),
            "60 events in the window, below the expected 200"
        );
    }

    #[test]
    fn too_small_a_volume_is_told_as_fewer() {
        let alert = AlertView {
            statistic: Statistic::Samples,
            threshold: Some(200.0),
            value: Some(0.0),
            interval: None,
            ..alert()
        };
        assert_eq!(
            explain(&alert, &NOTHING),
            "0 values in the window, fewer than the threshold of 200"
        );
    }

    /// A window of nulls was explained with "NaN %".
    #[test]
    fn a_window_of_nulls_is_not_ready_and_says_so() {
        let reference = reference();
        let mut window = FeatureCounts::new(&reference.layout);
        window.tallies.missing = [500, 0, 0];
        let context = AlertContext {
            layout: Some(&reference.layout),
            counts: Some(&window),
            reference: Some(&reference),
            assessment: None,
            distances: None,
            not_ready: Some(NotReady::Empty),
        };
        let held = AlertView {
            value: None,
            ..alert()
        };
        assert_eq!(
            explain(&held, &context),
            "js not ready: no values in the window, 100.0 % missing, the alert is held"
        );
        let missing = AlertView {
            statistic: Statistic::MissingRatio,
            value: Some(1.0),
            threshold: Some(0.031),
            interval: None,
            ..alert()
        };
        assert_eq!(
            explain(&missing, &context),
            "missing 2.0 % -> 100.0 %, threshold 3.1 %, 500 events"
        );
    }

    #[test]
    fn an_alert_without_a_score_gives_the_reason() {
        let stale = AlertView {
            value: None,
            state: AlertState::NotReady(NotReady::Stale),
            ..alert()
        };
        assert_eq!(
            explain(&stale, &NOTHING),
            "js not ready: no evaluation for a long time"
        );
        let uncalibrated = AlertView {
            threshold: None,
            interval: None,
            state: AlertState::NotReady(NotReady::Warming),
            ..alert()
        };
        assert_eq!(
            explain(&uncalibrated, &NOTHING),
            "js 0.900 bit; not judged yet: the threshold is being calibrated"
        );
        let too_few = AlertView {
            state: AlertState::NotReady(NotReady::TooFewSamples {
                have: 10,
                need: 500,
            }),
            interval: None,
            ..alert()
        };
        assert_eq!(
            explain(&too_few, &NOTHING),
            "js 0.900 bit, threshold 0.01900; not judged: 10 of 500 samples"
        );
    }
}
