//! The distribution of a score over a reference's blocks, carried to the size of a window.
//!
//! Blocks show how much windows of the stream vary without drift, which simulated windows of
//! independent values do not. Scores are on the quadratic scale, divided by their noise variance
//! `v = 1/n + 1/m`, so that blocks of one size say something about windows of another.

use std::sync::{Arc, Mutex, PoisonError};

use statrs::distribution::{ContinuousCDF as _, FisherSnedecor};

use crate::stats::{EmpiricalDistribution, MIN_BLOCKS_FOR_TAIL};

/// The scores of windows without drift, estimated from blocks.
#[derive(Debug, Clone)]
pub(super) enum BlockThreshold {
    /// Quantiles and tail of many blocks, times the noise variance.
    Tail {
        distribution: EmpiricalDistribution,
        noise_variance: f64,
    },
    /// Mean and spread of few blocks: `noise_variance mean F(d, blocks d)`.
    ///
    /// `F` is Fisher's distribution: a chi-square of `d` degrees of freedom over a mean that is
    /// estimated from `blocks` values.
    Moments {
        mean: f64,
        degrees_of_freedom: f64,
        blocks: f64,
        noise_variance: f64,
        quantiles: Arc<FisherQuantiles>,
    },
}

/// Quantiles of Fisher's distribution by their exact arguments, the latest ones.
///
/// A quantile is found by iteration and is the dearest part of an assessment. Neither blocks nor a
/// complete estimate of quiet windows change, so window after window asks for the same few.
#[derive(Debug, Default)]
pub(super) struct FisherQuantiles(Mutex<Vec<([u64; 3], f64)>>);

impl FisherQuantiles {
    /// Most quantiles that are kept: those of a few statistics in a few windows.
    const CAPACITY: usize = 64;

    /// The value that a share `alpha` in 0..=1 of `F(d, blocks d)` exceeds, with `d` degrees of
    /// freedom; 0 where the distribution does not exist.
    fn quantile_above(&self, alpha: f64, degrees_of_freedom: f64, blocks: f64) -> f64 {
        let key = [alpha, degrees_of_freedom, blocks].map(f64::to_bits);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, quantile)) = known.iter().find(|(known, _)| *known == key) {
            return *quantile;
        }
        let quantile = fisher(degrees_of_freedom, blocks)
            .map_or(0.0, |fisher| fisher.inverse_cdf(1.0 - alpha));
        if known.len() == Self::CAPACITY {
            known.remove(0);
        }
        known.push((key, quantile));
        quantile
    }
}

/// `F(d, blocks d)`, where it exists.
fn fisher(degrees_of_freedom: f64, blocks: f64) -> Option<FisherSnedecor> {
    FisherSnedecor::new(degrees_of_freedom, degrees_of_freedom * blocks).ok()
}

impl BlockThreshold {
    /// The distribution of `blocks` blocks without overlap.
    ///
    /// From 20 blocks on, their quantiles and tail. With fewer, their mean and degrees of freedom,
    /// neither of which claims less variation than null windows have.
    pub(super) fn of(
        distribution: &EmpiricalDistribution,
        blocks: f64,
        noise_variance: f64,
        null_mean: f64,
        null_degrees_of_freedom: Option<f64>,
        quantiles: &Arc<FisherQuantiles>,
    ) -> Self {
        match smaller(null_degrees_of_freedom, distribution.degrees_of_freedom) {
            Some(degrees_of_freedom) if !Self::has_tail(blocks) => BlockThreshold::Moments {
                mean: distribution.mean.max(null_mean),
                degrees_of_freedom,
                blocks,
                noise_variance,
                quantiles: Arc::clone(quantiles),
            },
            _ => Self::of_many(distribution, noise_variance),
        }
    }

    /// True if so many blocks without overlap have quantiles and a tail of their own.
    pub(super) fn has_tail(blocks: f64) -> bool {
        blocks >= MIN_BLOCKS_FOR_TAIL
    }

    /// The distribution of many blocks.
    pub(super) fn of_many(distribution: &EmpiricalDistribution, noise_variance: f64) -> Self {
        BlockThreshold::Tail {
            distribution: distribution.clone(),
            noise_variance,
        }
    }

    /// The score on the quadratic scale that a share `alpha` of windows exceeds.
    pub(super) fn quantile_above(&self, alpha: f64) -> f64 {
        match self {
            BlockThreshold::Tail {
                distribution,
                noise_variance,
            } => noise_variance * distribution.quantile_above(alpha),
            BlockThreshold::Moments {
                mean,
                degrees_of_freedom,
                blocks,
                noise_variance,
                quantiles,
            } => {
                let quantile = quantiles.quantile_above(alpha, *degrees_of_freedom, *blocks);
                noise_variance * mean * quantile
            }
        }
    }

    /// The share of windows that exceed a score on the quadratic scale, in 0..=1.
    pub(super) fn survival(&self, quadratic: f64) -> f64 {
        match self {
            BlockThreshold::Tail {
                distribution,
                noise_variance,
            } => distribution.survival(quadratic / noise_variance),
            BlockThreshold::Moments {
                mean,
                degrees_of_freedom,
                blocks,
                noise_variance,
                ..
            } if *mean > 0.0 => {
                let ratio = quadratic / (noise_variance * mean);
                fisher(*degrees_of_freedom, *blocks).map_or(0.0, |fisher| fisher.sf(ratio))
            }
            BlockThreshold::Moments { .. } => 0.0,
        }
    }
}

/// The smaller of two values that may be unknown; the known value where one is.
pub(super) fn smaller(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distribution(degrees_of_freedom: f64) -> EmpiricalDistribution {
        let mut draws: Vec<f64> = (1..=100).map(f64::from).collect();
        EmpiricalDistribution {
            mean: 2.0,
            degrees_of_freedom: Some(degrees_of_freedom),
            ..EmpiricalDistribution::of(&mut draws, 0.1, |_| 10.0).unwrap()
        }
    }

    #[test]
    fn few_blocks_have_a_scaled_f_distribution_as_in_scipy() {
        let threshold = BlockThreshold::of(
            &distribution(12.0),
            7.5,
            0.01,
            1.0,
            Some(20.0),
            &Arc::default(),
        );
        // scipy 1.17: scipy.stats.f.isf(1e-3, 12, 12 * 7.5) and sf(3, 12, 12 * 7.5); the mean is 2
        let quantile = threshold.quantile_above(1e-3) / (0.01 * 2.0);
        assert!(
            (quantile - 3.112_909_762_952_859_7).abs() < 1e-6,
            "{quantile}"
        );
        let share = threshold.survival(3.0 * 0.01 * 2.0);
        assert!(
            (share - 0.001_435_295_699_575_584_2).abs() < 1e-9,
            "{share}"
        );
    }

    #[test]
    fn few_blocks_do_not_claim_less_variation_than_null_windows() {
        let claims = |null_mean: f64, null_degrees_of_freedom: f64| {
            BlockThreshold::of(
                &distribution(12.0),
                7.5,
                0.01,
                null_mean,
                Some(null_degrees_of_freedom),
                &Arc::default(),
            )
            .quantile_above(1e-3)
        };
        assert!(claims(4.0, 12.0) > claims(2.0, 12.0), "the larger mean");
        assert!(claims(2.0, 6.0) > claims(2.0, 12.0), "the wider spread");
    }

    #[test]
    fn many_blocks_have_quantiles_of_their_own() {
        let threshold = BlockThreshold::of(
            &distribution(12.0),
            20.0,
            0.01,
            1.0,
            Some(6.0),
            &Arc::default(),
        );
        let median = threshold.quantile_above(0.5);
        assert!((median - 0.01 * 50.5).abs() < 1e-9, "{median}");
        let share = threshold.survival(median);
        assert!((share - 0.5).abs() < 1e-9, "{share}");
    }

    #[test]
    fn a_kept_quantile_is_the_computed_one_bit_by_bit() {
        let quantiles = FisherQuantiles::default();
        let arguments = |step: u32| (1e-3 / f64::from(step), 5.0 + f64::from(step % 7), 20.0);
        for step in (1..100).chain(1..100) {
            let (alpha, degrees_of_freedom, blocks) = arguments(step);
            let computed = fisher(degrees_of_freedom, blocks)
                .unwrap()
                .inverse_cdf(1.0 - alpha);
            for _ in 0..2 {
                let quantile = quantiles.quantile_above(alpha, degrees_of_freedom, blocks);
                assert_eq!(quantile.to_bits(), computed.to_bits(), "{step}");
            }
        }
        let kept = quantiles.0.lock().unwrap().len();
        assert_eq!(kept, FisherQuantiles::CAPACITY, "in bounded memory");
    }
}
