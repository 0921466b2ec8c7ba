//! The start of the real program with budgeted alerts: `cargo bench --bench start_up`.
//!
//! 1,000 numeric features in two windows, the default alerts, the log in files and a broker in this
//! process. It prints the time from the start of the process to the first and to the last score and
//! threshold in `/metrics`:
//!
//! 1. with null tables stored in the reference, as `pegel fit --config` stores them: the first
//!    start, which reads the topic, and a restart, which reads the snapshot and the log;
//! 2. without them, with fewer features: the scores are there at once, and the budgeted thresholds
//!    when the tables have been simulated; then a restart with the tables in the snapshot.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a benchmark fails by panicking and reads clocks"
)]

use std::fmt::Write as _;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use pegel::calibration::NullModel;
use pegel::demo::{EmbeddedBroker, TopicProducer};
use pegel::model::{EventTime, Kind, MonitorSpec};
use pegel::reference::{Column, FeatureCalibration, FeatureReference, FitOptions, Reference, fit};
use pegel::score::Scorer;
use rand::SeedableRng as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution as _, Normal};

/// Features with stored tables.
const FEATURES: usize = 1_000;
/// Features without: each takes several simulations of 0.1 s.
const FEATURES_TO_CALIBRATE: usize = 50;
const PARTITIONS: i32 = 8;
const EVENTS_PER_MINUTE: i64 = 24;
const MINUTES: i64 = 90;
/// Minutes of each window.
const WINDOWS: [u64; 2] = [15, 60];
/// Budgeted statistics of a numeric feature: js, the body of wasserstein, and three rates.
const BUDGETED: usize = 5;
/// Exported scores of a numeric feature: these, and raw wasserstein.
const SCORES: usize = BUDGETED + 1;
const LIMIT: Duration = Duration::from_secs(1_800);
/// The directory in which cargo builds: a disk, which the directory for temporary files may not be.
const DISK: &str = env!("CARGO_TARGET_TMPDIR");

fn main() {
    let tables = stored_tables();
    println!("{FEATURES} features, two windows, stored null tables:");
    starts(FEATURES, Some(&tables));
    println!("{FEATURES_TO_CALIBRATE} features, two windows, no stored null tables:");
    starts(FEATURES_TO_CALIBRATE, None);
}

/// A first start and a restart.
fn starts(features: usize, tables: Option<&FeatureCalibration>) {
    let broker = EmbeddedBroker::start("events", PARTITIONS).unwrap();
    produce(&broker.bootstrap_servers(), features);
    let stage = Stage::new(&broker.bootstrap_servers(), features, tables);
    let first = Daemon::start(&stage.config);
    first.print_progress("first start", features);
    let stopped = Instant::now();
    first.terminate();
    println!(
        "  stop: {:.1?}; state directory {} MB, reference {} MB",
        stopped.elapsed(),
        bytes_below(&stage.directory.path().join("state")) >> 20,
        bytes_below(&stage.directory.path().join("reference.json")) >> 20,
    );
    let second = Daemon::start(&stage.config);
    second.print_progress("restart", features);
    second.terminate();
}

/// Sends the records of the last minutes.
fn produce(brokers: &str, features: usize) {
    let producer = TopicProducer::try_new(brokers, "events").unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let normal = Normal::new(10.0, 3.0).unwrap();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let first = i64::try_from(now.as_millis()).unwrap() - MINUTES * 60_000;
    for event in 0..MINUTES * EVENTS_PER_MINUTE {
        let time = first + event * 60_000 / EVENTS_PER_MINUTE;
        let mut record = format!("{{\"ts\":{time}");
        for feature in 0..features {
            write!(
                record,
                ",\"f{feature:04}\":{:.3}",
                normal.sample(&mut random)
            )
            .unwrap();
        }
        record.push('}');
        while producer.send(&event.to_string(), &record, time).is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    producer.flush(Duration::from_secs(60)).unwrap();
}

fn feature() -> FeatureReference {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let normal = Normal::new(10.0, 3.0).unwrap();
    let column = Column {
        numbers: (0..40_000).map(|_| normal.sample(&mut random)).collect(),
        ..Column::default()
    };
    fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap()
}

/// The tables of all sizes that the windows can have.
fn stored_tables() -> FeatureCalibration {
    let scorer = Scorer::new(Arc::new(feature()), MonitorSpec::DEFAULT_PSEUDO_COUNT);
    let model = NullModel::new(scorer, "bench", None);
    let largest = WINDOWS[1] * u64::try_from(EVENTS_PER_MINUTE).unwrap();
    (100..=largest).step_by(20).for_each(|n| model.prepare(n));
    model.to_stored()
}

/// A directory with a configuration and a reference.
struct Stage {
    directory: tempfile::TempDir,
    config: PathBuf,
}

impl Stage {
    fn new(brokers: &str, features: usize, tables: Option<&FeatureCalibration>) -> Self {
        let directory = tempfile::tempdir_in(DISK).unwrap();
        let fitted = feature();
        let features: Vec<FeatureReference> = (0..features)
            .map(|index| FeatureReference {
                name: format!("f{index:04}"),
                ..fitted.clone()
            })
            .collect();
        let count = features.len();
        let mut reference = Reference::new(EventTime::from_millis(0), 40_000, features);
        reference.calibration = tables.map_or_else(Vec::new, |tables| vec![tables.clone(); count]);
        reference
            .save(&directory.path().join("reference.json"))
            .unwrap();
        let config = directory.path().join("pegel.yaml");
        let [short, long] = WINDOWS;
        let text = format!(
            "version: 1
web: {{listen_address: \"127.0.0.1:0\"}}
limits: {{max_series: 500000}}
state: {{path: state}}
sources:
  s:
    kafka: {{brokers: [{brokers:?}], topics: [events], group_id: bench, start: earliest}}
monitors:
  - name: m
    source: s
    timestamp: {{path: /ts}}
    windows:
      - {{name: short, size: {short}m, slide: 1m, min_samples: 100}}
      - {{name: long, size: {long}m, slide: 1m, min_samples: 100}}
    reference: {{file: reference.json}}
    lateness: {{out_of_orderness: 0s}}
"
        );
        std::fs::write(&config, text).unwrap();
        Stage { directory, config }
    }
}

/// A running process; killed when dropped.
struct Daemon {
    child: Child,
    log_file: PathBuf,
    started: Instant,
}

impl Daemon {
    fn start(config: &Path) -> Self {
        let log_file = config.with_extension("log");
        let started = Instant::now();
        let child = Command::new(env!("CARGO_BIN_EXE_pegel"))
            .args(["run", "-c"])
            .arg(config)
            .stderr(File::create(&log_file).unwrap())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Daemon {
            child,
            log_file,
            started,
        }
    }

    /// Waits for the last score and threshold, and prints the times.
    fn print_progress(&self, title: &str, features: usize) {
        let comparisons = features * WINDOWS.len();
        let scores = self.times_of("pegel_drift_score{", comparisons * SCORES);
        let thresholds = self.times_of("pegel_drift_threshold{", comparisons * BUDGETED);
        println!(
            "  {title}: scores {:.1?} to {:.1?}, thresholds {:.1?} to {:.1?}; {:.1} s of CPU, {} MB",
            scores.0,
            scores.1,
            thresholds.0,
            thresholds.1,
            self.cpu_seconds(),
            self.resident_mb()
        );
    }

    /// The times from the start until the first and until `count` series begin with a prefix.
    fn times_of(&self, prefix: &str, count: usize) -> (Duration, Duration) {
        let mut first = None;
        loop {
            let series = self
                .get("/metrics")
                .lines()
                .filter(|line| line.starts_with(prefix))
                .count();
            let elapsed = self.started.elapsed();
            if series > 0 {
                first = first.or(Some(elapsed));
            }
            if let (true, Some(first)) = (series >= count, first) {
                return (first, elapsed);
            }
            assert!(
                elapsed < LIMIT,
                "{series} of {count} {prefix}: {}\n{}",
                self.get("/-/ready"),
                self.log_lines()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn log_lines(&self) -> String {
        std::fs::read_to_string(&self.log_file).unwrap_or_default()
    }

    /// The body of an answer, whatever its status; empty while there is none.
    fn get(&self, path: &str) -> String {
        let log_lines = self.log_lines();
        let Some((address, _)) = log_lines
            .split_once("http://")
            .and_then(|(_, rest)| rest.split_once('/'))
        else {
            return String::new();
        };
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            .build()
            .into();
        agent
            .get(format!("http://{address}{path}"))
            .call()
            .ok()
            .and_then(|mut answer| {
                answer
                    .body_mut()
                    .with_config()
                    .limit(1 << 30)
                    .read_to_string()
                    .ok()
            })
            .unwrap_or_default()
    }

    /// Time of all threads on processors.
    fn cpu_seconds(&self) -> f64 {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let nanoseconds: u64 = tasks
            .flatten()
            .filter_map(|task| std::fs::read_to_string(task.path().join("schedstat")).ok())
            .filter_map(|schedule| schedule.split(' ').next()?.parse::<u64>().ok())
            .sum();
        Duration::from_nanos(nanoseconds).as_secs_f64()
    }

    fn resident_mb(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        status
            .lines()
            .find(|line| line.starts_with("VmRSS"))
            .and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
            .unwrap_or_default()
            / 1024
    }

    /// Ends the process as an operator would.
    fn terminate(mut self) {
        let mut kill = Command::new("kill");
        kill.arg(self.child.id().to_string());
        assert!(kill.status().unwrap().success(), "kill");
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}: {}", self.log_lines());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// The size of a file, or of all files of a directory.
fn bytes_below(path: &Path) -> u64 {
    match std::fs::read_dir(path) {
        Ok(entries) => entries
            .flatten()
            .map(|entry| bytes_below(&entry.path()))
            .sum(),
        Err(_) => std::fs::metadata(path).map_or(0, |metadata| metadata.len()),
    }
}
