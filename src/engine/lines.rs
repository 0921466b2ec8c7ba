//! Rules and their lines: what a rule judges, where its line is, and whether there is enough behind it.

use super::judge::enough;
use super::plan::{Rule, ThresholdSource};
use super::totals::Transitions;
use super::{AlertView, Assessment};
use crate::alert::{AlertState, Threshold, Transition};
use crate::model::{NotReady, Severity, Statistic};
use crate::score::{Rates, Scores, samples_behind};
use crate::stats::FeatureCounts;

/// What a rule judges: a rate or the volume of the window, or a score against a reference.
pub(super) fn judged_value(
    statistic: Statistic,
    (rates, counts, incomplete): (&Rates, Option<&FeatureCounts>, Option<NotReady>),
    scores: Result<Scores, NotReady>,
    min_samples: u64,
) -> Result<f64, NotReady> {
    if statistic.is_rate() {
        rate(statistic, rates, counts, incomplete, min_samples)
    } else {
        scores.and_then(|scores| scores.get(statistic).ok_or(NotReady::Empty))
    }
}

/// The line of a rule in a window.
pub(super) fn bar(rule: &Rule, place: usize, assessment: Option<&Assessment>) -> Option<Threshold> {
    match rule.threshold_source {
        ThresholdSource::Fixed(threshold) => Some(rule.fixed_line(threshold)),
        ThresholdSource::Budget { .. } => assessment?.lines.get(place).copied().flatten(),
    }
}

/// Whether a calibrated line has enough samples behind it; a fixed one asks for no more than the score did.
pub(super) fn trusted(
    rule: &Rule,
    counts: Option<&FeatureCounts>,
    assessment: Option<&Assessment>,
    need: u64,
) -> Result<(), NotReady> {
    match (rule.threshold_source, counts, assessment) {
        (ThresholdSource::Budget { .. }, Some(counts), Some(assessment)) => {
            let have = samples_behind(rule.statistic, &counts.tallies);
            enough(have, assessment.design_effect, need)
        }
        _ => Ok(()),
    }
}

/// A rate, if there is enough behind it: events for missing values, values for the others. Volume needs nothing behind it.
fn rate(
    statistic: Statistic,
    rates: &Rates,
    counts: Option<&FeatureCounts>,
    incomplete: Option<NotReady>,
    need: u64,
) -> Result<f64, NotReady> {
    if let Some(reason) = incomplete {
        return Err(reason);
    }
    let tallies = counts.map(|counts| counts.tallies).unwrap_or_default();
    let have = samples_behind(statistic, &tallies);
    if statistic == Statistic::Samples {
        return Ok(have as f64);
    }
    match rates.get(statistic) {
        Some(_) if have < need => Err(NotReady::TooFewSamples { have, need }),
        Some(value) => Ok(value),
        None => Err(NotReady::Empty),
    }
}

pub(super) fn line(
    rule: &Rule,
    line: Option<&Threshold>,
    value: Option<f64>,
    state: AlertState,
) -> AlertView {
    let (above, below) = line.map_or((None, None), |line| (Some(line.above), line.below));
    let (threshold, lower) = if rule.statistic.alarms_below() {
        (below, None)
    } else {
        (above, below)
    };
    AlertView {
        statistic: rule.statistic,
        severity: rule.severity,
        threshold,
        lower,
        interval: match rule.threshold_source {
            ThresholdSource::Fixed(_) => None,
            ThresholdSource::Budget { interval, .. } => Some(interval),
        },
        value,
        state,
    }
}

pub(super) fn count(
    transition: Option<Transition>,
    severity: Severity,
    transitions: &mut Transitions,
) {
    if let Some(transition) = transition {
        transitions[severity as usize][transition as usize] += 1;
    }
}
