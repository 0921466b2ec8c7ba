//! The scores of a reference's blocks of one length, and their statistics.
//!
//! Each statistic has its own series, from which incidents are left out first: what remains is how
//! much the stream varies on an ordinary day.

use std::ops::Range;
use std::time::Duration;

use super::deviations::{design_effect_of_rare, rare_deviation};
use super::incidents::{BlockSeries, incidents};
use super::null_model::NullModel;
use super::null_table::{SIMULATED, noise_variance, quadratic};
use crate::model::EventTime;
use crate::reference::{BlockStatistics, Incident, RateBlocks};
use crate::score::Scorer;
use crate::stats::{
    EmpiricalDistribution, FeatureCounts, MIN_BLOCKS, RateDistribution, block_distribution,
    moments, unbiased_blocks,
};

/// Share of the blocks, those with most values, whose noise variance carries blocks to larger
/// windows.
const BUSIEST_SHARE: f64 = 0.1;
/// Share of the blocks that fit side by side below which scores stay correlated beyond a block.
///
/// Blocks of independent values lose nothing but by chance.
const CORRELATED_SHARE: f64 = 2.0 / 3.0;

/// The blocks of one length.
#[derive(Debug, Clone, Copy)]
pub struct BlockSpec {
    /// Length of a block.
    pub window: Duration,
    /// Number of panes in a block; at least 1.
    pub panes: usize,
    /// Blocks with fewer values are skipped, as windows are.
    pub min_samples: u64,
}

impl BlockSpec {
    /// True if the block has as many values as a window needs.
    pub(super) const fn has_enough(&self, block: &FeatureCounts) -> bool {
        block.tallies.values > 0 && block.tallies.values >= self.min_samples
    }
}

/// The scores of blocks in order of time.
#[derive(Default)]
pub(super) struct BlockScores {
    /// Number of the first pane of each block.
    starts: Vec<usize>,
    /// Scores on the quadratic scale over their noise variance, by simulated statistic.
    scores: Vec<Vec<f64>>,
    missing: Vec<BlockRate>,
    invalid: Vec<BlockRate>,
    unseen: Vec<BlockRate>,
    out_of_range: Vec<BlockRate>,
    /// Squared differences of the shares of rare values over the variance of independent ones.
    rare: Vec<f64>,
    noise_variance: Vec<f64>,
    /// Values per block.
    samples: Vec<f64>,
}

/// Events that count among all events, in a block and in the rest of the reference.
struct BlockRate {
    hits: [u64; 2],
    events: [u64; 2],
}

impl BlockRate {
    fn noise_variance(&self) -> f64 {
        let [n, m] = self.events.map(|events| events as f64);
        noise_variance(n, m)
    }

    /// The rate of the block less that of the rest, in -1..=1.
    fn difference(&self) -> f64 {
        let rate = |side: usize| self.hits[side] as f64 / self.events[side].max(1) as f64;
        rate(0) - rate(1)
    }

    /// True if the block's rate has less than this probability, given the rest.
    fn is_unlikely(&self, probability: f64) -> bool {
        let [[hits, hits_of_rest], [events, events_of_rest]] = [self.hits, self.events];
        let rate = hits as f64 / events.max(1) as f64;
        RateDistribution::seen(hits_of_rest as f64, events_of_rest as f64).is_some_and(
            |posterior| {
                let window = posterior.window(events);
                window.at_least(rate).min(window.at_most(rate)) < probability
            },
        )
    }
}

/// The blocks of one statistic without incidents.
struct OrdinaryBlocks {
    distribution: Option<EmpiricalDistribution>,
    /// Number of independent blocks.
    effective: f64,
    side_by_side: f64,
    /// The panes of incidents.
    incidents: Vec<Range<usize>>,
}

impl BlockScores {
    pub(super) fn new() -> Self {
        BlockScores {
            scores: vec![Vec::new(); SIMULATED.len()],
            ..BlockScores::default()
        }
    }

    /// Scores the block that begins with pane `start` against the rest of the reference.
    pub(super) fn add(
        &mut self,
        start: usize,
        block: &FeatureCounts,
        rest: Option<&FeatureCounts>,
        scorer: &Scorer,
    ) {
        let Some((rest, scores)) = rest.and_then(|rest| Some((rest, scorer.against(block, rest)?)))
        else {
            return;
        };
        let n = block.tallies.values as f64;
        let of_values = noise_variance(n, rest.tallies.values as f64);
        for (series, score) in self.scores.iter_mut().zip(quadratic(&scores)) {
            series.push(score / of_values);
        }
        let tallies = [&block.tallies, &rest.tallies];
        self.missing.push(BlockRate {
            hits: tallies.map(|tallies| tallies.missing_total()),
            events: tallies.map(|tallies| tallies.events()),
        });
        self.invalid.push(BlockRate {
            hits: tallies.map(|tallies| tallies.invalid_total()),
            events: tallies.map(|tallies| tallies.present()),
        });
        let layout = &scorer.reference().layout;
        let values = tallies.map(|tallies| tallies.values);
        let both = [block, rest];
        if layout.numeric().is_some() {
            let beyond = |counts: &FeatureCounts| {
                let (below, above) = counts.out_of_range(layout);
                below + above
            };
            self.out_of_range.push(BlockRate {
                hits: both.map(beyond),
                events: values,
            });
        } else {
            self.unseen.push(BlockRate {
                hits: both.map(|counts| counts.unseen(layout)),
                events: values,
            });
        }
        self.rare
            .extend(rare_deviation(block, rest, scorer, of_values));
        self.starts.push(start);
        self.noise_variance.push(of_values);
        self.samples.push(n);
    }

    /// The statistics of all blocks; `None` where there are fewer than two without overlap.
    pub(super) fn summarise(
        &self,
        model: &NullModel,
        origin: EventTime,
        spec: &BlockSpec,
        step: usize,
    ) -> Option<BlockStatistics> {
        let side_by_side = self.samples.len() as f64 * step as f64 / spec.panes as f64;
        if side_by_side < MIN_BLOCKS {
            return None;
        }
        let samples = moments(&self.samples).0;
        let simulated = |index: usize| model.simulated_distribution(index, whole(samples));
        let scores: Vec<OrdinaryBlocks> = (0..SIMULATED.len())
            .map(|index| {
                let null = simulated(index);
                self.ordinary(&self.scores[index], spec, step, &|block, probability| {
                    null.as_ref()
                        .is_none_or(|null| null.survival(self.scores[index][block]) < probability)
                })
            })
            .collect();
        let missing = self.rate(&self.missing, spec, step, &|difference| difference);
        let excess = |difference: f64| difference.max(0.0);
        let invalid = self.rate(&self.invalid, spec, step, &excess);
        let unseen = self.rate(&self.unseen, spec, step, &excess);
        let out_of_range = self.rate(&self.out_of_range, spec, step, &excess);
        let design_effect = (0..SIMULATED.len())
            .map(|index| {
                let distribution = scores[index].distribution.as_ref()?;
                Some((distribution.mean / simulated(index)?.mean).max(1.0))
            })
            .map(|effect| effect.unwrap_or(1.0))
            .collect();
        let rates = [&missing, &invalid, &unseen, &out_of_range];
        let incidents = scores.iter().chain(rates);
        let incidents = incidents.flat_map(|blocks| &blocks.incidents);
        let incidents = incidents
            .map(|panes| incident(panes, origin, spec))
            .collect();
        let scored = || scores.iter().filter(|blocks| blocks.distribution.is_some());
        let smallest =
            |value: fn(&OrdinaryBlocks) -> f64| scored().map(value).fold(side_by_side, f64::min);
        let effective = smallest(|blocks| blocks.effective).max(MIN_BLOCKS);
        let is_correlated = effective < CORRELATED_SHARE * smallest(|blocks| blocks.side_by_side);
        Some(BlockStatistics {
            window_ms: u64::try_from(spec.window.as_millis()).unwrap_or(u64::MAX),
            effective,
            independent: is_correlated.then(|| unbiased_blocks(effective)),
            samples,
            noise_variance: busiest(self.noise_variance.iter().copied()),
            design_effect,
            missing: missing.distribution,
            missing_noise_variance: busiest(self.missing.iter().map(BlockRate::noise_variance)),
            invalid: rate_blocks(invalid, &self.invalid),
            unseen: rate_blocks(unseen, &self.unseen),
            out_of_range: rate_blocks(out_of_range, &self.out_of_range),
            rare_design_effect: design_effect_of_rare(&self.rare),
            distributions: scores
                .into_iter()
                .map(|blocks| blocks.distribution)
                .collect(),
            incidents: Incident::distinct(incidents),
        })
    }

    /// The blocks of a rate; `news` is the part of a difference that counts.
    fn rate(
        &self,
        rates: &[BlockRate],
        spec: &BlockSpec,
        step: usize,
        news: &dyn Fn(f64) -> f64,
    ) -> OrdinaryBlocks {
        let scores: Vec<f64> = rates
            .iter()
            .map(|rate| news(rate.difference()).powi(2) / rate.noise_variance())
            .collect();
        self.ordinary(&scores, spec, step, &|block, probability| {
            rates[block].is_unlikely(probability)
        })
    }

    /// The blocks of a statistic without incidents; blocks without a finite score are skipped.
    ///
    /// `is_unlikely` gets the index of a block; see [`incidents`].
    fn ordinary(
        &self,
        scores: &[f64],
        spec: &BlockSpec,
        step: usize,
        is_unlikely: &dyn Fn(usize, f64) -> bool,
    ) -> OrdinaryBlocks {
        let scored: Vec<usize> = (0..scores.len())
            .filter(|block| scores[*block].is_finite())
            .collect();
        let starts: Vec<usize> = scored.iter().map(|block| self.starts[*block]).collect();
        let finite: Vec<f64> = scored.iter().map(|block| scores[*block]).collect();
        let series = BlockSeries {
            starts: &starts,
            scores: &finite,
            panes: spec.panes,
            step,
            pane_width: spec.window / u32::try_from(spec.panes).unwrap_or(u32::MAX).max(1),
        };
        let clusters = incidents(&series, &|index, probability| {
            is_unlikely(scored[index], probability)
        });
        let ordinary = series.without(&clusters);
        let steps_per_block = series.steps_per_block();
        let (distribution, effective) = block_distribution(&ordinary, steps_per_block)
            .filter(|blocks| blocks.scores.mean > 0.0)
            .map(|blocks| (blocks.scores, blocks.effective))
            .unzip();
        OrdinaryBlocks {
            distribution,
            effective: effective.unwrap_or(0.0),
            side_by_side: ordinary.len() as f64 / steps_per_block,
            incidents: clusters.into_iter().map(|cluster| cluster.panes).collect(),
        }
    }
}

/// The statistics of a rate that some block has.
fn rate_blocks(ordinary: OrdinaryBlocks, rates: &[BlockRate]) -> Option<RateBlocks> {
    Some(RateBlocks {
        distribution: ordinary.distribution?,
        noise_variance: busiest(rates.iter().map(BlockRate::noise_variance)),
    })
}

/// The time range of panes.
fn incident(panes: &Range<usize>, origin: EventTime, spec: &BlockSpec) -> Incident {
    let width = spec.window / u32::try_from(spec.panes).unwrap_or(u32::MAX).max(1);
    let time = |pane: usize| origin.plus(width * u32::try_from(pane).unwrap_or(u32::MAX));
    Incident::new(time(panes.start), time(panes.end))
}

/// The mean noise variance of the tenth of the blocks with most values, which is the smallest.
///
/// It carries the blocks to windows with more values than they have. With the mean of all blocks
/// the nights decide where the volume varies by hour, and the threshold of a busy hour is blind.
fn busiest(noise_variances: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = noise_variances.collect();
    sorted.sort_by(f64::total_cmp);
    let count = whole(sorted.len() as f64 * BUSIEST_SHARE).max(1);
    let busiest = usize::try_from(count)
        .unwrap_or(usize::MAX)
        .min(sorted.len());
    moments(&sorted[..busiest]).0
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of values"
)]
fn whole(samples: f64) -> u64 {
    samples.round() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_tenth_carries_blocks_to_larger_windows() {
        let of_a_hundred = |block: u32| 1.0 / f64::from(block + 1);
        // The mean of 1/91 to 1/100.
        let expected = (91..=100).map(|n| 1.0 / f64::from(n)).sum::<f64>() / 10.0;
        let actual = busiest((0..100).map(of_a_hundred));
        assert!((actual - expected).abs() < 1e-12, "{actual}");
        assert!(
            (busiest([0.25].into_iter()) - 0.25).abs() < 1e-12,
            "one block"
        );
    }

    #[test]
    fn one_missing_value_is_likely_and_a_gap_is_not() {
        let missing = |hits: u64| BlockRate {
            hits: [hits, 0],
            events: [900, 600_000],
        };
        assert!(!missing(1).is_unlikely(0.1 / 672.0), "once in a week");
        assert!(missing(300).is_unlikely(0.1 / 672.0), "a third of a block");
    }
}
