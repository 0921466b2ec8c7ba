//! The running daemon: from a configuration to threads and a port, and back to nothing.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use super::{Ingester, Pipeline, load_monitor};
use crate::config::Config;
use crate::engine::{Engine, MonitorPlan};
use crate::export::{Exporter, estimate_series, serve};
use crate::ingest::{Ingest, observer_plan};
use crate::model::SourceSpec;
use crate::source::{KafkaSource, Source};

/// A started daemon.
#[derive(Debug)]
pub struct Daemon {
    address: SocketAddr,
    exporter: Arc<Exporter>,
    pipeline: Pipeline,
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
        let grace = config.limits.shutdown_grace;
        let plans: Vec<MonitorPlan> = config.monitors.into_iter().map(load_monitor).collect();
        plans.iter().for_each(tell_problems);
        check_series(&plans, config.limits.max_series)?;
        let exporter = Arc::new(Exporter::new(
            config.sources.iter().map(|source| source.name.as_str()),
            config.limits.max_series,
        ));
        let address = &config.web.listen_address;
        let listener = TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        let address = listener.local_addr()?;
        let engine = Engine::new(plans);
        let plans: Vec<Arc<MonitorPlan>> = (0..engine.monitors())
            .map(|index| Arc::clone(engine.plan(index)))
            .collect();
        let max_bytes = config.limits.max_message_bytes;
        let ingesters = config
            .sources
            .into_iter()
            .map(|spec| ingester(spec, &plans, max_bytes, &exporter))
            .collect();
        let publisher = Arc::clone(&exporter);
        let publish = Box::new(move |snapshot| publisher.publish(snapshot));
        let pipeline = Pipeline::start(engine, ingesters, config.state.flush_interval, publish)?;
        let (stop_http, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let http = tokio::spawn(serve(listener, Arc::clone(&exporter), shutdown));
        info!(%address, "metrics, page and API at http://{address}/");
        Ok(Daemon {
            address,
            exporter,
            pipeline,
            http,
            stop_http,
            grace,
        })
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

/// One source's thread-to-be: the client is made on the thread that will own it.
fn ingester(
    spec: SourceSpec,
    plans: &[Arc<MonitorPlan>],
    max_bytes: usize,
    exporter: &Exporter,
) -> Ingester {
    let ingest = Ingest::new(observer_plan(&spec.name, plans), max_bytes);
    let report = exporter.kafka(&spec.name);
    let (brokers, topics) = (spec.kafka.brokers.join(","), spec.kafka.topics.join(","));
    info!(source = spec.name, brokers, topics, "reading");
    let (name, own) = (spec.name.clone(), Arc::clone(&report));
    let source =
        Box::new(move || Ok(Box::new(KafkaSource::try_new(&spec, own)?) as Box<dyn Source>));
    Ingester {
        name,
        source,
        ingest,
        report,
    }
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

fn check_series(plans: &[MonitorPlan], max_series: usize) -> anyhow::Result<()> {
    let estimate: usize = plans.iter().map(estimate_series).sum();
    if estimate > max_series {
        bail!(
            "the configuration may produce {estimate} series, limits.max_series is {max_series}: raise it, or monitor fewer features, windows or statistics"
        );
    }
    Ok(())
}
