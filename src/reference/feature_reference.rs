//! The reference of one feature, fitted from rows or derived from counts.
//!
//! Rolling and hour-of-week references have no rows, only counts of panes in the layout of a fitted
//! reference. Such counts become a reference of their own here.

use std::sync::Arc;

use super::atom::{Atom, atoms_of_counts};
use super::number_facts::NumberFacts;
use crate::model::{BinsSpec, Kind};
use crate::stats::{CellCounts, FeatureCounts, Layout, NumericLayout};

/// The reference of one feature.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureReference {
    /// Name of the feature.
    pub name: String,
    /// Kind of the feature's values.
    pub kind: Kind,
    /// Bins and cells of the feature.
    pub layout: Arc<Layout>,
    /// The bins that a numeric feature was fitted with; `None` for categories, and where an older
    /// program did not record them.
    pub bins: Option<BinsSpec>,
    /// The reference's rows by outcome, and its values per bin and per cell.
    pub counts: FeatureCounts,
    /// Facts about the numbers; `None` for categories.
    pub numbers: Option<NumberFacts>,
    /// Counts per pair of cell and score bin, ascending; they add up to `counts`. Empty for
    /// categories.
    pub atoms: Vec<Atom>,
    /// Number of categories that occur once; 0 for numbers.
    ///
    /// An estimate of how many values of an unseen category come in a sample of the same size (Good
    /// and Turing).
    pub seen_once: u64,
    /// Number of categories that occur twice: how uncertain the estimate from `seen_once` is.
    pub seen_twice: u64,
}

impl FeatureReference {
    /// True if a value can be usable and not be in the reference's layout.
    ///
    /// A value that is neither true nor false is invalid, so of booleans only a constant can be
    /// followed by an unseen value.
    #[must_use]
    pub fn can_have_unseen(&self) -> bool {
        match &*self.layout {
            Layout::Numeric(_) => false,
            Layout::Categorical(layout) => self.kind != Kind::Boolean || layout.names().len() < 2,
        }
    }

    /// The reference with `counts`, which are counted in this reference's layout.
    ///
    /// `edges_given` states that the edges do not come from the counted values, so that nothing
    /// follows from the number of values beyond them.
    #[must_use]
    pub fn with_counts(&self, counts: FeatureCounts, edges_given: bool) -> Self {
        let numeric = self.layout.numeric();
        let values = counts.tallies.values;
        let in_counts = |count: u64| scaled(count, values, self.counts.tallies.values);
        FeatureReference {
            name: self.name.clone(),
            kind: self.kind,
            layout: Arc::clone(&self.layout),
            bins: self.bins.clone(),
            numbers: numeric.and_then(|layout| self.facts(&counts.cells, layout, edges_given)),
            atoms: numeric.map_or_else(Vec::new, |_| atoms_of_counts(&counts)),
            seen_once: in_counts(self.seen_once),
            seen_twice: in_counts(self.seen_twice),
            counts,
        }
    }

    /// The facts of counted numbers.
    ///
    /// Where the edges come from this reference's rows, its extremes are kept.
    fn facts(
        &self,
        cells: &CellCounts,
        layout: &NumericLayout,
        edges_given: bool,
    ) -> Option<NumberFacts> {
        let counted = NumberFacts::of_cells(cells, &layout.cells)?;
        let extremes = self.numbers.filter(|_| !edges_given).unwrap_or(counted);
        Some(NumberFacts {
            mean: counted.mean,
            std: counted.std,
            ..extremes
        })
    }

    /// The number of values of unseen categories in another sample of the same size: as many as
    /// categories occur once (Good and Turing). Counts of a stream may hold unseen ones of their
    /// own.
    #[must_use]
    pub fn expected_unseen(&self) -> u64 {
        self.counts.unseen(&self.layout).max(self.seen_once)
    }

    /// True if the reference has a standard deviation.
    #[must_use]
    pub fn has_std(&self) -> bool {
        self.numbers.is_some_and(|numbers| numbers.std > 0.0)
    }

    /// The standard deviation that normalises Wasserstein; 1 where the reference has none.
    #[must_use]
    pub fn unit_std(&self) -> f64 {
        self.numbers
            .map(|numbers| numbers.std)
            .filter(|std| *std > 0.0)
            .unwrap_or(1.0)
    }

    /// Values and sums of positions per cell.
    #[must_use]
    pub const fn cells(&self) -> &CellCounts {
        &self.counts.cells
    }
}

/// `count * values / of`, rounded down; at most `values`.
fn scaled(count: u64, values: u64, of: u64) -> u64 {
    let scaled = u128::from(count) * u128::from(values) / u128::from(of.max(1));
    u64::try_from(scaled).unwrap_or(values).min(values)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        fn counts_determine_the_number_of_values_in_each_pair_of_cell_and_bin(
            xs in proptest::collection::vec(-50.0..50.0f64, 1..300),
        ) {
            let rows = fitted(xs.iter().map(|x| (x * 4.0).round() / 4.0).collect());
            let counted = rows.with_counts(rows.counts.clone(), false);
            let counts_of = |reference: &FeatureReference| -> Vec<(usize, usize, u64)> {
                let atoms = reference.atoms.iter();
                atoms.map(|atom| (atom.cell, atom.bin, atom.count)).collect()
            };
            prop_assert_eq!(counts_of(&counted), counts_of(&rows));
            let sum = |reference: &FeatureReference| {
                reference.atoms.iter().map(|atom| atom.sum).sum::<i64>()
            };
            prop_assert_eq!(sum(&counted), sum(&rows));
            let (facts, exact) = (counted.numbers.unwrap(), rows.numbers.unwrap());
            prop_assert!((facts.mean - exact.mean).abs() <= 1e-6 * exact.std.max(1.0));
            prop_assert!((facts.std - exact.std).abs() <= 0.05 * exact.std.max(1e-9));
        }
    }
}
