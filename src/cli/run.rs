//! `pegel run`: the daemon.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

use super::{Exit, UsageError};
use crate::app::{self, Daemon, MonitorSplit, ProcessRole, Role};
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
    let exit = runtime.block_on(serve(config, process_role, &again));
    // A start that was given up may still wait for a broker on a thread of its own.
    runtime.shutdown_background();
    exit
}

/// Starts, waits and ends; signals are heard from the beginning.
async fn serve(
    config: Config,
    process_role: ProcessRole,
    again: &Again<'_>,
) -> anyhow::Result<Exit> {
    let mut signals = Signals::new()?;
    let mut daemon = tokio::select! {
        started = Daemon::start_as(config, process_role) => started?,
        name = signals.end() => {
            info!("{name} before everything was started, ending");
            return Ok(Exit::Ok);
        }
    };
    let is_broken = until_end(&mut daemon, &mut signals, again).await;
    let drained = daemon.stop().await;
    info!(drained, "pegel ends");
    Ok(if is_broken || !drained {
        Exit::Failure
    } else {
        Exit::Ok
    })
}

/// Reads the configuration again.
type Again<'a> = dyn Fn() -> anyhow::Result<Config> + 'a;

/// The signals that end the process, and the one that asks for the configuration to be read again.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// What a signal asks for.
enum Asked {
    Reload,
    End(&'static str),
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// What the next one asks for.
    async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.terminate.recv() => Asked::End("SIGTERM"),
            _ = self.interrupt.recv() => Asked::End("SIGINT"),
            _ = self.hang_up.recv() => Asked::Reload,
        }
    }

    /// The name of the next one that ends the process; others find it not ready for them.
    async fn end(&mut self) -> &'static str {
        loop {
            match self.next().await {
                Asked::End(name) => return name,
                Asked::Reload => {
                    info!("SIGHUP before everything was started: the configuration was just read")
                }
            }
        }
    }
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

/// Waits for the end, by a signal or because a thread has ended by itself (`true`), and reads the configuration again whenever that is asked for.
async fn until_end(daemon: &mut Daemon, signals: &mut Signals, again: &Again<'_>) -> bool {
    let mut watch = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            asked = signals.next() => match asked {
                Asked::Reload => drop(reload(daemon, again)),
                Asked::End(name) => {
                    info!("{name}, shutting down");
                    return false;
                }
            },
            request = daemon.reload_requested() => drop(request.send(reload(daemon, again))),
            _ = watch.tick() => if daemon.is_broken() {
                error!("a worker thread has ended, shutting down");
                return true;
            }
        }
    }
}

/// Reads the configuration again and goes on by it, or by the old one if it is wrong.
fn reload(daemon: &Daemon, again: &Again<'_>) -> Result<(), String> {
    let outcome = tokio::task::block_in_place(|| daemon.reload(again()?));
    let problem = outcome.err().map(|error| format!("{error:#}"));
    match &problem {
        None => info!("configuration read again"),
        Some(problem) => error!("configuration not read again, the old one stays: {problem}"),
    }
    daemon.exporter().reloaded(problem.clone());
    problem.map_or(Ok(()), Err)
}
