//! Deviations of a part of a stream from the rest of it, on the scale of the null distributions.
//!
//! Blocks of a reference are compared with the rest of the reference, windows of the stream with
//! what was counted before them. Both give scores and rates on their quadratic scale over their
//! noise variance, so that parts of different sizes can be compared.

use super::null_table::{SIMULATED, noise_variance, quadratic};
use crate::model::Statistic;
use crate::score::{Rates, Scorer, samples_behind};
use crate::stats::{FeatureCounts, moments};

/// The rates, in the order of [`Deviations::rates`].
pub(super) const RATES: [Statistic; 4] = [
    Statistic::MissingRatio,
    Statistic::InvalidRatio,
    Statistic::UnseenRatio,
    Statistic::OutOfRangeRatio,
];

/// The deviation of a rate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct RateDeviation {
    /// Squared difference of the rates over their noise variance; a rate that alarms on one side
    /// only counts where it is above the rest's.
    pub(super) squared: f64,
    /// `1/n + 1/m` of the samples behind the rate.
    pub(super) noise_variance: f64,
}

/// The deviations of a part of a stream from the rest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Deviations {
    /// Scores on the quadratic scale over `noise_variance`, by simulated statistic; not finite
    /// where there is no such score.
    pub(super) scores: [f64; SIMULATED.len()],
    /// `1/n + 1/m` of the values.
    pub(super) noise_variance: f64,
    /// By rate; `None` where the feature has no such rate.
    pub(super) rates: [Option<RateDeviation>; RATES.len()],
    /// Squared difference of the shares of rare values over the variance of independent ones, with
    /// mean 1 without clusters. `None` where no value of the rest is rare.
    pub(super) rare: Option<f64>,
}

impl Deviations {
    /// The deviations of `part` from `rest`, both counted in the layout of `scorer`; `None` where
    /// one of them has no values.
    pub(super) fn of(part: &FeatureCounts, rest: &FeatureCounts, scorer: &Scorer) -> Option<Self> {
        let [n, m] = [part, rest].map(|counts| counts.tallies.values as f64);
        let noise_variance = noise_variance(n, m);
        let scores = scorer.against(part, rest)?;
        Some(Deviations {
            scores: quadratic(&scores).map(|score| score / noise_variance),
            noise_variance,
            rates: RATES.map(|statistic| rate_deviation(statistic, part, rest, scorer)),
            rare: rare_deviation(part, rest, scorer, noise_variance),
        })
    }
}

fn rate_deviation(
    statistic: Statistic,
    part: &FeatureCounts,
    rest: &FeatureCounts,
    scorer: &Scorer,
) -> Option<RateDeviation> {
    let layout = &scorer.reference().layout;
    let rate = |counts: &FeatureCounts| Rates::of(counts, layout).get(statistic);
    let difference = rate(part)? - rate(rest)?;
    let is_two_sided = statistic == Statistic::MissingRatio;
    let counted = if is_two_sided {
        difference
    } else {
        difference.max(0.0)
    };
    let [n, m] = [part, rest].map(|counts| samples_behind(statistic, &counts.tallies) as f64);
    let noise_variance = noise_variance(n, m);
    Some(RateDeviation {
        squared: counted * counted / noise_variance,
        noise_variance,
    })
}

/// The deviation of the share of rare values: values beyond the 1 % and the 99 % quantile of the
/// reference, or in its rare categories.
///
/// Rates of events that hardly ever occur say nothing about clusters; the next rarer values do.
pub(super) fn rare_deviation(
    part: &FeatureCounts,
    rest: &FeatureCounts,
    scorer: &Scorer,
    noise_variance: f64,
) -> Option<f64> {
    let share = |counts: &FeatureCounts| {
        scorer.rare_values(counts) as f64 / counts.tallies.values.max(1) as f64
    };
    let expected = share(rest);
    let variance = expected * (1.0 - expected) * noise_variance;
    (variance > 0.0).then(|| (share(part) - expected).powi(2) / variance)
}

/// Mean squared difference over the variance of independent values; at least 1.
pub(super) fn design_effect_of_rare(deviations: &[f64]) -> f64 {
    if deviations.is_empty() {
        return 1.0;
    }
    moments(deviations).0.max(1.0)
}
