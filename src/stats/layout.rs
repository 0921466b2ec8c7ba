//! The layout of a feature: which bins and cells its values are counted in.
//!
//! A layout is frozen with the reference. Categories are looked up in one table: those with a bin of their own, those the reference saw but that share
//! the bin `other`; what the table does not hold is `unseen`.

use rustc_hash::FxHashMap;

use super::{Bins, CellScale, Interval, Open};

/// Where a feature's values are counted.
#[derive(Debug, Clone, PartialEq)]
pub enum Layout {
    /// Numbers: score bins, and cells for distances.
    Numeric(NumericLayout),
    /// Names: one bin per category, `other`, `unseen`.
    Categorical(CategoricalLayout),
}

/// Score bins and cells of a numeric feature.
#[derive(Debug, Clone, PartialEq)]
pub struct NumericLayout {
    /// Where shares are compared.
    pub bins: Bins,
    /// Where distances are measured.
    pub cells: CellScale,
}

/// Categories with a bin of their own and those that share one.
#[derive(Debug, Clone, PartialEq)]
pub struct CategoricalLayout {
    names: Vec<String>,
    others: Vec<String>,
    lookup: FxHashMap<Box<str>, usize>,
}

impl CategoricalLayout {
    /// A layout with a bin for each of `names`, in this order; `others` are known but share the bin `other`. No name occurs twice.
    #[must_use]
    pub fn new(names: Vec<String>, others: Vec<String>) -> Self {
        let own = names
            .iter()
            .enumerate()
            .map(|(bin, name)| (name.as_str().into(), bin));
        let shared = others
            .iter()
            .map(|name| (name.as_str().into(), names.len()));
        let lookup = own.chain(shared).collect();
        CategoricalLayout {
            names,
            others,
            lookup,
        }
    }

    /// Categories with a bin of their own, in the order of the bins.
    #[must_use]
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Categories the reference saw that share the bin `other`.
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

    /// The bin of known categories without a bin of their own.
    #[must_use]
    pub fn other(&self) -> usize {
        self.names.len()
    }

    /// The bin of categories the reference never saw.
    #[must_use]
    pub fn unseen(&self) -> usize {
        self.names.len() + 1
    }
}

/// What a bin is, for people.
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

    /// Which bins take part in a score although both sides are empty.
    #[must_use]
    pub fn open(&self) -> Vec<Open> {
        let state = |bin| {
            if self.is_optional(bin) {
                Open::WhenOccupied
            } else {
                Open::Always
            }
        };
        (0..self.len()).map(state).collect()
    }

    /// Whether a bin exists only for what the reference does not hold: a guard, `other`, `unseen`.
    #[must_use]
    pub fn is_optional(&self, bin: usize) -> bool {
        match self {
            Layout::Numeric(layout) => layout.bins.is_guard(bin),
            Layout::Categorical(layout) => bin >= layout.other(),
        }
    }

    /// What a bin holds.
    #[must_use]
    pub fn name(&self, bin: usize) -> BinName<'_> {
        match self {
            Layout::Numeric(layout) => BinName::Interval(layout.bins.interval(bin)),
            Layout::Categorical(layout) if bin == layout.other() => BinName::Label("other"),
            Layout::Categorical(layout) if bin == layout.unseen() => BinName::Label("unseen"),
            Layout::Categorical(layout) => BinName::Label(&layout.names[bin]),
        }
    }

    /// The numeric layout, if it is one.
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
    fn categories_are_known_shared_or_unseen() {
        let own = vec!["de".to_owned(), "fr".to_owned()];
        let layout = CategoricalLayout::new(own, vec!["li".to_owned()]);
        let check = |name: &str, bin: usize| assert_eq!(layout.index(name), bin, "bin of {name:?}");
        check("de", 0);
        check("fr", 1);
        check("li", 2);
        check("xx", 3);
        check("", 3);
    }
}
