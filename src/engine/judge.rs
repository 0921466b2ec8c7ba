//! What a feature's scores mean: levels, lines and how far to trust them, for one window against one reference.
//!
//! The same code judges the stream, a replayed file and `compare`; they differ only in how often a clean window may exceed a line.

use std::time::Duration;

use super::{FeaturePlan, Rule, ThresholdSource};
use crate::alert::Threshold;
use crate::calibration::{
    CalibrationStatus, NullDistribution, NullModel, WindowContext, detectable_shift, tolerance_on,
};
use crate::model::{Budget, NotReady, Statistic, Tolerance};
use crate::score::{Rates, Scores};
use crate::stats::FeatureCounts;

/// However long the interval between windows, a line is not more frequently exceeded than this.
const MOST_FREQUENT: f64 = 0.01;
/// A firing alert is cleared when its score has come this far down from the line to the floor.
const HYSTERESIS: f64 = 0.2;

/// One statistic of one window, next to what it does when nothing happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StatisticAssessment {
    /// Which.
    pub statistic: Statistic,
    /// The no-drift level, on the score's own scale.
    pub noise_floor: f64,
    /// The share of clean windows that go this far.
    pub p_value: f64,
    /// The lowest line of any severity; where no rule judges the statistic, that of the default budget and tolerance.
    pub threshold: f64,
    /// By how much clean windows differ more than clean samples do.
    pub design_effect: f64,
    /// The shift of a normal feature's mean, in standard deviations, that reaches the line; `None` for rates.
    pub detectable_shift: Option<f64>,
}

/// Everything calibration says about one feature in one window.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Assessment {
    /// One per statistic that has a law.
    pub levels: Vec<StatisticAssessment>,
    /// By how much clean windows differ more than clean samples do, by `js`.
    pub design_effect: f64,
    /// What limits the trust in the lines.
    pub statuses: Vec<CalibrationStatus>,
    /// One per rule of the feature; `None` where it has no line.
    pub lines: Vec<Option<Threshold>>,
}

impl Assessment {
    /// The level of a statistic.
    #[must_use]
    pub fn level(&self, statistic: Statistic) -> Option<&StatisticAssessment> {
        self.levels
            .iter()
            .find(|level| level.statistic == statistic)
    }
}

/// The window that is judged.
#[derive(Debug, Clone, Copy)]
pub struct AssessmentInput<'a> {
    /// Its counts.
    pub counts: &'a FeatureCounts,
    /// Its scores, where they are ready.
    pub scores: Option<&'a Scores>,
    /// Its rates.
    pub rates: &'a Rates,
    /// Time between windows; `None` where there is only one.
    pub step: Option<Duration>,
    /// What else is known about it.
    pub context: WindowContext<'a>,
}

/// Judges a feature by what is known of clean windows.
#[must_use]
pub fn assess(
    feature: &FeaturePlan,
    calibration: &NullModel,
    judged: &AssessmentInput<'_>,
) -> Assessment {
    let gauge = |statistic| calibration.gauge(statistic, judged.counts, &judged.context);
    let gauges: Vec<(Statistic, NullDistribution)> = Statistic::ALL
        .iter()
        .filter_map(|statistic| Some((*statistic, gauge(*statistic)?)))
        .collect();
    let found = |statistic: Statistic| {
        let own = gauges.iter().find(|(known, _)| *known == statistic);
        own.map(|(_, gauge)| gauge)
    };
    let lines: Vec<Option<Threshold>> = feature
        .rules
        .iter()
        .map(|rule| {
            line(
                rule,
                found(rule.statistic),
                calibration,
                feature.budgeted_statistics,
                judged,
            )
        })
        .collect();
    let levels = gauges.iter().filter_map(|(statistic, gauge)| {
        level(*statistic, gauge, &lines, feature, calibration, judged)
    });
    let rarest = feature
        .rules
        .iter()
        .filter_map(|rule| match rule.threshold_source {
            ThresholdSource::Fixed(_) => None,
            ThresholdSource::Budget { interval, .. } => {
                Some(alpha(interval, feature.budgeted_statistics, judged.step))
            }
        });
    let rarest = rarest.fold(1.0, f64::min);
    let n = judged.counts.tallies.values;
    Assessment {
        levels: levels.collect(),
        design_effect: found(Statistic::Js).map_or(1.0, NullDistribution::design_effect),
        statuses: calibration.statuses(n, rarest, &judged.context),
        lines,
    }
}

/// How often a clean window may exceed a line, so that all rules of a feature together keep the budget.
fn alpha(interval: Duration, share: u32, step: Option<Duration>) -> f64 {
    let frequency = step.map_or(MOST_FREQUENT, |step| {
        step.as_secs_f64() / interval.as_secs_f64()
    });
    frequency.min(MOST_FREQUENT) / f64::from(share.max(1))
}

fn line(
    rule: &Rule,
    gauge: Option<&NullDistribution>,
    calibration: &NullModel,
    share: u32,
    judged: &AssessmentInput<'_>,
) -> Option<Threshold> {
    match rule.threshold_source {
        ThresholdSource::Fixed(threshold) => Some(rule.fixed_line(threshold)),
        ThresholdSource::Budget {
            interval,
            tolerance,
            of,
        } => {
            let scorer = calibration.scorer();
            let tolerance = tolerance_on(of, tolerance, scorer.reference(), scorer.body());
            let gauge = gauge?;
            let found = gauge.line(alpha(interval, share, judged.step), tolerance);
            let floor = gauge.noise_floor();
            let cleared = (1.0 - HYSTERESIS) * found.upper + HYSTERESIS * floor;
            Some(Threshold {
                above: found.upper,
                cleared: found.upper.min(cleared),
                below: found.lower,
            })
        }
    }
}

fn level(
    statistic: Statistic,
    gauge: &NullDistribution,
    lines: &[Option<Threshold>],
    feature: &FeaturePlan,
    calibration: &NullModel,
    judged: &AssessmentInput<'_>,
) -> Option<StatisticAssessment> {
    let score = if statistic.is_rate() {
        judged.rates.get(statistic)?
    } else {
        judged.scores?.get(statistic)?
    };
    let own = feature.rules.iter().zip(lines);
    let own = own.filter(|(rule, _)| rule.statistic == statistic);
    let lowest = own
        .filter_map(|(_, line)| Some(line.as_ref()?.above))
        .min_by(f64::total_cmp);
    let by_default = || {
        let scorer = calibration.scorer();
        let tolerance = tolerance_on(
            statistic,
            Tolerance::Default,
            scorer.reference(),
            scorer.body(),
        );
        let alpha = alpha(Budget::INTERVAL, feature.budgeted_statistics, judged.step);
        gauge.line(alpha, tolerance).upper
    };
    let threshold = lowest.unwrap_or_else(by_default);
    Some(StatisticAssessment {
        statistic,
        noise_floor: gauge.noise_floor(),
        p_value: gauge.p_value(score),
        threshold,
        design_effect: gauge.design_effect(),
        detectable_shift: detectable_shift(statistic, threshold),
    })
}

/// Whether a calibrated alert has enough behind it: a window of clustered values is worth fewer of them.
///
/// # Errors
/// `TooFewSamples` with the effective number.
pub(super) fn enough(samples: u64, design_effect: f64, need: u64) -> Result<(), NotReady> {
    let have = effective(samples, design_effect);
    if have < need {
        return Err(NotReady::TooFewSamples { have, need });
    }
    Ok(())
}

/// Values of a window, less what they repeat of each other.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most the number of samples"
)]
pub fn effective(samples: u64, design_effect: f64) -> u64 {
    (samples as f64 / design_effect.max(1.0)) as u64
}
