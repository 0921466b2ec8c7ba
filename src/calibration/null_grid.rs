//! The sizes of clean windows that null tables are made for, and the tables that are there.
//!
//! Powers of two are close enough together where bins hold many values. Windows of a few values per bin are lumpier, and laws within an octave are up to 3.4 %
//! above a straight line between its ends; there half octaves are used.

use std::sync::OnceLock;

use crate::reference::{NullSize, NullTable};
use crate::stats::EmpiricalDistribution;

/// The largest size, as a power of two.
const LARGEST: u32 = 31;
/// Smaller windows than this have tables close to their size anyway.
const TINY: u64 = 8;
/// Values per score bin from which whole octaves are close enough.
const MANY_PER_BIN: u64 = 16;

/// Null tables by size, each made on first need and kept.
#[derive(Debug)]
pub(super) struct NullGrid(Vec<(NullSize, OnceLock<NullTable>)>);

impl NullGrid {
    /// The grid for windows of so many score bins, with the tables that are stored.
    pub(super) fn new<'a>(bins: usize, stored: impl IntoIterator<Item = &'a NullTable>) -> Self {
        let grid: Vec<_> = sizes(bins).map(|size| (size, OnceLock::new())).collect();
        for table in stored {
            if let Some((_, place)) = grid.iter().find(|(size, _)| *size == table.size) {
                place.get_or_init(|| table.clone());
            }
        }
        NullGrid(grid)
    }

    /// The tables that were made.
    pub(super) fn made(&self) -> impl Iterator<Item = &NullTable> {
        self.0.iter().filter_map(|(_, table)| table.get())
    }

    /// Whether windows of `n` values need no more tables.
    pub(super) fn is_prepared(&self, n: u64) -> bool {
        let is_made = |at: usize| self.0[at].1.get().is_some();
        self.around(n).0.into_iter().all(is_made)
    }

    /// Makes what is missing for windows of `n` values.
    pub(super) fn prepare(&self, n: u64, make: impl Fn(NullSize) -> NullTable) {
        for at in self.around(n).0 {
            self.table(at, &make);
        }
    }

    /// The law at a place of the tables for windows of `n` values, between those of the sizes around it.
    pub(super) fn law(
        &self,
        place: usize,
        n: u64,
        make: impl Fn(NullSize) -> NullTable,
    ) -> Option<EmpiricalDistribution> {
        let ([low, high], part) = self.around(n);
        let law = |at: usize| self.table(at, &make).laws.get(place)?.as_ref();
        if part <= 0.0 {
            return law(low).cloned();
        }
        Some(law(low)?.interpolate(law(high)?, part))
    }

    fn table(&self, at: usize, make: impl Fn(NullSize) -> NullTable) -> &NullTable {
        let (size, table) = &self.0[at];
        table.get_or_init(|| make(*size))
    }

    /// The sizes around `n`, and how far `n` is from the lower to the upper one on a logarithmic scale.
    fn around(&self, n: u64) -> ([usize; 2], f64) {
        let above = self.0.partition_point(|(size, _)| size.values() <= n);
        let low = above.saturating_sub(1);
        let [least, most] = [low, above].map(|at| self.0.get(at).map(|(size, _)| size.values()));
        match least.zip(most) {
            Some((least, most)) if least < n => {
                let octaves = |from: u64, to: u64| (to as f64 / from as f64).log2();
                ([low, above], octaves(least, n) / octaves(least, most))
            }
            _ => ([low, low], 0.0),
        }
    }
}

fn sizes(bins: usize) -> impl Iterator<Item = NullSize> {
    let halved = TINY..MANY_PER_BIN * bins as u64;
    (0..=LARGEST).flat_map(move |k| {
        let whole = NullSize { k, is_half: false };
        let middle = NullSize { k, is_half: true };
        let middle = (k < LARGEST && halved.contains(&whole.values())).then_some(middle);
        std::iter::once(whole).chain(middle)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_lies_between_its_neighbours() {
        let grid = NullGrid::new(50, []);
        let mut last = 0;
        for (size, _) in &grid.0 {
            assert!(size.values() > last, "{size} ascends");
            last = size.values();
        }
        for n in (1..3000).chain([1 << 20, (1 << 31) - 1]) {
            let ([low, high], part) = grid.around(n);
            let [low, high] = [low, high].map(|at| grid.0[at].0.values());
            let found = low as f64 * (high as f64 / low as f64).powf(part);
            assert!(
                (found / n as f64 - 1.0).abs() < 1e-12,
                "{n}: {low} .. {high}"
            );
            assert!((0.0..1.0).contains(&part), "{n}: {part}");
        }
    }

    #[test]
    fn octaves_are_halved_where_bins_hold_few_values() {
        let halves = |bins: usize| -> Vec<u64> {
            let sizes = sizes(bins).filter(|size| size.is_half);
            sizes.map(NullSize::values).collect()
        };
        assert_eq!(halves(10), [11, 22, 45, 90, 181], "ten bins");
        assert_eq!(halves(50).last(), Some(&724), "fifty bins");
        assert_eq!(halves(400).last(), Some(&5792), "four hundred bins");
    }

    #[test]
    fn what_is_beyond_the_grid_has_the_law_of_its_end() {
        let grid = NullGrid::new(20, []);
        let ([low, high], _) = grid.around(u64::MAX);
        assert_eq!(low, high, "one size");
        assert_eq!(grid.0[low].0.values(), 1 << LARGEST, "the largest");
        assert_eq!(grid.around(0).0, [0, 0], "the smallest");
    }
}
