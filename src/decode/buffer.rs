//! The reused buffers of the record being decoded.

use rustc_hash::FxHashMap;

use crate::model::{Slot, TextRange};

/// The values of a record at every configured path.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    /// One slot per path, in the order of [`Paths::add`](super::Paths::add).
    pub slots: &'a [Slot],
    /// The text that the slots' ranges refer to.
    pub scratch: &'a str,
}

/// Slots and texts of one record, and the trie nodes it has visited.
#[derive(Debug, Clone)]
pub(super) struct RecordBuffer {
    pub(super) slots: Vec<Slot>,
    scratch: String,
    /// Number of the last record that visited each trie node.
    visited: Vec<u64>,
    /// Number of the current record.
    number: u64,
    has_duplicate: bool,
    /// Texts of cells that were read as missing values, by slot, with their numbers.
    missing_texts: Vec<FxHashMap<String, u64>>,
}

impl RecordBuffer {
    pub(super) fn new(slots: usize, nodes: usize) -> Self {
        RecordBuffer {
            slots: vec![Slot::Absent; slots],
            scratch: String::new(),
            visited: vec![0; nodes],
            number: 0,
            has_duplicate: false,
            missing_texts: vec![FxHashMap::default(); slots],
        }
    }

    /// Resets the buffer for the next record.
    pub(super) fn begin(&mut self) {
        self.slots.fill(Slot::Absent);
        self.scratch.clear();
        self.number += 1;
        self.has_duplicate = false;
    }

    pub(super) fn fields(&self) -> Fields<'_> {
        Fields {
            slots: &self.slots,
            scratch: &self.scratch,
        }
    }

    /// Copies a text into the scratch buffer. Returns an empty range if the buffer would outgrow
    /// 4 GiB, which the size limit of a record prevents.
    pub(super) fn keep(&mut self, text: &str) -> TextRange {
        let start = u32::try_from(self.scratch.len()).unwrap_or_default();
        self.scratch.push_str(text);
        let end = u32::try_from(self.scratch.len()).unwrap_or_default();
        TextRange { start, end }
    }

    /// Counts a cell whose text stands for a missing value.
    pub(super) fn note_missing(&mut self, slot: usize, text: &str) {
        let texts = &mut self.missing_texts[slot];
        match texts.get_mut(text) {
            Some(count) => *count += 1,
            None => drop(texts.insert(text.to_owned(), 1)),
        }
    }

    /// The texts that were read as missing values in a slot, most frequent first.
    pub(super) fn missing_texts(&self, slot: usize) -> Vec<(String, u64)> {
        let mut texts: Vec<(String, u64)> = self.missing_texts[slot]
            .iter()
            .filter(|(text, _)| !text.is_empty())
            .map(|(text, count)| (text.clone(), *count))
            .collect();
        texts.sort_by(|(a, in_a), (b, in_b)| in_b.cmp(in_a).then_with(|| a.cmp(b)));
        texts
    }

    /// Marks a trie node as visited by this record. Returns false if it was visited before.
    pub(super) fn visit(&mut self, node: usize) -> bool {
        let is_first = self.visited[node] != self.number;
        self.visited[node] = self.number;
        self.has_duplicate |= !is_first;
        is_first
    }

    /// True if a configured key occurred twice.
    pub(super) fn has_duplicate(&self) -> bool {
        self.has_duplicate
    }
}
