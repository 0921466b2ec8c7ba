//! Rows of a table fill the same slots as records do.

use super::Record;
use crate::model::Slot;

/// Which slot each column feeds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    feeds: Vec<(usize, usize)>,
}

impl Columns {
    pub(super) fn new(feeds: Vec<(usize, usize)>) -> Self {
        Columns { feeds }
    }

    /// Whether a column feeds this slot.
    #[must_use]
    pub fn has(&self, slot: usize) -> bool {
        self.feeds.iter().any(|(fed, _)| *fed == slot)
    }

    pub(super) fn read(&self, cells: &csv::StringRecord, record: &mut Record) {
        for &(slot, column) in &self.feeds {
            record.slots[slot] = match cells.get(column) {
                None | Some("") => Slot::Null,
                Some(text) => Slot::Cell(record.keep(text)),
            };
        }
    }
}
