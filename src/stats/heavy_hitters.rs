//! The most frequent names of a stream of texts, in bounded memory.
//!
//! A layout counts all categories that the reference lacks in one bin. The rate of that bin raises
//! the alarm; the names say what happened, and a table of all names could grow without limit when
//! identifiers arrive where categories are expected. This is the summary of Misra and Gries
//! ("Finding repeated elements", 1982), with the merge of Agarwal et al. ("Mergeable summaries",
//! 2012): at most 32 names are kept, and when another one comes, all counts are reduced
//! alike.
//!
//! Counts are exact until more than 32 names have been seen, and then do not depend on
//! the order of merging. After that a count is too low by at most [`HeavyHitters::error`], which is
//! at most `n / 33` of `n` recorded texts, so a name with a larger share is never
//! missed. Summaries are an annotation: the counts in bins are exact at any time and do not depend
//! on them.

use serde::{Deserialize, Serialize};

/// The largest number of names in a summary.
const CAPACITY: usize = 32;

/// The longest name in bytes; longer texts are cut and count as one name if they begin alike.
const LONGEST_NAME_BYTES: usize = 64;

/// The most frequent names of a stream and about how often each of them came.
///
/// Names are in alphabetical order, and no count is 0.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HeavyHitters {
    counts: Vec<(String, u64)>,
    error: u64,
}

impl HeavyHitters {
    /// Counts a name once.
    ///
    /// A known name costs a search among at most 32 names and no allocation.
    pub fn record(&mut self, name: &str) {
        let name = cut(name);
        match self.position(name) {
            Ok(index) => self.counts[index].1 += 1,
            Err(index) if self.counts.len() < CAPACITY => {
                self.counts.insert(index, (name.to_owned(), 1));
            }
            Err(_) => self.reduce(1),
        }
    }

    /// Adds the names of another stream.
    pub fn merge(&mut self, other: &Self) {
        for (name, count) in &other.counts {
            match self.position(name) {
                Ok(index) => self.counts[index].1 += count,
                Err(index) => self.counts.insert(index, (name.clone(), *count)),
            }
        }
        self.error += other.error;
        if self.counts.len() > CAPACITY {
            let mut descending: Vec<u64> = self.counts.iter().map(|(_, count)| *count).collect();
            descending.sort_unstable_by(|a, b| b.cmp(a));
            self.reduce(descending[CAPACITY]);
        }
    }

    /// Returns true if no name was recorded.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty() && self.error == 0
    }

    /// Returns the largest number by which a count can be too low; 0 while counts are exact.
    #[must_use]
    pub fn error(&self) -> u64 {
        self.error
    }

    /// Returns the names with their counts, the most frequent first and equal ones by name.
    #[must_use]
    pub fn most_frequent(&self) -> Vec<(&str, u64)> {
        let mut names: Vec<(&str, u64)> = self
            .counts
            .iter()
            .map(|(name, count)| (name.as_str(), *count))
            .collect();
        names.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        names
    }

    /// Returns the size of the names in memory in bytes, without the value itself.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.counts.capacity() * size_of::<(String, u64)>()
            + self
                .counts
                .iter()
                .map(|(name, _)| name.capacity())
                .sum::<usize>()
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.counts
            .binary_search_by(|(known, _)| known.as_str().cmp(name))
    }

    /// Reduces all counts by `amount` and drops names without a count.
    fn reduce(&mut self, amount: u64) {
        self.error += amount;
        self.counts.retain_mut(|(_, count)| {
            *count = count.saturating_sub(amount);
            *count > 0
        });
    }
}

/// Returns the beginning of a name that fits into [`LONGEST_NAME_BYTES`].
fn cut(name: &str) -> &str {
    let end = (0..=LONGEST_NAME_BYTES.min(name.len()))
        .rfind(|index| name.is_char_boundary(*index))
        .unwrap_or(0);
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn summary<'a>(names: impl IntoIterator<Item = &'a str>) -> HeavyHitters {
        let mut summary = HeavyHitters::default();
        names.into_iter().for_each(|name| summary.record(name));
        summary
    }

    #[test]
    fn the_most_frequent_names_come_first() {
        let names = summary(["xk", "aa", "xk", "zz", "xk", "zz", "bb"]);
        assert_eq!(
            names.most_frequent(),
            [("xk", 3), ("zz", 2), ("aa", 1), ("bb", 1)]
        );
        assert_eq!(names.error(), 0, "few names are counted exactly");
    }

    #[test]
    fn a_frequent_name_is_kept_in_a_flood_of_identifiers() {
        let identifiers: Vec<String> = (0..10_000).map(|i| format!("id-{i}")).collect();
        let mut names = HeavyHitters::default();
        for chunk in identifiers.chunks(9) {
            names.record("XK");
            chunk.iter().for_each(|name| names.record(name));
        }
        let recorded = 1112 + 10_000;
        let (name, count) = names.most_frequent()[0];
        assert_eq!(name, "XK");
        assert!(names.error() <= recorded / 33, "error {}", names.error());
        assert!(count + names.error() >= 1112 && count <= 1112, "{count}");
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = format!("x{}", "\u{e4}".repeat(100));
        let names = summary([long.as_str()]);
        let beginning = format!("x{}", "\u{e4}".repeat(31));
        assert_eq!(names.most_frequent(), [(beginning.as_str(), 1)]);
    }

    proptest! {
        #[test]
        fn few_names_merge_in_any_order_to_the_same_counts(
            a in proptest::collection::vec("[a-e]", 0..50),
            b in proptest::collection::vec("[c-h]", 0..50),
        ) {
            let whole = summary(a.iter().chain(&b).map(String::as_str));
            let (a, b) = (
                summary(a.iter().map(String::as_str)),
                summary(b.iter().map(String::as_str)),
            );
            let (mut ab, mut ba) = (a.clone(), b.clone());
            ab.merge(&b);
            ba.merge(&a);
            prop_assert_eq!(&ab, &whole);
            prop_assert_eq!(&ba, &whole);
        }

        /// The bound of Agarwal et al. for any split of a stream with many names.
        #[test]
        fn a_count_is_never_too_high_and_too_low_by_at_most_the_error(
            streams in proptest::collection::vec(
                proptest::collection::vec(0u32..200, 0..300), 1..6,
            ),
        ) {
            let mut merged = HeavyHitters::default();
            for stream in &streams {
                let names: Vec<String> = stream.iter().map(|i| format!("n{}", i * i / 200)).collect();
                merged.merge(&summary(names.iter().map(String::as_str)));
            }
            let mut exact = std::collections::BTreeMap::<String, u64>::new();
            for i in streams.iter().flatten() {
                *exact.entry(format!("n{}", i * i / 200)).or_default() += 1;
            }
            let recorded = exact.values().sum::<u64>();
            prop_assert!(merged.error() <= recorded / (CAPACITY as u64 + 1));
            prop_assert!(merged.counts.len() <= CAPACITY);
            let kept: std::collections::BTreeMap<&str, u64> =
                merged.most_frequent().into_iter().collect();
            for (name, count) in &exact {
                let estimate = kept.get(name.as_str()).copied().unwrap_or(0);
                prop_assert!(estimate <= *count);
                prop_assert!(estimate + merged.error() >= *count);
            }
        }
    }
}
