//! A gauge: where a score's no-drift level and its alarm lines are, in one window.
//!
//! Two sources say how far a clean window may go: the null law, which knows bins, sizes and the reference's own noise but takes values for independent, and the
//! reference's stretches, which know how the stream breathes. The line is the higher of the two.

use statrs::distribution::{ContinuousCDF as _, DiscreteCDF as _, FisherSnedecor};

use super::null_table::is_root;
use super::tolerance::tolerant;
use crate::model::Statistic;
use crate::stats::{EmpiricalDistribution, WindowRateDistribution};

/// What one statistic does in one window when nothing happens.
#[derive(Debug, Clone)]
pub enum NullDistribution {
    /// A comparison of distributions.
    Score(ScoreNull),
    /// A rate.
    Rate(RateNull),
}

/// The reference's own stretches, carried to a window's size.
#[derive(Debug, Clone)]
pub(super) enum BlockThreshold {
    /// Enough of them for a tail; times `v`.
    ExponentialTail { law: EmpiricalDistribution, v: f64 },
    /// Their mean and spread only: a scaled F distribution; times `v`.
    Spread {
        mean: f64,
        degrees_of_freedom: f64,
        stretches: f64,
        v: f64,
    },
}

/// The gauge of a score.
#[derive(Debug, Clone)]
pub struct ScoreNull {
    pub(super) statistic: Statistic,
    /// Of the quadratic scale over `v`.
    pub(super) null: EmpiricalDistribution,
    pub(super) v: f64,
    /// At least 1.
    pub(super) design_effect: f64,
    pub(super) blocks: Option<BlockThreshold>,
}

/// The gauge of a rate.
#[derive(Debug, Clone)]
pub struct RateNull {
    pub(super) law: WindowRateDistribution,
    /// The reference's rate.
    pub(super) expected: f64,
    /// Events or values of the window.
    pub(super) n: u64,
    pub(super) is_two_sided: bool,
    pub(super) blocks: Option<BlockThreshold>,
}

/// An alarm line, on the score's own scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ThresholdRange {
    /// Above it is an alarm.
    pub upper: f64,
    /// Below it is an alarm too; two-sided rates only.
    pub lower: Option<f64>,
}

impl NullDistribution {
    /// The no-drift level, on the score's own scale.
    #[must_use]
    pub fn noise_floor(&self) -> f64 {
        match self {
            NullDistribution::Score(gauge) => {
                gauge.on_own_scale(gauge.v * gauge.design_effect * gauge.null.mean)
            }
            NullDistribution::Rate(gauge) => gauge.expected,
        }
    }

    /// By how much clean windows differ more than clean samples do; 1 for rates.
    #[must_use]
    pub fn design_effect(&self) -> f64 {
        match self {
            NullDistribution::Score(gauge) => gauge.design_effect,
            NullDistribution::Rate(_) => 1.0,
        }
    }

    /// The line that clean windows exceed at a rate of at most `alpha`, moved out by `tolerance`.
    #[must_use]
    pub fn line(&self, alpha: f64, tolerance: f64) -> ThresholdRange {
        match self {
            NullDistribution::Score(gauge) => ThresholdRange {
                upper: tolerant(gauge.statistic, gauge.null_line(alpha), tolerance),
                lower: None,
            },
            NullDistribution::Rate(gauge) => gauge.line(alpha, tolerance),
        }
    }

    /// The `alpha` at which the line without tolerance is the score: small means clean windows hardly ever go there. In 0..=1.
    #[must_use]
    pub fn p_value(&self, score: f64) -> f64 {
        match self {
            NullDistribution::Score(gauge) => gauge.p_value(score),
            NullDistribution::Rate(gauge) => gauge.p_value(score),
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

    fn null_line(&self, alpha: f64) -> f64 {
        let null = self.v * self.design_effect * self.null.line(alpha);
        let blocks = self.blocks.as_ref().map(|blocks| blocks.line(alpha));
        blocks.map_or(null, |line| line.max(null))
    }

    fn p_value(&self, score: f64) -> f64 {
        let quadratic = if is_root(self.statistic) {
            score * score
        } else {
            score
        };
        let null = self
            .null
            .survival(quadratic / (self.v * self.design_effect));
        let blocks = self.blocks.as_ref();
        let blocks = blocks.map_or(0.0, |blocks| blocks.survival(quadratic));
        null.max(blocks).clamp(0.0, 1.0)
    }
}

impl RateNull {
    fn line(&self, alpha: f64, tolerance: f64) -> ThresholdRange {
        let side = if self.is_two_sided {
            alpha / 2.0
        } else {
            alpha
        };
        let reach = self.blocks.as_ref();
        let reach = reach.map_or(0.0, |blocks| blocks.line(alpha).max(0.0).sqrt());
        let tolerated = tolerated(self.n, tolerance, side);
        let upper = self.law.upper(side).max(self.expected + reach) + tolerated;
        let lower = self.law.lower(side).min(self.expected - reach) - tolerated;
        ThresholdRange {
            upper,
            lower: self.is_two_sided.then_some(lower),
        }
    }

    fn p_value(&self, rate: f64) -> f64 {
        let above = self.law.at_least(rate);
        let excess = rate - self.expected;
        let (null, excess) = if self.is_two_sided {
            (2.0 * above.min(self.law.at_most(rate)), excess.abs())
        } else {
            (above, excess.max(0.0))
        };
        let blocks = self.blocks.as_ref();
        let blocks = blocks.map_or(0.0, |blocks| blocks.survival(excess * excess));
        null.max(blocks).clamp(0.0, 1.0)
    }
}

/// The share that at most `alpha` of windows exceed when a tolerated rate is all there is.
fn tolerated(n: u64, tolerance: f64, alpha: f64) -> f64 {
    if tolerance <= 0.0 || n == 0 {
        return 0.0;
    }
    let law = statrs::distribution::Binomial::new(tolerance.min(1.0), n);
    law.map_or(tolerance, |law| {
        law.inverse_cdf(1.0 - alpha) as f64 / n as f64
    })
}

impl BlockThreshold {
    /// The line on the quadratic scale that a share `alpha` of stretches exceeds.
    fn line(&self, alpha: f64) -> f64 {
        match self {
            BlockThreshold::ExponentialTail { law, v } => v * law.line(alpha),
            BlockThreshold::Spread { mean, v, .. } => {
                let quantile = self
                    .fisher()
                    .map_or(0.0, |law| law.inverse_cdf(1.0 - alpha));
                v * mean * quantile
            }
        }
    }

    /// The share of stretches that exceed a score on the quadratic scale.
    fn survival(&self, quadratic: f64) -> f64 {
        match self {
            BlockThreshold::ExponentialTail { law, v } => law.survival(quadratic / v),
            BlockThreshold::Spread { mean, v, .. } if *mean > 0.0 => {
                let ratio = quadratic / (v * mean);
                self.fisher().map_or(0.0, |law| law.sf(ratio))
            }
            BlockThreshold::Spread { .. } => 0.0,
        }
    }

    fn fisher(&self) -> Option<FisherSnedecor> {
        match self {
            BlockThreshold::ExponentialTail { .. } => None,
            BlockThreshold::Spread {
                degrees_of_freedom,
                stretches,
                ..
            } => FisherSnedecor::new(*degrees_of_freedom, degrees_of_freedom * stretches).ok(),
        }
    }
}
