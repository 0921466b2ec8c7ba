//! `pegel demo`: the same engine on a stream that breaks and recovers, with nothing to install.
//!
//! One process holds an embedded broker, a producer that plays a loan-scoring service, and the daemon that reads it. The terminal tells the story; the numbers
//! in it come from the published snapshot, as they would for Prometheus.

mod broker;
pub mod loans;
mod narrator;
mod producer;

pub use broker::{BrokerError, EmbeddedBroker};
pub use producer::TopicProducer;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use rustc_hash::FxHashMap;
use tokio::signal::unix::{SignalKind, signal};

use self::loans::{Application, FEATURES, LoanService, Phase};
use self::narrator::Story;
use crate::app::Daemon;
use crate::cli::Exit;
use crate::cli::run::{LogFormat, runtime, start_logging};
use crate::clock;
use crate::config::{self, Config, Overrides};
use crate::model::{EventTime, Kind};
use crate::reference::{Column, FitOptions, Reference, fit};

/// Arguments of `pegel demo`.
#[derive(Debug, Args)]
pub struct DemoArgs {
    /// How many times faster than the wall the generator's clock runs
    #[arg(long, default_value_t = 1.0, value_parser = speed)]
    speed: f64,
    /// Exit after this much wall time, as 3m
    #[arg(long = "for", value_name = "DURATION", value_parser = humantime::parse_duration)]
    duration: Option<Duration>,
    /// Where to serve the page and the metrics
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:10987")]
    listen: String,
    /// The stream follows from this number
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

const TOPIC: &str = "loans.scored";
const PARTITIONS: i32 = 4;
/// Applications per second of the generator's clock.
const RATE: f64 = 100.0;
const REFERENCE_ROWS: i64 = 20_000;
/// The generator's day: healthy, broken from one minute on, healthy again, and over.
const BREAKS_AT: Duration = Duration::from_secs(60);
const RECOVERS_AT: Duration = Duration::from_secs(150);
const PERIOD: Duration = Duration::from_secs(300);

fn speed(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(speed) if (0.1..=1000.0).contains(&speed) => Ok(speed),
        _ => Err("expected a number between 0.1 and 1000".to_owned()),
    }
}

/// Runs the demo until it is interrupted or its time is over.
///
/// # Errors
/// The broker, the producer or the daemon cannot be started.
pub fn run(args: &DemoArgs) -> anyhow::Result<Exit> {
    start_logging(LogFormat::Text, "warn");
    let directory = tempfile::tempdir().context("no room for the demo's reference")?;
    let reference = directory.path().join("loans.json");
    fit_reference(args.seed)?.save(&reference)?;
    let broker = EmbeddedBroker::start(TOPIC, PARTITIONS)?;
    let brokers = broker.bootstrap_servers();
    let config = demo_config(&brokers, &reference, &args.listen)?;
    let stop = Arc::new(AtomicBool::new(false));
    let exit = runtime()?.block_on(async {
        let daemon = start(config, &args.listen).await?;
        let began = clock::monotonic();
        let generator = start_generator(args, &brokers, began, Arc::clone(&stop))?;
        let mut story = Story::new(args, began);
        story.open(&daemon);
        let exit = watch(&daemon, &mut story, args.duration, began).await;
        stop.store(true, Ordering::Relaxed);
        let drained = daemon.stop().await;
        drop(generator.join());
        story.close(drained);
        exit
    });
    drop(broker);
    exit
}

/// The daemon on the port asked for, or on a free one when that is taken.
async fn start(config: Config, listen: &str) -> anyhow::Result<Daemon> {
    match Daemon::start(config.clone()).await {
        Err(error) if error.chain().any(|cause| cause.is::<std::io::Error>()) => {
            anstream::eprintln!("{listen} is taken, a free port is used instead");
            let mut config = config;
            let host = listen
                .rsplit_once(':')
                .map_or("127.0.0.1", |(host, _)| host);
            config.web.listen_address = format!("{host}:0");
            Daemon::start(config).await
        }
        started => started,
    }
}

async fn watch(
    daemon: &Daemon,
    story: &mut Story,
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
            _ = ticks.tick() => story.tell(&daemon.exporter().view()),
        }
        if daemon.is_broken() {
            return Ok(Exit::Failure);
        }
        if duration.is_some_and(|duration| began.elapsed() >= duration) {
            return Ok(Exit::Ok);
        }
    }
}

/// What the service looked like when all was well.
fn fit_reference(seed: u64) -> anyhow::Result<Reference> {
    let mut service = LoanService::new(seed ^ 0x5eed);
    let rows: Vec<Application> = (0..REFERENCE_ROWS)
        .map(|i| service.next(EventTime::from_millis(i), Phase::Healthy))
        .collect();
    let numbers = |of: fn(&Application) -> Option<f64>| {
        let numbers: Vec<f64> = rows.iter().filter_map(of).collect();
        let mut column = Column::default();
        column.tallies.missing[0] = (rows.len() - numbers.len()) as u64;
        Column { numbers, ..column }
    };
    let words = |of: fn(&Application) -> &'static str| {
        let mut categories: FxHashMap<Box<str>, u64> = FxHashMap::default();
        rows.iter()
            .for_each(|row| *categories.entry(of(row).into()).or_default() += 1);
        Column {
            categories,
            ..Column::default()
        }
    };
    let features = FEATURES.map(|name| {
        let (kind, column) = match name {
            "amount" => (Kind::Numeric, numbers(|row| Some(row.amount))),
            "income" => (Kind::Numeric, numbers(|row| Some(row.income))),
            "age" => (Kind::Numeric, numbers(|row| Some(f64::from(row.age)))),
            "employment_months" => (
                Kind::Numeric,
                numbers(|row| row.employment_months.map(f64::from)),
            ),
            "score" => (Kind::Numeric, numbers(|row| Some(row.score))),
            "country" => (Kind::Categorical, words(|row| row.country)),
            _ => (Kind::Categorical, words(|row| row.channel)),
        };
        fit(name, kind, column, &FitOptions::default())
    });
    let features = features.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(Reference::new(clock::now(), rows.len() as u64, features))
}

fn demo_config(brokers: &str, reference: &Path, listen: &str) -> anyhow::Result<Config> {
    let brokers: Vec<&str> = brokers.split(',').collect();
    let text = format!(
        "version: 1
web: {{listen_address: {listen:?}}}
state: {{flush_interval: 200ms}}
sources:
  loans: {{kafka: {{brokers: {brokers:?}, topics: [{TOPIC}], start: earliest}}}}
monitors:
  - name: loans
    source: loans
    select: {{where: {{path: /model, equals: loans-v7}}}}
    timestamp: {{path: /ts}}
    windows: [{{name: 1m, size: 1m, slide: 5s, min_samples: 500}}]
    reference: {{file: {reference:?}}}
    lateness: {{out_of_orderness: 2s, idle_after: 5s, max_future: 1year}}
    statistics: [js, kl, wasserstein, wasserstein_normalized]
    features: [{{name: score, role: prediction}}]
    features_from: reference
    alerts:
      - {{statistic: js, warning: 0.05, critical: 0.1, for: 2, keep_firing_for: 1}}
      - {{statistic: wasserstein_normalized, critical: 0.5, for: 2, keep_firing_for: 1}}
      - {{statistic: missing_ratio, critical: 0.22, for: 2, keep_firing_for: 1, features: [employment_months]}}
      - {{statistic: unseen_ratio, critical: 0.02, for: 2, keep_firing_for: 1, features: [country]}}
"
    );
    let mut config = config::parse(Path::new("/demo.yaml"), &text, &Overrides::default())?;
    // The broker forgets everything, and so does the demo.
    config.state.path = None;
    Ok(config)
}

fn phase_at(elapsed: Duration) -> Phase {
    let into =
        Duration::from_nanos(u64::try_from(elapsed.as_nanos() % PERIOD.as_nanos()).unwrap_or(0));
    if (BREAKS_AT..RECOVERS_AT).contains(&into) {
        Phase::Broken
    } else {
        Phase::Healthy
    }
}

fn start_generator(
    args: &DemoArgs,
    brokers: &str,
    began: Instant,
    stop: Arc<AtomicBool>,
) -> anyhow::Result<std::thread::JoinHandle<()>> {
    let producer = TopicProducer::try_new(brokers, TOPIC)?;
    let (speed, mut service, start) = (args.speed, LoanService::new(args.seed), clock::now());
    let generate = move || {
        let mut at = Duration::ZERO;
        while !stop.load(Ordering::Relaxed) {
            let clock = began.elapsed().mul_f64(speed);
            while at < clock {
                let time = start.plus(at);
                let application = service.next(time, phase_at(at));
                let payload = serde_json::to_string(&application).unwrap_or_default();
                if let Err(error) = producer.send(application.country, &payload, time.as_millis()) {
                    tracing::debug!(%error, "the producer's queue is full");
                }
                at += Duration::from_secs_f64(service.pause_secs(LoanService::rate(time, RATE)));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(producer.flush(Duration::from_secs(1)));
    };
    Ok(std::thread::Builder::new()
        .name("loans".to_owned())
        .spawn(generate)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upstream_breaks_after_a_minute_and_recovers() {
        let check = |second: u64, phase: Phase| {
            assert_eq!(
                phase_at(Duration::from_secs(second)),
                phase,
                "at {second} s"
            )
        };
        check(0, Phase::Healthy);
        check(59, Phase::Healthy);
        check(60, Phase::Broken);
        check(149, Phase::Broken);
        check(150, Phase::Healthy);
        check(360, Phase::Broken);
    }

    #[test]
    fn the_configuration_of_the_demo_is_valid() {
        let config = demo_config(
            "127.0.0.1:1,127.0.0.1:2",
            Path::new("/tmp/a b.json"),
            "127.0.0.1:0",
        )
        .unwrap();
        assert_eq!(config.sources[0].kafka.brokers.len(), 2, "brokers");
    }
}
