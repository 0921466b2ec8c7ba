//! Finds the score bin of a value whose cell is known, without a search.
//!
//! Bins and cells divide the same line, and [`CellScale::locate`] never decreases with the value.
//! So every break in a lower cell is below the value and every break in a higher cell is above it.
//! Only the breaks inside the value's own cell are compared with it: one or two where a normal
//! feature has 20 bins of equal mass, up to six where a very skewed one has. A number of
//! comparisons that is fixed for the layout covers them, together with breaks of higher cells,
//! without a branch that depends on the value.
//!
//! The table of a feature is 384 bytes, of which a window of a normal feature touches one or two
//! cache lines. Layouts with more breaks in a cell have no table: their bins are searched.

use super::bins::Bins;
use super::cells::{CELLS, CellScale};

/// The most breaks of one cell in a table.
const MOST_IN_CELL: usize = 8;

/// By cell: the bins that its values can fall into.
#[derive(Clone, PartialEq)]
pub(super) struct BinTable {
    /// By cell: the number of breaks in lower cells.
    breaks_below: Box<[u8; CELLS]>,
    /// The breaks in ascending order, and [`MOST_IN_CELL`] infinities.
    breaks: Box<[f64]>,
    compared: Compared,
}

/// The number of breaks that are compared with every value: at least as many as a cell holds.
#[derive(Clone, Copy, PartialEq)]
enum Compared {
    Two,
    Four,
    Eight,
}

impl BinTable {
    /// The table of bins and cells; `None` where a cell holds more than [`MOST_IN_CELL`] breaks, or
    /// where there are more breaks than a byte counts.
    pub(super) fn try_new(bins: &Bins, cells: &CellScale) -> Option<Self> {
        let mut in_cell = [0_u8; CELLS];
        for limit in bins.limits() {
            let count = &mut in_cell[cells.locate(*limit).cell];
            *count = count.checked_add(1)?;
        }
        let compared = match in_cell.iter().copied().max().map_or(0, usize::from) {
            0..=2 => Compared::Two,
            3..=4 => Compared::Four,
            5..=MOST_IN_CELL => Compared::Eight,
            _ => return None,
        };
        let mut breaks_below = Box::new([0_u8; CELLS]);
        let mut below = 0_u8;
        for (total, count) in breaks_below.iter_mut().zip(in_cell) {
            *total = below;
            below = below.checked_add(count)?;
        }
        Some(BinTable {
            breaks_below,
            breaks: bins
                .limits()
                .iter()
                .copied()
                .chain([f64::INFINITY; MOST_IN_CELL])
                .collect(),
            compared,
        })
    }

    /// The bin of a finite value in this cell, in `0..CELLS`.
    #[inline]
    pub(super) fn index(&self, cell: usize, x: f64) -> usize {
        let below = usize::from(self.breaks_below[cell]);
        let candidates = &self.breaks[below..];
        below
            + match self.compared {
                Compared::Two => at_or_below::<2>(candidates, x),
                Compared::Four => at_or_below::<4>(candidates, x),
                Compared::Eight => at_or_below::<MOST_IN_CELL>(candidates, x),
            }
    }
}

/// The number of breaks at or below `x` among the first `N`.
#[inline]
fn at_or_below<const N: usize>(breaks: &[f64], x: f64) -> usize {
    breaks.first_chunk::<N>().map_or(0, |breaks| {
        breaks.iter().map(|limit| usize::from(*limit <= x)).sum()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{NumericLayout, histogram_edges};
    use proptest::prelude::*;

    /// Compares the bin by the table with the bin by the search.
    fn check(layout: &NumericLayout, x: f64) -> Result<(), TestCaseError> {
        let (position, bin) = layout.locate(x);
        prop_assert_eq!(position, layout.cells.locate(x));
        prop_assert_eq!(bin, layout.bins.index(x), "x = {:e}", x);
        Ok(())
    }

    /// Values at, just beside and far from every edge, and at the ends of the doubles.
    fn probes(layout: &NumericLayout, xs: &[f64]) -> Vec<f64> {
        let edges = layout.bins.edges().iter().copied();
        let cell_edges = (0..=CELLS).map(|cell| layout.cells.edge(cell));
        edges
            .chain(cell_edges)
            .chain(xs.iter().copied())
            .chain([0.0, f64::MIN_POSITIVE, 5e-324, f64::MAX])
            .flat_map(|x| [x, -x])
            .flat_map(|x| [x, x.next_up(), x.next_down()])
            .filter(|x| x.is_finite())
            .collect()
    }

    fn layout(edges: Vec<f64>, median: f64, scale: f64) -> NumericLayout {
        let cells = CellScale::try_new(median, scale).unwrap();
        NumericLayout::new(Bins::try_new(edges).unwrap(), cells)
    }

    proptest! {
        #[test]
        fn the_table_agrees_with_the_search_for_bins_of_a_reference(
            mut sample in proptest::collection::vec(-40..40_i32, 1..400),
            jitter in prop_oneof![Just(0.0), 1e-9..1.0_f64],
            count in 2..60usize,
            xs in proptest::collection::vec(-1e3..1e3f64, 0..50),
        ) {
            sample.sort_unstable();
            let sample: Vec<f64> = sample
                .iter()
                .enumerate()
                .map(|(index, x)| f64::from(*x) + jitter * (index as f64 / 400.0))
                .collect();
            let mut sorted = sample;
            sorted.sort_by(f64::total_cmp);
            let cells = CellScale::fit(&sorted, 1.0).unwrap();
            let bins = Bins::try_new(histogram_edges(&sorted, count)).unwrap();
            let layout = NumericLayout::new(bins, cells);
            for x in probes(&layout, &xs).into_iter().chain(sorted) {
                check(&layout, x)?;
            }
        }

        #[test]
        fn the_table_agrees_with_the_search_for_edges_of_a_user(
            mut edges in proptest::collection::vec(
                prop_oneof![-60.0..60.0f64, -1e9..1e9f64, -1e-6..1e-6f64, Just(0.0)], 2..70,
            ),
            is_open_below in any::<bool>(),
            is_open_above in any::<bool>(),
            median in -50.0..50.0f64,
            scale in prop_oneof![1e-6..1e-2f64, 0.1..100.0f64, 1e6..1e9f64],
            xs in proptest::collection::vec(prop_oneof![-70.0..70.0f64, any::<f64>()], 0..50),
        ) {
            edges.extend(is_open_below.then_some(f64::NEG_INFINITY));
            edges.extend(is_open_above.then_some(f64::INFINITY));
            edges.sort_by(f64::total_cmp);
            edges.dedup_by(|next, kept| *next <= *kept);
            prop_assume!(edges.len() >= 2);
            let layout = layout(edges, median, scale);
            for x in probes(&layout, &xs) {
                check(&layout, x)?;
            }
        }
    }

    #[test]
    fn bins_of_equal_mass_have_a_table() {
        let mut logistic: Vec<f64> = (1..10_000)
            .map(|i| {
                let share = f64::from(i) / 10_000.0;
                (share / (1.0 - share)).ln()
            })
            .collect();
        let mut skewed: Vec<f64> = logistic.iter().map(|x| x.exp()).collect();
        for (sorted, counts) in [(&mut logistic, [10, 20, 50]), (&mut skewed, [5, 10, 20])] {
            sorted.sort_by(f64::total_cmp);
            for count in counts {
                let bins = Bins::try_new(histogram_edges(sorted, count)).unwrap();
                let cells = CellScale::fit(sorted, 1.0).unwrap();
                assert!(BinTable::try_new(&bins, &cells).is_some(), "{count} bins");
            }
        }
    }

    #[test]
    fn a_point_mass_has_a_table() {
        let layout = layout(vec![7.0, 7.0_f64.next_up()], 7.0, 0.007);
        assert!(BinTable::try_new(&layout.bins, &layout.cells).is_some());
        assert_eq!(layout.locate(7.0).1, 1, "the constant");
        assert_eq!(layout.locate(7.0_f64.next_down()).1, 0, "below");
        assert_eq!(layout.locate(7.0_f64.next_up()).1, 2, "above");
    }

    #[test]
    fn bins_much_narrower_than_the_cells_are_searched() {
        let edges: Vec<f64> = (0..1000).map(f64::from).collect();
        let layout = layout(edges, 0.0, 1e9);
        assert!(BinTable::try_new(&layout.bins, &layout.cells).is_none());
        assert_eq!(layout.locate(500.5).1, 501, "by the search");
    }
}
