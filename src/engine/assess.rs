//! Assesses a feature in one window against one reference: noise floors, thresholds, p-values, and
//! the statuses that qualify them.
//!
//! The stream, a replayed file and `compare` share this code. They differ only in the time between
//! windows, from which the accepted frequency of false alarms follows.

use std::time::Duration;

use super::plan::{FeaturePlan, Rule, ThresholdSource};
use crate::alert::Threshold;
use crate::calibration::{
    CalibrationStatus, NullDistribution, NullModel, ThresholdRange, WindowContext,
};
use crate::model::{Budget, Statistic, Tolerance};
use crate::score::{Rates, ScoreStatus, Scores};
use crate::stats::FeatureCounts;

/// The part of the way from threshold to noise floor that a score must fall before its alert
/// clears.
const HYSTERESIS: f64 = 0.2;

/// One statistic of one window beside its distribution without drift.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StatisticAssessment {
    /// The score or rate that is assessed.
    pub statistic: Statistic,
    /// The mean of the null distribution, on the score's own scale.
    pub noise_floor: f64,
    /// The share of windows without drift that score at least as high, 0..=1.
    pub p_value: f64,
    /// The lowest threshold of any rule; without a rule, that of the default budget and tolerance.
    /// `None` where it is above the largest value of the statistic.
    pub threshold: Option<f64>,
    /// The design effect phi: how much more windows without drift vary than independent samples; at
    /// least 1.
    pub design_effect: f64,
    /// The shift of a normal feature's mean, in standard deviations, that reaches the threshold;
    /// `None` for rates and without a threshold.
    pub detectable_shift: Option<f64>,
}

/// The calibration's statements about one feature in one window against one reference.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Assessment {
    /// One entry for each statistic that has a null distribution.
    pub statistics: Vec<StatisticAssessment>,
    /// The design effect of `js`; 1 where it is unknown.
    pub design_effect: f64,
    /// The reasons why the thresholds are less reliable.
    pub statuses: Vec<CalibrationStatus>,
    /// One threshold for each rule of the feature; `None` where a budgeted rule has none.
    pub thresholds: Vec<Option<Threshold>>,
    /// Statistics of budgeted rules whose threshold would be above their largest value.
    pub unreachable: Vec<Statistic>,
}

impl Assessment {
    /// The entry of a statistic.
    #[must_use]
    pub fn statistic(&self, statistic: Statistic) -> Option<&StatisticAssessment> {
        self.statistics
            .iter()
            .find(|level| level.statistic == statistic)
    }
}

/// The window that is assessed.
#[derive(Debug, Clone, Copy)]
pub struct AssessmentInput<'a> {
    /// The counts of the feature.
    pub counts: &'a FeatureCounts,
    /// The scores of the feature, where they are ready.
    pub scores: Option<&'a Scores>,
    /// The rates of the feature.
    pub rates: &'a Rates,
    /// The time between windows; `None` where there is only one.
    pub step: Option<Duration>,
    /// The statistics to assess, in the order of [`Statistic::ALL`], with `js` and those of all
    /// rules.
    pub statistics: &'a [Statistic],
    /// True where the null tables for this number of values exist, or may be simulated now. Without
    /// them only rates are assessed.
    pub has_tables: bool,
    /// Length of the window, history of the stream and reference in force.
    pub context: WindowContext<'a>,
}

impl AssessmentInput<'_> {
    fn value(&self, statistic: Statistic) -> Option<f64> {
        if statistic.is_rate() {
            self.rates.get(statistic)
        } else {
            self.scores?.get(statistic)
        }
    }

    /// The smallest tolerance of any rule. A single window never learns a design effect, so it has
    /// none.
    fn least_tolerance(&self, statistic: Statistic, null_model: &NullModel) -> f64 {
        if self.step.is_none() {
            return 0.0;
        }
        null_model.least_tolerance(statistic, &self.context)
    }
}

/// The names of all limits of a comparison: of its calibrated thresholds, then of its scores.
#[must_use]
pub fn status_names(scores: Option<&Scores>, assessment: Option<&Assessment>) -> Vec<&'static str> {
    let of_thresholds = assessment
        .into_iter()
        .flat_map(|assessment| &assessment.statuses)
        .map(|status| status.name());
    let of_scores = scores
        .into_iter()
        .flat_map(Scores::statuses)
        .map(ScoreStatus::name);
    of_thresholds.chain(of_scores).collect()
}

/// Assesses a feature by the null distributions of its statistics.
#[must_use]
pub fn assess(
    feature: &FeaturePlan,
    null_model: &NullModel,
    input: &AssessmentInput<'_>,
) -> Assessment {
    let distributions: Vec<(Statistic, NullDistribution)> = input
        .statistics
        .iter()
        .filter(|statistic| statistic.is_rate() || input.has_tables)
        .filter_map(|statistic| {
            let distribution =
                null_model.null_distribution(*statistic, input.counts, &input.context)?;
            Some((*statistic, distribution))
        })
        .collect();
    let distribution_of = |statistic: Statistic| {
        distributions
            .iter()
            .find(|(known, _)| *known == statistic)
            .map(|(_, distribution)| distribution)
    };
    let thresholds: Vec<Option<Threshold>> = feature
        .rules
        .iter()
        .map(|rule| {
            let distribution = distribution_of(rule.statistic);
            threshold_of(rule, distribution, feature, null_model, input)
        })
        .collect();
    let unreachable = unreachable_statistics(feature, &thresholds, |statistic| {
        distribution_of(statistic).is_some()
    });
    let samples = input.counts.tallies.values;
    let mut statuses =
        null_model.statuses(samples, rarest_alpha(feature, input.step), &input.context);
    if !unreachable.is_empty() {
        statuses.push(CalibrationStatus::LineUnreachable);
    }
    Assessment {
        statistics: assess_statistics(feature, null_model, input, &distributions, &thresholds),
        design_effect: distribution_of(Statistic::Js).map_or_else(
            || null_model.block_design_effect(Statistic::Js, input.counts, &input.context),
            NullDistribution::design_effect,
        ),
        statuses,
        thresholds,
        unreachable,
    }
}

/// Assesses each statistic that has a value and a distribution.
fn assess_statistics(
    feature: &FeaturePlan,
    null_model: &NullModel,
    input: &AssessmentInput<'_>,
    distributions: &[(Statistic, NullDistribution)],
    thresholds: &[Option<Threshold>],
) -> Vec<StatisticAssessment> {
    distributions
        .iter()
        .filter_map(|(statistic, distribution)| {
            let value = input.value(*statistic)?;
            let has_rule = feature
                .rules
                .iter()
                .any(|rule| rule.statistic == *statistic);
            let threshold = if has_rule {
                lowest_threshold(*statistic, &feature.rules, thresholds)
            } else {
                default_threshold(*statistic, distribution, feature, null_model, input)
            };
            let distribution = (*statistic, distribution);
            Some(assess_statistic(distribution, value, threshold, null_model))
        })
        .collect()
}

/// The statistics whose rules have a distribution but no threshold, because no window could exceed
/// one.
fn unreachable_statistics(
    feature: &FeaturePlan,
    thresholds: &[Option<Threshold>],
    has_distribution: impl Fn(Statistic) -> bool,
) -> Vec<Statistic> {
    let mut unreachable: Vec<Statistic> = feature
        .rules
        .iter()
        .zip(thresholds)
        .filter(|(rule, threshold)| threshold.is_none() && has_distribution(rule.statistic))
        .map(|(rule, _)| rule.statistic)
        .collect();
    unreachable.dedup();
    unreachable
}

/// The smallest share of windows without drift that a rule of the feature lets fire; 1 without a
/// budget.
fn rarest_alpha(feature: &FeaturePlan, step: Option<Duration>) -> f64 {
    feature
        .rules
        .iter()
        .filter_map(|rule| match rule.threshold_source {
            ThresholdSource::Fixed(_) => None,
            ThresholdSource::Budget { interval, .. } => Some(feature.alpha(interval, step)),
        })
        .fold(1.0, f64::min)
}

/// Assesses one statistic of a window.
fn assess_statistic(
    (statistic, distribution): (Statistic, &NullDistribution),
    value: f64,
    threshold: Option<f64>,
    null_model: &NullModel,
) -> StatisticAssessment {
    StatisticAssessment {
        statistic,
        noise_floor: distribution.noise_floor(),
        p_value: distribution.p_value(value),
        threshold,
        design_effect: distribution.design_effect(),
        detectable_shift: threshold
            .and_then(|threshold| null_model.detectable_shift(statistic, threshold)),
    }
}

/// The threshold of a rule; `None` where a budgeted rule has no null distribution, or where its
/// threshold is above the largest value of the statistic.
fn threshold_of(
    rule: &Rule,
    distribution: Option<&NullDistribution>,
    feature: &FeaturePlan,
    null_model: &NullModel,
    input: &AssessmentInput<'_>,
) -> Option<Threshold> {
    match rule.threshold_source {
        ThresholdSource::Fixed(threshold) => Some(rule.fixed_threshold(threshold)),
        ThresholdSource::Budget {
            interval,
            tolerance,
            of,
        } => {
            let distribution = distribution?;
            let tolerance = null_model
                .tolerance_on(of, tolerance)
                .max(input.least_tolerance(rule.statistic, null_model));
            let alpha = feature.alpha(interval, input.step);
            let range = distribution.threshold(alpha, tolerance);
            if !is_reachable(rule.statistic, range, null_model) {
                return None;
            }
            let floor = distribution.noise_floor();
            let cleared = (1.0 - HYSTERESIS) * range.upper + HYSTERESIS * floor;
            Some(Threshold {
                above: range.upper,
                cleared: range.upper.min(cleared),
                below: range.lower,
            })
        }
    }
}

fn lowest_threshold(
    statistic: Statistic,
    rules: &[Rule],
    thresholds: &[Option<Threshold>],
) -> Option<f64> {
    rules
        .iter()
        .zip(thresholds)
        .filter(|(rule, _)| rule.statistic == statistic)
        .filter_map(|(_, threshold)| Some(threshold.as_ref()?.above))
        .min_by(f64::total_cmp)
}

/// True if a value of the statistic can be beyond a threshold.
fn is_reachable(statistic: Statistic, range: ThresholdRange, null_model: &NullModel) -> bool {
    let can_be_above = null_model
        .scorer()
        .largest(statistic)
        .is_none_or(|largest| range.upper < largest);
    can_be_above || range.lower.is_some_and(|lower| lower > 0.0)
}

/// The threshold of a statistic without a rule, by the default budget and tolerance; `None` where
/// no value can be above it.
fn default_threshold(
    statistic: Statistic,
    distribution: &NullDistribution,
    feature: &FeaturePlan,
    null_model: &NullModel,
    input: &AssessmentInput<'_>,
) -> Option<f64> {
    let tolerance = null_model
        .tolerance_on(statistic, Tolerance::Default)
        .max(input.least_tolerance(statistic, null_model));
    let alpha = feature.alpha(Budget::INTERVAL, input.step);
    let range = distribution.threshold(alpha, tolerance);
    is_reachable(statistic, range, null_model).then_some(range.upper)
}

/// The number of independent values that a window of clustered ones is worth: `samples / phi`,
/// rounded down.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most the number of samples"
)]
pub fn effective_samples(samples: u64, design_effect: f64) -> u64 {
    (samples as f64 / design_effect.max(1.0)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::{
        MINUTE, budgeted_alert, count, fixed, fixed_alert, plan, spec, spread,
    };

    fn assert_near(value: f64, expected: f64, reason: &str) {
        assert!(
            (value - expected).abs() < 1e-12,
            "{value} is not {expected}: {reason}"
        );
    }

    #[test]
    fn clustered_samples_are_worth_fewer_and_never_more() {
        assert_eq!(effective_samples(100, 2.5), 40);
        assert_eq!(
            effective_samples(100, 0.5),
            100,
            "a design effect is at least 1"
        );
        assert_eq!(effective_samples(5, 2.0), 2, "rounded down");
    }

    /// A feature with a fixed threshold on `js` and a budgeted one on `psi`, without drift.
    fn assessment(step: Option<Duration>) -> Assessment {
        let mut spec = spec(vec![fixed()]);
        spec.alerts = vec![
            fixed_alert(Statistic::Js, 0.5),
            budgeted_alert(Statistic::Psi),
        ];
        let plan = plan(spec);
        let feature = &plan.features[0];
        let reference = &feature.references[0];
        let layout = feature.layout.as_deref().unwrap();
        let counts = count(layout, spread(0.0));
        let scores = reference
            .scorer
            .as_ref()
            .unwrap()
            .evaluate(&counts, 1)
            .unwrap();
        let input = AssessmentInput {
            counts: &counts,
            scores: Some(&scores),
            rates: &Rates::of(&counts, layout),
            step,
            statistics: Statistic::ALL,
            has_tables: true,
            context: WindowContext::default(),
        };
        assess(feature, reference.null_model.as_ref().unwrap(), &input)
    }

    #[test]
    fn each_rule_has_a_threshold_and_each_statistic_an_assessment() {
        let assessment = assessment(Some(MINUTE));
        let [Some(js), Some(psi)] = assessment.thresholds[..] else {
            panic!("two thresholds");
        };
        assert_eq!((js.above, js.cleared), (0.5, 0.5), "a fixed number");
        let level = assessment.statistic(Statistic::Psi).unwrap();
        let expected = 0.8 * psi.above + 0.2 * level.noise_floor;
        assert_near(psi.cleared, expected, "a fifth of the way to the floor");
        assert!(level.noise_floor < psi.above, "noise does not alarm");
        assert_near(level.threshold.unwrap(), psi.above, "that of the rule");
        let js = assessment.statistic(Statistic::Js).unwrap();
        assert_near(js.threshold.unwrap(), 0.5, "a fixed one as well");
        let kl = assessment.statistic(Statistic::Kl).unwrap();
        assert!(
            kl.threshold.unwrap() > kl.noise_floor,
            "by the default budget"
        );
        assert!(level.p_value > 0.01, "no drift: {}", level.p_value);
        assert_eq!(
            assessment.statuses,
            [CalibrationStatus::PhiLearning],
            "without blocks the design effect is unknown"
        );
    }

    #[test]
    fn more_frequent_windows_have_a_higher_threshold() {
        let psi = |step| assessment(step).thresholds[1].unwrap().above;
        assert!(psi(Some(MINUTE)) > psi(None));
    }
}
