//! The distribution of a score over the blocks of a reference.
//!
//! The values of a stream are not independent: neighbours resemble each other, and windows without
//! drift vary more than independent samples do. A block is as long as a window, so its scores show
//! by how much. Blocks overlap, one begins at each step, so `b` overlapping blocks hold no more
//! information than the blocks that fit side by side.

use super::empirical::{EmpiricalDistribution, moments};

/// Blocks side by side from which the tail of their scores can be estimated.
pub const MIN_BLOCKS_FOR_TAIL: f64 = 20.0;
/// Blocks side by side from which their mean and variance can be estimated.
pub const MIN_BLOCKS: f64 = 2.0;

/// Steps per block to which a series is thinned for its autocorrelation time: neighbours that share
/// most of their values repeat each other.
const STEPS_PER_BLOCK: f64 = 4.0;
/// By how much the number of blocks is overestimated where scores stay correlated beyond a block.
///
/// A series that is no longer than a few times its memory takes its own wandering for its mean.
/// Measured medians for a latent mean with exponential memory, true and estimated blocks: 7 and
/// 18-24, 14 and 26-28, 28 and 49, 56 and 70, 168 and 199.
const OVERESTIMATED_BLOCKS: f64 = 16.0;

/// The number of independent blocks among overlapping ones, `B`.
///
/// At most as many as fit side by side, and at most the length of the series over its
/// autocorrelation time: where neighbouring blocks resemble each other, many of them say as much as
/// a few. `series` has one score per step in order of time, and `steps_per_block` (at least 1) is
/// the length of a block.
#[must_use]
fn effective_blocks(series: &[f64], steps_per_block: f64) -> f64 {
    let side_by_side = series.len() as f64 / steps_per_block;
    let stride = whole(steps_per_block / STEPS_PER_BLOCK).max(1);
    let thinned: Vec<f64> = series.iter().step_by(stride).copied().collect();
    let time = autocorrelation_time(&thinned, side_by_side);
    side_by_side.min(thinned.len() as f64 / time)
}

/// The number of independent blocks without the bias of its estimate, where scores stay correlated
/// for longer than a block.
///
/// `B^2 / (B + 16)`, which takes off 16 of many blocks and leaves few of few.
#[must_use]
pub fn unbiased_blocks(effective: f64) -> f64 {
    effective * effective / (effective + OVERESTIMATED_BLOCKS)
}

/// The scores of overlapping blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockDistribution {
    /// Number of independent blocks; positive.
    pub effective: f64,
    /// Mean, quantiles and tail of the scores.
    pub scores: EmpiricalDistribution,
}

/// The distribution of the scores of overlapping blocks; `None` without a score.
///
/// `series` has one score per step in order of time, and `steps_per_block` (at least 1) is the
/// length of a block. With `B` independent blocks:
///
/// - The tail begins at the quantile that the share `10 / B` exceeds, at least 2 % and at most 50
///   %: the upper half of 20 blocks, the upper 2 % of 500 or more.
/// - Exceedances that are close in time count once: their number is divided by
///   `max(steps_per_block, autocorrelation time of "is above the start of the tail")`.
#[must_use]
pub fn block_distribution(series: &[f64], steps_per_block: f64) -> Option<BlockDistribution> {
    let side_by_side = series.len() as f64 / steps_per_block;
    let effective = effective_blocks(series, steps_per_block);
    let tail_share = (10.0 / effective).clamp(0.02, 0.5);
    let scores = EmpiricalDistribution::of(&mut series.to_vec(), tail_share, |start| {
        let is_above: Vec<f64> = series
            .iter()
            .map(|score| f64::from(u8::from(*score > start)))
            .collect();
        let exceedances: f64 = is_above.iter().sum();
        exceedances / steps_per_block.max(autocorrelation_time(&is_above, side_by_side))
    })?;
    Some(BlockDistribution { effective, scores })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a number of steps"
)]
fn whole(steps: f64) -> usize {
    steps as usize
}

/// The integrated autocorrelation time of a series, in steps; at least 1.
///
/// `1 + 2 sum r(lag)`, summed up to the first correlation `r` that is no larger than chance. Of
/// `effective` independent values, correlations of up to `2 / sqrt(effective)` are chance; a sum
/// beyond them would make a few dozen blocks look like two. A series without variance has 1.
/// Source: A. Sokal, Monte Carlo Methods in Statistical Mechanics (1997), section 3.
fn autocorrelation_time(series: &[f64], effective: f64) -> f64 {
    let (mean, variance) = moments(series);
    if variance <= 0.0 {
        return 1.0;
    }
    let n = series.len();
    let chance = 2.0 / effective.sqrt();
    let mut time = 1.0;
    for lag in 1..n {
        let covariance = series
            .iter()
            .zip(&series[lag..])
            .map(|(a, b)| (a - mean) * (b - mean))
            .sum::<f64>()
            / n as f64;
        if covariance <= chance * variance {
            break;
        }
        time += 2.0 * covariance / variance;
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers that look random: multiplicative hashing of `0..count`.
    fn scrambled(count: u32) -> Vec<f64> {
        (0..count)
            .map(|i| f64::from(i.wrapping_mul(2_654_435_761) >> 16))
            .collect()
    }

    #[test]
    fn a_run_of_equal_values_counts_once() {
        // Ten steps up, ninety down: the triangle of correlations sums to about the run's length.
        let series: Vec<f64> = (0..2000)
            .map(|i| f64::from(u8::from(i % 100 < 10)))
            .collect();
        let time = autocorrelation_time(&series, 2000.0);
        assert!((8.0..11.0).contains(&time), "{time}");
    }

    #[test]
    fn independent_values_have_an_autocorrelation_time_of_one() {
        let time = autocorrelation_time(&scrambled(1000), 1000.0);
        assert!(time < 1.3, "{time}");
    }

    #[test]
    fn blocks_that_resemble_their_neighbours_count_less() {
        let independent = effective_blocks(&scrambled(1000), 1.0);
        assert!(independent > 990.0, "as many as there are: {independent}");
        // 1,000 blocks whose scores stay the same for 20 blocks each.
        let slow: Vec<f64> = scrambled(50)
            .into_iter()
            .flat_map(|score| [score; 20])
            .collect();
        let effective = effective_blocks(&slow, 1.0);
        assert!((40.0..80.0).contains(&effective), "{effective}");
        // Overlapping blocks of four steps: the step from one to the next is no news.
        let overlapping = effective_blocks(&slow, 4.0);
        assert!((40.0..80.0).contains(&overlapping), "{overlapping}");
        let unbiased = unbiased_blocks(effective);
        assert!(unbiased < effective - 10.0, "{unbiased} of {effective}");
    }

    #[test]
    fn many_blocks_have_a_far_tail_and_few_blocks_a_near_one() {
        let series = scrambled(3000);
        let tail_share = |steps_per_block| {
            block_distribution(&series, steps_per_block)
                .unwrap()
                .scores
                .tail
                .tail_share
        };
        assert!((tail_share(1.0) - 0.02).abs() < 1e-12, "3000 blocks");
        assert!((tail_share(100.0) - 1.0 / 3.0).abs() < 1e-12, "30 blocks");
        assert!((tail_share(1000.0) - 0.5).abs() < 1e-12, "3 blocks");
    }
}
