//! Decoded values of a record: one slot per configured path.

/// A range of bytes in the scratch text of a decoded record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TextRange {
    /// The first byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl TextRange {
    /// Returns the text of this range; empty if `scratch` does not hold the range.
    #[must_use]
    pub fn of(self, scratch: &str) -> &str {
        scratch
            .get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

/// The spelling of [`Slot::Nested`] in messages.
pub const NESTED: &str = "an object or an array";

/// The value of a record at one configured path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Slot {
    /// The record does not have the path.
    Absent,
    /// `null`, or an empty cell of a table.
    Null,
    /// A number; infinite if the text overflows a double. The range holds its digits where a
    /// category or a time needs them exactly, and is empty otherwise.
    Number(f64, TextRange),
    /// A JSON text.
    Text(TextRange),
    /// `true` or `false`.
    Bool(bool),
    /// A cell of a CSV table. The kind of the feature decides its type.
    Cell(TextRange),
    /// An object or an array.
    Nested,
}
