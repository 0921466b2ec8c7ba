//! The values that a reference has no bin for, in words: unseen categories and invalid values.
//!
//! A feature keeps the most frequent of both in one summary. A categorical feature has unseen
//! categories only, a numeric one invalid values only; a boolean one can have both, because a
//! reference may lack `false`.

use super::numbers::{grouped, label_text};
use crate::model::{Kind, NESTED};
use crate::stats::FeatureCounts;

/// The most values that are named.
const MAX_NAMES: usize = 3;
/// The most values that are given as examples of many.
const MAX_EXAMPLES: usize = 2;

/// The most frequent unseen categories of a feature of this kind, with how often each came.
#[must_use]
pub fn unseen_categories(counts: &FeatureCounts, kind: Kind) -> Vec<(&str, u64)> {
    let mut names = counts.unexpected_values.most_frequent();
    names.retain(|(name, _)| is_category(kind, name));
    names
}

/// The most frequent values that stood in place of a number or a boolean, spelled as in a message,
/// with how often each came.
#[must_use]
pub fn invalid_values(counts: &FeatureCounts, kind: Kind) -> Vec<(&str, u64)> {
    let mut names = counts.unexpected_values.most_frequent();
    names.retain(|(name, _)| !is_category(kind, name));
    names
}

fn is_category(kind: Kind, name: &str) -> bool {
    match kind {
        Kind::Categorical => true,
        Kind::Boolean => matches!(name, "true" | "false"),
        Kind::Numeric => false,
    }
}

/// Values with their counts: `XK (8,214), XX (12)`; `None` if there are none.
///
/// A count that may be too low, because more values came than are kept, follows `at least`. Where
/// no value stands out among many, the text says so and gives examples.
pub(super) fn values_text(counts: &FeatureCounts, values: &[(&str, u64)]) -> Option<String> {
    let error = counts.unexpected_values.error();
    let (_, largest) = values.first()?;
    if *largest <= error {
        let examples: Vec<String> = values
            .iter()
            .take(MAX_EXAMPLES)
            .map(|(value, _)| label_text(value))
            .collect();
        return Some(format!(
            "many different ones, such as {}",
            examples.join(", ")
        ));
    }
    let at_least = if error > 0 { "at least " } else { "" };
    let mut texts: Vec<String> = values
        .iter()
        .take(MAX_NAMES)
        .map(|(value, count)| format!("{} ({at_least}{})", label_text(value), grouped(*count)))
        .collect();
    if values.len() > MAX_NAMES {
        texts.push("...".to_owned());
    }
    Some(texts.join(", "))
}

/// The expectation that the most frequent invalid value does not meet, and the remedy where the
/// configuration has one; `None` without an invalid value.
pub(super) fn advice(counts: &FeatureCounts, kind: Kind) -> Option<String> {
    let values = invalid_values(counts, kind);
    let (most_frequent, _) = values.first()?;
    let text = most_frequent
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    let (expected, is_coercible) = match kind {
        Kind::Numeric => (
            "numbers are expected",
            text.is_some_and(|text| text.trim().parse::<f64>().is_ok()),
        ),
        Kind::Boolean => (
            "true or false is expected",
            text.is_some_and(|text| {
                text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
            }),
        ),
        Kind::Categorical => return None,
    };
    Some(if is_coercible {
        format!("{expected}: set `coerce: true` or `kind: categorical`")
    } else if *most_frequent == NESTED {
        format!("{expected}: set `path` to a value in it")
    } else {
        expected.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(values: &[(&str, usize)]) -> FeatureCounts {
        let mut counts = FeatureCounts::default();
        for (value, times) in values {
            (0..*times).for_each(|_| counts.unexpected_values.record(value));
        }
        counts
    }

    /// An array and a boolean were told as "text where numbers are expected: set `coerce: true`",
    /// which changes nothing for them.
    #[test]
    fn the_advice_fits_the_value_that_came() {
        let advice = |kind, value| advice(&counts(&[(value, 3)]), kind).unwrap();
        let coerce = "numbers are expected: set `coerce: true` or `kind: categorical`";
        assert_eq!(advice(Kind::Numeric, "\"12.5\""), coerce);
        assert_eq!(
            advice(Kind::Numeric, "\"EUR 12.5\""),
            "numbers are expected"
        );
        assert_eq!(advice(Kind::Numeric, "true"), "numbers are expected");
        let nested = "numbers are expected: set `path` to a value in it";
        assert_eq!(advice(Kind::Numeric, NESTED), nested);
        let boolean = "true or false is expected: set `coerce: true` or `kind: categorical`";
        assert_eq!(advice(Kind::Boolean, "\"True\""), boolean);
        assert_eq!(advice(Kind::Boolean, "1"), "true or false is expected");
    }

    #[test]
    fn a_boolean_feature_has_unseen_categories_and_invalid_values() {
        let counts = counts(&[("false", 2), ("\"yes\"", 3)]);
        assert_eq!(unseen_categories(&counts, Kind::Boolean), [("false", 2)]);
        assert_eq!(invalid_values(&counts, Kind::Boolean), [("\"yes\"", 3)]);
        assert_eq!(invalid_values(&counts, Kind::Categorical), []);
    }

    /// 2,400 different texts were told as three of them, each "at least 1".
    #[test]
    fn where_every_value_is_another_one_it_says_so() {
        let mut counts = FeatureCounts::default();
        for i in 1000..3400 {
            counts.unexpected_values.record(&format!("x{i}"));
        }
        let names = unseen_categories(&counts, Kind::Categorical);
        let text = values_text(&counts, &names).unwrap();
        assert!(text.starts_with("many different ones, such as x"), "{text}");
    }
}
