//! Measures how long a scorer with a thousand features takes to show its scores, with the log in a
//! topic: `cargo test --release --test crash -- --ignored --nocapture --test-threads 1
//! scorer_start`.

use std::fmt::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};
use rdkafka::producer::{BaseProducer, Producer as _};

use crate::chaos::{eventually, from_environment};
use crate::cluster::{DEADLINE, kafka, producer, send_one};
use crate::daemon::{Daemon, sum};
use crate::stage::fit;

const FEATURES: usize = 1000;
const PARTITIONS: i32 = 64;
/// Records of each partition and pane that exist when the processes start.
const BEFORE: i64 = 2;
const PATIENCE: Duration = Duration::from_secs(900);
const READY: &str = "pegel_score_ready{";

#[test]
#[ignore = "a measurement of twenty minutes"]
fn a_scorer_of_windows_of_a_day() {
    measure("24h", "15m", Duration::from_secs(60));
}

#[test]
#[ignore = "a measurement of twenty minutes"]
fn a_scorer_of_windows_of_an_hour() {
    measure("1h", "4m", Duration::from_secs(10));
}

/// Fills a window, writes until the log is long, then starts a second scorer and waits for every
/// score.
fn measure(size: &str, slide: &str, goal: Duration) {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(PARTITIONS);
    let directory = tempfile::tempdir().unwrap();
    fit_reference(directory.path());
    let config = directory.path().join("pegel.yaml");
    std::fs::write(
        &config,
        configuration(&kafka.bootstrap, &topic, size, slide),
    )
    .unwrap();
    let [size, slide] = [size, slide].map(|text| humantime::parse_duration(text).unwrap());
    let mut source = Source::new(&kafka.bootstrap, topic);
    source.fill(size, slide);
    let role = |role: &str| {
        let output = directory.path().join(format!("said-{role}"));
        Daemon::start(&config, &["--role", role, "--create-topics"], &output)
    };
    let (ingester, first) = (role("ingest"), role("score"));
    eventually(
        PATIENCE,
        || is_ready(&first).then_some(()),
        || first.log_lines(),
    );
    println!(
        "the first scorer, on an empty log: {:?}",
        first.spawned.elapsed()
    );
    let minutes = from_environment("PEGEL_TEST_MINUTES", 9_u64);
    source.write_for(Duration::from_secs(60 * minutes));
    first.kill();
    let second = role("score");
    eventually(
        PATIENCE,
        || is_ready(&second).then_some(()),
        || second.log_lines(),
    );
    let took = second.spawned.elapsed();
    println!("a scorer of {size:?} after {minutes} minutes of log: {took:?}");
    drop(ingester);
    assert!(
        took <= goal,
        "{took:?}, not {goal:?}: {}",
        second.log_lines()
    );
}

fn is_ready(daemon: &Daemon) -> bool {
    (sum(&daemon.scrape(), READY) - FEATURES as f64).abs() < 0.5
}

/// The records with all features.
struct Source {
    producer: BaseProducer,
    topic: String,
    random: ChaCha8Rng,
}

impl Source {
    fn new(bootstrap: &str, topic: String) -> Self {
        Source {
            producer: producer(
                bootstrap,
                &[("compression.type", "zstd"), ("linger.ms", "100")],
            ),
            topic,
            random: ChaCha8Rng::seed_from_u64(1),
        }
    }

    /// The panes of a whole window, and a few more, up to now.
    fn fill(&mut self, size: Duration, slide: Duration) {
        let pane_ms = i64::try_from(slide.as_millis()).unwrap();
        let panes = i64::try_from(size.as_millis()).unwrap() / pane_ms + 3;
        let now_ms = pegel::clock::now().as_millis();
        for pane in (0..panes).rev() {
            for record in 0..BEFORE {
                self.round(now_ms - pane * pane_ms - record * 1000);
            }
            self.producer.flush(DEADLINE).unwrap();
        }
    }

    fn write_for(&mut self, duration: Duration) {
        let end = Instant::now() + duration;
        while Instant::now() < end {
            self.round(pegel::clock::now().as_millis());
            self.producer.flush(DEADLINE).unwrap();
            std::thread::sleep(Duration::from_millis(700));
        }
    }

    /// Writes a record to every partition.
    fn round(&mut self, ts: i64) {
        let distribution = Normal::new(50.0, 20.0).unwrap();
        for partition in 0..PARTITIONS {
            let mut record = format!("{{\"ts\":{ts}");
            for feature in 0..FEATURES {
                let x: f64 = distribution.sample(&mut self.random);
                write!(record, ",\"x{feature}\":{x:.2}").unwrap();
            }
            record.push('}');
            send_one(&self.producer, &self.topic, partition, Some(&record), None);
        }
    }
}

fn configuration(brokers: &str, topic: &str, size: &str, slide: &str) -> String {
    format!(
        "version: 1
limits: {{max_series: 40000}}
web: {{listen_address: \"127.0.0.1:0\"}}
state: {{flush_interval: 10s, panes_topic: {topic}-panes, panes_partitions: 17}}
sources:
  s:
    kafka: {{brokers: [{brokers:?}], topics: [{topic:?}], group_id: {topic:?}, start: earliest}}
monitors:
  - name: m
    source: s
    timestamp: {{path: /ts, fallback: none}}
    windows: [{{size: {size}, slide: {slide}}}]
    reference: {{file: reference.json}}
    alerts: []
    lateness: {{out_of_orderness: 5s, idle_after: 30s}}
"
    )
}

fn fit_reference(directory: &Path) {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let distribution = Normal::new(50.0, 20.0).unwrap();
    let names: Vec<String> = (0..FEATURES).map(|feature| format!("x{feature}")).collect();
    let mut rows = names.join(",");
    for _ in 0..5000 {
        let row: Vec<String> = names
            .iter()
            .map(|_| format!("{:.2}", distribution.sample(&mut random)))
            .collect();
        rows.push('\n');
        rows.push_str(&row.join(","));
    }
    std::fs::write(directory.join("data.csv"), rows).unwrap();
    fit(directory);
}
