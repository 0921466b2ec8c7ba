//! A history, in a data file or in topic ranges, through an engine in event time.
//!
//! Commits are cut whenever a pane boundary is passed, and time comes from the data alone, so the same file gives the same lines on any machine. This is
//! also how windows, watermarks and alerts are tested without a broker. `merge` says how the partitions of a topic become one stream.

use std::sync::Arc;

use clap::Args;
use indicatif::ProgressBar;

use super::{dataset, merge, progress};
use crate::cli::UsageError;
use crate::cli::args::range::{self, RangeArgs};
use crate::config::Config;
use crate::decode::DecodeError;
use crate::engine::{Engine, MonitorPlan, MonitorView, WindowView};
use crate::ingest::{Flushed, Ingest, RecordTransform, observer_plan};
use crate::model::{MonitorSpec, Shard};
use crate::observe::ObserverPlan;
use crate::source::files::{DataFile, Row};
use crate::source::range::{RangeBounds, TopicRange};
use crate::source::{RawRecord, Rows as _, Sink as _, Size};

/// Arguments of commands that replay: a file, or a range of the topics.
#[derive(Debug, Args)]
pub struct InputArgs {
    /// CSV or NDJSON, plain or gzipped; `-` = standard input
    #[arg(
        long,
        value_name = "DATA",
        required_unless_present = "from",
        conflicts_with_all = ["from", "to"]
    )]
    input: Option<String>,
    #[command(flatten)]
    range: RangeArgs,
}

impl InputArgs {
    /// The bounds of a range, where one is asked for.
    ///
    /// # Errors
    /// They leave nothing between them.
    pub fn bounds(&self) -> Result<Option<RangeBounds>, UsageError> {
        self.range.bounds()
    }

    /// The range of each source that the monitors read where there are bounds, else the file.
    ///
    /// # Errors
    /// The file cannot be opened, or there is no such range.
    pub fn open(
        &self,
        bounds: Option<RangeBounds>,
        config: &Config,
        monitors: &[MonitorSpec],
    ) -> anyhow::Result<Input> {
        let Some(bounds) = bounds else {
            let file = self.input.as_deref().unwrap_or_default();
            return Ok(Input::File(DataFile::open(file)?));
        };
        Ok(Input::Ranges {
            ranges: range::find(config, monitors, bounds)?,
            max_bytes: config.limits.max_message_bytes,
        })
    }
}

/// What is replayed.
#[derive(Debug)]
pub enum Input {
    /// A data file, for every source.
    File(DataFile),
    /// Topic ranges.
    Ranges {
        /// One per source.
        ranges: Vec<TopicRange>,
        /// Larger records are rejected.
        max_bytes: usize,
    },
}

impl Input {
    /// What it is called in messages.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Input::File(file) => file.name().to_owned(),
            Input::Ranges { ranges, .. } => {
                let topics = ranges.iter().map(TopicRange::topics);
                topics.collect::<Vec<_>>().join(", ")
            }
        }
    }

    const fn max_bytes(&self) -> usize {
        match self {
            Input::File(_) => usize::MAX,
            Input::Ranges { max_bytes, .. } => *max_bytes,
        }
    }

    /// Reads one source to its end.
    fn read(
        &self,
        source: &str,
        ingest: Ingest,
        engine: &mut Engine,
        is_shown: bool,
        evaluated: Evaluated<'_>,
    ) -> anyhow::Result<()> {
        let bar = |name: &str, size: Size| match is_shown {
            true => progress::over_rows(name, size),
            false => ProgressBar::hidden(),
        };
        match self {
            Input::File(file) => {
                let bar = bar(file.name(), file.size());
                read_file(file, source, ingest, engine, &bar, evaluated)?;
                bar.finish_and_clear();
            }
            Input::Ranges { ranges, .. } => {
                if let Some(range) = ranges.iter().find(|range| range.source() == source) {
                    let bar = bar(range.topics(), range.size());
                    merge::read(range, ingest, engine, &bar, evaluated)?;
                    bar.finish_and_clear();
                }
            }
        }
        Ok(())
    }
}

/// Called after each evaluation.
pub type Evaluated<'a> = &'a mut dyn FnMut(&MonitorPlan, &WindowView);

/// Changes what is counted of a source, in which the plan says what is looked for.
pub type TransformFactory<'a> = &'a dyn Fn(&ObserverPlan) -> Box<dyn RecordTransform>;

/// Runs an input through an engine, once per source of the monitors, and calls `evaluated` after each evaluation. Returns how everything stands at the end.
///
/// # Errors
/// It cannot be read.
pub fn replay(
    input: &Input,
    plans: Vec<MonitorPlan>,
    evaluated: Evaluated<'_>,
) -> anyhow::Result<Vec<MonitorView>> {
    each_source(input, plans, None, evaluated)
}

/// The same, with every record as `alteration` leaves it, and without a bar: others run beside it.
///
/// # Errors
/// It cannot be read.
pub fn replay_altered(
    input: &Input,
    plans: Vec<MonitorPlan>,
    alteration: TransformFactory<'_>,
    evaluated: Evaluated<'_>,
) -> anyhow::Result<Vec<MonitorView>> {
    each_source(input, plans, Some(alteration), evaluated)
}

fn each_source(
    input: &Input,
    plans: Vec<MonitorPlan>,
    alteration: Option<TransformFactory<'_>>,
    evaluated: Evaluated<'_>,
) -> anyhow::Result<Vec<MonitorView>> {
    let mut engine = Engine::new(plans);
    let plans: Vec<Arc<MonitorPlan>> = (0..engine.monitors())
        .map(|index| Arc::clone(engine.plan(index)))
        .collect();
    let mut sources: Vec<String> = plans.iter().map(|plan| plan.spec.source.clone()).collect();
    sources.sort();
    sources.dedup();
    for source in sources {
        let observed = observer_plan(&source, &plans);
        let alter = alteration.map(|alteration| alteration(&observed));
        let is_shown = alter.is_none();
        let ingest = Ingest::new(observed, input.max_bytes()).with_transform(alter);
        input.read(&source, ingest, &mut engine, is_shown, evaluated)?;
    }
    engine.finish(evaluated);
    Ok(engine.view().monitors)
}

fn read_file(
    file: &DataFile,
    source: &str,
    mut ingest: Ingest,
    engine: &mut Engine,
    bar: &ProgressBar,
    evaluated: Evaluated<'_>,
) -> anyhow::Result<()> {
    let columns = dataset::columns(file, ingest.decoder())?;
    let topic = file.name().to_owned();
    let shard = Shard {
        source: source.to_owned(),
        cluster: String::new(),
        topic,
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
            (Row::Bad(error), _) => ingest.reject(0, offset, error),
        }
        offset += 1;
        if ingest.take_crossed_pane() {
            hand_over(ingest.flush(), engine, evaluated);
        }
        true
    })?;
    hand_over(ingest.flush(), engine, evaluated);
    Ok(())
}

/// Folds commits and closes the windows whose time has come.
pub(super) fn hand_over(flushed: Vec<Flushed>, engine: &mut Engine, evaluated: Evaluated<'_>) {
    for flushed in flushed {
        let accepted = engine.apply(&flushed.commit);
        debug_assert!(accepted.is_ok(), "one reader's commits tile: {accepted:?}");
    }
    for monitor in 0..engine.monitors() {
        engine.advance(monitor, evaluated);
    }
}
