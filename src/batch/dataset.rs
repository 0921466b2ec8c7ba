//! Data files and topic ranges as columns to fit, or as counts to compare.

use std::collections::BTreeMap;
use std::time::Duration;

use rustc_hash::FxHashMap;

use super::progress;
use crate::decode::{
    Columns, DecodeError, Decoder, Fields, Reading, boolean, category, number, timestamp,
};
use crate::engine::MonitorPlan;
use crate::model::{EventTime, Kind, MonitorSpec};
use crate::observe::{ObservedMonitor, ObserverPlan, count_record, is_selected};
use crate::panes::{Frame, PaneCounts};
use crate::reference::Column;
use crate::source::files::Row;
use crate::source::{Rows, RowsError};
use crate::stats::FeatureCounts;

/// Rows that were read, and those that could not be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RowCounts {
    /// Rows that belong to the monitor.
    pub rows: u64,
    /// Rows that `select.where` passed over.
    pub filtered: u64,
    /// Unreadable rows by reason.
    pub errors: FxHashMap<&'static str, u64>,
}

impl RowCounts {
    /// What was passed over, for people; `None` when nothing was.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let mut parts: Vec<String> = self
            .errors
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        parts.sort();
        (!parts.is_empty()).then(|| format!("rows that could not be read: {}", parts.join(", ")))
    }
}

/// Decodes every readable row and hands its fields to `each`, which says whether the row counts.
///
/// # Errors
/// The rows cannot be read.
pub fn read(
    rows: &dyn Rows,
    decoder: &mut Decoder,
    each: &mut dyn FnMut(Fields<'_>) -> bool,
) -> Result<RowCounts, RowsError> {
    read_timed(rows, decoder, &mut |fields, _| each(fields))
}

/// The same, with the time that a topic holds for the row.
fn read_timed(
    rows: &dyn Rows,
    decoder: &mut Decoder,
    each: &mut dyn FnMut(Fields<'_>, Option<EventTime>) -> bool,
) -> Result<RowCounts, RowsError> {
    let columns = columns(rows, decoder)?;
    let bar = progress::over_rows(rows.name(), rows.size());
    let mut counts = RowCounts::default();
    let mut on_row = |row: Row<'_>, time: Option<EventTime>| {
        match fields(row, decoder, columns.as_ref()) {
            Ok(fields) if each(fields, time) => counts.rows += 1,
            Ok(_) => counts.filtered += 1,
            Err(error) => *counts.errors.entry(error.reason()).or_default() += 1,
        }
        true
    };
    rows.rows(&mut |read| bar.set_position(read), &mut on_row)?;
    bar.finish_and_clear();
    Ok(counts)
}

/// The columns of a table that feed the decoder; `None` for NDJSON.
///
/// # Errors
/// The rows cannot be read, or the table has no header.
pub fn columns(rows: &dyn Rows, decoder: &Decoder) -> Result<Option<Columns>, RowsError> {
    let header = rows.header()?;
    Ok(header.map(|header| decoder.table(&header.iter().map(String::as_str).collect::<Vec<_>>())))
}

/// The fields of a row.
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

/// The values of the monitor's features, one column each.
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
            collect(feature.kind, fields, feature.slot, column, &mut buffer);
        }
        true
    })?;
    Ok((counts, columns))
}

fn collect(kind: Kind, fields: Fields<'_>, slot: usize, column: &mut Column, buffer: &mut String) {
    let (slot, scratch) = (fields.slots[slot], fields.scratch);
    let outcome = match kind {
        Kind::Numeric => number(slot, scratch).map(|x| column.numbers.push(x)),
        Kind::Categorical => category(slot, scratch, buffer).map(|name| count(column, name)),
        Kind::Boolean => {
            boolean(slot, scratch).map(|value| count(column, if value { "true" } else { "false" }))
        }
    };
    match outcome {
        Reading::Value(()) => {}
        Reading::Missing(kind) => column.tallies.missing[kind as usize] += 1,
        Reading::Invalid(reason) => column.tallies.invalid[reason as usize] += 1,
    }
}

fn count(column: &mut Column, name: &str) {
    match column.categories.get_mut(name) {
        Some(count) => *count += 1,
        None => {
            column.categories.insert(name.into(), 1);
        }
    }
}

/// The first and last time of a monitor's rows; `None` where they carry none.
///
/// # Errors
/// The rows cannot be read.
pub fn span(
    rows: &dyn Rows,
    spec: &MonitorSpec,
) -> Result<Option<(EventTime, EventTime)>, RowsError> {
    let mut observer = ObserverPlan::default();
    observer.add(spec, &[]);
    let monitor = &observer.monitors[0];
    let mut decoder = Decoder::new(&observer.paths);
    let mut span: Option<(EventTime, EventTime)> = None;
    read_timed(rows, &mut decoder, &mut |fields, time| {
        if let Some(time) = time_of(monitor, fields, time) {
            let (first, last) = span.unwrap_or((time, time));
            span = Some((first.min(time), last.max(time)));
        }
        true
    })?;
    Ok(span)
}

/// The rows of a monitor in panes of `width`, by number since the epoch: counts of every feature of the plan. Rows without a time are passed over.
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
    let mut frame = Frame::new(monitor.features.iter().map(|own| own.layout.as_deref()));
    let mut buffer = String::new();
    let mut panes: BTreeMap<i64, Vec<PaneCounts>> = BTreeMap::new();
    let mut current = None;
    let width_ms = i64::try_from(width.as_millis()).unwrap_or(i64::MAX).max(1);
    read_timed(rows, &mut decoder, &mut |fields, time| {
        let time = time_of(monitor, fields, time);
        let Some(time) = time.filter(|_| is_selected(monitor, fields)) else {
            return false;
        };
        let pane = time.as_millis().div_euclid(width_ms);
        if current.is_some_and(|current| current != pane) {
            keep(&mut frame, current, &mut panes);
        }
        current = Some(pane);
        count_record(&mut frame, monitor, fields, &mut buffer);
        true
    })?;
    keep(&mut frame, current, &mut panes);
    Ok(panes)
}

/// When a pane of `width` begins, by its number since the epoch.
#[must_use]
pub fn pane_start(pane: i64, width: Duration) -> EventTime {
    let width_ms = i64::try_from(width.as_millis()).unwrap_or(i64::MAX);
    EventTime::from_millis(pane.saturating_mul(width_ms))
}

/// Moves what a frame has counted to its pane.
fn keep(frame: &mut Frame, pane: Option<i64>, panes: &mut BTreeMap<i64, Vec<PaneCounts>>) {
    let Some(pane) = pane else {
        return;
    };
    let counted = frame.take();
    let own = panes.entry(pane).or_default();
    own.resize(counted.features.len(), PaneCounts::default());
    let pairs = own.iter_mut().zip(&counted.features);
    pairs.for_each(|(sum, delta)| sum.merge(delta));
}

/// The row's own time, else the one its topic holds where that may stand in.
fn time_of(
    monitor: &ObservedMonitor,
    fields: Fields<'_>,
    held: Option<EventTime>,
) -> Option<EventTime> {
    let own = monitor
        .timestamp
        .and_then(|slot| timestamp(fields.slots[slot], fields.scratch));
    own.or(held.filter(|time| monitor.fallback && time.as_millis() > 0))
}

/// The counts of all rows in the layouts of a plan.
///
/// # Errors
/// The rows cannot be read.
pub fn count_file(
    rows: &dyn Rows,
    plan: &MonitorPlan,
) -> Result<(RowCounts, Vec<FeatureCounts>), RowsError> {
    let mut observer = ObserverPlan::default();
    observer.add(&plan.spec, &plan.observed());
    let monitor: &ObservedMonitor = &observer.monitors[0];
    let mut decoder = Decoder::new(&observer.paths);
    let mut frame = Frame::new(
        monitor
            .features
            .iter()
            .map(|feature| feature.layout.as_deref()),
    );
    let mut buffer = String::new();
    let counts = read(rows, &mut decoder, &mut |fields| {
        let is_ours = is_selected(monitor, fields);
        if is_ours {
            count_record(&mut frame, monitor, fields, &mut buffer);
        }
        is_ours
    })?;
    let pane = frame.take();
    let totals = pane
        .features
        .iter()
        .zip(&plan.features)
        .map(|(delta, feature)| {
            let mut total = feature
                .layout
                .as_deref()
                .map_or_else(FeatureCounts::default, FeatureCounts::new);
            let mut sparse = PaneCounts::default();
            sparse.merge(delta);
            sparse.add_to(&mut total);
            total
        });
    Ok((counts, totals.collect()))
}
