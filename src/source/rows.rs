//! Rows that end and can be read again: those of a data file, or the records of a topic range.

use super::files::{DataFile, FileError, Row};
use super::range::{RangeError, TopicRange};
use crate::model::EventTime;

/// Why rows cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum RowsError {
    /// Those of a file.
    #[error(transparent)]
    File(#[from] FileError),
    /// Those of a topic.
    #[error(transparent)]
    Range(#[from] RangeError),
}

/// How much there is to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// Of a file.
    Bytes(u64),
    /// Of a topic range, gaps included.
    Offsets(u64),
}

/// What a command reads.
pub trait Rows {
    /// What it is called.
    fn name(&self) -> &str;
    /// How much it is.
    fn size(&self) -> Size;
    /// The names of the columns; `None` where every row is a JSON object.
    ///
    /// # Errors
    /// It cannot be read, or has no header.
    fn header(&self) -> Result<Option<Vec<String>>, RowsError>;
    /// Whether rows come with a time that is not in them.
    fn are_timed(&self) -> bool;
    /// Hands every row, with its own time where it has one, to `each` until it answers `false`; `read` is told how far it got, as [`Rows::size`] counts.
    ///
    /// # Errors
    /// It cannot be read.
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

    /// One partition after the other, so that the rows come in the same order each time; a tombstone is no row.
    fn rows(
        &self,
        read: &mut dyn FnMut(u64),
        each: &mut dyn FnMut(Row<'_>, Option<EventTime>) -> bool,
    ) -> Result<(), RowsError> {
        let mut reader = self.open()?;
        for slot in 0..self.parts().len() {
            while let Some(record) = reader.next(slot)? {
                let goes_on = record
                    .payload
                    .is_none_or(|payload| each(Row::Json(payload), record.time));
                if !goes_on {
                    return Ok(());
                }
                reader.look().into_iter().for_each(&mut *read);
            }
        }
        Ok(())
    }
}
