//! The separator of the columns of a table, found in its first rows.

/// The separators that are tried, the most common first.
const CANDIDATES: [u8; 4] = [b',', b';', b'\t', b'|'];

/// The number of rows that are compared with the header.
const MAX_ROWS: usize = 100;

/// Returns the separator that gives all rows the same number of cells, and the most of them. A text
/// that none of the candidates separates has one column.
pub(super) fn detect(sample: &str) -> u8 {
    CANDIDATES
        .into_iter()
        .filter_map(|separator| Some((columns(sample, separator)?, separator)))
        .filter(|(columns, _)| *columns > 1)
        // Of equals, the first candidate: `max_by_key` would take the last.
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map_or(CANDIDATES[0], |(_, separator)| separator)
}

/// The number of cells of all rows; `None` if they differ.
fn columns(sample: &str, separator: u8) -> Option<usize> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(separator)
        .has_headers(false)
        .flexible(true)
        .from_reader(sample.as_bytes());
    let mut widths = reader
        .records()
        .take(MAX_ROWS)
        .map_while(Result::ok)
        .map(|row| row.len());
    let header = widths.next()?;
    widths.all(|width| width == header).then_some(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_separator_gives_all_rows_the_same_number_of_cells() {
        let check = |sample: &str, separator: u8| {
            assert_eq!(
                char::from(detect(sample)),
                char::from(separator),
                "{sample}"
            );
        };
        check("a,b\n1,2\n", b',');
        // A decimal comma is in some of the rows, and not in the header.
        check("age;price\n1;2,5\n2;3,5\n", b';');
        check("a\tb\n1\t2\n", b'\t');
        check("a|b|c\n1|2|3\n", b'|');
        check("name,note\nx,\"1;2;3\"\ny,4\n", b',');
        check("\"a;b\";c\n1;2\n", b';');
        check("only\n1\n2\n", b',');
        check("", b',');
    }
}
