//! The form of the cells of a table: how missing values and decimals are written.
//!
//! A table has texts only, and programs write a missing value in many ways. JSON has `null` for it,
//! so these texts are read as null. Otherwise what is missing in a table would be a category or an
//! invalid value, and the stream would seem to have changed.

/// Texts that stand for a missing value unless the user gives others: those of pandas.
///
/// Source: `na_values` of `pandas.read_csv`, pandas 2.
pub const MISSING_TEXTS: [&str; 19] = [
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN",
    "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null",
];

/// The form of the cells of a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CellForm {
    /// Texts that are missing values beside the empty one; `None` = [`MISSING_TEXTS`].
    pub missing: Option<Vec<String>>,
    /// True if a comma is the decimal sign.
    pub has_decimal_comma: bool,
}

impl CellForm {
    /// True if a cell holds no value. Blanks around the text do not count.
    #[must_use]
    #[inline]
    pub fn is_missing(&self, text: &str) -> bool {
        let text = text.trim_ascii();
        text.is_empty()
            || match &self.missing {
                None => is_missing_text(text),
                Some(missing) => missing.iter().any(|missing| missing == text),
            }
    }
}

/// True for a text of [`MISSING_TEXTS`].
#[must_use]
#[inline]
pub fn is_missing_text(text: &str) -> bool {
    /// The first letters of all of them.
    const FIRST: &[u8] = b"#-1<Nn";
    match text.as_bytes().first() {
        None => true,
        Some(first) => FIRST.contains(first) && MISSING_TEXTS.contains(&text),
    }
}

/// The number that is written with a decimal comma, with a point instead; `None` for other texts.
///
/// Points may separate groups of three digits: `-1.234,50` is `-1234.50`.
#[must_use]
pub fn with_decimal_point(text: &str) -> Option<String> {
    let (whole, fraction) = text.trim_ascii().split_once(',')?;
    let unsigned = whole.strip_prefix(['-', '+']).unwrap_or(whole);
    let mut groups = unsigned.split('.');
    let first = groups.next()?;
    let has_groups = first.len() < unsigned.len();
    let is_number = has_digits(first)
        && has_digits(fraction)
        && (!has_groups || first.len() <= 3)
        && groups.all(|group| group.len() == 3 && has_digits(group));
    is_number.then(|| format!("{}.{fraction}", whole.replace('.', "")))
}

/// True for digits with a comma, whichever of decimal sign and separator of thousands it may be.
#[must_use]
pub fn is_number_with_comma(text: &str) -> bool {
    let text = text.trim_ascii();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    unsigned.contains(',')
        && unsigned.starts_with(|first: char| first.is_ascii_digit())
        && unsigned.ends_with(|last: char| last.is_ascii_digit())
        && unsigned
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b',' | b'.'))
}

/// True if the comma of a number may separate thousands: `1,234` or `12,345,678.5`.
#[must_use]
pub fn may_separate_thousands(text: &str) -> bool {
    let text = text.trim_ascii();
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let whole = unsigned.split('.').next().unwrap_or_default();
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    (1..=3).contains(&first.len())
        && !first.starts_with('0')
        && groups.all(|group| group.len() == 3)
}

fn has_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_texts_of_pandas_are_missing_unless_others_are_given() {
        let default = CellForm::default();
        for text in MISSING_TEXTS.into_iter().chain(["  ", " NA "]) {
            assert!(default.is_missing(text), "{text:?}");
            assert!(is_missing_text(text.trim()), "{text:?}");
        }
        for text in ["-", "unknown", "Na", "NAN", "0", "1", "nano", "?"] {
            assert!(!default.is_missing(text), "{text:?}");
        }
        let given = CellForm {
            missing: Some(vec!["-".to_owned()]),
            ..CellForm::default()
        };
        assert!(given.is_missing("-") && given.is_missing(""));
        assert!(!given.is_missing("NA"), "the country");
    }

    #[test]
    fn a_decimal_comma_is_read_where_the_text_is_a_number_with_one() {
        let check = |text: &str, expected: Option<&str>| {
            assert_eq!(with_decimal_point(text).as_deref(), expected, "{text:?}");
        };
        check("12,50", Some("12.50"));
        check("-0,5", Some("-0.5"));
        check(" 1.234,50 ", Some("1234.50"));
        check("1.234.567,8", Some("1234567.8"));
        for text in [
            "12",
            "12.5",
            "1,2,3",
            "12,",
            ",5",
            "a,5",
            "1234.567,8",
            "1.23,4",
            "EUR 12,5",
        ] {
            check(text, None);
        }
    }

    #[test]
    fn a_comma_may_separate_thousands_only_before_three_digits() {
        for text in ["1,234", "12,345,678", "-1,234.50"] {
            assert!(
                is_number_with_comma(text) && may_separate_thousands(text),
                "{text}"
            );
        }
        for text in ["12,50", "0,123", "1234,567"] {
            assert!(
                is_number_with_comma(text) && !may_separate_thousands(text),
                "{text}"
            );
        }
        assert!(!is_number_with_comma("a,b") && !is_number_with_comma("1, 2"));
    }
}
