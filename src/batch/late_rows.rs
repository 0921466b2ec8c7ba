//! Rows of a file that are dropped as late, and the row or the order that makes them so.
//!
//! Event time follows the newest row that was read. A single row of a wrong year, or a file that is
//! not in order of time, therefore drops nearly all others, and the evaluations that remain stand
//! for nothing. In a topic range the daemon would have dropped the same records, so it is not
//! searched.

use std::fmt;

use super::dataset::{self, event_time};
use crate::decode::Decoder;
use crate::model::EventTime;
use crate::observe::{ObserverPlan, is_selected, is_too_late};
use crate::source::{Rows, RowsError};

/// Rows of which more than one in so many may not be late.
///
/// A stream with some disorder drops a few per cent, and its replay is right to do the same.
const MAX_LATE: u64 = 10;
/// Times that are tried as the ones ahead of the rest: each costs a pass over the rows.
const MAX_TRIALS: usize = 3;

/// Rows that are dropped as late, so many that the others do not stand for all.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{data}: {late} of {rows} rows were dropped as late: {cause}")]
pub struct LateRows {
    /// Name of the file.
    pub data: String,
    /// Rows that were dropped as late.
    pub late: u64,
    /// All rows of the monitor.
    pub rows: u64,
    /// The reason why they were late.
    pub cause: LateCause,
}

/// A row and its event time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimedRow {
    /// The number of the row, from 1; the header of a table is not a row.
    pub row: u64,
    /// Its event time.
    pub time: EventTime,
}

impl fmt::Display for TimedRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "row {} ({})", self.row, self.time)
    }
}

/// The reason why rows are late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LateCause {
    /// Without this row, and those with a later time, few rows would be late.
    Ahead(TimedRow),
    /// The rows are not in order of time.
    Disorder {
        /// A row behind which many others lie.
        newest: TimedRow,
        /// The first row that is late behind it.
        late: TimedRow,
    },
}

impl fmt::Display for LateCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LateCause::Ahead(ahead) => write!(
                f,
                "{ahead} is ahead of the rest; correct its time, or remove it"
            ),
            LateCause::Disorder { newest, late } => write!(
                f,
                "the file is not in order of time, {late} comes after {newest}; sort its rows by time"
            ),
        }
    }
}

/// The row that makes most others late, in one reading of the rows.
#[derive(Debug, Default)]
struct Trial {
    /// Rows that are late.
    late: u64,
    /// The row behind which the most others are late, the first of these, and their number.
    worst: Option<(TimedRow, TimedRow, u64)>,
}

impl LateRows {
    /// Reports whether so many of a monitor's rows are late that the others do not stand for all.
    #[must_use]
    pub const fn are_many(late: u64, rows: u64) -> bool {
        late > rows / MAX_LATE
    }

    /// Finds out why rows of the first monitor of `plan` were late; `None` if none are.
    ///
    /// # Errors
    /// The rows cannot be read.
    pub fn find(
        data: &dyn Rows,
        plan: &ObserverPlan,
        late: u64,
        rows: u64,
    ) -> Result<Option<Self>, RowsError> {
        let (mut end, mut disorder, mut ahead) = (None, None, None);
        for _ in 0..MAX_TRIALS {
            let trial = try_without(data, plan, end)?;
            if disorder.is_some() && !Self::are_many(trial.late, rows) {
                ahead = end;
                break;
            }
            let Some((newest, first_late, _)) = trial.worst else {
                break;
            };
            disorder.get_or_insert(LateCause::Disorder {
                newest,
                late: first_late,
            });
            end = Some(newest);
        }
        Ok(ahead
            .map(LateCause::Ahead)
            .or(disorder)
            .map(|cause| LateRows {
                data: data.name().to_owned(),
                late,
                rows,
                cause,
            }))
    }
}

/// Reads the rows without those of the time of `end` or later, and counts those that are late.
fn try_without(
    data: &dyn Rows,
    plan: &ObserverPlan,
    end: Option<TimedRow>,
) -> Result<Trial, RowsError> {
    let monitor = &plan.monitors[0];
    let mut decoder = Decoder::new(&plan.paths);
    let mut trial = Trial::default();
    let mut newest: Option<TimedRow> = None;
    let mut behind: Option<(TimedRow, u64)> = None;
    dataset::read(data, &mut decoder, &mut |row| {
        let Some(time) = event_time(monitor, row.fields, row.source_time)
            .filter(|time| end.is_none_or(|end| *time < end.time))
        else {
            return false;
        };
        let timed = TimedRow {
            row: row.number,
            time,
        };
        if newest.is_none_or(|newest| newest.time < time) {
            (newest, behind) = (Some(timed), None);
        }
        let newest_time = newest.map(|newest| newest.time);
        if is_selected(monitor, row.fields)
            && is_too_late(time, newest_time, monitor)
            && let Some(newest) = newest
        {
            trial.late += 1;
            let (first, count) = behind.map_or((timed, 1), |(first, count)| (first, count + 1));
            behind = Some((first, count));
            if trial.worst.is_none_or(|(.., most)| count > most) {
                trial.worst = Some((newest, first, count));
            }
        }
        true
    })?;
    Ok(trial)
}
