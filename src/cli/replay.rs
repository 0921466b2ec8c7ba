//! `pegel replay`: replays a data file or a topic range through the engine in event time.
//!
//! Every evaluation becomes a line of JSON, a row of a table, or metrics with timestamps. The
//! summary of scores and alarms goes to standard error.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Map, Value, json};

use super::args::input::InputArgs;
use super::exit::Exit;
use super::monitors::{load_config, names, print_warnings, set_reference};
use super::output::alarms::AlarmSummary;
use super::output::lost_rows::{Readiness, events_text, print_lost_rows};
use super::output::scores::{ScoreFormat, ScoreWriter};
use super::usage::UsageError;
use crate::alert::AlertState;
use crate::app;
use crate::batch::replay::{Replayed, replay};
use crate::batch::report::FeatureReport;
use crate::config::Config;
use crate::engine::{AlertView, MonitorPlan, MonitorView, WindowView};
use crate::model::MonitorSpec;

/// Arguments of `pegel replay`.
#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// Configuration whose monitors are replayed
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    input: InputArgs,
    /// Compare with this reference instead of the configured ones
    #[arg(long, value_name = "REF")]
    reference: Option<PathBuf>,
    /// Replay only this monitor
    #[arg(long)]
    monitor: Option<String>,
    /// File to write the evaluations to; `-` writes to standard output
    #[arg(short, long, value_name = "SCORES", default_value = "-")]
    output: String,
    /// Format of the evaluations; default: by the ending of the file name (.csv, .om), else NDJSON
    #[arg(long, value_enum)]
    format: Option<ScoreFormat>,
    /// Add the score bins to every line
    #[arg(long)]
    bins: bool,
}

/// Replays the input and prints a summary on standard error.
///
/// # Errors
/// The configuration is wrong, the data cannot be read, many rows have no readable time or are
/// late, no row is an event of a monitor, or no rule was ever ready.
pub fn run(args: &ReplayArgs) -> anyhow::Result<Exit> {
    UsageError::check_output(Path::new(&args.output), args.input.file())?;
    let config = load_config(&args.config, args.reference.as_deref())?;
    let monitors = monitors(args, &config)?;
    let bounds = args.input.bounds()?;
    let plans = app::load_monitors(monitors.iter().cloned());
    plans.iter().for_each(print_warnings);
    config
        .source_map
        .ensure_none(app::monitor_problems(&config, &plans))?;
    let input = args.input.open(bounds, &config, &monitors)?;
    let format = args
        .format
        .unwrap_or_else(|| ScoreFormat::for_file(&args.output));
    let mut writer = ScoreWriter::new(format, open_output(&args.output)?);
    let mut alarms = AlarmSummary::default();
    let mut readiness = Readiness::default();
    let replayed = replay(&input, plans, &mut |plan, window| {
        alarms.record(plan, window);
        readiness.record(window);
        writer.write(plan, window, &json_lines(plan, window, args.bins));
    })?;
    writer
        .finish()
        .with_context(|| format!("{}: cannot be written", args.output))?;
    let alarms = alarms.text();
    if !alarms.is_empty() {
        anstream::eprintln!("{alarms}");
    }
    for view in &replayed.monitors {
        anstream::eprintln!("{}", summary(view));
    }
    print_lost_rows(&replayed);
    check_times(&replayed)?;
    if replayed.monitors.iter().all(|view| view.events == 0) {
        bail!(
            "{}: no row became an event, no window was evaluated",
            input.name()
        );
    }
    if let Some(text) = readiness.scores_text() {
        anstream::eprintln!("{text}");
        if let Some(text) = readiness.samples_text() {
            anstream::eprintln!("{text}");
        }
    }
    if let Some(reasons) = readiness.idle_rules() {
        let evaluations: u64 = replayed.monitors.iter().map(|view| view.evaluations).sum();
        bail!(
            "{}: no rule was ready in any of {evaluations} evaluations: {}",
            input.name(),
            reasons.join(", ")
        );
    }
    Ok(Exit::Ok)
}

/// Refuses rows of which so many have no readable time or are late that the others do not stand for
/// all.
fn check_times(replayed: &Replayed) -> anyhow::Result<()> {
    let unreadable = &replayed.unreadable_times;
    if let Some(unreadable) = unreadable.iter().find(|unreadable| unreadable.are_many()) {
        return Err(unreadable.clone().into());
    }
    match replayed.late.first() {
        Some(late) => Err(late.clone().into()),
        None => Ok(()),
    }
}

/// Opens the file that the evaluations are written to; `-` is standard output.
fn open_output(name: &str) -> anyhow::Result<Box<dyn Write>> {
    if name == "-" {
        return Ok(Box::new(io::stdout().lock()));
    }
    let file = File::create(name).with_context(|| format!("{name}: cannot be written"))?;
    Ok(Box::new(file))
}

/// Returns the configured monitors, or the requested one, with the requested reference.
fn monitors(args: &ReplayArgs, config: &Config) -> Result<Vec<MonitorSpec>, UsageError> {
    let mut monitors: Vec<MonitorSpec> = config
        .monitors
        .iter()
        .filter(|spec| args.monitor.as_ref().is_none_or(|name| *name == spec.name))
        .cloned()
        .collect();
    if monitors.is_empty() {
        return Err(UsageError::UnknownMonitor {
            name: args.monitor.clone().unwrap_or_default(),
            configured: names(config),
        });
    }
    if let Some(path) = &args.reference {
        for monitor in &mut monitors {
            set_reference(monitor, path);
        }
    }
    Ok(monitors)
}

/// Returns one JSON object per feature and reference of an evaluation, and one of the number of
/// events where a minimum is configured.
#[must_use]
pub fn json_lines(
    plan: &MonitorPlan,
    window: &WindowView,
    with_bins: bool,
) -> Vec<Map<String, Value>> {
    let Some(spec) = plan.spec.windows.get(window.index) else {
        return Vec::new();
    };
    let start = window.end.map(|end| end.minus(spec.size).to_string());
    let head = |reference: &str| -> Map<String, Value> {
        [
            ("monitor", json!(plan.spec.name)),
            ("window", json!(spec.name)),
            ("window_start", json!(start)),
            ("window_end", json!(window.end.map(|end| end.to_string()))),
            ("segment", json!("")),
            ("reference", json!(reference)),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into_iter()
        .collect()
    };
    let mut lines = Vec::new();
    for (feature, state) in plan.features.iter().zip(&window.features) {
        let Some(counts) = state.counts.as_deref() else {
            continue;
        };
        for (comparison, reference) in state.comparisons.iter().zip(&plan.references) {
            let mut line = head(&reference.name);
            let report = FeatureReport {
                plan: feature,
                against: comparison.reference.clone(),
                counts,
                rates: state.rates,
                incomplete: state.incomplete,
                min_samples: spec.min_samples,
                scores: comparison.scores,
                assessment: comparison.assessment.clone(),
            };
            line.extend(report.to_json("feature", with_bins));
            let alert = match (comparison.alert_state(), &comparison.scores) {
                (Some(state), _) => state.name(),
                (None, Ok(_)) => "inactive",
                (None, Err(_)) => "not_ready",
            };
            line.insert("alert".to_owned(), json!(alert));
            lines.push(line);
        }
    }
    lines.extend(window.volume.as_ref().map(|volume| {
        let mut line = head("");
        line.extend(volume_json(volume));
        line
    }));
    lines
}

/// The keys of a line about the number of events, which belongs to no feature and no reference.
fn volume_json(volume: &AlertView) -> Map<String, Value> {
    let (verdict, reason) = match volume.state {
        AlertState::NotReady(reason) => ("not_ready", Some(reason.reason())),
        _ if volume.is_exceeded() => (volume.severity.name(), None),
        _ => ("none", None),
    };
    [
        ("feature", json!("")),
        ("kind", Value::Null),
        ("verdict", json!(verdict)),
        ("reason", json!(reason)),
        ("reference_samples", Value::Null),
        ("samples", json!(volume.value.map(whole))),
        ("missing_ratio", Value::Null),
        ("invalid", Value::Null),
        ("out_of_range_ratio", Value::Null),
        ("unseen_ratio", Value::Null),
        ("scores", json!({})),
        ("support_overlap", Value::Null),
        ("beyond_reference", Value::Null),
        ("status", json!([])),
        ("calibration", Value::Null),
        ("min_events", json!(volume.lower_threshold().map(whole))),
        ("alert", json!(volume.state.name())),
    ]
    .map(|(key, value)| (key.to_owned(), value))
    .into_iter()
    .collect()
}

/// A number of events as a whole number.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count that was turned into a float"
)]
const fn whole(events: f64) -> u64 {
    events as u64
}

/// Returns a line with the counts of events, evaluations and alerts of a monitor.
fn summary(view: &MonitorView) -> String {
    let fired: u64 = view
        .transitions
        .iter()
        .filter(|(_, to, _)| *to == "firing")
        .map(|(_, _, count)| count)
        .sum();
    let alerts = if fired == 1 { "alert" } else { "alerts" };
    format!(
        "monitor {}: {}, {} evaluations ({} empty windows skipped), {fired} {alerts} fired",
        view.spec.name,
        events_text(view),
        view.evaluations,
        view.evaluations_skipped
    )
}
