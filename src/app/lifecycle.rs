//! The life of the process, from top to bottom: start, wait, reload, drain, exit.
//!
//! ```text
//!   start --> wait --+-- SIGHUP, POST /-/reload --> reload, then wait again
//!                    +-- SIGTERM, SIGINT ---------> drain, exit 0 (1 after the grace period)
//!                    +-- a thread has ended ------> drain, exit 1
//! ```
//!
//! **Start.** References are loaded and the number of series is checked before anything else, so
//! that a wrong configuration fails at once. The port is bound before the pane log is read: health,
//! metrics and page answer during a long start. A pane log in files is read on a thread of its own,
//! the topic of one in Kafka is waited for, all threads start, and SIGTERM ends the process at any
//! point of this.
//!
//! **Reload.** All or nothing: the new configuration is loaded and checked completely before the
//! first thread receives it, so a refused reload changes nothing. Each thread applies it between
//! two batches (`ScoreWorker::tick`, `IngestWorker::poll_once`), and alerts use new thresholds at
//! their next evaluation.
//!
//! **Drain.** Ingest threads flush and wait for the outcome of their last commits, the log is
//! written, and HTTP closes last, so that `/-/ready` reports the shutdown. Nothing depends on a
//! drain: after `kill -9` the next start reads again what was not accepted.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, bail};
use arc_swap::ArcSwap;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use super::builder::{LOG_NOT_READ, ProcessBuilder};
use super::preflight::{
    check_monitors, check_series, load_monitors, log_plan, longest_window, monitor_problems,
    prepare_topic, widest_source,
};
use super::reload::ReloadChannels;
use super::roles::ProcessRole;
use super::score::file_log::{self, RecoveredLog};
use super::threads::Threads;
use crate::config::{Config, Web};
use crate::engine::MonitorPlan;
use crate::export::{Exporter, ReloadRequest, serve};
use crate::model::{LogReport, duration};
use crate::pane_log::kafka::{RecordLimit, TopicRequirements};

/// The interval at which the process checks that all its threads are running.
const THREAD_CHECK_INTERVAL: Duration = Duration::from_millis(500);
/// The longest time that open HTTP requests may take after the drain.
const HTTP_GRACE: Duration = Duration::from_secs(1);

/// Loads the configuration again, for a reload.
type LoadConfig<'a> = dyn Fn() -> anyhow::Result<Config> + 'a;

/// The end of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProcessOutcome {
    /// A signal ended the process, and everything was drained.
    Stopped,
    /// A thread ended by itself, or the drain took longer than the grace period.
    Failed,
}

/// Runs the process until a signal or a failure ends it. Must be called on a tokio runtime with
/// several threads: a reload reads files on the calling one.
///
/// Signals are handled from the start of this function on. Before it, while the configuration is
/// loaded, they end the process without a drain: there is nothing to drain yet. When this function
/// returns during the start, a blocking thread may still wait for a broker; the caller should shut
/// the runtime down in the background.
///
/// # Errors
/// The process cannot start.
pub async fn run(
    config: Config,
    process_role: ProcessRole,
    load_config: &LoadConfig<'_>,
) -> anyhow::Result<ProcessOutcome> {
    let mut signals = Signals::install()?;
    let mut daemon = tokio::select! {
        started = Daemon::start_as(config, process_role) => started?,
        name = signals.next_end() => {
            info!("{name} during the start, exiting");
            return Ok(ProcessOutcome::Stopped);
        }
    };
    let is_broken = daemon.wait(&mut signals, load_config).await;
    let drained = daemon.stop().await;
    info!(drained, "pegel stopped");
    Ok(if is_broken || !drained {
        ProcessOutcome::Failed
    } else {
        ProcessOutcome::Stopped
    })
}

/// Reads the log in files on a blocking thread; the thread gives up when the future is dropped.
async fn recover(
    path: PathBuf,
    plans: Vec<MonitorPlan>,
    report: Arc<ArcSwap<LogReport>>,
) -> anyhow::Result<RecoveredLog> {
    let stop = StopOnDrop::default();
    let flag = Arc::clone(&stop.0);
    tokio::task::spawn_blocking(move || file_log::recover(&path, &plans, &report, &flag)).await?
}

/// Sets its flag when it is dropped, for a blocking thread whose result nobody waits for any more.
#[derive(Debug, Default)]
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// A started process.
#[derive(Debug)]
pub struct Daemon {
    exporter: Arc<Exporter>,
    http: HttpServer,
    threads: Threads,
    reload_channels: ReloadChannels,
    process_role: ProcessRole,
    /// The configuration at the start, without its monitors: what a reload cannot change.
    started_with: Config,
    /// The longest window at the start; the retention of the panes topic was checked for it.
    longest_window: Duration,
}

impl Daemon {
    /// Starts a process that ingests and scores. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The port is taken, the configuration may produce more series than allowed, the pane log
    /// cannot be opened, or a thread cannot be started.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        Self::start_as(config, ProcessRole::default()).await
    }

    /// Starts a process with a part of the work.
    ///
    /// # Errors
    /// As for [`Daemon::start`]; the topic of the pane log does not exist or cannot be used.
    pub async fn start_as(mut config: Config, process_role: ProcessRole) -> anyhow::Result<Self> {
        let monitors = std::mem::take(&mut config.monitors);
        let plans = load_monitors(monitors);
        plans.iter().for_each(log_plan);
        check_monitors(&config, &plans)?;
        check_series(&plans, process_role, config.limits.max_series)?;

        let sources = config
            .sources
            .iter()
            .filter(|_| process_role.role.ingests())
            .map(|source| source.name.as_str());
        let exporter = Arc::new(Exporter::new(sources, config.limits.max_series));
        exporter.log().store(unread_log(process_role));
        let http = HttpServer::start(&config.web, &exporter).await?;

        let longest_window = longest_window(&plans);
        let mut record_limit = RecordLimit::default();
        if let Some(topic) = config.state.panes.clone() {
            let needs = TopicRequirements {
                longest_window,
                widest_source: widest_source(&plans),
                may_create: process_role.create_topics,
            };
            let report = exporter.log();
            record_limit =
                tokio::task::spawn_blocking(move || prepare_topic(&topic, &needs, &report))
                    .await??;
            exporter.log().store(unread_log(process_role));
        }
        let recovered = match (&config.state.panes, &config.state.path) {
            (None, Some(path)) => Some(recover(path.clone(), plans.clone(), exporter.log()).await?),
            _ => None,
        };
        let builder = ProcessBuilder {
            sources: config.sources.clone(),
            plans,
            state: &config.state,
            max_message_bytes: config.limits.max_message_bytes,
            exporter: &exporter,
            process_role,
            recovered,
            record_limit,
        };
        let (threads, reload_channels) = builder.start()?;
        Ok(Daemon {
            exporter,
            http,
            threads,
            reload_channels,
            process_role,
            started_with: config,
            longest_window,
        })
    }

    /// Waits for the end and reloads the configuration when asked to; `true` when a thread has
    /// ended by itself.
    async fn wait(&mut self, signals: &mut Signals, load_config: &LoadConfig<'_>) -> bool {
        let mut thread_check = tokio::time::interval(THREAD_CHECK_INTERVAL);
        loop {
            tokio::select! {
                event = signals.next() => match event {
                    SignalEvent::Reload => drop(self.reload(load_config)),
                    SignalEvent::End(name) => {
                        info!("{name}, shutting down");
                        return false;
                    }
                },
                request = self.http.reload_request() => {
                    // A client that has gone away needs no answer.
                    drop(request.send(self.reload(load_config)));
                }
                _ = thread_check.tick() => if self.is_broken() {
                    error!("a worker thread has ended, shutting down");
                    return true;
                }
            }
        }
    }

    /// Reloads the configuration and reports the outcome in the log, the metrics and the API.
    fn reload(&self, load_config: &LoadConfig<'_>) -> Result<(), String> {
        let problem = tokio::task::block_in_place(|| self.apply(load_config()?))
            .err()
            .map(|error| format!("{error:#}"));
        match &problem {
            None => info!("configuration reloaded"),
            Some(problem) => error!(
                "reload failed, keeping the current configuration: {}",
                one_line(problem)
            ),
        }
        self.exporter.set_reload_problem(problem.clone());
        problem.map_or(Ok(()), Err)
    }

    /// Checks a new configuration and sends its monitors to the threads.
    ///
    /// # Errors
    /// A reference cannot be loaded, there may be too many series, or something changed that needs
    /// a restart. Nothing is changed then.
    fn apply(&self, mut config: Config) -> anyhow::Result<()> {
        let monitors = std::mem::take(&mut config.monitors);
        let changed = sections_that_need_a_restart(&self.started_with, &config);
        if !changed.is_empty() {
            bail!("{} changed: that needs a restart", changed.join(", "));
        }
        let plans = load_monitors(monitors);
        config
            .source_map
            .ensure_none(monitor_problems(&config, &plans))?;
        let longest_window = longest_window(&plans);
        if config.state.panes.is_some() && longest_window > self.longest_window {
            bail!(
                "the retention of state.panes_topic was checked for windows up to {}, not for {}: \
                 that needs a restart",
                duration::format(self.longest_window),
                duration::format(longest_window)
            );
        }
        check_series(&plans, self.process_role, config.limits.max_series)?;
        plans.iter().for_each(log_plan);
        self.reload_channels.send(&plans);
        Ok(())
    }

    /// The address on which HTTP is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.http.address
    }

    /// The exporter that the page, the API and the metrics are read from.
    #[must_use]
    pub fn exporter(&self) -> &Arc<Exporter> {
        &self.exporter
    }

    /// True when a thread has ended although nobody asked it to.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.threads.is_broken()
    }

    /// Drains and ends everything; `false` when that took longer than the grace period.
    pub async fn stop(self) -> bool {
        self.exporter.begin_shutdown();
        let (threads, grace) = (self.threads, self.started_with.limits.shutdown_grace);
        let drained = tokio::task::spawn_blocking(move || threads.stop(grace))
            .await
            .unwrap_or(false);
        let closed = self.http.stop().await;
        drained && closed
    }
}

/// The report of a log that is not read yet.
fn unread_log(process_role: ProcessRole) -> Arc<LogReport> {
    Arc::new(LogReport {
        problem: Some(LOG_NOT_READ.to_owned()),
        is_recovering: process_role.role.scores(),
        ..LogReport::default()
    })
}

/// The lines of a problem in one line of the log.
fn one_line(problem: &str) -> String {
    let lines: Vec<&str> = problem.lines().map(str::trim).collect();
    lines.join("; ")
}

/// The sections of the configuration that differ and that a running process cannot change.
fn sections_that_need_a_restart(current: &Config, next: &Config) -> Vec<&'static str> {
    [
        ("web", current.web != next.web),
        ("state", current.state != next.state),
        ("limits", current.limits != next.limits),
        ("sources", current.sources != next.sources),
    ]
    .into_iter()
    .filter(|(_, is_changed)| *is_changed)
    .map(|(section, _)| section)
    .collect()
}

/// The HTTP server, on a task of its own.
#[derive(Debug)]
struct HttpServer {
    address: SocketAddr,
    reload_requests: mpsc::Receiver<ReloadRequest>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<std::io::Result<()>>,
}

impl HttpServer {
    /// Binds the port and serves.
    ///
    /// # Errors
    /// The port is taken, or the address cannot be resolved.
    async fn start(web: &Web, exporter: &Arc<Exporter>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(&web.listen_address)
            .await
            .with_context(|| format!("cannot listen on {}", web.listen_address))?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let (sender, reload_requests) = mpsc::channel(1);
        let sender = web.enable_reload.then_some(sender);
        let shutdown = async { drop(stopped.await) };
        let task = tokio::spawn(serve(listener, Arc::clone(exporter), sender, shutdown));
        info!(%address, "metrics, page and API at http://{address}/");
        Ok(HttpServer {
            address,
            reload_requests,
            stop,
            task,
        })
    }

    /// The next request for a reload; never returns when `web.enable_reload` is off.
    async fn reload_request(&mut self) -> ReloadRequest {
        match self.reload_requests.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }

    /// Closes the port and waits for open requests; `false` when they took too long.
    async fn stop(self) -> bool {
        if self.stop.send(()).is_err() {
            warn!("the HTTP server had stopped before");
        }
        tokio::time::timeout(HTTP_GRACE, self.task).await.is_ok()
    }
}

/// The signals that end the process, and the one that asks for a reload.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

/// The meaning of a signal.
enum SignalEvent {
    Reload,
    /// The name of a signal that ends the process.
    End(&'static str),
}

impl Signals {
    /// Installs the handlers.
    ///
    /// # Errors
    /// The operating system refuses one.
    fn install() -> std::io::Result<Self> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next signal.
    async fn next(&mut self) -> SignalEvent {
        tokio::select! {
            _ = self.terminate.recv() => SignalEvent::End("SIGTERM"),
            _ = self.interrupt.recv() => SignalEvent::End("SIGINT"),
            _ = self.hang_up.recv() => SignalEvent::Reload,
        }
    }

    /// Waits for the next signal that ends the process and ignores requests for a reload.
    async fn next_end(&mut self) -> &'static str {
        loop {
            match self.next().await {
                SignalEvent::End(name) => return name,
                SignalEvent::Reload => warn!("SIGHUP during the start is ignored"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_problem_of_several_lines_is_one_line_of_the_log() {
        let problem = "pegel.yaml: 1 problem\n  11:71 monitors[0].sise: unknown option";
        let line = super::one_line(problem);
        assert_eq!(
            line,
            "pegel.yaml: 1 problem; 11:71 monitors[0].sise: unknown option"
        );
    }
}
