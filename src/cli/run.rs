//! `pegel run`: the daemon, from its start to its end by a signal.
//!
//! SIGTERM and SIGINT end the process after a drain, SIGHUP reloads the configuration. Signal
//! handlers are installed before the daemon starts, so a start that waits for a broker can be
//! interrupted.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing::{error, info};

use super::exit::Exit;
use super::logging::{LogFormat, start_logging};
use super::runtime::runtime;
use super::usage::UsageError;
use crate::app::{self, Daemon, MonitorSplit, ProcessRole, Role};
use crate::config::{self, Config, Overrides};

/// Time between checks that all worker threads are alive.
const HEALTH_INTERVAL: Duration = Duration::from_millis(500);

/// Arguments of `pegel run`.
#[derive(Debug, Args)]
pub(super) struct RunArgs {
    /// Configuration of the daemon
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Override an option, as web.listen_address=0.0.0.0:10987
    #[arg(long, value_name = "OPTION=VALUE")]
    set: Vec<String>,
    /// Work of this process; all but `all` need state.panes_topic
    #[arg(long, value_enum, default_value = "all")]
    role: RoleName,
    /// Score only part I of N of the monitors, as 0/2
    #[arg(long, value_name = "I/N", value_parser = split)]
    shard: Option<MonitorSplit>,
    /// Create the topic of state.panes_topic if it does not exist
    #[arg(long)]
    create_topics: bool,
    /// Format of the log lines
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
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
        _ => Err("expected i/n with i below n, as 0/2".to_owned()),
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
    let config = config::load(&args.config, &Overrides::from_process(&args.set))?;
    config.places.refuse(app::client_problems(&config))?;
    let process_role = args.process_role(&config)?;
    start_logging(args.log_format, "info");
    info!(version = env!("CARGO_PKG_VERSION"), config = %args.config.display(), "pegel starts");
    let runtime = runtime()?;
    let load_config = || {
        Ok(config::load(
            &args.config,
            &Overrides::from_process(&args.set),
        )?)
    };
    let exit = runtime.block_on(serve(config, process_role, &load_config));
    // A cancelled start may still wait for a broker on a blocking thread.
    runtime.shutdown_background();
    exit
}

/// Function that loads the configuration again.
type LoadConfig<'a> = dyn Fn() -> anyhow::Result<Config> + 'a;

/// Starts the daemon, waits for its end, and stops it.
async fn serve(
    config: Config,
    process_role: ProcessRole,
    load_config: &LoadConfig<'_>,
) -> anyhow::Result<Exit> {
    let mut signals = Signals::new()?;
    let mut daemon = tokio::select! {
        started = Daemon::start_as(config, process_role) => started?,
        name = signals.next_end_during_start() => {
            info!("{name} during the start, shutting down");
            return Ok(Exit::Ok);
        }
    };
    let is_broken = wait_for_end(&mut daemon, &mut signals, load_config).await;
    let drained = daemon.stop().await;
    info!(drained, "pegel ends");
    Ok(if is_broken || !drained {
        Exit::Failure
    } else {
        Exit::Ok
    })
}

/// The signals that the daemon handles.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// The request of a signal.
enum SignalRequest {
    Reload,
    /// End of the process, with the name of the signal.
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

    /// Waits for the next signal.
    async fn next(&mut self) -> SignalRequest {
        tokio::select! {
            _ = self.terminate.recv() => SignalRequest::End("SIGTERM"),
            _ = self.interrupt.recv() => SignalRequest::End("SIGINT"),
            _ = self.hang_up.recv() => SignalRequest::Reload,
        }
    }

    /// Waits for the next signal that ends the process; the daemon cannot reload yet.
    async fn next_end_during_start(&mut self) -> &'static str {
        loop {
            match self.next().await {
                SignalRequest::End(name) => return name,
                SignalRequest::Reload => {
                    info!("SIGHUP during the start, the configuration was just loaded");
                }
            }
        }
    }
}

/// Waits for a signal (`false`) or the end of a worker thread (`true`), and reloads on request.
async fn wait_for_end(
    daemon: &mut Daemon,
    signals: &mut Signals,
    load_config: &LoadConfig<'_>,
) -> bool {
    let mut health = tokio::time::interval(HEALTH_INTERVAL);
    loop {
        tokio::select! {
            request = signals.next() => match request {
                SignalRequest::Reload => drop(reload(daemon, load_config)),
                SignalRequest::End(name) => {
                    info!("{name}, shutting down");
                    return false;
                }
            },
            request = daemon.reload_requested() => {
                drop(request.send(reload(daemon, load_config)));
            }
            _ = health.tick() => if daemon.is_broken() {
                error!("a worker thread has ended, shutting down");
                return true;
            }
        }
    }
}

/// Reloads the configuration, or keeps the current one if the new one has a problem.
fn reload(daemon: &Daemon, load_config: &LoadConfig<'_>) -> Result<(), String> {
    let outcome = tokio::task::block_in_place(|| daemon.reload(load_config()?));
    let problem = outcome.err().map(|error| format!("{error:#}"));
    match &problem {
        None => info!("configuration reloaded"),
        Some(problem) => error!("reload failed, keeping the current configuration: {problem}"),
    }
    daemon.exporter().reloaded(problem.clone());
    problem.map_or(Ok(()), Err)
}
