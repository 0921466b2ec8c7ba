//! Empty tables in the style of the terminal or of Markdown.

use std::ops::RangeInclusive;

use comfy_table::presets::{ASCII_MARKDOWN, UTF8_FULL_CONDENSED};
use comfy_table::{CellAlignment, ContentArrangement, Table};

/// Style of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TableStyle {
    /// Box lines and colour; the output stream drops the colour where it is not a terminal.
    Terminal,
    /// GitHub's Markdown.
    Markdown,
}

/// Creates an empty table.
pub(super) fn empty_table(style: TableStyle, header: &[&str]) -> Table {
    let mut table = Table::new();
    match style {
        TableStyle::Terminal => {
            table.load_style(UTF8_FULL_CONDENSED);
            table.set_content_arrangement(ContentArrangement::Dynamic);
        }
        TableStyle::Markdown => drop(table.load_style(ASCII_MARKDOWN)),
    }
    table.set_header(header.iter().copied());
    table
}

/// Aligns columns with numbers to the right.
pub(super) fn align_right(table: &mut Table, columns: RangeInclusive<usize>) {
    for index in columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
}

/// Number of columns of the output: `COLUMNS`, else the terminal's; `None` where neither is known.
#[expect(
    clippy::disallowed_methods,
    reason = "COLUMNS describes the terminal and is not an option of pegel"
)]
pub(super) fn output_width() -> Option<usize> {
    std::env::var("COLUMNS")
        .ok()
        .and_then(|columns| columns.parse().ok())
        .or_else(|| Table::new().width().map(usize::from))
        .filter(|columns| *columns > 0)
}

/// Breaks a paragraph into lines of at most `width` characters; all but the first are indented.
pub(super) fn wrap(text: &str, width: usize) -> String {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let length = lines.last().map_or(0, |line| line.chars().count());
        if length > 2 && length + 1 + word.chars().count() > width {
            lines.push(format!("  {word}"));
        } else if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n")
}
