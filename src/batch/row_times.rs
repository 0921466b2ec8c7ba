//! The event times of rows: their span, their forms, and the rows whose time cannot be read.
//!
//! A row without a readable time is in no window and in no block. If there are many of them, the
//! others do not stand for the stream, so the commands refuse to go on in silence.

use std::fmt;

use super::dataset::{self, DecodedRow, event_time};
use crate::decode::{Decoder, Reading};
use crate::model::{EventTime, MonitorSpec, Slot, TimestampFormat};
use crate::observe::{ObservedMonitor, ObserverPlan, is_selected};
use crate::source::{Rows, RowsError};

/// Rows of which more than one in so many may not have an unreadable time.
const MAX_UNREADABLE: u64 = 100;
/// Most characters of a value in a message.
const MAX_CHARS: usize = 40;

/// The event times of a monitor's rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowTimes {
    /// The first and the last time; `None` if no row has one.
    pub span: Option<(EventTime, EventTime)>,
    /// The forms in which they are written, in order of appearance.
    pub formats: Vec<TimestampFormat>,
    /// Rows that belong to the monitor.
    pub rows: u64,
    /// Rows that have no time.
    pub missing: u64,
    /// Rows with a value that is no time.
    pub unreadable: u64,
    /// The first of the unreadable times.
    pub example: Option<UnreadableTime>,
}

/// A value that is no time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableTime {
    /// The value as it is written.
    pub value: String,
    /// The number of its row, from 1; the header of a table is not a row.
    pub row: u64,
}

/// Rows whose time cannot be read, with one of them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{data}: {unreadable} of {rows} rows have a time that cannot be read, as {} in row {}: expected \
     {expected}",
    .example.value, .example.row
)]
pub struct UnreadableTimes {
    /// Name of the file or topic.
    pub data: String,
    /// Rows with an unreadable time.
    pub unreadable: u64,
    /// All rows of the monitor.
    pub rows: u64,
    /// The first of the unreadable times.
    pub example: UnreadableTime,
    /// The times that would be accepted.
    pub expected: ExpectedTime,
}

impl UnreadableTimes {
    /// So many unreadable times of so many rows of a monitor.
    #[must_use]
    pub fn new(
        data: &str,
        spec: &MonitorSpec,
        unreadable: u64,
        rows: u64,
        example: UnreadableTime,
    ) -> Self {
        UnreadableTimes {
            data: data.to_owned(),
            unreadable,
            rows,
            example,
            expected: ExpectedTime(spec.timestamp.format),
        }
    }

    /// Reports whether they are so many that the other rows do not stand for all.
    #[must_use]
    pub const fn are_many(&self) -> bool {
        self.unreadable > self.rows / MAX_UNREADABLE
    }
}

/// The times that a monitor accepts, as words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExpectedTime(TimestampFormat);

impl fmt::Display for ExpectedTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            TimestampFormat::Auto => {
                "a text such as 2026-11-01T00:00:00Z or 2026-11-08 14:23:55, or seconds, milliseconds, \
                 microseconds or nanoseconds since 1970"
            }
            TimestampFormat::Rfc3339 => "a text with a zone such as 2026-11-01T00:00:00Z (rfc3339)",
            TimestampFormat::Datetime => {
                "a text without a zone such as 2026-11-08 14:23:55 (datetime)"
            }
            TimestampFormat::EpochS => "seconds since 1970 (epoch_s)",
            TimestampFormat::EpochMs => "milliseconds since 1970 (epoch_ms)",
            TimestampFormat::EpochUs => "microseconds since 1970 (epoch_us)",
            TimestampFormat::EpochNs => "nanoseconds since 1970 (epoch_ns)",
            TimestampFormat::Rfc3339OrEpochMs => {
                "a text with a zone such as 2026-11-01T00:00:00Z, or milliseconds since 1970 \
                 (rfc3339_or_epoch_ms)"
            }
        })
    }
}

impl RowTimes {
    /// The rows whose time cannot be read; `None` if there are none.
    #[must_use]
    pub fn unreadable_times(&self, data: &str, spec: &MonitorSpec) -> Option<UnreadableTimes> {
        let example = self.example.clone()?;
        Some(UnreadableTimes::new(
            data,
            spec,
            self.unreadable,
            self.rows,
            example,
        ))
    }
}

/// Returns the event times of a monitor's rows.
///
/// # Errors
/// The rows cannot be read.
pub fn times(rows: &dyn Rows, spec: &MonitorSpec) -> Result<RowTimes, RowsError> {
    let mut observer = ObserverPlan::default();
    observer.add(spec, &[]);
    let monitor = &observer.monitors[0];
    let mut decoder = Decoder::new(&observer.paths);
    let mut times = RowTimes::default();
    dataset::read(rows, &mut decoder, &mut |row| {
        let is_counted = is_selected(monitor, row.fields);
        if is_counted {
            times.record(row, monitor);
        }
        is_counted
    })?;
    Ok(times)
}

impl RowTimes {
    fn record(&mut self, row: DecodedRow<'_>, monitor: &ObservedMonitor) {
        self.rows += 1;
        let mut is_unreadable = false;
        if let Some(field) = &monitor.timestamp {
            match (field.read(row.fields), field.format_of(row.fields)) {
                (Reading::Value(_), Some(format)) if !self.formats.contains(&format) => {
                    self.formats.push(format);
                }
                (Reading::Invalid(_), _) => {
                    self.unreadable += 1;
                    is_unreadable = true;
                    self.example.get_or_insert_with(|| UnreadableTime {
                        value: written(row.fields.slots[field.slot], row.fields.scratch),
                        row: row.number,
                    });
                }
                _ => {}
            }
        }
        match event_time(monitor, row.fields, row.source_time) {
            Some(time) => {
                let (first, last) = self.span.unwrap_or((time, time));
                self.span = Some((first.min(time), last.max(time)));
            }
            None => self.missing += u64::from(!is_unreadable),
        }
    }
}

/// Returns the first value of a monitor's rows that is no time, and reads no further.
///
/// # Errors
/// The rows cannot be read.
pub fn first_unreadable(
    rows: &dyn Rows,
    spec: &MonitorSpec,
) -> Result<Option<UnreadableTime>, RowsError> {
    let mut observer = ObserverPlan::default();
    observer.add(spec, &[]);
    let monitor = &observer.monitors[0];
    let Some(field) = &monitor.timestamp else {
        return Ok(None);
    };
    let mut decoder = Decoder::new(&observer.paths);
    let columns = dataset::columns(rows, &decoder)?;
    let (mut number, mut first) = (0, None);
    rows.rows(&mut |_| (), &mut |row, _| {
        number += 1;
        if let Ok(fields) = dataset::fields(row, &mut decoder, columns.as_ref())
            && is_selected(monitor, fields)
            && matches!(field.read(fields), Reading::Invalid(_))
        {
            first = Some(UnreadableTime {
                value: written(fields.slots[field.slot], fields.scratch),
                row: number,
            });
        }
        first.is_none()
    })?;
    Ok(first)
}

/// A value as it is written, for a message.
fn written(slot: Slot, scratch: &str) -> String {
    let text = match slot {
        Slot::Text(text) | Slot::Cell(text) => text.of(scratch),
        Slot::Number(value, digits) => match digits.of(scratch) {
            "" => return value.to_string(),
            digits => return digits.to_owned(),
        },
        Slot::Bool(value) => return value.to_string(),
        Slot::Nested => return "an object or an array".to_owned(),
        Slot::Absent | Slot::Null => return "null".to_owned(),
    };
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => format!("{:?}...", &text[..end]),
        None => format!("{text:?}"),
    }
}
