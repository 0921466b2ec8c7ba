//! Bytes to values of the configured paths.
//!
//! A record is visited once and only where something was asked for: configured paths are compiled into one trie per source, everything else is skipped
//! without building a tree (a tree costs three times as much). The output is one [`Slot`] per distinct path in a reused array, with texts copied into one
//! reused buffer, so decoding allocates nothing per record. Malformed input anywhere in the record rejects the record with a bounded reason; a value that
//! is merely unusable (`1e999`, a text where a number should be) costs that value only.

mod error;
mod json;
mod paths;
mod reading;
mod table;
mod timestamp;

pub use error::DecodeError;
pub use paths::Paths;
pub use reading::{Reading, boolean, category, matches, number};
pub use table::Columns;
pub use timestamp::timestamp;

use crate::model::{Slot, TextRange};
use paths::Trie;

/// Deeper nesting than this rejects a record.
pub const MAX_DEPTH: usize = 32;

/// What a record holds at every configured path.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// One per path, in the order of [`Paths::add`].
    pub slots: &'a [Slot],
    /// The texts the slots refer to.
    pub scratch: &'a str,
}

/// Turns records of one source into slots; owns the buffers it reuses.
#[derive(Debug, Clone)]
pub struct Decoder {
    trie: Trie,
    record: Record,
    max_bytes: usize,
}

/// The buffers of the record being decoded.
#[derive(Debug, Clone)]
struct Record {
    slots: Vec<Slot>,
    scratch: String,
    /// Per trie node, the number of the record that visited it last.
    visited: Vec<u64>,
    number: u64,
    is_duplicate: bool,
}

impl Decoder {
    /// A larger JSON record than this is rejected unread, unless `with_max_bytes` says otherwise.
    pub const DEFAULT_MAX_BYTES: usize = 1 << 20;

    /// A decoder for `paths`.
    #[must_use]
    pub fn new(paths: &Paths) -> Self {
        let trie = Trie::new(paths);
        let record = Record {
            slots: vec![Slot::Absent; paths.len()],
            scratch: String::new(),
            visited: vec![0; trie.len()],
            number: 0,
            is_duplicate: false,
        };
        Decoder {
            trie,
            record,
            max_bytes: Self::DEFAULT_MAX_BYTES,
        }
    }

    /// The same decoder with another size limit.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Decodes one JSON record.
    ///
    /// # Errors
    /// The record is too large, not UTF-8, too deep, not a JSON object, or repeats a configured key.
    pub fn json(&mut self, payload: &[u8]) -> Result<Fields<'_>, DecodeError> {
        if payload.len() > self.max_bytes {
            return Err(DecodeError::TooLarge);
        }
        self.record.begin();
        json::decode(payload, &self.trie, &mut self.record)?;
        Ok(self.record.fields())
    }

    /// Which slots the columns of a table with this header feed.
    #[must_use]
    pub fn table(&self, header: &[&str]) -> Columns {
        self.trie.columns(header)
    }

    /// Decodes one row of a table.
    pub fn row(&mut self, columns: &Columns, cells: &csv::StringRecord) -> Fields<'_> {
        self.record.begin();
        columns.read(cells, &mut self.record);
        self.record.fields()
    }
}

impl Record {
    fn begin(&mut self) {
        self.slots.fill(Slot::Absent);
        self.scratch.clear();
        self.number += 1;
        self.is_duplicate = false;
    }

    fn fields(&self) -> Fields<'_> {
        Fields {
            slots: &self.slots,
            scratch: &self.scratch,
        }
    }

    /// Keeps a text; an empty range when the buffer would outgrow 4 GiB, which the size limit rules out.
    fn keep(&mut self, text: &str) -> TextRange {
        let start = u32::try_from(self.scratch.len()).unwrap_or_default();
        self.scratch.push_str(text);
        let end = u32::try_from(self.scratch.len()).unwrap_or_default();
        TextRange { start, end }
    }

    /// Marks a node as visited in this record; `false` when it was before.
    fn visit(&mut self, node: usize) -> bool {
        let fresh = self.visited[node] != self.number;
        self.visited[node] = self.number;
        self.is_duplicate |= !fresh;
        fresh
    }
}

#[cfg(test)]
mod tests;
