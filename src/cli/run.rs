//! `pegel run`: the daemon.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tracing::info;
use tracing_subscriber::EnvFilter;

use super::{Exit, UsageError};
use crate::app::{self, MonitorSplit, ProcessOutcome, ProcessRole, Role};
use crate::config::{self, Config, Overrides};

/// Arguments of `pegel run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Override an option, as web.listen_address=0.0.0.0:10987
    #[arg(long, value_name = "OPTION=VALUE")]
    set: Vec<String>,
    /// What this process does; other than `all` needs state.panes_topic
    #[arg(long, value_enum, default_value = "all")]
    role: RoleName,
    /// Score only part i of n of the monitors, as 0/2
    #[arg(long, value_name = "I/N", value_parser = split)]
    shard: Option<MonitorSplit>,
    /// Create the topic of state.panes_topic when it does not exist
    #[arg(long)]
    create_topics: bool,
    /// How log lines look
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
}

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum RoleName {
    /// Everything.
    All,
    /// Count records into the pane log.
    Ingest,
    /// Read the pane log and score.
    Score,
}

fn split(text: &str) -> Result<MonitorSplit, String> {
    let expected = || "expected i/n with i below n, as 0/2".to_owned();
    let (index, count) = text.split_once('/').ok_or_else(expected)?;
    let (index, count) = (index.parse(), count.parse());
    match (index, count) {
        (Ok(index), Ok(count)) if index < count => Ok(MonitorSplit { index, count }),
        _ => Err(expected()),
    }
}

impl RunArgs {
    /// # Errors
    /// Something needs the pane log to be in a topic, and it is not.
    fn process_role(&self, config: &Config) -> Result<ProcessRole, UsageError> {
        let role = match self.role {
            RoleName::All => Role::All,
            RoleName::Ingest => Role::Ingest,
            RoleName::Score => Role::Score,
        };
        let needs_topic = [
            (role != Role::All, "--role"),
            (self.shard.is_some(), "--shard"),
            (self.create_topics, "--create-topics"),
        ];
        if role == Role::Ingest && self.shard.is_some() {
            return Err(UsageError(
                "--shard splits what is scored; ingesters share partitions by their group"
                    .to_owned(),
            ));
        }
        let first = needs_topic.into_iter().find(|(is_given, _)| *is_given);
        match (first, &config.state.panes) {
            (Some((_, option)), None) => Err(UsageError(format!(
                "{option} needs state.panes_topic: on one machine the pane log is in files"
            ))),
            _ => Ok(ProcessRole {
                role,
                split: self.shard.unwrap_or_default(),
                create_topics: self.create_topics,
            }),
        }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object per line.
    Json,
}

/// Log lines on standard error; `RUST_LOG` chooses the level, info by default.
pub fn start_logging(format: LogFormat, default_level: &str) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    match format {
        LogFormat::Text => builder.with_ansi(anstream::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}

/// Runs until a signal, then drains.
///
/// # Errors
/// The configuration is wrong, or the daemon cannot start.
pub fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    let config = config::load(&args.config, &Overrides::from_process(&args.set))?;
    config.places.refuse(app::client_problems(&config))?;
    let process_role = args.process_role(&config)?;
    start_logging(args.log_format, "info");
    info!(version = env!("CARGO_PKG_VERSION"), config = %args.config.display(), "pegel starts");
    let runtime = runtime()?;
    let again = || {
        config::load(&args.config, &Overrides::from_process(&args.set)).map_err(anyhow::Error::new)
    };
    let outcome = runtime.block_on(app::run(config, process_role, &again));
    // A start that was cancelled may still wait for a broker on a blocking thread.
    runtime.shutdown_background();
    Ok(match outcome? {
        ProcessOutcome::Stopped => Exit::Ok,
        ProcessOutcome::Failed => Exit::Failure,
    })
}

/// The runtime of HTTP and signals; two threads are plenty, the work is done on threads of its own.
///
/// # Errors
/// The operating system refuses it.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the HTTP runtime")
}
