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
use crate::model::{EventTime, Kind};
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
    /// Texts of a table that were read as missing values, with the feature and their number.
    pub missing_texts: Vec<(String, String, u64)>,
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

/// A row that could be decoded.
#[derive(Debug, Clone, Copy)]
pub struct DecodedRow<'a> {
    /// The values at the paths of the decoder.
    pub fields: Fields<'a>,
    /// The time that the source holds for it.
    pub source_time: Option<EventTime>,
    /// Its number among all rows, from 1; the header of a table is not a row.
    pub number: u64,
}

/// Decodes all rows; `on_row` takes the readable ones and returns whether the row counts.
///
/// # Errors
/// The rows cannot be read.
pub fn read(
    rows: &dyn Rows,
    decoder: &mut Decoder,
    on_row: &mut dyn FnMut(DecodedRow<'_>) -> bool,
) -> Result<RowCounts, RowsError> {
    let columns = columns(rows, decoder)?;
    let bar = progress::over_rows(rows.name(), rows.size());
    let (mut counts, mut number) = (RowCounts::default(), 0);
    rows.rows(
        &mut |position| bar.set_position(position),
        &mut |row, source_time| {
            number += 1;
            let decoded = fields(row, decoder, columns.as_ref()).map(|fields| DecodedRow {
                fields,
                source_time,
                number,
            });
            match decoded {
                Ok(row) if on_row(row) => counts.rows += 1,
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
    let mut counts = read(rows, &mut decoder, &mut |row| {
        if !is_selected(monitor, row.fields) {
            return false;
        }
        for (feature, column) in monitor.features.iter().zip(&mut columns) {
            add_value(feature, row.fields, column, &mut buffer);
        }
        true
    })?;
    counts.missing_texts = missing_texts(&decoder, monitor);
    Ok((counts, columns))
}

/// The texts that were read as missing values of the monitor's features.
fn missing_texts(decoder: &Decoder, monitor: &ObservedMonitor) -> Vec<(String, String, u64)> {
    monitor
        .features
        .iter()
        .flat_map(|feature| {
            decoder
                .missing_texts(feature.slot)
                .into_iter()
                .map(|(text, count)| (feature.name.to_string(), text, count))
        })
        .collect()
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
    read(rows, &mut decoder, &mut |row| {
        let fields = row.fields;
        let Some(time) = event_time(monitor, fields, row.source_time) else {
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
pub(super) fn event_time(
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
    let mut counts = read(rows, &mut decoder, &mut |row| {
        let is_counted = is_selected(monitor, row.fields);
        if is_counted {
            count_record(&mut frame, monitor, row.fields, &mut buffer, &mut |_| ());
        }
        is_counted
    })?;
    counts.missing_texts = missing_texts(&decoder, monitor);
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
