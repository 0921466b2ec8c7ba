//! The layout of a feature: the bins and cells in which its values are counted.
//!
//! A layout is frozen with the reference. Categories are looked up in one table, which holds those
//! with a bin each and those of the reference that share the bin `other`. A category that is not in
//! the table is `unseen`.

use std::fmt;

use rustc_hash::FxHashMap;

use super::bin_table::BinTable;
use super::bins::{Bins, Interval};
use super::cells::{CellPosition, CellScale};
use super::divergence::Open;

/// The bins and cells of a feature.
#[derive(Debug, Clone, PartialEq)]
pub enum Layout {
    /// Score bins and cells of numbers.
    Numeric(NumericLayout),
    /// One bin per category, `other` and `unseen`.
    Categorical(CategoricalLayout),
}

/// Score bins and cells of a numeric feature.
#[derive(Clone, PartialEq)]
pub struct NumericLayout {
    /// Score bins, in which shares are compared.
    pub bins: Bins,
    /// Cells, in which distances are measured.
    pub cells: CellScale,
    /// The bins by cell; `None` where the bins are narrower than the cells.
    table: Option<BinTable>,
}

impl NumericLayout {
    /// A layout of these bins and cells.
    #[must_use]
    pub fn new(bins: Bins, cells: CellScale) -> Self {
        let table = BinTable::try_new(&bins, &cells);
        NumericLayout { bins, cells, table }
    }

    /// The cell of a finite value with the position inside it, and the bin.
    #[must_use]
    #[inline]
    pub fn locate(&self, x: f64) -> (CellPosition, usize) {
        let position = self.cells.locate(x);
        let bin = match &self.table {
            Some(table) => table.index(position.cell, x),
            None => self.bins.index(x),
        };
        (position, bin)
    }
}

impl fmt::Debug for NumericLayout {
    /// Shows bins and cells, from which the table follows: null tables are kept under a hash of
    /// this form.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("NumericLayout")
            .field("bins", &self.bins)
            .field("cells", &self.cells)
            .finish()
    }
}

/// Categories with a bin each, and categories that share the bin `other`.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoricalLayout {
    names: Vec<String>,
    others: Vec<String>,
    lookup: FxHashMap<Box<str>, usize>,
}

impl CategoricalLayout {
    /// Creates a layout with a bin for each of `names`, in this order.
    ///
    /// `others` occur in the reference and share the bin `other`. No name occurs twice.
    #[must_use]
    pub fn new(names: Vec<String>, others: Vec<String>) -> Self {
        let other_bin = names.len();
        let lookup = names
            .iter()
            .enumerate()
            .map(|(bin, name)| (name.as_str().into(), bin))
            .chain(others.iter().map(|name| (name.as_str().into(), other_bin)))
            .collect();
        CategoricalLayout {
            names,
            others,
            lookup,
        }
    }

    /// Categories with a bin each, in the order of the bins.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Categories of the reference that share the bin `other`.
    #[must_use]
    pub fn others(&self) -> &[String] {
        &self.others
    }

    /// The bin of a category.
    #[must_use]
    #[inline]
    pub fn index(&self, category: &str) -> usize {
        self.lookup
            .get(category)
            .copied()
            .unwrap_or_else(|| self.unseen())
    }

    /// The bin that the less frequent categories of the reference share.
    #[must_use]
    pub fn other(&self) -> usize {
        self.names.len()
    }

    /// The bin of categories that do not occur in the reference.
    #[must_use]
    pub fn unseen(&self) -> usize {
        self.names.len() + 1
    }
}

/// The name of a bin, for people.
#[derive(Debug, Clone, PartialEq)]
pub enum BinName<'a> {
    /// An interval of numbers.
    Interval(Interval),
    /// A category, or `other` or `unseen`.
    Label(&'a str),
}

impl Layout {
    /// Number of bins: guards, `other` and `unseen` included.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "a layout is never empty")]
    pub fn len(&self) -> usize {
        match self {
            Layout::Numeric(layout) => layout.bins.len(),
            Layout::Categorical(layout) => layout.names.len() + 2,
        }
    }

    /// The part that each bin plays in smoothing when it is empty on both sides.
    #[must_use]
    pub fn open(&self) -> Vec<Open> {
        (0..self.len())
            .map(|bin| match self.is_optional(bin) {
                true => Open::WhenOccupied,
                false => Open::Always,
            })
            .collect()
    }

    /// Returns true for a bin that stays out of scores while it is empty: a guard, `other`,
    /// `unseen`.
    #[must_use]
    pub fn is_optional(&self, bin: usize) -> bool {
        match self {
            Layout::Numeric(layout) => layout.bins.is_guard(bin),
            Layout::Categorical(layout) => bin >= layout.other(),
        }
    }

    /// The interval or category of a bin, in `0..len()`.
    #[must_use]
    pub fn name(&self, bin: usize) -> BinName<'_> {
        match self {
            Layout::Numeric(layout) => BinName::Interval(layout.bins.interval(bin)),
            Layout::Categorical(layout) if bin == layout.other() => BinName::Label("other"),
            Layout::Categorical(layout) if bin == layout.unseen() => BinName::Label("unseen"),
            Layout::Categorical(layout) => BinName::Label(&layout.names[bin]),
        }
    }

    /// The layout of a numeric feature; `None` for categories.
    #[must_use]
    pub const fn numeric(&self) -> Option<&NumericLayout> {
        match self {
            Layout::Numeric(layout) => Some(layout),
            Layout::Categorical(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_has_a_bin_shares_one_or_is_unseen() {
        let names = vec!["de".to_owned(), "fr".to_owned()];
        let layout = CategoricalLayout::new(names, vec!["li".to_owned()]);
        let check = |name: &str, bin: usize| assert_eq!(layout.index(name), bin, "bin of {name:?}");
        check("de", 0);
        check("fr", 1);
        check("li", 2);
        check("xx", 3);
        check("", 3);
    }
}
