//! `pegel run`: arguments, logging and exit code of the daemon.
//!
//! The life of the process, from its start to its end by a signal, is in `app::lifecycle`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use tracing::{info, warn};

use super::exit::Exit;
use super::logging::{LogFormat, LogLevel, start_logging};
use super::runtime::runtime;
use super::usage::UsageError;
use crate::app::{self, MonitorSplit, ProcessOutcome, ProcessRole, Role};
use crate::config::{self, Config, Overrides};

/// Arguments of `pegel run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Configuration of the daemon
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Override an option, such as web.listen_address=0.0.0.0:10987
    #[arg(long, value_name = "OPTION=VALUE")]
    set: Vec<String>,
    /// Work of this process; all but `all` need state.panes_topic
    #[arg(long, value_enum, default_value = "all")]
    role: RoleName,
    /// Score only part I of N of the monitors, such as 0/2
    #[arg(long, value_name = "I/N", value_parser = split)]
    shard: Option<MonitorSplit>,
    /// Create the topic of state.panes_topic if it does not exist
    #[arg(long)]
    create_topics: bool,
    /// Format of the log lines
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
    /// Lowest level of the log lines [default: RUST_LOG, else info]
    #[arg(long, value_enum, value_name = "LEVEL")]
    log_level: Option<LogLevel>,
}

/// Work of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleName {
    /// Ingest and score
    All,
    /// Count records into the pane log
    Ingest,
    /// Read the pane log and score
    Score,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::All => Role::All,
            RoleName::Ingest => Role::Ingest,
            RoleName::Score => Role::Score,
        }
    }
}

fn split(text: &str) -> Result<MonitorSplit, String> {
    let parsed = text
        .split_once('/')
        .and_then(|(index, count)| Some((index.parse().ok()?, count.parse().ok()?)));
    match parsed {
        Some((index, count)) if index < count => Ok(MonitorSplit { index, count }),
        _ => Err("expected i/n with i below n, such as 0/2".to_owned()),
    }
}

impl RunArgs {
    /// Returns the role of the process.
    ///
    /// # Errors
    /// Two options contradict each other, or one needs the pane log in a topic and it is in files.
    fn process_role(&self, config: &Config) -> Result<ProcessRole, UsageError> {
        let role = Role::from(self.role);
        if role == Role::Ingest && self.shard.is_some() {
            return Err(UsageError::ShardWithoutScoring);
        }
        let needing_topic = [
            (role != Role::All, "--role"),
            (self.shard.is_some(), "--shard"),
            (self.create_topics, "--create-topics"),
        ];
        let first_given = needing_topic.into_iter().find(|(is_given, _)| *is_given);
        match (first_given, &config.state.panes) {
            (Some((_, option)), None) => Err(UsageError::NeedsPanesTopic { option }),
            _ => Ok(ProcessRole {
                role,
                split: self.shard.unwrap_or_default(),
                create_topics: self.create_topics,
            }),
        }
    }
}

/// Runs the daemon until a signal ends it, then drains.
///
/// # Errors
/// The configuration is wrong, or the daemon cannot start.
pub(super) fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    let load_config = || {
        Ok(config::load_with_references(
            &args.config,
            &Overrides::from_process(&args.set),
            &app::reference_problem,
        )?)
    };
    let config: Config = load_config()?;
    config
        .source_map
        .ensure_none(app::client_problems(&config))?;
    let process_role = args.process_role(&config)?;
    start_logging(args.log_format, args.log_level, "info");
    info!(version = env!("CARGO_PKG_VERSION"), config = %args.config.display(), "pegel starts");
    for ignored in config::ignored_variables(&Overrides::from_process(&[]).environment) {
        warn!("{ignored}");
    }
    let runtime = runtime()?;
    let outcome = runtime.block_on(app::run(config, process_role, &load_config));
    // A cancelled start may still wait for a broker on a blocking thread.
    runtime.shutdown_background();
    Ok(match outcome? {
        ProcessOutcome::Stopped => Exit::Ok,
        ProcessOutcome::Failed => Exit::Failure,
    })
}
