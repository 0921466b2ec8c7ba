//! The reference's own blocks, each scored against the rest of the reference.
//!
//! The reference is cut into panes in order of time. A block is as long as a window, and a new
//! block begins at each pane. Its counts are subtracted from the reference before the two are
//! compared, because a block resembles a reference that contains it. A step to the next block adds
//! one pane and removes one, for any length of a block.

use std::sync::Arc;
use std::time::Duration;

use super::null_model::NullModel;
use super::null_table::{SIMULATED, noise_variance, quadratic};
use crate::reference::{BlockStatistics, HourCounts, HourMixture, RateBlocks};
use crate::score::Scorer;
use crate::stats::{FeatureCounts, MIN_BLOCKS, block_distribution, moments};

/// Number of blocks beyond which more blocks add nothing; longer references skip panes.
const MAX_BLOCKS: usize = 20_000;
/// The limit for hour-of-week references, where each block is compared with another reference.
const MAX_HOUR_OF_WEEK_BLOCKS: usize = 4_000;

/// The panes of a reference, in order of time.
#[expect(missing_debug_implementations, reason = "holds a function")]
pub struct Panes<'a> {
    /// Number of panes.
    pub count: usize,
    /// Adds the counts of a pane.
    pub add: &'a dyn Fn(usize, &mut FeatureCounts),
    /// The hour of the week in which a pane begins.
    pub hour: &'a dyn Fn(usize) -> u16,
}

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

/// The statistics of a reference's blocks of one length.
///
/// `None` where there are fewer than two blocks without overlap.
#[must_use]
pub fn block_statistics(
    model: &NullModel,
    panes: &Panes<'_>,
    spec: &BlockSpec,
) -> Option<BlockStatistics> {
    let step = step(panes, spec, MAX_BLOCKS)?;
    let reference = model.scorer().reference();
    let mut block = FeatureCounts::new(&reference.layout);
    let mut scratch = block.clone();
    let mut scores = BlockScores::new();
    slide(panes, spec, step, &mut |change, is_due| {
        change.apply(panes, &mut block, &mut scratch);
        if is_due {
            let rest = remainder(&reference.counts, &block);
            scores.add(&block, rest.as_ref(), model.scorer(), spec);
        }
    });
    scores.summarise(model, spec, step)
}

/// The statistics of blocks, each against the rest of the reference in the same hours of the week.
///
/// `None` where there are fewer than two blocks without overlap.
#[must_use]
pub fn hour_of_week_block_statistics(
    model: &NullModel,
    mixture: &HourMixture,
    panes: &Panes<'_>,
    spec: &BlockSpec,
) -> Option<BlockStatistics> {
    let step = step(panes, spec, MAX_HOUR_OF_WEEK_BLOCKS)?;
    let pseudo_count = model.scorer().pseudo_count();
    let empty = || FeatureCounts::new(&mixture.week().layout);
    let (mut block, mut scratch, mut hours) = (empty(), empty(), HourCounts::new());
    let mut scores = BlockScores::new();
    slide(panes, spec, step, &mut |change, is_due| {
        change.apply(panes, &mut block, &mut scratch);
        let in_hour = counts_of_hour(&mut hours, (panes.hour)(change.pane()), empty);
        change.apply(panes, in_hour, &mut scratch);
        if is_due {
            let events: Vec<(u16, u64)> = hours
                .iter()
                .map(|(hour, counts)| (*hour, counts.tallies.events()))
                .collect();
            if let Some(rest) = mixture.mixed(&events, &hours) {
                let scorer = Scorer::new(Arc::new(rest), pseudo_count);
                scores.add(&block, Some(&scorer.reference().counts), &scorer, spec);
            }
        }
    });
    scores.summarise(model, spec, step)
}

/// Number of panes from one scored block to the next; `None` where no block fits.
fn step(panes: &Panes<'_>, spec: &BlockSpec, max_blocks: usize) -> Option<usize> {
    let blocks = (panes.count + 1).checked_sub(spec.panes)?;
    Some(blocks.div_ceil(max_blocks).max(1))
}

/// The counts of an hour, which are added if the hour is new.
fn counts_of_hour(
    hours: &mut HourCounts,
    hour: u16,
    empty: impl Fn() -> FeatureCounts,
) -> &mut FeatureCounts {
    let index = hours
        .iter()
        .position(|(known, _)| *known == hour)
        .unwrap_or_else(|| {
            hours.push((hour, empty()));
            hours.len() - 1
        });
    &mut hours[index].1
}

/// The reference without a block of it; `None` where no value is left.
fn remainder(reference: &FeatureCounts, block: &FeatureCounts) -> Option<FeatureCounts> {
    let mut rest = reference.clone();
    (block.tallies.values < rest.tallies.values).then(|| rest.subtract(block))?;
    Some(rest)
}

/// A pane that enters the block, or leaves it.
#[derive(Clone, Copy)]
enum PaneChange {
    Enters(usize),
    Leaves(usize),
}

impl PaneChange {
    const fn pane(self) -> usize {
        match self {
            PaneChange::Enters(pane) | PaneChange::Leaves(pane) => pane,
        }
    }

    /// Applies the change to `counts`; `scratch` holds the pane's counts for the subtraction.
    fn apply(self, panes: &Panes<'_>, counts: &mut FeatureCounts, scratch: &mut FeatureCounts) {
        match self {
            PaneChange::Enters(pane) => (panes.add)(pane, counts),
            PaneChange::Leaves(pane) => {
                scratch.clear();
                (panes.add)(pane, scratch);
                counts.subtract(scratch);
            }
        }
    }
}

/// Slides a block over all panes.
///
/// Calls `on_change` with each change, and with true when the block is then to be scored.
fn slide(
    panes: &Panes<'_>,
    spec: &BlockSpec,
    step: usize,
    on_change: &mut dyn FnMut(PaneChange, bool),
) {
    for index in 0..panes.count {
        if let Some(oldest) = index.checked_sub(spec.panes) {
            on_change(PaneChange::Leaves(oldest), false);
        }
        let is_whole = index + 1 >= spec.panes;
        let is_due = is_whole && (index + 1 - spec.panes).is_multiple_of(step);
        on_change(PaneChange::Enters(index), is_due);
    }
}

/// The scores of blocks in order of time.
#[derive(Default)]
struct BlockScores {
    /// Scores on the quadratic scale over their noise variance, by simulated statistic.
    scores: Vec<Vec<f64>>,
    /// Squared differences of the missing rates over their noise variance.
    missing: Vec<f64>,
    /// Squared excesses of the invalid rates over their noise variance.
    invalid: Vec<f64>,
    noise_variance: Vec<f64>,
    missing_noise_variance: Vec<f64>,
    invalid_noise_variance: Vec<f64>,
    /// Values per block.
    samples: Vec<f64>,
}

impl BlockScores {
    fn new() -> Self {
        BlockScores {
            scores: vec![Vec::new(); SIMULATED.len()],
            ..BlockScores::default()
        }
    }

    /// Scores one block against the rest of the reference, unless it has too few values.
    fn add(
        &mut self,
        block: &FeatureCounts,
        rest: Option<&FeatureCounts>,
        scorer: &Scorer,
        spec: &BlockSpec,
    ) {
        let n = block.tallies.values;
        let has_enough = n >= spec.min_samples.max(1);
        let Some(rest) = rest.filter(|_| has_enough) else {
            return;
        };
        let Some(scores) = scorer.against(block, rest) else {
            return;
        };
        let of_values = noise_variance(n as f64, rest.tallies.values as f64);
        for (series, score) in self.scores.iter_mut().zip(quadratic(&scores)) {
            if score.is_finite() {
                series.push(score / of_values);
            }
        }
        let of_events = noise_variance(block.tallies.events() as f64, rest.tallies.events() as f64);
        let [in_block, in_rest] =
            [block, rest].map(|counts| counts.tallies.missing_ratio().unwrap_or(0.0));
        self.missing.push((in_block - in_rest).powi(2) / of_events);
        self.missing_noise_variance.push(of_events);
        let of_present = noise_variance(
            block.tallies.present() as f64,
            rest.tallies.present() as f64,
        );
        let [in_block, in_rest] =
            [block, rest].map(|counts| counts.tallies.invalid_ratio().unwrap_or(0.0));
        self.invalid
            .push((in_block - in_rest).max(0.0).powi(2) / of_present);
        self.invalid_noise_variance.push(of_present);
        self.noise_variance.push(of_values);
        self.samples.push(n as f64);
    }

    /// The statistics of all blocks; `None` where there are fewer than two without overlap.
    fn summarise(
        &self,
        model: &NullModel,
        spec: &BlockSpec,
        step: usize,
    ) -> Option<BlockStatistics> {
        let steps_per_block = spec.panes as f64 / step as f64;
        let effective = self.samples.len() as f64 / steps_per_block;
        if effective < MIN_BLOCKS {
            return None;
        }
        let samples = moments(&self.samples).0;
        let distribution = |series: &Vec<f64>| {
            block_distribution(series, steps_per_block)
                .filter(|distribution| distribution.mean > 0.0)
        };
        let distributions: Vec<_> = self.scores.iter().map(distribution).collect();
        let design_effect = distributions
            .iter()
            .enumerate()
            .map(|(index, distribution)| {
                let simulated = model.simulated_distribution(index, whole(samples))?;
                Some((distribution.as_ref()?.mean / simulated.mean).max(1.0))
            })
            .map(|effect| effect.unwrap_or(1.0))
            .collect();
        Some(BlockStatistics {
            window_ms: u64::try_from(spec.window.as_millis()).unwrap_or(u64::MAX),
            effective,
            samples,
            noise_variance: moments(&self.noise_variance).0,
            design_effect,
            missing: distribution(&self.missing),
            missing_noise_variance: moments(&self.missing_noise_variance).0,
            invalid: distribution(&self.invalid).map(|distribution| RateBlocks {
                distribution,
                noise_variance: moments(&self.invalid_noise_variance).0,
            }),
            unseen: None,
            out_of_range: None,
            rare_design_effect: 1.0,
            distributions,
        })
    }
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
    use crate::model::Kind;
    use crate::reference::{Column, FitOptions, fit};

    const PANES: usize = 240;
    const PER_PANE: u32 = 50;

    /// Values of a pane, nearly uniform over 0..1000 and shifted by `shift`.
    fn values(pane: usize, shift: f64) -> impl Iterator<Item = f64> {
        let first = u32::try_from(pane).unwrap() * PER_PANE;
        (first..first + PER_PANE)
            .map(move |i| f64::from(i.wrapping_mul(2_654_435_761) >> 12) / 1048.576 + shift)
    }

    /// Statistics of blocks of ten panes, whose values are shifted by `shift`.
    fn statistics(shift: impl Fn(usize) -> f64, min_samples: u64) -> Option<BlockStatistics> {
        let column = Column {
            numbers: (0..PANES)
                .flat_map(|pane| values(pane, shift(pane)))
                .collect(),
            ..Column::default()
        };
        let reference = fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap();
        let layout = Arc::clone(&reference.layout);
        let model = NullModel::new(Scorer::new(Arc::new(reference), 0.5), "hash", None);
        let panes = Panes {
            count: PANES,
            add: &|pane, counts| {
                for x in values(pane, shift(pane)) {
                    counts.record_number(layout.numeric().unwrap(), x);
                }
            },
            hour: &|_| 0,
        };
        let spec = BlockSpec {
            window: Duration::from_secs(600),
            panes: 10,
            min_samples,
        };
        block_statistics(&model, &panes, &spec)
    }

    #[test]
    fn overlapping_blocks_count_as_many_as_fit_side_by_side() {
        let blocks = statistics(|_| 0.0, 1).unwrap();
        assert!((blocks.effective - 23.1).abs() < 1e-9, "231 blocks of 10");
        assert!((blocks.samples - 500.0).abs() < 1e-9, "values in a block");
        // 1/500 + 1/(12000 - 500)
        let expected = 1.0 / 500.0 + 1.0 / 11_500.0;
        assert!(
            (blocks.noise_variance - expected).abs() < 1e-12,
            "{blocks:?}"
        );
        assert_eq!(blocks.window_ms, 600_000, "length");
    }

    #[test]
    fn the_design_effect_is_one_unless_blocks_vary_more_than_samples() {
        let steady = statistics(|_| 0.0, 1).unwrap();
        assert!(steady.design_effect[0] < 1.2, "{:?}", steady.design_effect);
        let slow = statistics(|pane| f64::from(u8::from(pane % 40 < 20)) * 300.0, 1).unwrap();
        assert!(slow.design_effect[0] > 5.0, "{:?}", slow.design_effect);
    }

    #[test]
    fn blocks_below_min_samples_are_left_out() {
        assert!(statistics(|_| 0.0, 501).is_none(), "none has 501 values");
    }
}
