//! Tables of `pegel fit`: the inferred columns, and the features of a reference.

use super::table::{TableStyle, align_right, empty_table};
use crate::batch::fit::infer::Inferred;
use crate::export::{is_whole, median_text, number_text, percent, short_number};
use crate::reference::Reference;

/// Most columns of arrays or objects that are listed.
const MAX_NESTED: usize = 10;
/// The kind of a column that is not a feature.
const LEFT_OUT: &str = "left out";

/// Returns a table of the features of a reference.
#[must_use]
pub(crate) fn features(reference: &Reference) -> String {
    let header = [
        "feature", "kind", "samples", "missing", "bins", "median", "std", "range",
    ];
    let mut table = empty_table(TableStyle::Terminal, &header);
    for feature in &reference.features {
        let tallies = &feature.counts.tallies;
        let median = feature
            .layout
            .numeric()
            .and_then(|layout| median_text(feature.cells(), &layout.cells));
        let std = feature.numbers.map(|numbers| numbers.std);
        let is_whole = feature
            .layout
            .numeric()
            .is_some_and(|layout| is_whole(feature.cells(), &layout.cells));
        let range = feature.numbers.map(|numbers| {
            let is_whole = is_whole && numbers.min.fract() == 0.0 && numbers.max.fract() == 0.0;
            let [min, max] = [numbers.min, numbers.max].map(|number| number_text(number, is_whole));
            format!("{min} .. {max}")
        });
        table.add_row([
            feature.name.clone(),
            feature.kind.name().to_owned(),
            tallies.values.to_string(),
            or_dash(tallies.missing_ratio().map(percent)),
            feature.layout.len().to_string(),
            or_dash(median),
            or_dash(std.map(short_number)),
            or_dash(range),
        ]);
    }
    align_right(&mut table, 2..=6);
    table.to_string()
}

/// Returns a table of the inferred kinds with their reasons; of columns of arrays or objects, the
/// first [`MAX_NESTED`] and the number of the others.
#[must_use]
pub(crate) fn inferred(columns: &[Inferred]) -> String {
    let mut table = empty_table(TableStyle::Terminal, &["column", "kind", "reason"]);
    let mut nested = 0;
    for column in columns {
        nested += usize::from(column.is_nested);
        if column.is_nested && nested > MAX_NESTED {
            continue;
        }
        let kind = column.kind.map_or(LEFT_OUT, |kind| kind.name());
        table.add_row([column.name.clone(), kind.to_owned(), column.reason.clone()]);
    }
    if nested > MAX_NESTED {
        let more = format!("{} more columns", nested - MAX_NESTED);
        table.add_row([more, LEFT_OUT.to_owned(), "arrays or objects".to_owned()]);
    }
    table.to_string()
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "-".to_owned())
}
