//! The bin `other` of a categorical feature: how much it hides, and how many bins would show it.
//!
//! Categories without a bin of their own share `other`. A score sees the share of that bin, not
//! what happens inside it, so a feature with most of its values there is nearly blind.

use std::cmp::Reverse;

use super::feature_reference::FeatureReference;
use super::fit::{Column, MIN_ROWS};
use crate::stats::{Layout, share};

/// Share of the values in the bin `other` from which a feature is mostly blind, 0..=1.
///
/// The scores then compare less than half of the values. Columns whose kind is inferred are left
/// out at the same share.
pub const BLIND_SHARE: f64 = 0.5;

/// Returns the share of a feature's values in the bin `other`, 0..=1; `None` for numbers.
#[must_use]
pub fn other_share(feature: &FeatureReference) -> Option<f64> {
    let Layout::Categorical(layout) = &*feature.layout else {
        return None;
    };
    share(
        feature.counts.bins[layout.other()],
        feature.counts.tallies.values,
    )
}

/// Returns a lower bound of the `top` that gives bins to nine tenths of the values.
///
/// The counts of the categories in `other` are not kept, but each is at most the smallest count of
/// a category with a bin. `None` for numbers, and where the bins are not those of the most frequent
/// categories.
#[must_use]
pub fn least_top(feature: &FeatureReference) -> Option<u64> {
    let Layout::Categorical(layout) = &*feature.layout else {
        return None;
    };
    let with_bin = &feature.counts.bins[..layout.other()];
    let largest_other = with_bin.iter().min().copied().unwrap_or(MIN_ROWS - 1);
    if largest_other == 0 {
        return None;
    }
    let covered: u64 = with_bin.iter().sum();
    let without_bin = nine_tenths(feature.counts.tallies.values).saturating_sub(covered);
    Some(with_bin.len() as u64 + without_bin.div_ceil(largest_other))
}

/// Returns the `top` that gives bins to nine tenths of a column's values; 0 without categories.
#[must_use]
pub fn top_for_most(column: &Column) -> u64 {
    let mut counts: Vec<u64> = column.categories.values().copied().collect();
    counts.sort_unstable_by_key(|count| Reverse(*count));
    let wanted = nine_tenths(counts.iter().sum());
    let (mut top, mut covered) = (0, 0);
    for count in counts {
        if covered >= wanted {
            break;
        }
        covered += count;
        top += 1;
    }
    top
}

/// Nine tenths of a number of values, rounded up.
const fn nine_tenths(values: u64) -> u64 {
    values - values / 10
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::reference::{FitOptions, fit};

    /// A column of `categories` categories, the first with this many rows and each other with one
    /// row less than the one before, but at least one.
    fn falling(categories: u64, first: u64) -> Column {
        Column {
            categories: (0..categories)
                .map(|i| (format!("c{i}").into(), first.saturating_sub(i).max(1)))
                .collect(),
            ..Column::default()
        }
    }

    #[test]
    fn the_exact_number_of_bins_is_never_below_its_bound() {
        for (categories, first) in [(10, 100), (300, 20), (1000, 9), (400, 4)] {
            let column = falling(categories, first);
            let exact = top_for_most(&column);
            let fitted = fit("c", Kind::Categorical, column, &FitOptions::default()).unwrap();
            let least = least_top(&fitted).unwrap();
            let is_covered = other_share(&fitted).unwrap() <= 0.1;
            assert!(
                is_covered || least <= exact,
                "{categories} categories: at least {least}, exactly {exact}"
            );
            assert!(exact <= categories, "{exact}");
        }
        assert_eq!(top_for_most(&falling(10, 1)), 9, "nine of ten");
        assert_eq!(top_for_most(&Column::default()), 0);
    }
}
