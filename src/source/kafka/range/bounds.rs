//! The times that bound a range.

use std::fmt;

use crate::model::EventTime;

/// The beginning of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RangeStart {
    /// The oldest record of each partition.
    Earliest,
    /// The first record at or after a time.
    At(EventTime),
}

/// The two bounds of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeBounds {
    /// The beginning, included.
    pub from: RangeStart,
    /// The end, excluded; `None` for the end of each partition when the range is found.
    pub to: Option<EventTime>,
}

impl fmt::Display for RangeBounds {
    /// Writes, for example, `from 2026-11-01T00:00:00Z to its end`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.from {
            RangeStart::Earliest => write!(f, "from its beginning")?,
            RangeStart::At(time) => write!(f, "from {time}")?,
        }
        match self.to {
            None => write!(f, " to its end"),
            Some(time) => write!(f, " to {time}"),
        }
    }
}
