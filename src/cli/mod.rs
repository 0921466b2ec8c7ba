//! The command line: one file per command, their common arguments, and everything they print.
//!
//! Data goes to standard output and all other text to standard error, so that results can be piped.
//! The work itself is in `app`, `batch` and `demo`, which do not depend on the command line.

mod args;
mod calibrate;
mod check;
mod compare;
mod demo;
mod exit;
mod fit;
mod health;
mod logging;
mod monitors;
mod output;
pub mod replay;
mod run;
mod runtime;
mod sample;
mod usage;

use clap::{Parser, Subcommand};

pub use exit::{Exit, exit_of};

/// Monitors streams of features and predictions on Kafka for drift and exports it to Prometheus.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Monitor Kafka topics and serve metrics, API and page
    Run(run::RunArgs),
    /// Monitor a simulated service that breaks and recovers; needs no Kafka
    Demo(demo::DemoArgs),
    /// Check a configuration, print it, try a message on it
    Check(check::CheckArgs),
    /// Build a reference from a data file or a topic range
    Fit(fit::FitArgs),
    /// Compare two data sets, or a data set with a reference
    Compare(compare::CompareArgs),
    /// Replay a data file or a topic range through the engine in event time
    Replay(replay::ReplayArgs),
    /// Recommend alerts from a quiet history: false alarms of each policy and faults it detects
    Calibrate(calibrate::CalibrateArgs),
    /// Ask a running daemon whether it serves: exit code 0 or 1
    Health(health::HealthArgs),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// The command fails; [`exit_of`] maps the error to an exit code.
    pub fn run(self) -> anyhow::Result<Exit> {
        match self.command {
            Command::Run(args) => run::run(&args),
            Command::Demo(args) => demo::run(&args),
            Command::Check(args) => check::run(&args),
            Command::Fit(args) => fit::run(&args),
            Command::Compare(args) => compare::run(&args),
            Command::Replay(args) => replay::run(&args),
            Command::Calibrate(args) => calibrate::run(&args),
            Command::Health(args) => health::run(&args),
        }
    }
}
