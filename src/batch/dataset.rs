//! Reads data files and topic ranges as columns to fit, as counts in panes, or as counts of all
//! rows.
//!
//! Rows pass through the decoder and the counting code of the daemon, so a fitted reference and a
//! live window agree on every value.

use std::collections::BTreeMap;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::progress;
use crate::decode::{Columns, DecodeError, Decoder, Fields, Reading, boolean, category, number};
use crate::engine::MonitorPlan;
use crate::model::{EventTime, Kind, MonitorSpec, TimestampFormat};
use crate::observe::{ObservedFeature, ObservedMonitor, ObserverPlan, count_record, is_selected};
use crate::panes::{Frame, PaneCounts};
use crate::reference::Column;
use crate::source::files::Row;
use crate::source::{Rows, RowsError};
use crate::stats::FeatureCounts;

/// Numbers of rows that were read, by outcome.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows that belong to the monitor.
    pub rows: u64,
    /// Rows that `select.where` excludes.
    pub filtered: u64,
    /// Unreadable rows by reason.
    pub errors: FxHashMap<&'static str, u64>,
}

impl RowCounts {
    /// Returns a line about the unreadable rows, or `None` if all were readable.
    #[must_use]
    pub fn error_summary(&self) -> Option<String> {
        (!self.errors.is_empty())
            .then(|| format!("rows that could not be read: {}", self.error_reasons()))
    }

    /// Returns the number of unreadable rows.
    #[must_use]
    pub fn unreadable(&self) -> u64 {
        self.errors.values().sum()
    }

    /// Returns the number of all rows, with those that are filtered or unreadable.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.rows + self.filtered + self.unreadable()
    }

    /// Returns true if more than 1 % of all rows are unreadable.
    #[must_use]
    pub fn is_largely_unreadable(&self) -> bool {
        self.unreadable() * 100 > self.total()
    }

    /// Returns the unreadable rows by reason; empty if there are none.
    #[must_use]
    pub fn error_reasons(&self) -> String {
        let mut reasons: Vec<String> = self
            .errors
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        reasons.sort();
        reasons.join(", ")
    }
}

/// Decodes all rows; `on_fields` takes those of a readable row and returns whether the row counts.
///
/// # Errors
/// The rows cannot be read.
pub fn read(
    rows: &dyn Rows,
    decoder: &mut Decoder,
    on_fields: &mut dyn FnMut(Fields<'_>) -> bool,
) -> Result<RowCounts, RowsError> {
    read_timed(rows, decoder, &mut |fields, _| on_fields(fields))
}

/// Decodes all rows as [`read`] does, and passes the source's time of each row as well.
fn read_timed(
    rows: &dyn Rows,
    decoder: &mut Decoder,
    on_fields: &mut dyn FnMut(Fields<'_>, Option<EventTime>) -> bool,
) -> Result<RowCounts, RowsError> {
    let columns = columns(rows, decoder)?;
    let bar = progress::over_rows(rows.name(), rows.size());
    let mut counts = RowCounts::default();
    rows.rows(
        &mut |position| bar.set_position(position),
        &mut |row, time| {
            match fields(row, decoder, columns.as_ref()) {
                Ok(fields) if on_fields(fields, time) => counts.rows += 1,
                Ok(_) => counts.filtered += 1,
                Err(error) => *counts.errors.entry(error.reason()).or_default() += 1,
            }
            true
        },
    )?;
    bar.finish_and_clear();
    Ok(counts)
}

/// Returns the columns of a table that the decoder reads; `None` for NDJSON.
///
/// # Errors
/// The rows cannot be read, or the table has no header.
pub fn columns(rows: &dyn Rows, decoder: &Decoder) -> Result<Option<Columns>, RowsError> {
    let header = rows.header()?;
    Ok(header.map(|header| {
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        decoder.table(&header, &rows.cells())
    }))
}

/// Decodes one row.
///
/// # Errors
/// The row is malformed.
pub fn fields<'a>(
    row: Row<'_>,
    decoder: &'a mut Decoder,
    columns: Option<&Columns>,
) -> Result<Fields<'a>, DecodeError> {
    match (row, columns) {
        (Row::Json(line), _) => decoder.json(line),
        (Row::Cells(cells), Some(columns)) => Ok(decoder.row(columns, cells)),
        (Row::Cells(_), None) => Err(DecodeError::RowLength),
        (Row::Bad(error), _) => Err(error),
    }
}

/// Gathers the values of the first monitor's features, one column per feature.
///
/// # Errors
/// The rows cannot be read.
pub fn gather(rows: &dyn Rows, plan: &ObserverPlan) -> Result<(RowCounts, Vec<Column>), RowsError> {
    let mut decoder = Decoder::new(&plan.paths);
    let Some(monitor) = plan.monitors.first() else {
        return Ok((RowCounts::default(), Vec::new()));
    };
    let mut columns = vec![Column::default(); monitor.features.len()];
    let mut buffer = String::new();
    let counts = read(rows, &mut decoder, &mut |fields| {
        if !is_selected(monitor, fields) {
            return false;
        }
        for (feature, column) in monitor.features.iter().zip(&mut columns) {
            add_value(feature, fields, column, &mut buffer);
        }
        true
    })?;
    Ok((counts, columns))
}

fn add_value(
    feature: &ObservedFeature,
    fields: Fields<'_>,
    column: &mut Column,
    buffer: &mut String,
) {
    let (slot, scratch) = (feature.read(fields), fields.scratch);
    let reading = match feature.kind {
        Kind::Numeric => number(slot, scratch).map(|x| column.numbers.push(x)),
        Kind::Categorical => category(slot, scratch, buffer).map(|name| add_category(column, name)),
        Kind::Boolean => boolean(slot, scratch)
            .map(|value| add_category(column, if value { "true" } else { "false" })),
    };
    match reading {
        Reading::Value(()) => {}
        Reading::Missing(kind) => column.tallies.missing[kind as usize] += 1,
        Reading::Invalid(reason) => column.tallies.invalid[reason as usize] += 1,
    }
}

fn add_category(column: &mut Column, name: &str) {
    match column.categories.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            column.categories.insert(name.into(), 1);
        }
    }
}

/// The event times of rows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowTimes {
    /// The first and the last time; `None` if no row has one.
    pub span: Option<(EventTime, EventTime)>,
    /// The forms in which they are written, in order of appearance.
    pub formats: Vec<TimestampFormat>,
    /// Rows with a value that is no time.
    pub unreadable: u64,
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
    read_timed(rows, &mut decoder, &mut |fields, source_time| {
        if let Some(field) = &monitor.timestamp {
            match (field.read(fields), field.format_of(fields)) {
                (Reading::Value(_), Some(format)) if !times.formats.contains(&format) => {
                    times.formats.push(format);
                }
                (Reading::Invalid(_), _) => times.unreadable += 1,
                _ => {}
            }
        }
        if let Some(time) = event_time(monitor, fields, source_time) {
            let (first, last) = times.span.unwrap_or((time, time));
            times.span = Some((first.min(time), last.max(time)));
        }
        true
    })?;
    Ok(times)
}

/// Counts the rows of a monitor in panes of `width`, by pane number since the epoch.
///
/// Each pane has the counts of every feature of the plan. Rows without a time are passed over.
///
/// # Errors
/// The rows cannot be read.
pub fn count_panes(
    rows: &dyn Rows,
    plan: &MonitorPlan,
    width: Duration,
) -> Result<BTreeMap<i64, Vec<PaneCounts>>, RowsError> {
    let mut observer = ObserverPlan::default();
    observer.add(&plan.spec, &plan.observed());
    let monitor = &observer.monitors[0];
    let mut decoder = Decoder::new(&observer.paths);
    let mut frame = empty_frame(monitor);
    let mut buffer = String::new();
    let mut panes: BTreeMap<i64, Vec<PaneCounts>> = BTreeMap::new();
    let mut current = None;
    let width_ms = i64::try_from(width.as_millis()).unwrap_or(i64::MAX).max(1);
    read_timed(rows, &mut decoder, &mut |fields, source_time| {
        let Some(time) = event_time(monitor, fields, source_time) else {
            return false;
        };
        if !is_selected(monitor, fields) {
            return false;
        }
        let pane = time.as_millis().div_euclid(width_ms);
        if let Some(previous) = current.filter(|current| *current != pane) {
            move_to_pane(&mut frame, previous, &mut panes);
        }
        current = Some(pane);
        count_record(&mut frame, monitor, fields, &mut buffer, &mut |_| ());
        true
    })?;
    if let Some(last) = current {
        move_to_pane(&mut frame, last, &mut panes);
    }
    Ok(panes)
}

/// Returns the start of a pane of `width` from its number since the epoch.
#[must_use]
pub fn pane_start(pane: i64, width: Duration) -> EventTime {
    let width_ms = i64::try_from(width.as_millis()).unwrap_or(i64::MAX);
    EventTime::from_millis(pane.saturating_mul(width_ms))
}

/// Adds the counts of a frame to a pane and empties the frame.
fn move_to_pane(frame: &mut Frame, pane: i64, panes: &mut BTreeMap<i64, Vec<PaneCounts>>) {
    let counted = frame.take();
    let sums = panes.entry(pane).or_default();
    sums.resize(counted.features.len(), PaneCounts::default());
    for (sum, delta) in sums.iter_mut().zip(&counted.features) {
        sum.merge(delta);
    }
}

fn empty_frame(monitor: &ObservedMonitor) -> Frame {
    Frame::new(
        monitor
            .features
            .iter()
            .map(|feature| feature.layout.as_deref()),
    )
}

/// Returns the event time of a row: its own, else the source's where the monitor allows that.
fn event_time(
    monitor: &ObservedMonitor,
    fields: Fields<'_>,
    source_time: Option<EventTime>,
) -> Option<EventTime> {
    match monitor.timestamp.as_ref().map(|field| field.read(fields)) {
        Some(Reading::Value(time)) => Some(time),
        Some(Reading::Invalid(_)) => None,
        Some(Reading::Missing(_)) | None => {
            source_time.filter(|time| monitor.fallback && time.as_millis() > 0)
        }
    }
}

/// Counts all rows in the layouts of a plan, one total per feature.
///
/// # Errors
/// The rows cannot be read.
pub fn count_file(
    rows: &dyn Rows,
    plan: &MonitorPlan,
) -> Result<(RowCounts, Vec<FeatureCounts>), RowsError> {
    let mut observer = ObserverPlan::default();
    observer.add(&plan.spec, &plan.observed());
    let monitor = &observer.monitors[0];
    let mut decoder = Decoder::new(&observer.paths);
    let mut frame = empty_frame(monitor);
    let mut buffer = String::new();
    let counts = read(rows, &mut decoder, &mut |fields| {
        let is_counted = is_selected(monitor, fields);
        if is_counted {
            count_record(&mut frame, monitor, fields, &mut buffer, &mut |_| ());
        }
        is_counted
    })?;
    let totals = frame
        .take()
        .features
        .iter()
        .zip(&plan.features)
        .map(|(delta, feature)| {
            let layout = feature.layout.as_deref();
            let mut total = layout.map_or_else(FeatureCounts::default, FeatureCounts::new);
            let mut pane = PaneCounts::default();
            pane.merge(delta);
            pane.add_to(&mut total);
            total
        })
        .collect();
    Ok((counts, totals))
}
