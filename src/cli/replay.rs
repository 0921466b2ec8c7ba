//! `pegel replay`: a data file or a topic range through the same engine in event time, every evaluation as a line of JSON, a row of a table, or metrics
//! with timestamps.
//!
//! Commits are cut whenever a pane boundary is passed, and time comes from the data alone, so the same file gives the same lines on any machine. This is
//! also how windows, watermarks and alerts are tested without a broker. `merge` says how the partitions of a topic become one stream.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::ProgressBar;
use serde_json::{Map, Value, json};

use super::alarms::Alarms;
use super::range::{self, RangeArgs};
use super::report::FeatureReport;
use super::scores::{ScoreFormat, Writer};
use super::{Exit, UsageError, dataset, merge, progress};
use crate::app;
use crate::config::{self, Config};
use crate::decode::DecodeError;
use crate::engine::{Engine, MonitorPlan, MonitorState, WindowState};
use crate::ingest::{Alter, Flushed, Ingest, observer_plan};
use crate::model::{MonitorSpec, ReferenceSpec, Shard};
use crate::observe::ObserverPlan;
use crate::source::files::{DataFile, Row};
use crate::source::range::TopicRange;
use crate::source::{RawRecord, Rows as _, Sink as _};

/// Arguments of `pegel replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The configuration whose monitors are replayed
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
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
    /// Compare with this reference instead of the configured ones
    #[arg(long, value_name = "REF")]
    reference: Option<PathBuf>,
    /// Only this monitor
    #[arg(long)]
    monitor: Option<String>,
    /// Where the evaluations go; `-` = standard output
    #[arg(short, long, value_name = "SCORES", default_value = "-")]
    output: String,
    /// How they are written; by default what the name's ending says (.csv, .om), else NDJSON
    #[arg(long, value_enum)]
    format: Option<ScoreFormat>,
    /// Put the score bins into every line
    #[arg(long)]
    bins: bool,
}

/// Replays and prints a summary on standard error.
///
/// # Errors
/// The configuration is wrong, the data cannot be read, or no row has a usable time.
pub fn run(args: &ReplayArgs) -> anyhow::Result<Exit> {
    let config = config::load_file(&args.config)?;
    let monitors = monitors(args, &config)?;
    let bounds = args.range.bounds()?;
    let plans: Vec<MonitorPlan> = monitors.iter().cloned().map(app::load_monitor).collect();
    for (plan, problem) in plans.iter().flat_map(|plan| {
        let told = plan.problems.iter().chain(&plan.warnings);
        told.map(move |problem| (plan, problem))
    }) {
        anstream::eprintln!("monitor {}: {problem}", plan.spec.name);
    }
    let input = match (bounds, &args.input) {
        (Some(bounds), _) => Input::Ranges(range::find(&config, &monitors, bounds)?),
        (None, name) => Input::File(DataFile::open(name.as_deref().unwrap_or_default())?),
    };
    let output: Box<dyn Write> = match args.output.as_str() {
        "-" => Box::new(io::stdout().lock()),
        path => Box::new(File::create(path).with_context(|| format!("{path}: cannot be written"))?),
    };
    let format = args.format.unwrap_or_else(|| ScoreFormat::of(&args.output));
    let mut writer = Writer::new(format, output);
    let mut alarms = Alarms::default();
    let mut evaluated = |plan: &MonitorPlan, window: &WindowState| {
        alarms.take(plan, window);
        writer.write(plan, window, &lines(plan, window, args.bins));
    };
    let states = match &input {
        Input::File(file) => replay(file, plans, &mut evaluated)?,
        Input::Ranges(ranges) => replay_ranges(
            ranges,
            config.limits.max_message_bytes,
            plans,
            &mut evaluated,
        )?,
    };
    writer
        .finish()
        .with_context(|| format!("{}: cannot be written", args.output))?;
    let told = alarms.summary();
    if !told.is_empty() {
        anstream::eprintln!("{told}");
    }
    states
        .iter()
        .for_each(|state| anstream::eprintln!("{}", summary(state)));
    if states.iter().all(|state| state.events == 0) {
        bail!(
            "{}: no row became an event, nothing was evaluated",
            input.name()
        );
    }
    Ok(Exit::Ok)
}

/// What is replayed.
enum Input {
    File(DataFile),
    /// One per source.
    Ranges(Vec<TopicRange>),
}

impl Input {
    fn name(&self) -> String {
        match self {
            Input::File(file) => file.name().to_owned(),
            Input::Ranges(ranges) => {
                let topics = ranges.iter().map(TopicRange::topics);
                topics.collect::<Vec<_>>().join(", ")
            }
        }
    }
}

fn monitors(args: &ReplayArgs, config: &Config) -> anyhow::Result<Vec<MonitorSpec>> {
    let is_wanted =
        |spec: &MonitorSpec| args.monitor.as_ref().is_none_or(|name| *name == spec.name);
    let mut monitors: Vec<MonitorSpec> = config
        .monitors
        .iter()
        .filter(|spec| is_wanted(spec))
        .cloned()
        .collect();
    if monitors.is_empty() {
        bail!(UsageError(format!(
            "no monitor {:?} in the configuration",
            args.monitor.as_deref().unwrap_or_default()
        )));
    }
    if let Some(path) = &args.reference {
        monitors
            .iter_mut()
            .for_each(|monitor| compare_with(monitor, path));
    }
    Ok(monitors)
}

/// Called after each evaluation.
pub type Evaluated<'a> = &'a mut dyn FnMut(&MonitorPlan, &WindowState);

/// Puts a fitted reference in the place of the monitor's own.
pub(super) fn compare_with(monitor: &mut MonitorSpec, path: &Path) {
    let name = monitor
        .references
        .first()
        .map_or_else(|| "training".to_owned(), |own| own.name.clone());
    monitor.references = vec![ReferenceSpec::fitted(&name, path)];
}

/// Changes what is counted of a source, in which the plan says what is looked for.
pub type Alteration<'a> = &'a dyn Fn(&ObserverPlan) -> Box<dyn Alter>;

/// Runs a file through an engine, once per source of the monitors, and calls `evaluated` after each evaluation. Returns how everything stands at the end.
///
/// # Errors
/// The file cannot be read.
pub fn replay(
    file: &DataFile,
    plans: Vec<MonitorPlan>,
    evaluated: Evaluated<'_>,
) -> anyhow::Result<Vec<MonitorState>> {
    let bar = progress::over_rows(file.name(), file.size());
    replay_altered(file, plans, None, &bar, evaluated)
}

/// The same, with every record as `alteration` leaves it; `bar` is told how far the file has been read.
///
/// # Errors
/// The file cannot be read.
pub fn replay_altered(
    file: &DataFile,
    plans: Vec<MonitorPlan>,
    alteration: Option<Alteration<'_>>,
    bar: &ProgressBar,
    evaluated: Evaluated<'_>,
) -> anyhow::Result<Vec<MonitorState>> {
    let mut read = |source: &str, ingest: Ingest, engine: &mut Engine, evaluated: Evaluated<'_>| {
        read_file(file, source, ingest, engine, bar, evaluated)
    };
    let states = each_source(plans, usize::MAX, alteration, evaluated, &mut read);
    bar.finish_and_clear();
    states
}

/// Runs topic ranges through an engine, one per source of the monitors; records above `max_bytes` are rejected. The rest is as for a file.
///
/// # Errors
/// A range cannot be read.
pub fn replay_ranges(
    ranges: &[TopicRange],
    max_bytes: usize,
    plans: Vec<MonitorPlan>,
    evaluated: Evaluated<'_>,
) -> anyhow::Result<Vec<MonitorState>> {
    let mut read = |source: &str, ingest: Ingest, engine: &mut Engine, evaluated: Evaluated<'_>| {
        let range = ranges.iter().find(|range| range.source() == source);
        Ok(range.map_or(Ok(()), |range| {
            merge::read(range, ingest, engine, evaluated)
        })?)
    };
    each_source(plans, max_bytes, None, evaluated, &mut read)
}

/// Reads one source to its end.
type ReadSource<'a> =
    &'a mut dyn FnMut(&str, Ingest, &mut Engine, Evaluated<'_>) -> anyhow::Result<()>;

fn each_source(
    plans: Vec<MonitorPlan>,
    max_bytes: usize,
    alteration: Option<Alteration<'_>>,
    evaluated: Evaluated<'_>,
    read: ReadSource<'_>,
) -> anyhow::Result<Vec<MonitorState>> {
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
        let ingest = Ingest::new(observed, max_bytes).with_alter(alter);
        read(&source, ingest, &mut engine, evaluated)?;
    }
    engine.finish(evaluated);
    Ok(engine.snapshot().monitors)
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

/// One object per feature and reference of an evaluation.
#[must_use]
pub fn lines(plan: &MonitorPlan, window: &WindowState, with_bins: bool) -> Vec<Map<String, Value>> {
    let Some(spec) = plan.spec.windows.get(window.index) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for (feature, state) in plan.features.iter().zip(&window.features) {
        let Some(counts) = state.counts.as_deref() else {
            continue;
        };
        for (index, scores) in state.scores.iter().enumerate() {
            let mut line = Map::new();
            line.insert("monitor".to_owned(), json!(plan.spec.name));
            line.insert("window".to_owned(), json!(spec.name));
            line.insert(
                "window_start".to_owned(),
                json!(window.end.map(|end| end.minus(spec.size).to_string())),
            );
            line.insert(
                "window_end".to_owned(),
                json!(window.end.map(|end| end.to_string())),
            );
            line.insert("segment".to_owned(), json!(""));
            line.insert("reference".to_owned(), json!(plan.references[index].name));
            let report = FeatureReport {
                plan: feature,
                against: state.against[index].clone(),
                counts,
                rates: state.rates,
                scores: *scores,
                judgement: state.judgements[index].clone(),
            };
            line.extend(report.to_json("feature", with_bins));
            let furthest = state.alerts[index]
                .iter()
                .max_by_key(|alert| alert.state.rank());
            let alert = match (furthest, scores) {
                (Some(alert), _) => alert.state.name(),
                (None, Ok(_)) => "inactive",
                (None, Err(_)) => "not_ready",
            };
            line.insert("alert".to_owned(), json!(alert));
            lines.push(line);
        }
    }
    lines
}

fn summary(state: &MonitorState) -> String {
    let dropped: Vec<String> = state
        .dropped
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    let dropped = if dropped.is_empty() {
        "none".to_owned()
    } else {
        dropped.join(", ")
    };
    let fired: u64 = state
        .transitions
        .iter()
        .filter(|(_, to, _)| *to == "firing")
        .map(|(_, _, count)| count)
        .sum();
    format!(
        "monitor {}: {} events ({} late, dropped: {dropped}), {} evaluations ({} empty ones skipped), {fired} alerts fired",
        state.spec.name,
        state.events,
        state.events_late,
        state.evaluations,
        state.evaluations_skipped
    )
}
