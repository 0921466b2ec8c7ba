//! The different texts of a column with their numbers, in bounded memory.

use rustc_hash::FxHashMap;

use crate::model::FeatureSpec;

/// Most different texts that make a category each. A column with more holds names or identifiers.
pub const MAX_CATEGORIES: usize = 1000;
/// Different texts up to which a column may hold categories, whatever their shares are.
const FEW: usize = FeatureSpec::DEFAULT_TOP;

/// The texts of a column.
#[derive(Debug, Default)]
pub(super) struct DistinctTexts {
    /// Number of occurrences; at most [`MAX_CATEGORIES`] texts, and none once there were more.
    counts: FxHashMap<String, u64>,
    /// Texts that were added.
    total: u64,
    are_too_many: bool,
}

impl DistinctTexts {
    /// Adds a text.
    pub(super) fn insert(&mut self, text: &str) {
        self.total += 1;
        if self.are_too_many {
            return;
        }
        if let Some(count) = self.counts.get_mut(text) {
            *count += 1;
        } else if self.counts.len() < MAX_CATEGORIES {
            self.counts.insert(text.to_owned(), 1);
        } else {
            self.are_too_many = true;
            self.counts = FxHashMap::default();
        }
    }

    /// The number of texts that were added, repeated ones included.
    pub(super) const fn total(&self) -> u64 {
        self.total
    }

    /// The number of different texts; 0 if there are more than [`MAX_CATEGORIES`].
    pub(super) fn count(&self) -> usize {
        self.counts.len()
    }

    /// True if every text was added once; false if there are more than [`MAX_CATEGORIES`].
    pub(super) fn are_all_different(&self) -> bool {
        !self.are_too_many && self.counts.len() as u64 == self.total
    }

    /// The reason why the texts are not categories that a stream can be compared by; `None` if they
    /// are.
    ///
    /// A bin each is for the most frequent ones only. Where most values share the bin of the rest,
    /// nothing but noise and new names would be seen.
    pub(super) fn reason_against_categories(&self) -> Option<String> {
        let count = self.counts.len();
        if self.are_too_many {
            return Some(format!("more than {MAX_CATEGORIES} different texts"));
        }
        if count <= FEW {
            return None;
        }
        if count as u64 * 2 > self.total {
            return Some(format!("{count} of {} texts are different", self.total));
        }
        let mut counts: Vec<u64> = self.counts.values().copied().collect();
        counts.sort_unstable_by(|a, b| b.cmp(a));
        let frequent: u64 = counts.iter().take(FEW).sum();
        (frequent * 2 < self.total).then(|| {
            let percent = frequent * 100 / self.total;
            format!(
                "{count} different texts, the {FEW} most frequent hold {percent} % of the values"
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: impl Iterator<Item = u32>) -> DistinctTexts {
        let mut distinct = DistinctTexts::default();
        texts.for_each(|i| distinct.insert(&i.to_string()));
        assert!(distinct.counts.len() <= MAX_CATEGORIES, "bounded");
        distinct
    }

    #[test]
    fn names_and_identifiers_are_not_categories() {
        let reason = |texts: DistinctTexts| texts.reason_against_categories().unwrap_or_default();
        assert_eq!(reason(of((0..1000).map(|i| i % 50))), "", "fifty");
        assert_eq!(
            reason(of((0..200).map(|i| i % 180))),
            "180 of 200 texts are different"
        );
        assert_eq!(
            reason(of((0..2000).map(|i| i / 10))),
            "200 different texts, the 50 most frequent hold 25 % of the values"
        );
        assert_eq!(
            reason(of(0..100_000)),
            "more than 1000 different texts",
            "identifiers"
        );
        // One text holds most values.
        let skewed = (0..10_000).map(|i| if i % 10 == 0 { i / 20 } else { 0 });
        assert_eq!(reason(of(skewed)), "", "500 shops, one of them large");
    }
}
