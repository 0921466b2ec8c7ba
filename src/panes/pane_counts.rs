//! The accepted counts of one feature in one pane, stored from the first to the last touched bin
//! and cell.
//!
//! Windows hold many panes and most of a layout is empty in each of them, so panes are sparse and
//! only the sum over a window is a full array.

use serde::{Deserialize, Serialize};

use super::commit::FeatureDelta;
use super::encoding;
use crate::stats::{CellRun, FeatureCounts, HeavyHitters, Tallies};

/// Accepted counts of one feature in one pane.
///
/// Counters have 32 bits. When a delta could overflow the last chunk, a new chunk is started.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct PaneCounts {
    chunks: Vec<CountChunk>,
    unexpected_values: HeavyHitters,
}

/// Counts of at most `u32::MAX` values.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
struct CountChunk {
    tallies: Tallies,
    bins: (u16, Vec<u32>),
    #[serde(with = "encoding::cell_run")]
    cells: CellRun,
}

impl PaneCounts {
    /// Adds a delta.
    pub fn merge(&mut self, delta: &FeatureDelta) {
        self.unexpected_values.merge(&delta.unexpected_values);
        match self.chunks.last_mut().filter(|chunk| chunk.fits(delta)) {
            Some(chunk) => chunk.merge(delta),
            None => {
                let mut chunk = CountChunk::default();
                chunk.merge(delta);
                self.chunks.push(chunk);
            }
        }
    }

    /// Adds the counts of another pane.
    pub fn absorb(&mut self, other: &Self) {
        for chunk in &other.chunks {
            self.merge(&FeatureDelta {
                feature: 0,
                tallies: chunk.tallies,
                bins: chunk.bins.clone(),
                cells: chunk.cells.clone(),
                unexpected_values: HeavyHitters::default(),
            });
        }
        self.unexpected_values.merge(&other.unexpected_values);
    }

    /// Returns the number of events, with and without a value.
    #[must_use]
    pub fn events(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.tallies.events()).sum()
    }

    /// Returns the number of usable values.
    #[must_use]
    pub fn values(&self) -> u64 {
        self.chunks.iter().map(|chunk| chunk.tallies.values).sum()
    }

    /// Returns true if nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.chunks.is_empty()
    }

    /// Adds these counts and the unexpected values to those of a window.
    pub fn add_to(&self, window: &mut FeatureCounts) {
        self.add_counts_to(window);
        window.unexpected_values.merge(&self.unexpected_values);
    }

    /// Adds these counts to those of a window, without the unexpected values.
    pub fn add_counts_to(&self, window: &mut FeatureCounts) {
        for chunk in &self.chunks {
            let (first_bin, bins) = &chunk.bins;
            window.add_pane(&chunk.tallies, (*first_bin, bins), &chunk.cells);
        }
    }

    /// Subtracts these counts, which were added before, from those of a window.
    pub fn subtract_from(&self, window: &mut FeatureCounts) {
        for chunk in &self.chunks {
            let (first_bin, bins) = &chunk.bins;
            window.subtract_pane(&chunk.tallies, (*first_bin, bins), &chunk.cells);
        }
    }

    /// Returns the most frequent values that the reference has no bin for.
    #[must_use]
    pub const fn unexpected_values(&self) -> &HeavyHitters {
        &self.unexpected_values
    }

    /// Returns the size in memory in bytes, including the value itself.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self
                .chunks
                .iter()
                .map(CountChunk::size_bytes)
                .sum::<usize>()
            + self.unexpected_values.size_bytes()
    }
}

impl CountChunk {
    fn fits(&self, delta: &FeatureDelta) -> bool {
        self.tallies.values + delta.tallies.values <= u64::from(u32::MAX)
    }

    fn merge(&mut self, delta: &FeatureDelta) {
        self.tallies.merge(&delta.tallies);
        add_run(
            &mut self.bins.0,
            &mut self.bins.1,
            delta.bins.0,
            &delta.bins.1,
        );
        let mut first = self.cells.first;
        add_run(
            &mut first,
            &mut self.cells.counts,
            delta.cells.first,
            &delta.cells.counts,
        );
        add_run(
            &mut self.cells.first,
            &mut self.cells.sums,
            delta.cells.first,
            &delta.cells.sums,
        );
    }

    fn size_bytes(&self) -> usize {
        size_of::<Self>()
            + self.bins.1.capacity() * size_of::<u32>()
            + self.cells.counts.capacity() * size_of::<u32>()
            + self.cells.sums.capacity() * size_of::<i64>()
    }
}

/// Adds a run that begins at index `other_first` to one that begins at `first`, growing it as
/// needed.
fn add_run<T: Copy + Default + std::ops::AddAssign>(
    first: &mut u16,
    values: &mut Vec<T>,
    other_first: u16,
    other_values: &[T],
) {
    if other_values.is_empty() {
        return;
    }
    if values.is_empty() {
        *first = other_first;
    }
    let front = usize::from(first.saturating_sub(other_first));
    *first = (*first).min(other_first);
    let shift = usize::from(other_first - *first);
    let needed = (values.len() + front).max(shift + other_values.len());
    if front > 0 || needed > values.len() {
        let mut grown = Vec::with_capacity(needed);
        grown.resize(front, T::default());
        grown.append(values);
        grown.resize(needed, T::default());
        *values = grown;
    }
    values[shift..]
        .iter_mut()
        .zip(other_values)
        .for_each(|(sum, value)| *sum += *value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::panes::Frame;
    use crate::stats::{Bins, CellScale, Layout, NumericLayout};
    use proptest::prelude::*;

    fn layout() -> Layout {
        let bins = Bins::try_new(vec![-3.0, -1.0, 0.0, 1.0, 3.0]).unwrap();
        Layout::Numeric(NumericLayout::new(
            bins,
            CellScale::try_new(0.0, 1.0).unwrap(),
        ))
    }

    fn delta(layout: &Layout, xs: &[f64]) -> FeatureDelta {
        let mut frame = Frame::new([Some(layout)].into_iter());
        xs.iter()
            .for_each(|x| frame.record_number(0, layout.numeric().unwrap(), *x));
        frame.take().features.remove(0)
    }

    fn window(deltas: &[&[f64]], layout: &Layout) -> FeatureCounts {
        let mut pane = PaneCounts::default();
        deltas.iter().for_each(|xs| pane.merge(&delta(layout, xs)));
        let mut window = FeatureCounts::new(layout);
        pane.add_to(&mut window);
        window
    }

    #[test]
    fn a_normal_numeric_pane_stays_small() {
        let mut sparse = PaneCounts::default();
        let xs: Vec<f64> = (0..10_000)
            .map(|i| (f64::from(i) / 1000.0 - 5.0) * 0.9)
            .collect();
        sparse.merge(&delta(&layout(), &xs));
        assert!(
            sparse.size_bytes() <= 1228,
            "{} bytes, 1.2 KiB allowed",
            sparse.size_bytes()
        );
    }

    #[test]
    fn counters_that_would_overflow_start_another_chunk() {
        let layout = layout();
        let mut big = delta(&layout, &[0.5]);
        big.tallies.values = u64::from(u32::MAX);
        big.bins.1[0] = u32::MAX;
        let mut pane = PaneCounts::default();
        pane.merge(&big);
        pane.merge(&big);
        let mut window = FeatureCounts::new(&layout);
        pane.add_to(&mut window);
        assert_eq!(window.tallies.values, 2 * u64::from(u32::MAX), "values");
        assert_eq!(
            window.bins.iter().sum::<u64>(),
            2 * u64::from(u32::MAX),
            "bins"
        );
    }

    proptest! {
        #[test]
        fn panes_merge_in_any_order_to_the_same_bits(
            a in proptest::collection::vec(-1e4..1e4f64, 0..50), b in proptest::collection::vec(-5.0..5.0f64, 0..50),
            c in proptest::collection::vec(-1e9..1e9f64, 0..5)
        ) {
            let layout = layout();
            let everything: Vec<f64> = a.iter().chain(&b).chain(&c).copied().collect();
            let whole = window(&[&everything], &layout);
            prop_assert_eq!(&window(&[&a, &b, &c], &layout), &whole);
            prop_assert_eq!(&window(&[&c, &a, &[], &b], &layout), &whole);
        }
    }
}
