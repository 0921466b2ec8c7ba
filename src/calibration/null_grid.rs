//! The sizes of windows for which null tables exist, and the tables computed so far.
//!
//! Distributions hardly depend on the size once they are divided by the noise variance, so a table
//! per octave is enough where bins hold many values. Windows with few values per bin are lumpier:
//! within an octave their quantiles lie up to 3.4 % above a straight line between its ends. There
//! half octaves are used.

use std::sync::{Arc, OnceLock};

use crate::reference::{NullSize, NullTable};
use crate::stats::EmpiricalDistribution;

/// Exponent of the largest size, a power of two.
const MAX_EXPONENT: u32 = 31;
/// Size below which whole octaves are close enough in absolute numbers.
const TINY: u64 = 8;
/// Values per score bin from which whole octaves are close enough.
const MANY_PER_BIN: u64 = 16;

/// The table of one size, where it exists.
#[derive(Debug)]
struct Slot {
    size: NullSize,
    /// Number of values in a window of this size.
    values: u64,
    table: OnceLock<Arc<NullTable>>,
    /// True for a table of the artefact.
    is_stored: bool,
}

/// Null tables in ascending order of size; each is inserted, or computed when it is first needed.
#[derive(Debug)]
pub(super) struct NullGrid(Vec<Slot>);

impl NullGrid {
    /// The grid for windows of `bins` score bins, filled with the tables that are stored.
    pub(super) fn new<'a>(bins: usize, stored: impl IntoIterator<Item = &'a NullTable>) -> Self {
        let mut slots: Vec<Slot> = sizes(bins)
            .map(|size| Slot {
                size,
                values: size.values(),
                table: OnceLock::new(),
                is_stored: false,
            })
            .collect();
        for table in stored {
            if let Some(slot) = slots.iter_mut().find(|slot| slot.size == table.size) {
                slot.table.get_or_init(|| Arc::new(table.clone()));
                slot.is_stored = true;
            }
        }
        NullGrid(slots)
    }

    /// The tables that are stored or computed.
    pub(super) fn tables(&self) -> impl Iterator<Item = &NullTable> {
        self.0.iter().filter_map(|slot| Some(&**slot.table.get()?))
    }

    /// Returns true if the tables for windows of `n` values exist.
    pub(super) fn is_prepared(&self, n: u64) -> bool {
        self.around(n)
            .0
            .into_iter()
            .all(|index| self.0[index].table.get().is_some())
    }

    /// The tables for windows of `n` values that exist and do not come from the artefact.
    pub(super) fn simulated(&self, n: u64) -> impl Iterator<Item = &Arc<NullTable>> {
        self.slots(n)
            .iter()
            .filter(|slot| !slot.is_stored)
            .filter_map(|slot| slot.table.get())
    }

    /// The sizes whose tables are needed for windows of `n` values and do not exist, each once.
    pub(super) fn missing(&self, n: u64) -> impl Iterator<Item = NullSize> {
        self.slots(n)
            .iter()
            .filter(|slot| slot.table.get().is_none())
            .map(|slot| slot.size)
    }

    fn slots(&self, n: u64) -> &[Slot] {
        let ([low, high], _) = self.around(n);
        &self.0[low..=high]
    }

    /// Adds a table; the table of a size that exists stays.
    pub(super) fn insert(&self, table: Arc<NullTable>) {
        if let Some(slot) = self.0.iter().find(|slot| slot.size == table.size) {
            slot.table.get_or_init(|| table);
        }
    }

    /// Computes the tables for windows of `n` values that do not exist yet.
    pub(super) fn prepare(&self, n: u64, compute: impl Fn(NullSize) -> NullTable) {
        for index in self.around(n).0 {
            self.table(index, &compute);
        }
    }

    /// The distribution of a simulated statistic in windows of `n` values.
    ///
    /// Interpolates between the sizes around `n`, linearly in `ln n`. Beyond the grid it is the
    /// distribution at its end.
    pub(super) fn distribution(
        &self,
        statistic_index: usize,
        n: u64,
        compute: impl Fn(NullSize) -> NullTable,
    ) -> Option<EmpiricalDistribution> {
        let ([low, high], part) = self.around(n);
        let distribution = |index: usize| {
            self.table(index, &compute)
                .distributions
                .get(statistic_index)?
                .as_ref()
        };
        if part <= 0.0 {
            return distribution(low).cloned();
        }
        Some(distribution(low)?.interpolate(distribution(high)?, part))
    }

    fn table(&self, index: usize, compute: impl Fn(NullSize) -> NullTable) -> &NullTable {
        let Slot { size, table, .. } = &self.0[index];
        table.get_or_init(|| Arc::new(compute(*size)))
    }

    /// The indices of the sizes around `n`, and the part of the way between them, in `ln n`.
    fn around(&self, n: u64) -> ([usize; 2], f64) {
        let high = self.0.partition_point(|slot| slot.values <= n);
        let low = high.saturating_sub(1);
        let values = |index: usize| self.0.get(index).map(|slot| slot.values);
        match values(low).zip(values(high)) {
            Some((low_values, high_values)) if low_values < n => {
                let octaves = |from: u64, to: u64| (to as f64 / from as f64).log2();
                let part = octaves(low_values, n) / octaves(low_values, high_values);
                ([low, high], part)
            }
            _ => ([low, low], 0.0),
        }
    }
}

/// The sizes of the grid for windows of `bins` score bins, ascending.
fn sizes(bins: usize) -> impl Iterator<Item = NullSize> {
    let halved = TINY..MANY_PER_BIN * bins as u64;
    (0..=MAX_EXPONENT).flat_map(move |k| {
        let octave = NullSize { k, is_half: false };
        let middle = NullSize { k, is_half: true };
        let has_middle = k < MAX_EXPONENT && halved.contains(&octave.values());
        std::iter::once(octave).chain(has_middle.then_some(middle))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_lies_between_its_neighbours() {
        let grid = NullGrid::new(50, []);
        let mut last = 0;
        for Slot { size, .. } in &grid.0 {
            assert!(size.values() > last, "{size} ascends");
            last = size.values();
        }
        for n in (1..3000).chain([1 << 20, (1 << 31) - 1]) {
            let ([low, high], part) = grid.around(n);
            let [low, high] = [low, high].map(|index| grid.0[index].size.values());
            let back = low as f64 * (high as f64 / low as f64).powf(part);
            assert!(
                (back / n as f64 - 1.0).abs() < 1e-12,
                "{n}: {low} .. {high}"
            );
            assert!((0.0..1.0).contains(&part), "{n}: {part}");
        }
    }

    #[test]
    fn octaves_are_halved_where_bins_hold_few_values() {
        let halves = |bins: usize| -> Vec<u64> {
            sizes(bins)
                .filter(|size| size.is_half)
                .map(NullSize::values)
                .collect()
        };
        assert_eq!(halves(10), [11, 22, 45, 90, 181], "ten bins");
        assert_eq!(halves(50).last(), Some(&724), "fifty bins");
        assert_eq!(halves(400).last(), Some(&5792), "four hundred bins");
    }

    #[test]
    fn sizes_beyond_the_grid_have_the_distribution_of_its_end() {
        let grid = NullGrid::new(20, []);
        let ([low, high], _) = grid.around(u64::MAX);
        assert_eq!(low, high, "one size");
        assert_eq!(grid.0[low].size.values(), 1 << MAX_EXPONENT, "the largest");
        assert_eq!(grid.around(0).0, [0, 0], "the smallest");
    }
}
