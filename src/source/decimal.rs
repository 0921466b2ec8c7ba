//! The decimal sign of a table, found in its first rows.
//!
//! Spreadsheets of many countries write `12,50` and separate columns by `;`. Read as texts, such
//! numbers are thousands of categories.

use crate::decode::{is_missing_text, may_separate_thousands, with_decimal_point};

/// Percentage of the values of a column from which they are numbers.
const MOSTLY: usize = 90;

/// A column of numbers with decimal commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CommaColumn {
    /// The name in the header.
    pub(super) name: String,
    /// Its first number with a comma.
    pub(super) text: String,
}

/// Returns the first column whose values are numbers with decimal commas; `None` without one.
///
/// Commas that may all separate thousands decide nothing: `1,234` is a number in both readings.
pub(super) fn detect(sample: &str, separator: u8) -> Option<CommaColumn> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .trim(csv::Trim::Headers)
        .flexible(true)
        .from_reader(sample.as_bytes());
    let header = reader.headers().ok()?.clone();
    let rows: Vec<csv::StringRecord> = reader.records().map_while(Result::ok).collect();
    header.iter().enumerate().find_map(|(index, name)| {
        let cells = || {
            rows.iter()
                .filter_map(|row| row.get(index))
                .filter(|text| !is_missing_text(text.trim_ascii()))
        };
        let with_comma = || cells().filter(|text| with_decimal_point(text).is_some());
        let plain = cells()
            .filter(|text| text.trim_ascii().parse::<f64>().is_ok())
            .count();
        let numbers = with_comma().count() + plain;
        let is_numeric = numbers * 100 >= cells().count() * MOSTLY;
        let is_decimal = with_comma().any(|text| !may_separate_thousands(text));
        let text = with_comma().next()?.to_owned();
        (is_numeric && is_decimal).then(|| CommaColumn {
            name: name.to_owned(),
            text,
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_of_numbers_with_commas_gives_the_decimal_sign() {
        let name_in = |sample: &str| detect(sample, b';').map(|column| column.name);
        assert_eq!(
            name_in("id;price\n1;12,50\n2;3\n3;NA\n4;1.234,5\n").as_deref(),
            Some("price")
        );
        assert_eq!(name_in("id;price\n1;12.50\n2;3\n"), None, "points");
        assert_eq!(name_in("id;price\n1;1,234\n2;12\n"), None, "thousands");
        assert_eq!(name_in("id;note\n1;1,2\n2;red\n3;x\n"), None, "a text");
        assert_eq!(name_in(""), None, "no rows");
    }
}
