//! Facts about the numbers of a reference: mean, standard deviation and extremes.

use crate::stats::{CellCounts, CellScale, spread};

/// Facts about a numeric reference; exact where they are taken from its rows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NumberFacts {
    /// Mean of the values, in the feature's unit.
    pub mean: f64,
    /// Standard deviation, divisor `rows`; exactly 0 when all values are equal.
    pub std: f64,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// Set when the smallest value occurs more than once.
    pub min_tied: bool,
    /// Set when the largest value occurs more than once.
    pub max_tied: bool,
    /// Set when the edges of the bins do not come from these values.
    ///
    /// Then nothing follows from the number of values beyond the edges.
    pub edges_given: bool,
}

impl NumberFacts {
    /// The facts of values in ascending order; `None` without values.
    #[must_use]
    pub fn of(sorted: &[f64]) -> Option<Self> {
        let (mean, std) = spread(sorted)?;
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let is_tied = |neighbour: Option<&f64>, end: f64| {
            neighbour.is_some_and(|x| x.total_cmp(&end).is_eq())
        };
        let before_last = sorted.len().checked_sub(2).map(|index| &sorted[index]);
        Some(NumberFacts {
            mean,
            std,
            min,
            max,
            min_tied: is_tied(sorted.get(1), min),
            max_tied: is_tied(before_last, max),
            edges_given: false,
        })
    }

    /// The facts of values that are known only as counts per cell; `None` without values.
    ///
    /// The mean is exact to 2^-24 of a cell. For the standard deviation and the extremes, the
    /// values of a cell are taken at their mean, so they are exact to the width of a cell.
    pub(super) fn of_cells(cells: &CellCounts, scale: &CellScale) -> Option<Self> {
        let occupied = || cells.touched().filter(|cell| cells.count(*cell) > 0);
        let counted = |cell: usize| {
            let count = cells.count(cell);
            (count as f64, scale.mean_in(cell, count, cells.sum(cell)))
        };
        let (first, last) = (occupied().next()?, occupied().next_back()?);
        let n = cells.total() as f64;
        let mean = occupied()
            .map(counted)
            .map(|(count, x)| count * x)
            .sum::<f64>()
            / n;
        let squares = occupied()
            .map(counted)
            .map(|(count, x)| count * (x - mean).powi(2))
            .sum::<f64>();
        Some(NumberFacts {
            mean,
            std: if first == last {
                0.0
            } else {
                (squares / n).sqrt()
            },
            min: counted(first).1,
            max: counted(last).1,
            min_tied: false,
            max_tied: false,
            edges_given: true,
        })
    }
}
