//! The null distribution of a statistic in one window: its values without drift.
//!
//! It has two sources. Simulated windows take account of bins, sizes and the noise of the
//! reference, but their values are independent. The reference's blocks show how much windows of the
//! stream vary. The threshold is the higher of the two, moved out by a tolerance.

use statrs::distribution::{Binomial, DiscreteCDF as _};

use super::block_threshold::BlockThreshold;
use super::null_table::is_root;
use super::tolerance::with_tolerance;
use crate::model::Statistic;
use crate::stats::{EmpiricalDistribution, WindowRateDistribution};

/// The null distribution of one statistic in one window.
#[derive(Debug, Clone)]
pub enum NullDistribution {
    /// Null distribution of a score.
    Score(ScoreNull),
    /// Null distribution of a rate.
    Rate(RateNull),
}

/// The null distribution of a score in a window of `n` values against `m` reference values.
#[derive(Debug, Clone)]
pub struct ScoreNull {
    pub(super) statistic: Statistic,
    /// Distribution of the score in simulated windows, on the quadratic scale over
    /// `noise_variance`.
    pub(super) simulated: EmpiricalDistribution,
    /// Noise variance of the window, `1/n + 1/m`.
    pub(super) noise_variance: f64,
    /// Design effect `phi` of the stream; at least 1.
    pub(super) design_effect: f64,
    pub(super) blocks: Option<BlockThreshold>,
}

/// The null distribution of a rate in a window of `n` events or values.
#[derive(Debug, Clone)]
pub struct RateNull {
    /// Beta-binomial distribution of the rate, given the reference.
    pub(super) distribution: WindowRateDistribution,
    /// The expected rate of a window, in 0..=1.
    pub(super) noise_floor: f64,
    /// The rate in the reference, in 0..=1.
    pub(super) expected: f64,
    /// Number of events or values in the window.
    pub(super) n: u64,
    /// Set where a rate that is too low is an alarm as well.
    pub(super) is_two_sided: bool,
    /// Distribution of the squared difference from the expected rate.
    pub(super) blocks: Option<BlockThreshold>,
}

/// A threshold on the statistic's own scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThresholdRange {
    /// A statistic above this value is an alarm.
    pub upper: f64,
    /// A statistic below this value is an alarm too; two-sided rates only.
    pub lower: Option<f64>,
}

impl NullDistribution {
    /// The expected value without drift, on the statistic's own scale.
    ///
    /// For a score `v phi mean`, or its root where the score is a distance; for a rate the mean of
    /// its posterior given the reference, which is above 0 for what the reference never shows.
    #[must_use]
    pub fn noise_floor(&self) -> f64 {
        match self {
            NullDistribution::Score(null) => {
                null.on_own_scale(null.noise_variance * null.design_effect * null.simulated.mean)
            }
            NullDistribution::Rate(null) => null.noise_floor,
        }
    }

    /// The design effect `phi`: variation of windows over that of independent samples; at least 1.
    ///
    /// 1 for rates.
    #[must_use]
    pub fn design_effect(&self) -> f64 {
        match self {
            NullDistribution::Score(null) => null.design_effect,
            NullDistribution::Rate(_) => 1.0,
        }
    }

    /// The threshold that at most a share `alpha` of windows without drift exceeds.
    ///
    /// `alpha` is in 0..=1. `tolerance` (at least 0, on the statistic's own scale) moves it out.
    #[must_use]
    pub fn threshold(&self, alpha: f64, tolerance: f64) -> ThresholdRange {
        match self {
            NullDistribution::Score(null) => ThresholdRange {
                upper: with_tolerance(null.statistic, null.quantile_above(alpha), tolerance),
                lower: None,
            },
            NullDistribution::Rate(null) => null.threshold(alpha, tolerance),
        }
    }

    /// The `alpha` at which the threshold without tolerance equals the statistic, in 0..=1.
    ///
    /// `value` is on the statistic's own scale.
    #[must_use]
    pub fn p_value(&self, value: f64) -> f64 {
        match self {
            NullDistribution::Score(null) => null.p_value(value),
            NullDistribution::Rate(null) => null.p_value(value),
        }
    }
}

impl ScoreNull {
    fn on_own_scale(&self, quadratic: f64) -> f64 {
        if is_root(self.statistic) {
            quadratic.sqrt()
        } else {
            quadratic
        }
    }

    /// The score on the quadratic scale that a share `alpha` of windows exceeds.
    ///
    /// `max(v phi q0(alpha), block quantile(alpha))`, where `q0` is the simulated quantile.
    fn quantile_above(&self, alpha: f64) -> f64 {
        let simulated =
            self.noise_variance * self.design_effect * self.simulated.quantile_above(alpha);
        self.blocks.as_ref().map_or(simulated, |blocks| {
            blocks.quantile_above(alpha).max(simulated)
        })
    }

    fn p_value(&self, score: f64) -> f64 {
        let quadratic = if is_root(self.statistic) {
            score * score
        } else {
            score
        };
        let simulated = self
            .simulated
            .survival(quadratic / (self.noise_variance * self.design_effect));
        let blocks = self
            .blocks
            .as_ref()
            .map_or(0.0, |blocks| blocks.survival(quadratic));
        simulated.max(blocks).clamp(0.0, 1.0)
    }
}

impl RateNull {
    /// The threshold of a rate; `alpha` is divided between the sides.
    ///
    /// `max(beta-binomial quantile, expected + root of the block quantile) + tolerance`, and the
    /// mirror image below.
    fn threshold(&self, alpha: f64, tolerance: f64) -> ThresholdRange {
        let alpha_per_side = if self.is_two_sided {
            alpha / 2.0
        } else {
            alpha
        };
        let block_difference = self
            .blocks
            .as_ref()
            .map_or(0.0, |blocks| blocks.quantile_above(alpha).max(0.0).sqrt());
        let tolerance = tolerated_rate(self.n, tolerance, alpha_per_side);
        let upper = self
            .distribution
            .upper(alpha_per_side)
            .max(self.expected + block_difference);
        let lower = || {
            self.distribution
                .lower(alpha_per_side)
                .min(self.expected - block_difference)
        };
        ThresholdRange {
            upper: upper + tolerance,
            lower: self.is_two_sided.then(|| lower() - tolerance),
        }
    }

    fn p_value(&self, rate: f64) -> f64 {
        let above = self.distribution.at_least(rate);
        let difference = rate - self.expected;
        let (sampled, difference) = if self.is_two_sided {
            (
                2.0 * above.min(self.distribution.at_most(rate)),
                difference.abs(),
            )
        } else {
            (above, difference.max(0.0))
        };
        let blocks = self
            .blocks
            .as_ref()
            .map_or(0.0, |blocks| blocks.survival(difference * difference));
        // The tail of a distribution can be -0; adding zero makes it 0.
        sampled.max(blocks).clamp(0.0, 1.0) + 0.0
    }
}

/// The `1 - alpha` quantile of `Binomial(n, tolerance)` over `n`; 0 without tolerance or events.
///
/// The rate that at most a share `alpha` of windows exceeds when events at the tolerated rate are
/// all there is. Every budgeted rate of every comparison asks for it, and the general search takes
/// some fifty incomplete beta functions: the probabilities around the tolerance are enumerated
/// instead, where there are not too many.
fn tolerated_rate(n: u64, tolerance: f64, alpha: f64) -> f64 {
    if tolerance <= 0.0 || n == 0 {
        return 0.0;
    }
    if let Some(window) = WindowRateDistribution::binomial(n, tolerance) {
        return window.upper(alpha);
    }
    Binomial::new(tolerance.min(1.0), n).map_or(tolerance, |binomial| {
        binomial.inverse_cdf(1.0 - alpha) as f64 / n as f64
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::RateDistribution;

    /// Exponential scores of mean 1, over a noise variance of 0.01 and a design effect of 2.
    fn score(statistic: Statistic, blocks: Option<BlockThreshold>) -> NullDistribution {
        let mut draws: Vec<f64> = (0..10_000)
            .map(|i| -(1.0 - (f64::from(i) + 0.5) / 10_000.0).ln())
            .collect();
        NullDistribution::Score(ScoreNull {
            statistic,
            simulated: EmpiricalDistribution::of(&mut draws, 0.01, |_| 100.0).unwrap(),
            noise_variance: 0.01,
            design_effect: 2.0,
            blocks,
        })
    }

    fn rate(is_two_sided: bool) -> NullDistribution {
        NullDistribution::Rate(RateNull {
            distribution: RateDistribution::seen(2500.0, 25_000.0)
                .unwrap()
                .window(5000),
            noise_floor: 0.1,
            expected: 0.1,
            n: 5000,
            is_two_sided,
            blocks: None,
        })
    }

    #[test]
    fn floors_and_thresholds_are_on_the_statistics_own_scale() {
        let js = score(Statistic::Js, None);
        assert!((js.noise_floor() - 0.02).abs() < 1e-4, "v phi mean");
        let upper = js.threshold(0.1, 0.0).upper;
        assert!((upper - 0.02 * 10.0_f64.ln()).abs() < 1e-4, "{upper}");
        let distance = score(Statistic::JsDistance, None);
        let root = distance.threshold(0.1, 0.0).upper;
        assert!((root * root - upper).abs() < 1e-12, "the root of {upper}");
    }

    #[test]
    fn the_p_value_is_the_share_whose_threshold_is_the_score() {
        for statistic in [Statistic::Js, Statistic::Ks] {
            let null = score(statistic, None);
            for alpha in [0.5, 0.05, 0.01, 1e-4] {
                let p = null.p_value(null.threshold(alpha, 0.0).upper);
                assert!((p / alpha - 1.0).abs() < 0.02, "{statistic} {alpha}: {p}");
            }
        }
    }

    #[test]
    fn blocks_only_raise_a_threshold() {
        let plain = score(Statistic::Js, None).threshold(0.01, 0.0).upper;
        let with = |mean: f64| {
            let blocks = BlockThreshold::Moments {
                mean,
                degrees_of_freedom: 10.0,
                blocks: 10.0,
                noise_variance: 0.01,
                quantiles: std::sync::Arc::default(),
            };
            score(Statistic::Js, Some(blocks))
                .threshold(0.01, 0.0)
                .upper
        };
        assert!((with(0.1) - plain).abs() < 1e-12, "quiet blocks");
        assert!(with(50.0) > plain, "blocks that vary more");
    }

    #[test]
    fn a_two_sided_rate_has_two_thresholds_and_the_budget_is_divided() {
        // scipy 1.17: scipy.stats.betabinom(5000, 2500.5, 22500.5).isf(1e-3) and ppf(1e-3)
        let two = rate(true).threshold(2e-3, 0.0);
        assert!((two.upper * 5000.0 - 573.0).abs() < 1e-6, "{two:?}");
        assert!(
            (two.lower.unwrap() * 5000.0 - 430.0).abs() < 1e-6,
            "{two:?}"
        );
        let single = rate(false).threshold(1e-3, 0.0);
        assert!((single.upper - two.upper).abs() < 1e-12, "{single:?}");
        assert_eq!(single.lower, None, "one side");
        assert!(rate(true).p_value(0.1) > 0.9, "the expected rate");
        assert!(rate(true).p_value(0.08) < 1e-3, "too low");
        assert!(rate(false).p_value(0.08) > 0.99, "no alarm below");
        assert!(rate(false).p_value(1.0).is_sign_positive(), "never -0");
    }

    #[test]
    fn the_tolerated_rate_agrees_with_scipy() {
        // scipy 1.17: scipy.stats.binom.isf(1e-3, 5000, 0.005) = 42
        let tolerated = tolerated_rate(5000, 0.005, 1e-3);
        assert!((tolerated * 5000.0 - 42.0).abs() < 1e-9, "{tolerated}");
        assert!(tolerated_rate(0, 0.005, 1e-3) <= 0.0, "no events");
    }
}
