//! `pegel calibrate`: recommends alerts from a history in which nothing was wrong.

use std::path::PathBuf;
use std::slice;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::args::input::InputArgs;
use super::exit::Exit;
use super::monitors::{load_config, pick_monitor, print_warnings, set_reference};
use super::output::lost_rows::{events_text, print_lost_rows};
use super::output::stdout::print_line;
use super::output::{backtest_json, backtest_table};
use super::usage::UsageError;
use crate::app;
use crate::batch::backtest::trial::{candidates, run_backtest};

/// Arguments of `pegel calibrate`.
#[derive(Debug, Args)]
pub(super) struct CalibrateArgs {
    /// Configuration with the monitor
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    input: InputArgs,
    /// Compare with this reference instead of the configured ones
    #[arg(long, value_name = "REF")]
    reference: Option<PathBuf>,
    /// Monitor of the configuration; needed if it has several
    #[arg(long)]
    monitor: Option<String>,
    /// Time in which one false alarm of the whole monitor is accepted
    #[arg(
        long,
        value_name = "DURATION",
        default_value = "7d",
        value_parser = humantime::parse_duration
    )]
    budget: Duration,
    /// Format of the result
    #[arg(long, value_enum, default_value = "table")]
    format: CalibrateFormat,
}

/// Format of the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum CalibrateFormat {
    Table,
    Json,
}

/// Runs the backtest and prints its report.
///
/// # Errors
/// The configuration is wrong, the data cannot be read, or no rule is ever ready.
pub(super) fn run(args: &CalibrateArgs) -> anyhow::Result<Exit> {
    if args.budget.is_zero() {
        return Err(UsageError::ZeroBudget.into());
    }
    let config = load_config(&args.config, args.reference.as_deref())?;
    let mut spec = pick_monitor(&config, args.monitor.as_deref())?;
    if let Some(path) = &args.reference {
        set_reference(&mut spec, path);
    }
    let monitor = spec.name.clone();
    let bounds = args.input.bounds()?;
    let plan = app::load_monitor(spec.clone());
    print_warnings(&plan);
    config
        .source_map
        .ensure_none(app::monitor_problems(&config, slice::from_ref(&plan)))?;
    let candidates = candidates(plan, args.budget)?;
    let input = args.input.open(bounds, &config, &[spec])?;
    let report = run_backtest(&input, candidates, args.budget, &mut |replayed| {
        if let Some(view) = replayed.monitors.last() {
            anstream::eprintln!("monitor {monitor}: {}", events_text(view));
        }
        print_lost_rows(replayed);
    })?;
    print_line(match args.format {
        CalibrateFormat::Table => backtest_table::table(&report).to_string(),
        CalibrateFormat::Json => format!("{:#}", backtest_json::json(&report)),
    })?;
    Ok(Exit::Ok)
}
