//! Finite input that can be read more than once: the rows of a data file, or the records of a
//! topic range.
//!
//! `fit`, `compare` and the other commands make several passes over their data. They read it
//! through one trait, so that a file and a topic give the same result for the same rows.

use super::files::{DataFile, FileError, Row};
use super::range::{RangeError, TopicRange};
use crate::decode::CellForm;
use crate::model::EventTime;

/// An error that ends the reading of rows.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// The data file failed.
    #[error(transparent)]
    File(#[from] FileError),
    /// The topic range failed.
    #[error(transparent)]
    Range(#[from] RangeError),
}

/// The amount of data in an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// The size of a file on disk.
    Bytes(u64),
    /// The offsets of a topic range, gaps included.
    Offsets(u64),
}

/// An input of a command.
pub trait Rows {
    /// The name of the file or topic, for messages.
    fn name(&self) -> &str;
    /// The amount of data, for progress bars.
    fn size(&self) -> Size;
    /// The column names; `None` if every row is a JSON object.
    ///
    /// # Errors
    /// The input cannot be read, or its table has no header.
    fn header(&self) -> Result<Option<Vec<String>>, RowsError>;
    /// The form of the cells of a table.
    fn cells(&self) -> CellForm {
        CellForm::default()
    }
    /// True if each row has a timestamp outside its fields.
    fn are_timed(&self) -> bool;
    /// Passes every row, with its outside timestamp if it has one, to `each` until `each` returns
    /// `false`. Passes the progress, in the unit of [`Rows::size`], to `read`.
    ///
    /// # Errors
    /// The input cannot be read.
    fn rows(
        &self,
        read: &mut dyn FnMut(u64),
        each: &mut dyn FnMut(Row<'_>, Option<EventTime>) -> bool,
    ) -> Result<(), RowsError>;
}

impl Rows for DataFile {
    fn name(&self) -> &str {
        self.name()
    }

    fn size(&self) -> Size {
        Size::Bytes(self.size_bytes())
    }

    fn header(&self) -> Result<Option<Vec<String>>, RowsError> {
        Ok(self.header()?)
    }

    fn cells(&self) -> CellForm {
        self.cells().clone()
    }

    fn are_timed(&self) -> bool {
        false
    }

    fn rows(
        &self,
        read: &mut dyn FnMut(u64),
        each: &mut dyn FnMut(Row<'_>, Option<EventTime>) -> bool,
    ) -> Result<(), RowsError> {
        Ok(self.rows(read, &mut |row| each(row, None))?)
    }
}

impl Rows for TopicRange {
    fn name(&self) -> &str {
        self.topics()
    }

    fn size(&self) -> Size {
        Size::Offsets(self.offsets())
    }

    fn header(&self) -> Result<Option<Vec<String>>, RowsError> {
        Ok(None)
    }

    fn are_timed(&self) -> bool {
        true
    }

    /// Reads one partition after the other, so that rows come in the same order each time; a
    /// tombstone is not a row.
    fn rows(
        &self,
        read: &mut dyn FnMut(u64),
        each: &mut dyn FnMut(Row<'_>, Option<EventTime>) -> bool,
    ) -> Result<(), RowsError> {
        let mut reader = self.open()?;
        for slot in 0..self.parts().len() {
            while let Some(record) = reader.next(slot)? {
                let wants_more = record
                    .payload
                    .is_none_or(|payload| each(Row::Json(payload), record.time));
                if !wants_more {
                    return Ok(());
                }
                reader.look().into_iter().for_each(&mut *read);
            }
        }
        Ok(())
    }
}
