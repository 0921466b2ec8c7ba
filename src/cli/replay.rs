//! `pegel replay`: a data file or a topic range through the same engine in event time, every evaluation as a line of JSON, a row of a table, or metrics
//! with timestamps.
//!
//! `input` says how a file becomes a stream, and `merge` how the partitions of a topic do.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Map, Value, json};

use super::output::alarms::Alarms;
use super::output::scores::{ScoreFormat, Writer};
use super::{Exit, UsageError, tell};
use crate::app;
use crate::batch::replay::{InputArgs, replay};
use crate::batch::report::FeatureReport;
use crate::config::{self, Config};
use crate::engine::{MonitorPlan, MonitorView, WindowView};
use crate::model::{MonitorSpec, ReferenceSpec};

/// Arguments of `pegel replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// The configuration whose monitors are replayed
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    input: InputArgs,
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
    let bounds = args.input.bounds()?;
    let plans: Vec<MonitorPlan> = monitors.iter().cloned().map(app::load_monitor).collect();
    plans.iter().for_each(tell);
    let input = args.input.open(bounds, &config, &monitors)?;
    let output: Box<dyn Write> = match args.output.as_str() {
        "-" => Box::new(io::stdout().lock()),
        path => Box::new(File::create(path).with_context(|| format!("{path}: cannot be written"))?),
    };
    let format = args.format.unwrap_or_else(|| ScoreFormat::of(&args.output));
    let mut writer = Writer::new(format, output);
    let mut alarms = Alarms::default();
    let mut evaluated = |plan: &MonitorPlan, window: &WindowView| {
        alarms.take(plan, window);
        writer.write(plan, window, &lines(plan, window, args.bins));
    };
    let states = replay(&input, plans, &mut evaluated)?;
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

/// Puts a fitted reference in the place of the monitor's own.
pub(crate) fn compare_with(monitor: &mut MonitorSpec, path: &Path) {
    let name = monitor
        .references
        .first()
        .map_or_else(|| "training".to_owned(), |own| own.name.clone());
    monitor.references = vec![ReferenceSpec::fitted(&name, path)];
}

/// One object per feature and reference of an evaluation.
#[must_use]
pub fn lines(plan: &MonitorPlan, window: &WindowView, with_bins: bool) -> Vec<Map<String, Value>> {
    let Some(spec) = plan.spec.windows.get(window.index) else {
        return Vec::new();
    };
    let mut lines = Vec::new();
    for (feature, state) in plan.features.iter().zip(&window.features) {
        let Some(counts) = state.counts.as_deref() else {
            continue;
        };
        for (comparison, reference) in state.comparisons.iter().zip(&plan.references) {
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
            line.insert("reference".to_owned(), json!(reference.name));
            let report = FeatureReport {
                plan: feature,
                against: comparison.reference.clone(),
                counts,
                rates: state.rates,
                scores: comparison.scores,
                assessment: comparison.assessment.clone(),
            };
            line.extend(report.to_json("feature", with_bins));
            let furthest = comparison
                .alerts
                .iter()
                .max_by_key(|alert| alert.state.rank());
            let alert = match (furthest, &comparison.scores) {
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

fn summary(state: &MonitorView) -> String {
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
