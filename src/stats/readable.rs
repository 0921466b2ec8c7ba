//! Quantiles of counted numbers for people: a quantile of whole numbers is a whole number.
//!
//! A cell knows how many values it holds and their sum, and interpolation inside it gives an age of
//! 34.7 years or 2.5 rooms. So cells are checked for whole numbers: their sums must be whole, and
//! their means must lie between the first and the last whole number of the cell. A cell no wider
//! than 1 holds only one, so its mean is that number: ten values of 0.3 have a whole sum, but not a
//! whole mean.

use std::cmp::Ordering;

use super::cells::{CELLS, CellCounts, CellScale, FULL_WIDTH};

/// The largest rounding error of a sum at which a whole sum still says something.
const MAX_SUM_ERROR: f64 = 0.01;

/// Reads quantiles from cells.
#[derive(Debug, Clone, Copy)]
pub struct ReadableQuantiles<'a> {
    cells: &'a CellCounts,
    scale: &'a CellScale,
    is_whole: bool,
}

impl<'a> ReadableQuantiles<'a> {
    /// The quantiles of cells with this scale.
    #[must_use]
    pub fn new(cells: &'a CellCounts, scale: &'a CellScale) -> Self {
        ReadableQuantiles {
            cells,
            scale,
            is_whole: holds_whole_numbers(cells, scale),
        }
    }

    /// True if all values are whole numbers, as far as the cells show it.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// The value below which `share` (0..=1) of the values lie; `None` without values.
    #[must_use]
    pub fn get(&self, share: f64) -> Option<f64> {
        let value = self.cells.quantile(self.scale, share)?;
        if !self.is_whole {
            return Some(value);
        }
        let cell = self.cell_of(share)?;
        let width = self.scale.width(cell);
        if width <= 1.0 {
            let (count, sum) = (self.cells.count(cell), self.cells.sum(cell));
            return Some(self.scale.mean_in(cell, count, sum).round() + 0.0);
        }
        let (lowest, highest) = (
            self.scale.edge(cell).ceil(),
            self.scale.edge(cell + 1).floor(),
        );
        Some(value.round().clamp(lowest, highest) + 0.0)
    }

    /// The side on which a quantile lies beyond the measured range: `Less` below the lowest inner
    /// edge of the cells, `Greater` above the highest one, `Equal` inside or without values.
    ///
    /// The outermost cells also hold values that are farther away than a cell can say, so a
    /// quantile in them is only a bound.
    #[must_use]
    pub fn beyond(&self, share: f64) -> Ordering {
        match self.cell_of(share) {
            Some(0) => Ordering::Less,
            Some(cell) if cell == CELLS - 1 => Ordering::Greater,
            _ => Ordering::Equal,
        }
    }

    /// The cell in which a quantile lies.
    fn cell_of(&self, share: f64) -> Option<usize> {
        let mut remaining = share.clamp(0.0, 1.0) * self.cells.total() as f64;
        let mut last = None;
        for cell in self.cells.touched() {
            let count = self.cells.count(cell) as f64;
            if count > 0.0 {
                last = Some(cell);
                if remaining <= count {
                    break;
                }
            }
            remaining -= count;
        }
        last
    }
}

/// True if no cell shows a value that is not whole, and at least one sum is known well enough.
///
/// A position is rounded to 1 / 2^24 of its cell. The outermost cells hold saturated values, whose
/// sums are not those of the data.
fn holds_whole_numbers(cells: &CellCounts, scale: &CellScale) -> bool {
    let mut is_known = false;
    for cell in cells.touched().filter(|cell| (1..CELLS - 1).contains(cell)) {
        let (count, sum) = (cells.count(cell), cells.sum(cell));
        if count == 0 {
            continue;
        }
        let rounding = scale.width(cell) / FULL_WIDTH as f64;
        let arithmetic = 4.0 * f64::EPSILON * scale.edge(cell).abs().max(scale.width(cell));
        let error = rounding + arithmetic;
        let mean = scale.mean_in(cell, count, sum);
        if !is_mean_of_whole_numbers(mean, error, scale, cell) {
            return false;
        }
        let sum_error = count as f64 * error;
        if sum_error > MAX_SUM_ERROR {
            continue;
        }
        let total = count as f64 * mean;
        if (total - total.round()).abs() > sum_error {
            return false;
        }
        is_known = true;
    }
    is_known
}

/// True if whole numbers in this cell can have this mean, known to `error`.
fn is_mean_of_whole_numbers(mean: f64, error: f64, scale: &CellScale, cell: usize) -> bool {
    if scale.width(cell) <= 1.0 {
        return (mean - mean.round()).abs() <= error;
    }
    let lowest = (scale.edge(cell) - error).ceil();
    let highest = (scale.edge(cell + 1) + error).floor();
    (lowest - error..=highest + error).contains(&mean)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::stats::quantile_sorted;

    fn counted(scale: &CellScale, values: &[f64]) -> CellCounts {
        let mut cells = CellCounts::default();
        for x in values {
            cells.record(scale.locate(*x));
        }
        cells
    }

    fn median(scale: &CellScale, values: &[f64]) -> (f64, bool) {
        let cells = counted(scale, values);
        let quantiles = ReadableQuantiles::new(&cells, scale);
        (quantiles.get(0.5).unwrap(), quantiles.is_whole())
    }

    /// The median age was told as 34.7.
    #[test]
    fn the_median_of_whole_numbers_is_one_of_them() {
        let scale = CellScale::try_new(40.0, 12.0).unwrap();
        let ages: Vec<f64> = (0..1001).map(|i| f64::from(20 + i % 31)).collect();
        assert_eq!(median(&scale, &ages), (35.0, true));
        let negative: Vec<f64> = ages.iter().map(|age| -age).collect();
        assert_eq!(median(&scale, &negative), (-35.0, true));
    }

    /// The median of values between 0 and 1 was told as -0.926 beside a reference with a median of
    /// 40, and that of 100, 200 and 300 as 209.
    #[test]
    fn the_median_of_values_in_one_wide_cell_is_near_their_mean() {
        let scale = CellScale::try_new(40.0, 10.0).unwrap();
        let shares: Vec<f64> = (0..1000).map(|i| (f64::from(i) + 0.3) / 1000.0).collect();
        let (value, _) = median(&scale, &shares);
        assert!((value - 0.5).abs() < 1e-3, "{value}");
        let scale = CellScale::try_new(150.0, 70.0).unwrap();
        let hundreds: Vec<f64> = [100.0, 200.0, 300.0].repeat(100);
        let (value, _) = median(&scale, &hundreds);
        assert!((value - 200.0).abs() < 1e-3, "{value}");
    }

    #[test]
    fn the_median_of_fractions_is_interpolated() {
        let scale = CellScale::try_new(40.0, 12.0).unwrap();
        let prices: Vec<f64> = (0..1001).map(|i| f64::from(i) * 0.1 + 0.03).collect();
        let (value, is_whole) = median(&scale, &prices);
        assert!(!is_whole && (value - 50.03).abs() < 0.5, "{value}");
    }

    /// The median of a column of 0.5 was told as 1, that of 0.3 as 0.
    #[test]
    fn the_median_of_a_constant_is_the_constant() {
        for constant in [0.5, 0.3, 0.95, -0.5, 2.5, 99.9, 1e-3, 0.0, 1.0, -7.0, 1e6] {
            for count in [1, 2, 10, 1000, 1_000_000] {
                let scale = CellScale::fit(&[constant], 0.0).unwrap();
                let position = scale.locate(constant);
                let mut cells = CellCounts::default();
                cells.add(position.cell, count, position.outward * count.cast_signed());
                let quantiles = ReadableQuantiles::new(&cells, &scale);
                let (value, width) = (quantiles.get(0.5).unwrap(), scale.width(position.cell));
                assert!(
                    (value - constant).abs() <= width,
                    "{count} of {constant}: {value}"
                );
                if width <= 1.0 {
                    assert_eq!(
                        quantiles.is_whole(),
                        constant.fract().abs() <= 0.0,
                        "{constant}"
                    );
                }
            }
        }
    }

    /// A value of 1e30 times the scale was told as the outer edge of the last cell.
    #[test]
    fn a_median_beyond_the_cells_is_known_to_be_beyond() {
        let scale = CellScale::try_new(0.0, 1.0).unwrap();
        for (value, side) in [
            (1e30, Ordering::Greater),
            (-1e30, Ordering::Less),
            (1e6, Ordering::Equal),
        ] {
            let cells = counted(&scale, &[value; 3]);
            let beyond = ReadableQuantiles::new(&cells, &scale).beyond(0.5);
            assert_eq!(beyond, side, "{value}");
        }
    }

    #[test]
    fn without_values_there_is_no_median() {
        let (scale, cells) = (CellScale::try_new(0.0, 1.0).unwrap(), CellCounts::default());
        let quantiles = ReadableQuantiles::new(&cells, &scale);
        assert_eq!((quantiles.get(0.5), quantiles.is_whole()), (None, false));
    }

    proptest! {
        /// The scale decides how wide the cells are: a whole number on every one of them, exact
        /// where cells are narrow, else inside the cell of the true median.
        #[test]
        fn a_quantile_of_whole_numbers_is_whole_on_every_scale(
            mut values in prop::collection::vec(-5000_i32..5000, 1..200),
            scale in 0.01_f64..5000.0,
        ) {
            values.sort_unstable();
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let scale = CellScale::try_new(quantile_sorted(&values, 0.5), scale).unwrap();
            let (value, is_whole) = median(&scale, &values);
            prop_assert!(is_whole && value.fract().abs() <= 0.0, "{value}");
            let exact = values[(values.len() - 1) / 2];
            let width = scale.width(scale.locate(exact).cell);
            prop_assert!((value - exact).abs() <= width.max(1e-9), "{value} for {exact}");
        }

        /// Halves never share a cell no wider than 1 with a second whole mean, so one of them shows
        /// wherever the cells are narrow. The sums of an even number of halves are whole.
        #[test]
        fn halves_are_not_told_as_whole_numbers(
            values in prop::collection::vec(-2000_i32..2000, 1..100),
            scale in 0.01_f64..20.0,
            copies in 1_usize..5,
        ) {
            let values: Vec<f64> = values.into_iter().map(|half| f64::from(half) * 0.5).collect();
            let mut values = values.repeat(copies);
            values.sort_unstable_by(f64::total_cmp);
            let scale = CellScale::try_new(quantile_sorted(&values, 0.5), scale).unwrap();
            let is_shown = values.iter().any(|value| {
                value.fract().abs() > 0.0 && scale.width(scale.locate(*value).cell) <= 1.0
            });
            let (value, is_whole) = median(&scale, &values);
            prop_assert!(!(is_shown && is_whole), "{value}");
        }

        /// Ten equal tenths have a whole sum.
        #[test]
        fn a_constant_is_whole_only_if_it_is(
            tenths in -5000_i32..5000,
            count in 1_usize..50,
            scale in 0.01_f64..8.0,
        ) {
            let constant = f64::from(tenths) / 10.0;
            let scale = CellScale::try_new(constant, scale).unwrap();
            let (value, is_whole) = median(&scale, &vec![constant; count]);
            prop_assert_eq!(is_whole, tenths % 10 == 0);
            let width = scale.width(scale.locate(constant).cell);
            prop_assert!((value - constant).abs() <= width, "{} for {}", value, constant);
        }
    }
}
