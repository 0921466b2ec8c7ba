//! References made from counts instead of rows: of earlier panes, or of some hours of the week.
//!
//! Cells and score bins cut the same line, so both ascend with the value and their counts determine how many values each pair holds: the first values of the one
//! are the first values of the other. Only the place inside a cell that a bin edge divides is not known; the cell's mean stands for it.

use super::{Atom, FeatureReference, NumberFacts};
use crate::stats::{CellCounts, FeatureCounts, Layout, NumericLayout};

impl FeatureReference {
    /// What `counts`, counted in this reference's layout, would be as a reference.
    ///
    /// `edges_given` says that the edges do not come from the values counted, so that nothing follows from how few lie beyond them.
    #[must_use]
    pub fn with_counts(&self, counts: FeatureCounts, edges_given: bool) -> Self {
        let numeric = match self.layout.as_ref() {
            Layout::Numeric(layout) => Some(layout),
            Layout::Categorical(_) => None,
        };
        FeatureReference {
            name: self.name.clone(),
            kind: self.kind,
            layout: std::sync::Arc::clone(&self.layout),
            numbers: numeric.and_then(|layout| self.facts(&counts.cells, layout, edges_given)),
            atoms: numeric.map_or_else(Vec::new, |_| atoms(&counts)),
            seen_once: scaled(
                self.seen_once,
                counts.tallies.values,
                self.counts.tallies.values,
            ),
            counts,
        }
    }

    /// The facts of counted numbers; where the edges come from this reference's rows, its ends stay the ends.
    fn facts(
        &self,
        cells: &CellCounts,
        layout: &NumericLayout,
        edges_given: bool,
    ) -> Option<NumberFacts> {
        let found = facts(cells, layout)?;
        let ends = self.numbers.filter(|_| !edges_given).unwrap_or(found);
        Some(NumberFacts {
            mean: found.mean,
            std: found.std,
            ..ends
        })
    }
}

/// Facts about counted numbers, as exact as cells are: ends at cell edges, each cell's values at their mean.
fn facts(cells: &CellCounts, layout: &NumericLayout) -> Option<NumberFacts> {
    let scale = &layout.cells;
    let occupied = || cells.touched().filter(|cell| cells.counts()[*cell] > 0);
    let counted = |cell: usize| {
        let count = cells.counts()[cell];
        (count as f64, scale.mean_in(cell, count, cells.sums()[cell]))
    };
    let (first, last) = (occupied().next()?, occupied().next_back()?);
    let n = cells.total() as f64;
    let mean = occupied()
        .map(counted)
        .map(|(count, x)| count * x)
        .sum::<f64>()
        / n;
    let squares = occupied().map(counted);
    let squares = squares
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

/// How many values each pair of cell and bin holds.
fn atoms(counts: &FeatureCounts) -> Vec<Atom> {
    let mut atoms = Vec::new();
    let mut bins = counts.bins.iter().copied().enumerate();
    let mut bin = bins.next();
    for cell in counts.cells.touched() {
        let (mut left, mut sum) = (counts.cells.counts()[cell], counts.cells.sums()[cell]);
        while let (1.., Some((index, room))) = (left, bin) {
            let count = left.min(room);
            if count > 0 {
                let part = part(sum, count, left);
                atoms.push(Atom {
                    cell,
                    bin: index,
                    count,
                    sum: part,
                });
                (left, sum) = (left - count, sum - part);
            }
            bin = if room > count {
                Some((index, room - count))
            } else {
                bins.next()
            };
        }
    }
    atoms
}

/// `count * values / of`, rounded down; not more than `values`.
fn scaled(count: u64, values: u64, of: u64) -> u64 {
    let scaled = u128::from(count) * u128::from(values) / u128::from(of.max(1));
    u64::try_from(scaled).unwrap_or(values).min(values)
}

/// `sum * count / of`, rounded down.
#[expect(
    clippy::cast_possible_truncation,
    reason = "count is at most of, so the result is at most sum"
)]
fn part(sum: i64, count: u64, of: u64) -> i64 {
    (i128::from(sum) * i128::from(count) / i128::from(of.max(1))) as i64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::reference::{Column, FitOptions, fit};
    use proptest::prelude::*;

    fn fitted(numbers: Vec<f64>) -> FeatureReference {
        let column = Column {
            numbers,
            ..Column::default()
        };
        fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap()
    }

    proptest! {
        #[test]
        fn counts_alone_give_back_how_many_values_each_pair_holds(xs in proptest::collection::vec(-50.0..50.0f64, 1..300)) {
            let rows = fitted(xs.iter().map(|x| (x * 4.0).round() / 4.0).collect());
            let counted = rows.with_counts(rows.counts.clone(), false);
            let pairs = |reference: &FeatureReference| -> Vec<(usize, usize, u64)> {
                reference.atoms.iter().map(|atom| (atom.cell, atom.bin, atom.count)).collect()
            };
            prop_assert_eq!(pairs(&counted), pairs(&rows));
            let sum = |reference: &FeatureReference| reference.atoms.iter().map(|atom| atom.sum).sum::<i64>();
            prop_assert_eq!(sum(&counted), sum(&rows));
            let (facts, exact) = (counted.numbers.unwrap(), rows.numbers.unwrap());
            prop_assert!((facts.mean - exact.mean).abs() <= 1e-6 * exact.std.max(1.0));
            prop_assert!((facts.std - exact.std).abs() <= 0.05 * exact.std.max(1e-9));
        }
    }
}
