//! The reference's own blocks, each scored against the rest of the reference.
//!
//! The reference is cut into panes in order of time. A block is as long as a window, and a new
//! block begins at each pane. Its counts are subtracted from the reference before the two are
//! compared, because a block resembles a reference that contains it. A step to the next block adds
//! one pane and removes one, for any length of a block.

use std::sync::Arc;

use super::block_scores::{BlockScores, BlockSpec};
use super::null_model::NullModel;
use crate::model::EventTime;
use crate::reference::{BlockStatistics, HourCounts, HourMixture};
use crate::score::Scorer;
use crate::stats::FeatureCounts;

/// Number of blocks beyond which more blocks add nothing; longer references skip panes.
const MAX_BLOCKS: usize = 20_000;
/// The limit for hour-of-week references, where each block is compared with another reference.
const MAX_HOUR_OF_WEEK_BLOCKS: usize = 4_000;

/// The panes of a reference, in order of time.
#[expect(missing_debug_implementations, reason = "holds a function")]
pub struct Panes<'a> {
    /// Number of panes.
    pub count: usize,
    /// Start of the first pane.
    pub origin: EventTime,
    /// Adds the counts of a pane.
    pub add: &'a dyn Fn(usize, &mut FeatureCounts),
    /// The hour of the week in which a pane begins.
    pub hour: &'a dyn Fn(usize) -> u16,
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
        if is_due && spec.has_enough(&block) {
            let rest = remainder(&reference.counts, &block);
            scores.add(
                change.first_pane(spec),
                &block,
                rest.as_ref(),
                model.scorer(),
            );
        }
    });
    scores.summarise(model, panes.origin, spec, step)
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
        if is_due && spec.has_enough(&block) {
            let events: Vec<(u16, u64)> = hours
                .iter()
                .map(|(hour, counts)| (*hour, counts.tallies.events()))
                .collect();
            if let Some(rest) = mixture.mixed(&events, &hours) {
                let scorer = Scorer::new(Arc::new(rest), pseudo_count);
                let rest = Some(&scorer.reference().counts);
                scores.add(change.first_pane(spec), &block, rest, &scorer);
            }
        }
    });
    scores.summarise(model, panes.origin, spec, step)
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

    /// The first pane of the block that ends with this pane.
    const fn first_pane(self, spec: &BlockSpec) -> usize {
        self.pane() + 1 - spec.panes
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
            origin: EventTime::from_millis(0),
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
