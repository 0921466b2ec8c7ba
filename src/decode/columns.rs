//! The mapping from columns of a table to slots.
//!
//! Rows of a table fill the same slots as JSON records, so everything behind the decoder treats
//! both alike.

use super::buffer::RecordBuffer;
use super::cell_form::{CellForm, with_decimal_point};
use crate::model::Slot;

/// The columns of a table that fill slots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Columns {
    mapping: Vec<ColumnSlot>,
    form: CellForm,
}

/// A slot and the index of the column that fills it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ColumnSlot {
    pub(super) slot: usize,
    pub(super) column: usize,
}

impl Columns {
    pub(super) fn new(mapping: Vec<ColumnSlot>, form: CellForm) -> Self {
        Columns { mapping, form }
    }

    /// True if a column fills this slot.
    #[must_use]
    pub fn has(&self, slot: usize) -> bool {
        self.mapping.iter().any(|mapped| mapped.slot == slot)
    }

    /// Fills the slots from the cells of one row; a cell that the form calls missing is null.
    pub(super) fn read(&self, cells: &csv::StringRecord, buffer: &mut RecordBuffer) {
        for &ColumnSlot { slot, column } in &self.mapping {
            buffer.slots[slot] = match cells.get(column) {
                None | Some("") => Slot::Null,
                Some(text) if self.form.is_missing(text) => {
                    buffer.note_missing(slot, text.trim_ascii());
                    Slot::Null
                }
                Some(text) if self.form.has_decimal_comma => {
                    let number = with_decimal_point(text);
                    Slot::Cell(buffer.keep(number.as_deref().unwrap_or(text)))
                }
                Some(text) => Slot::Cell(buffer.keep(text)),
            };
        }
    }
}
