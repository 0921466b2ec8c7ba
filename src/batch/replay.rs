//! Replays a data file or topic ranges through an engine in event time.
//!
//! A commit closes whenever a record passes a pane boundary, and time comes from the data alone, so
//! the same input gives the same evaluations on any machine. `merge.rs` explains how the partitions
//! of a topic become one stream.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::Arc;

use indicatif::ProgressBar;

use super::columns::{self, AbsentColumn};
use super::evaluation::{OnEvaluation, apply};
use super::late_rows::LateRows;
use super::row_times::{UnreadableTimes, first_unreadable};
use super::{dataset, merge, progress};
use crate::app::observer_plan;
use crate::decode::DecodeError;
use crate::engine::{Engine, MonitorPlan, MonitorView, SourceView};
use crate::ingest::{Ingest, RecordTransform};
use crate::model::{DropReason, Shard};
use crate::observe::ObserverPlan;
use crate::source::files::{DataFile, Row};
use crate::source::range::TopicRange;
use crate::source::{RawRecord, Rows, RowsError, Sink as _, Size};

/// A history to replay.
#[derive(Debug)]
pub enum Input {
    /// A data file that stands for every source.
    File(DataFile),
    /// Ranges of Kafka topics.
    Ranges {
        /// One range per source.
        ranges: Vec<TopicRange>,
        /// Size in bytes above which a record is rejected.
        max_bytes: usize,
    },
}

impl Input {
    /// Name of the file, or of the topics joined with commas.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Input::File(file) => file.name().to_owned(),
            Input::Ranges { ranges, .. } => ranges
                .iter()
                .map(TopicRange::topics)
                .collect::<Vec<_>>()
                .join(", "),
        }
    }

    /// The rows of a source; `None` if it has no range.
    fn rows_of(&self, source: &str) -> Option<&dyn Rows> {
        match self {
            Input::File(file) => Some(file),
            Input::Ranges { ranges, .. } => ranges
                .iter()
                .find(|range| range.source() == source)
                .map(|range| range as &dyn Rows),
        }
    }

    const fn max_bytes(&self) -> usize {
        match self {
            Input::File(_) => usize::MAX,
            Input::Ranges { max_bytes, .. } => *max_bytes,
        }
    }

    /// Reads one source to its end, and returns the number of rows with the wrong number of cells.
    fn read(
        &self,
        source: &str,
        ingest: Ingest,
        engine: &mut Engine,
        has_bar: bool,
        on_evaluation: OnEvaluation<'_>,
    ) -> Result<u64, RowsError> {
        let mut malformed = 0;
        let bar = |name: &str, size: Size| match has_bar {
            true => progress::over_rows(name, size),
            false => ProgressBar::hidden(),
        };
        match self {
            Input::File(file) => {
                let bar = bar(file.name(), file.size());
                malformed = read_file(file, source, ingest, engine, &bar, on_evaluation)?;
                bar.finish_and_clear();
            }
            Input::Ranges { ranges, .. } => {
                if let Some(range) = ranges.iter().find(|range| range.source() == source) {
                    let bar = bar(range.topics(), range.size());
                    merge::read(range, ingest, engine, &bar, on_evaluation)?;
                    bar.finish_and_clear();
                }
            }
        }
        Ok(malformed)
    }
}

/// Creates the transform of a source's records; the plan has the slots of its features.
pub type TransformFactory<'a> = &'a dyn Fn(&ObserverPlan) -> Box<dyn RecordTransform>;

/// The end of a replay.
#[derive(Debug)]
pub struct Replayed {
    /// The final views of the monitors.
    pub monitors: Vec<MonitorView>,
    /// The rows of each source that could not be read; sources without any are left out.
    pub unread: Vec<UnreadRows>,
    /// Features whose column the input does not have.
    pub absent: Vec<AbsentColumn>,
    /// The rows of each monitor whose time could not be read; monitors without any are left out.
    pub unreadable_times: Vec<UnreadableTimes>,
    /// The rows of a file that were dropped as late, for each monitor with many of them.
    pub late: Vec<LateRows>,
}

/// The rows of a source that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadRows {
    /// Name of the source.
    pub source: String,
    /// Number of rows by reason, most frequent first.
    pub reasons: Vec<(&'static str, u64)>,
}

/// Replays an input once per source of the monitors and returns their final views.
///
/// # Errors
/// The input cannot be read.
pub fn replay(
    input: &Input,
    mut plans: Vec<MonitorPlan>,
    on_evaluation: OnEvaluation<'_>,
) -> Result<Replayed, RowsError> {
    plans.iter_mut().for_each(MonitorPlan::assess_all);
    let observed: Vec<(String, ObserverPlan)> = plans
        .iter()
        .map(|plan| (plan.spec.source.clone(), columns::observed(plan)))
        .collect();
    let mut replayed = replay_sources(input, plans, None, on_evaluation)?;
    for (source, observed) in &observed {
        if let Some(rows) = input.rows_of(source) {
            let absent = columns::absent_columns(rows, observed)?;
            replayed.absent.extend(absent);
        }
    }
    for (view, (_, observed)) in replayed.monitors.iter().zip(&observed) {
        let unreadable = unreadable_times(input, view)?;
        replayed.unreadable_times.extend(unreadable);
        replayed.late.extend(late_rows(input, view, observed)?);
    }
    Ok(replayed)
}

/// The number of a monitor's rows that were dropped for a reason.
fn dropped(view: &MonitorView, reason: DropReason) -> u64 {
    view.dropped
        .iter()
        .filter(|(name, _)| *name == reason.name())
        .map(|(_, count)| count)
        .sum()
}

/// The number of rows that belong to a monitor, counted or dropped.
fn rows_of_monitor(view: &MonitorView) -> u64 {
    let not_counted: u64 = DropReason::ALL
        .into_iter()
        .filter(|reason| !matches!(reason, DropReason::Filtered | DropReason::Expired))
        .map(|reason| dropped(view, reason))
        .sum();
    view.events + not_counted
}

/// The rows of a file that were dropped as late, if they are many; the cause is searched for.
fn late_rows(
    input: &Input,
    view: &MonitorView,
    observed: &ObserverPlan,
) -> Result<Option<LateRows>, RowsError> {
    let (late, rows) = (dropped(view, DropReason::Late), rows_of_monitor(view));
    match input {
        Input::File(file) if LateRows::are_many(late, rows) => {
            LateRows::find(file, observed, late, rows)
        }
        _ => Ok(None),
    }
}

/// The rows of a monitor whose time could not be read; the first of them is searched for.
fn unreadable_times(
    input: &Input,
    view: &MonitorView,
) -> Result<Option<UnreadableTimes>, RowsError> {
    let unreadable = dropped(view, DropReason::BadTimestamp);
    let rows = input.rows_of(&view.spec.source).filter(|_| unreadable > 0);
    let Some(rows) = rows else {
        return Ok(None);
    };
    Ok(first_unreadable(rows, &view.spec)?.map(|example| {
        UnreadableTimes::new(
            rows.name(),
            &view.spec,
            unreadable,
            rows_of_monitor(view),
            example,
        )
    }))
}

/// Replays an input as [`replay`] does, with transformed records and without a progress bar.
///
/// Several of these run in parallel, so each one hides its bar.
///
/// # Errors
/// The input cannot be read.
pub fn replay_transformed(
    input: &Input,
    plans: Vec<MonitorPlan>,
    transforms: TransformFactory<'_>,
    on_evaluation: OnEvaluation<'_>,
) -> Result<Vec<MonitorView>, RowsError> {
    Ok(replay_sources(input, plans, Some(transforms), on_evaluation)?.monitors)
}

fn replay_sources(
    input: &Input,
    plans: Vec<MonitorPlan>,
    transforms: Option<TransformFactory<'_>>,
    on_evaluation: OnEvaluation<'_>,
) -> Result<Replayed, RowsError> {
    let mut engine = Engine::new(plans);
    let plans: Vec<Arc<MonitorPlan>> = (0..engine.monitors())
        .map(|index| Arc::clone(engine.plan(index)))
        .collect();
    let mut sources: Vec<String> = plans.iter().map(|plan| plan.spec.source.clone()).collect();
    sources.sort();
    sources.dedup();
    let mut row_errors = BTreeMap::new();
    for source in sources {
        let observed = observer_plan(&source, &plans);
        let transform = transforms.map(|create| create(&observed));
        let has_bar = transform.is_none();
        let ingest = Ingest::new(observed, input.max_bytes()).with_transform(transform);
        let malformed = input.read(&source, ingest, &mut engine, has_bar, on_evaluation)?;
        row_errors.insert(source, malformed);
    }
    engine.finish(on_evaluation);
    let view = engine.view();
    let unread = view
        .sources
        .iter()
        .map(|source| {
            let malformed = row_errors.get(&source.name).copied().unwrap_or(0);
            unread_rows(source, malformed)
        })
        .filter(|unread| !unread.reasons.is_empty())
        .collect();
    Ok(Replayed {
        monitors: view.monitors,
        unread,
        absent: Vec::new(),
        unreadable_times: Vec::new(),
        late: Vec::new(),
    })
}

/// The rows of a source that could not be read; `malformed` of them have the wrong number of cells,
/// which no record of a topic has.
fn unread_rows(source: &SourceView, malformed: u64) -> UnreadRows {
    let mut reasons: Vec<(&'static str, u64)> = source
        .decode_errors
        .iter()
        .copied()
        .chain([(DecodeError::RowLength.reason(), malformed)])
        .filter(|(_, count)| *count > 0)
        .collect();
    reasons.sort_by_key(|(_, count)| Reverse(*count));
    UnreadRows {
        source: source.name.clone(),
        reasons,
    }
}

/// Reads a file to its end, and returns the number of rows with the wrong number of cells.
fn read_file(
    file: &DataFile,
    source: &str,
    mut ingest: Ingest,
    engine: &mut Engine,
    bar: &ProgressBar,
    on_evaluation: OnEvaluation<'_>,
) -> Result<u64, RowsError> {
    let mut malformed = 0;
    let columns = dataset::columns(file, ingest.decoder())?;
    let shard = Shard {
        source: source.to_owned(),
        cluster: String::new(),
        topic: file.name().to_owned(),
        partition: 0,
        incarnation: 0,
    };
    ingest.opened(0, &shard, 0, false);
    let mut offset = 0;
    file.rows(&mut |bytes| bar.set_position(bytes), &mut |row| {
        match (row, &columns) {
            (Row::Json(line), _) => ingest.record(RawRecord {
                slot: 0,
                offset,
                timestamp_ms: None,
                payload: Some(line),
            }),
            (Row::Cells(cells), Some(columns)) => ingest.row(0, offset, columns, cells),
            (Row::Cells(_), None) => ingest.reject(0, offset, DecodeError::RowLength),
            (Row::Bad(error), _) => {
                malformed += u64::from(error == DecodeError::RowLength);
                ingest.reject(0, offset, error);
            }
        }
        offset += 1;
        if ingest.take_crossed_pane() {
            apply(ingest.flush(), engine, on_evaluation);
        }
        true
    })?;
    apply(ingest.flush(), engine, on_evaluation);
    Ok(malformed)
}
