//! One file per command, and what they share.

pub mod args;
pub mod check;
pub mod compare;
pub mod fit;
pub mod output;
pub mod replay;
pub mod run;

use std::path::Path;

use anyhow::bail;
use clap::{Parser, Subcommand};

use crate::config::{Config, ConfigError, Problems};
use crate::engine::MonitorPlan;
use crate::model::MonitorSpec;
use crate::reference::ArtefactError;

/// pegel watches streams of features and predictions on Kafka for drift and tells Prometheus.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Watch Kafka topics and serve metrics, API and page
    Run(run::RunArgs),
    /// Watch a made-up service that breaks and recovers, with nothing to install
    Demo(crate::demo::DemoArgs),
    /// Check a configuration, print it, try a message on it
    Check(check::CheckArgs),
    /// Build a reference from a data file or a topic range
    Fit(fit::FitArgs),
    /// Compare two data sets, or a data set with a reference
    Compare(compare::CompareArgs),
    /// Send a data file or a topic range through the engine in event time
    Replay(replay::ReplayArgs),
    /// Propose alerts from a quiet history: what each policy costs and which damage it finds
    Calibrate(crate::batch::backtest::CalibrateArgs),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// Whatever the command could not do; [`exit_of`] says which exit code that is.
    pub fn run(self) -> anyhow::Result<Exit> {
        match self.command {
            Command::Run(args) => run::run(&args),
            Command::Demo(args) => crate::demo::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Fit(args) => fit::run(&args),
            Command::Compare(args) => compare::run(&args),
            Command::Replay(args) => replay::run(&args),
            Command::Calibrate(args) => crate::batch::backtest::run(&args),
        }
    }
}

/// The exit code of an error: usage and configuration are told apart from failures.
#[must_use]
pub fn exit_of(error: &anyhow::Error) -> Exit {
    let is_usage = error.chain().any(|cause| {
        cause.is::<UsageError>()
            || cause.is::<ConfigError>()
            || cause.is::<Problems>()
            || cause.is::<ArtefactError>()
    });
    if is_usage { Exit::Usage } else { Exit::Failure }
}

/// How a command ended; the process exits with this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// All went well.
    Ok = 0,
    /// Something failed at run time.
    Failure = 1,
    /// The command or configuration is wrong.
    Usage = 2,
    /// `--fail-on`: drift was found.
    Drift = 3,
    /// `--fail-on`: no drift was found, but a feature could not be judged.
    NotReady = 4,
}

/// A mistake in the command or configuration, as opposed to a failure at run time.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct UsageError(pub String);

/// Says what is wrong or unwise about a monitor that is replayed all the same.
pub(crate) fn tell(plan: &MonitorPlan) {
    let told = plan.problems.iter().chain(&plan.warnings);
    told.for_each(|problem| anstream::eprintln!("monitor {}: {problem}", plan.spec.name));
}

/// The monitor of a configuration that a command is about: the named one, or the only one.
///
/// # Errors
/// There is no such monitor, or several and none is named.
pub fn pick_monitor(config: &Config, name: Option<&str>) -> anyhow::Result<MonitorSpec> {
    let names = || {
        config
            .monitors
            .iter()
            .map(|monitor| monitor.name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    match (name, config.monitors.as_slice()) {
        (None, [only]) => Ok(only.clone()),
        (None, _) => bail!(UsageError(format!(
            "several monitors are configured, choose one with --monitor: {}",
            names()
        ))),
        (Some(name), monitors) => monitors
            .iter()
            .find(|monitor| monitor.name == name)
            .cloned()
            .ok_or_else(|| {
                let text = format!(
                    "no monitor {name:?} in the configuration, found: {}",
                    names()
                );
                UsageError(text).into()
            }),
    }
}

/// Whether a data argument is a fitted reference: a JSON file that says so in its first bytes.
#[must_use]
pub fn is_reference(name: &str) -> bool {
    use std::io::Read as _;
    let mut start = String::new();
    let file = std::fs::File::open(Path::new(name));
    let read = file.map(|file| file.take(64).read_to_string(&mut start));
    read.is_ok()
        && start
            .trim_start()
            .strip_prefix('{')
            .is_some_and(|rest| rest.trim_start().starts_with("\"pegel_reference\""))
}
