//! `pegel demo`: the daemon on an embedded broker whose stream breaks and recovers.
//!
//! One process holds the broker, the generator, the daemon and the narrator, so a newcomer needs no
//! Kafka, no configuration and no data. The parts are in [`crate::demo`].

use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::exit::Exit;
use super::logging::{LogFormat, start_logging};
use super::runtime::runtime;
use crate::app::Daemon;
use crate::clock;
use crate::config::Config;
use crate::demo::EmbeddedBroker;
use crate::demo::generator::Generator;
use crate::demo::narrator::Narrator;
use crate::demo::scenario::{self, PARTITIONS, TOPIC};

/// Arguments of `pegel demo`.
#[derive(Debug, Args)]
pub(super) struct DemoArgs {
    /// Speed of the generator's clock relative to the wall clock, 0.1 to 1000
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Exit after this wall time, such as 3m
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Address of the page and the metrics
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:10987")]
    listen: String,
    /// Seed of the generated stream
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=1000.0).contains(&speed) => Ok(speed),
        _ => Err("expected a number between 0.1 and 1000".to_owned()),
    }
}

/// Runs the demo until a signal arrives or its time is over.
///
/// # Errors
/// The broker, the generator or the daemon cannot be started.
pub(super) fn run(args: &DemoArgs) -> anyhow::Result<Exit> {
    // The narrator tells of the alerts.
    start_logging(
        LogFormat::Text,
        None,
        "warn,pegel::app::score::alert_log=error",
    );
    let directory = tempfile::tempdir().context("no temporary directory for the reference")?;
    let reference = directory.path().join("loans.json");
    scenario::reference(args.seed)?.save(&reference)?;
    let broker = EmbeddedBroker::start(TOPIC, PARTITIONS)?;
    let brokers = broker.bootstrap_servers();
    let config = scenario::config(&brokers, &reference, &args.listen)?;
    let exit = runtime()?.block_on(serve(args, config, &brokers));
    drop(broker);
    exit
}

/// Starts the daemon and the generator, waits, and stops both.
async fn serve(args: &DemoArgs, config: Config, brokers: &str) -> anyhow::Result<Exit> {
    let daemon = start_daemon(config, &args.listen).await?;
    let began = clock::monotonic();
    let generator = Generator::start(brokers, args.seed, args.speed, began)?;
    let mut narrator = Narrator::new(args.speed, began);
    narrator.introduce(daemon.address());
    let exit = watch(&daemon, &mut narrator, args.duration, began).await;
    generator.request_stop();
    let is_drained = daemon.stop().await;
    generator.join();
    narrator.conclude(is_drained);
    exit
}

/// Starts the daemon on the requested address, or on a free port of the host if that one is taken.
async fn start_daemon(config: Config, listen: &str) -> anyhow::Result<Daemon> {
    match Daemon::start(config.clone()).await {
        Err(error) if error.chain().any(|cause| cause.is::<std::io::Error>()) => {
            anstream::eprintln!("{listen} is not available, using a free port");
            let host = listen
                .rsplit_once(':')
                .map_or("127.0.0.1", |(host, _)| host);
            let mut on_free_port = config;
            on_free_port.web.listen_address = format!("{host}:0");
            Daemon::start(on_free_port).await
        }
        started => started,
    }
}

/// Updates the narrator every 100 ms until a signal, the end of `duration`, or a broken daemon.
async fn watch(
    daemon: &Daemon,
    narrator: &mut Narrator,
    duration: Option<Duration>,
    began: Instant,
) -> anyhow::Result<Exit> {
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(Exit::Ok),
            _ = interrupt.recv() => return Ok(Exit::Ok),
            _ = ticks.tick() => narrator.update(&daemon.exporter().view()),
        }
        if daemon.is_broken() {
            return Ok(Exit::Failure);
        }
        if duration.is_some_and(|duration| began.elapsed() >= duration) {
            return Ok(Exit::Ok);
        }
    }
}
