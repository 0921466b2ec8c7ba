//! The decoder of one source: a compiled set of paths, and the buffers it reuses.

use super::buffer::{Fields, RecordBuffer};
use super::cell_form::CellForm;
use super::columns::Columns;
use super::error::DecodeError;
use super::json;
use super::paths::{Paths, Trie};
use crate::model::SourceSpec;

/// Decodes records of one source into slots.
#[derive(Debug, Clone)]
pub struct Decoder {
    trie: Trie,
    buffer: RecordBuffer,
    max_bytes: usize,
}

impl Decoder {
    /// The default size limit of a JSON record, in bytes.
    pub const DEFAULT_MAX_BYTES: usize = SourceSpec::DEFAULT_MAX_MESSAGE_BYTES;

    /// Creates a decoder for `paths`.
    #[must_use]
    pub fn new(paths: &Paths) -> Self {
        let trie = Trie::new(paths);
        let buffer = RecordBuffer::new(paths.len(), trie.len());
        Decoder {
            trie,
            buffer,
            max_bytes: Self::DEFAULT_MAX_BYTES,
        }
    }

    /// Sets the size limit of a JSON record. A larger record is rejected without being parsed.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: usize) -> Self {
        self.max_bytes = max_bytes;
        self
    }

    /// Decodes one JSON record.
    ///
    /// # Errors
    /// The record is too large, not UTF-8, nested too deeply or not a JSON object, or it repeats a
    /// configured key.
    pub fn json(&mut self, payload: &[u8]) -> Result<Fields<'_>, DecodeError> {
        if payload.len() > self.max_bytes {
            return Err(DecodeError::TooLarge);
        }
        self.buffer.begin();
        json::decode(payload, &self.trie, &mut self.buffer)?;
        Ok(self.buffer.fields())
    }

    /// Maps the columns of a table with this header and cells of this form to slots.
    #[must_use]
    pub fn table(&self, header: &[&str], form: &CellForm) -> Columns {
        self.trie.columns(header, form)
    }

    /// The texts of cells that were read as missing values in a slot, most frequent first.
    #[must_use]
    pub fn missing_texts(&self, slot: usize) -> Vec<(String, u64)> {
        self.buffer.missing_texts(slot)
    }

    /// Decodes one row of a table.
    pub fn row(&mut self, columns: &Columns, cells: &csv::StringRecord) -> Fields<'_> {
        self.buffer.begin();
        columns.read(cells, &mut self.buffer);
        self.buffer.fields()
    }
}
