//! The running daemon: from a configuration to threads and a port, and back to nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::reload::Outlets;
use super::roles::{MonitorSplit, Parts, Role};
use super::threads::Pipeline;
use super::{load_monitor, monitor_problems};
use crate::config::Config;
use crate::engine::MonitorPlan;
use crate::export::{Exporter, ReloadRequest, estimate_series, serve};
use crate::model::{LogReport, PanesTopicSpec};
use crate::pane_log::kafka::{KafkaLogError, Needs, ensure, open_partitions};

/// Which part of the work a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProcessRole {
    /// Reading sources, scoring, or both.
    pub role: Role,
    /// Which part of the monitors it scores.
    pub split: MonitorSplit,
    /// Whether the topic of the pane log is created when it does not exist.
    pub create_topics: bool,
}

/// A started daemon.
#[derive(Debug)]
pub struct Daemon {
    address: SocketAddr,
    exporter: Arc<Exporter>,
    pipeline: Pipeline,
    outlets: Outlets,
    process_role: ProcessRole,
    /// The longest window there was when the pane log's topic was checked.
    longest: Duration,
    /// What it was started with, but for the monitors.
    fixed: Config,
    reloads: mpsc::Receiver<ReloadRequest>,
    http: JoinHandle<std::io::Result<()>>,
    stop_http: oneshot::Sender<()>,
    grace: Duration,
}

impl Daemon {
    /// Binds the port and starts all threads; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// The port is taken, the configuration may produce more series than allowed, or a thread cannot be started.
    pub async fn start(config: Config) -> anyhow::Result<Self> {
        Self::start_as(config, ProcessRole::default()).await
    }

    /// The same, for a process that does only a part.
    ///
    /// # Errors
    /// As above, and what the pane log's topic lacks.
    pub async fn start_as(mut config: Config, process_role: ProcessRole) -> anyhow::Result<Self> {
        let grace = config.limits.shutdown_grace;
        let monitors = std::mem::take(&mut config.monitors);
        let plans: Vec<MonitorPlan> = monitors.into_iter().map(load_monitor).collect();
        plans.iter().for_each(tell_problems);
        let scored = |plan: &&MonitorPlan| {
            process_role.role.scores() && process_role.split.has(&plan.spec.name)
        };
        check_series(plans.iter().filter(scored), config.limits.max_series)?;
        let read = config
            .sources
            .iter()
            .filter(|_| process_role.role.ingests());
        let exporter = Arc::new(Exporter::new(
            read.map(|source| source.name.as_str()),
            config.limits.max_series,
        ));
        let address = &config.web.listen_address;
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        exporter.log().store(Arc::new(LogReport {
            problem: Some("the pane log was not read yet".to_owned()),
            ..LogReport::default()
        }));
        let (stop_http, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let (requests, reloads) = mpsc::channel(1);
        let requests = config.web.enable_reload.then_some(requests);
        let http = tokio::spawn(serve(listener, Arc::clone(&exporter), requests, shutdown));
        info!(%address, "metrics, page and API at http://{address}/");
        let longest = longest_window(&plans);
        if let Some(topic) = config.state.panes.clone() {
            tokio::task::spawn_blocking(move || {
                prepare_topic(&topic, longest, process_role.create_topics)
            })
            .await??;
        }
        let parts = Parts {
            sources: config.sources.clone(),
            plans,
            state: &config.state,
            max_bytes: config.limits.max_message_bytes,
            exporter: &exporter,
            role: process_role.role,
            split: process_role.split,
        };
        let (pipeline, outlets) = parts.start()?;
        Ok(Daemon {
            address,
            exporter,
            pipeline,
            outlets,
            process_role,
            longest,
            fixed: config,
            reloads,
            http,
            stop_http,
            grace,
        })
    }

    /// Goes on with the monitors of another configuration, all of them or none.
    ///
    /// # Errors
    /// A reference cannot be loaded, too many series may come of it, or something changed that a running process keeps: it goes on as before.
    pub fn reload(&self, mut config: Config) -> anyhow::Result<()> {
        let monitors = std::mem::take(&mut config.monitors);
        let kept = kept(&self.fixed, &config);
        if !kept.is_empty() {
            bail!("{} changed: that needs a restart", kept.join(", "));
        }
        let plans: Vec<MonitorPlan> = monitors.into_iter().map(load_monitor).collect();
        config.places.refuse(monitor_problems(&config, &plans))?;
        let longest = longest_window(&plans);
        if config.state.panes.is_some() && longest > self.longest {
            let longest = humantime::format_duration(longest);
            bail!(
                "a window of {longest} is longer than all there were when the retention of state.panes_topic was checked: that needs a restart"
            );
        }
        let process_role = self.process_role;
        let scored = |plan: &&MonitorPlan| {
            process_role.role.scores() && process_role.split.has(&plan.spec.name)
        };
        check_series(plans.iter().filter(scored), config.limits.max_series)?;
        plans.iter().for_each(tell_problems);
        self.outlets.hand_over(&plans);
        Ok(())
    }

    /// The next request to read the configuration again, and where to say what became of it; waits for ever where that is switched off.
    pub async fn reload_requested(&mut self) -> ReloadRequest {
        match self.reloads.recv().await {
            Some(request) => request,
            None => std::future::pending().await,
        }
    }

    /// Where HTTP is served.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What is being published.
    #[must_use]
    pub fn exporter(&self) -> &Arc<Exporter> {
        &self.exporter
    }

    /// Whether a thread has ended although nobody asked it to.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.pipeline.is_broken()
    }

    /// Drains and ends everything; `false` when that took longer than the grace period.
    pub async fn stop(self) -> bool {
        self.exporter.begin_shutdown();
        let Daemon {
            pipeline,
            http,
            stop_http,
            grace,
            ..
        } = self;
        let drained = tokio::task::spawn_blocking(move || pipeline.stop(grace))
            .await
            .unwrap_or(false);
        if stop_http.send(()).is_err() {
            warn!("http had ended before");
        }
        let ended = tokio::time::timeout(Duration::from_secs(1), http)
            .await
            .is_ok();
        drained && ended
    }
}

/// Makes sure that the topic of the pane log is there and fit; a broker that does not answer is waited for.
fn prepare_topic(
    spec: &PanesTopicSpec,
    longest_window: Duration,
    may_create: bool,
) -> Result<(), KafkaLogError> {
    let needs = Needs {
        longest_window,
        may_create,
    };
    loop {
        let opened = ensure(spec, needs).and_then(|warnings| {
            let topic = &spec.topic;
            let tell = |warning| warn!(topic, "pane log topic: {warning}");
            warnings.into_iter().for_each(tell);
            open_partitions(spec)
        });
        match opened {
            Err(problem) if problem.may_pass() => {
                let error = format!("{:#}", anyhow::Error::new(problem));
                let brokers = spec.brokers.join(",");
                warn!(
                    brokers,
                    error, "the pane log cannot be opened yet, it will be tried again"
                );
                std::thread::sleep(Duration::from_secs(2));
            }
            other => return other,
        }
    }
}

/// The sections that differ and that a running process keeps.
fn kept(now: &Config, next: &Config) -> Vec<&'static str> {
    let sections = [
        ("web", now.web != next.web),
        ("state", now.state != next.state),
        ("limits", now.limits != next.limits),
        ("sources", now.sources != next.sources),
    ];
    let changed = sections.into_iter().filter(|(_, differs)| *differs);
    changed.map(|(name, _)| name).collect()
}

fn tell_problems(plan: &MonitorPlan) {
    let monitor = plan.spec.name.as_str();
    for problem in plan.problems.iter().chain(&plan.warnings) {
        warn!(monitor, "{problem}");
    }
    for reference in &plan.references {
        match (&reference.problem, &reference.loaded) {
            (Some(problem), _) => {
                warn!(monitor, reference = reference.name, "not loaded: {problem}")
            }
            (None, Some(loaded)) => {
                info!(
                    monitor,
                    reference = reference.name,
                    rows = loaded.rows,
                    hash = &loaded.hash[..12],
                    "loaded"
                );
            }
            (None, None) => {}
        }
    }
}

fn longest_window(plans: &[MonitorPlan]) -> Duration {
    let windows = plans.iter().flat_map(|plan| &plan.spec.windows);
    windows.map(|window| window.size).max().unwrap_or_default()
}

fn check_series<'a>(
    plans: impl Iterator<Item = &'a MonitorPlan>,
    max_series: usize,
) -> anyhow::Result<()> {
    let estimate: usize = plans.map(estimate_series).sum();
    if estimate > max_series {
        bail!(
            "the configuration may produce {estimate} series, limits.max_series is {max_series}: raise it, or monitor fewer features, windows or statistics"
        );
    }
    Ok(())
}
