//! Decodes records into the values at the configured paths.
//!
//! A record is visited once. Configured paths are compiled into one trie per source, and
//! everything else is skipped without building a tree: a tree costs three times as much. The
//! output is one [`Slot`](crate::model::Slot) per distinct path in a reused array, with texts
//! copied into one reused buffer, so decoding does not allocate per record.
//!
//! Malformed input anywhere in a record rejects the record with a bounded reason. A value that is
//! only unusable (`1e999`, a text for a number) affects that value alone.

mod buffer;
mod cell_form;
mod columns;
mod decoder;
mod error;
mod json;
mod paths;
mod reading;
#[cfg(test)]
mod tests;
mod timestamp;

pub use buffer::Fields;
pub use cell_form::{
    CellForm, MISSING_TEXTS, is_missing_text, is_number_with_comma, may_separate_thousands,
    with_decimal_point,
};
pub use columns::Columns;
pub use decoder::Decoder;
pub use error::{DecodeError, MAX_DEPTH};
pub use paths::Paths;
pub use reading::{
    Reading, boolean, category, coerced, expected_instead, matches, number, spelling,
};
pub use timestamp::{TimeField, TimeReader};
