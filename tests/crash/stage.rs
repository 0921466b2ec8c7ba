//! The setting of a test: a topic, a directory with a configuration and a reference, and the counts
//! that a process must show at the end.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use pegel::engine::{Engine, EngineSnapshot};
use pegel::pane_log::file::{FileLog, RecoveredEntry};
use pegel::pane_log::{Record, SchemaTable, decode_with, read};
use rdkafka::consumer::Consumer as _;
use rdkafka::message::Message as _;

use crate::chaos::eventually;
use crate::cluster::Kafka;
use crate::daemon::Daemon;
use crate::recount::{consumer, each_record, engine, lines, recount, scrape_of};
use crate::workload::Workload;

const CATCH_UP: Duration = Duration::from_secs(120);
/// Partitions of the log in a topic; the last one is for snapshots.
pub(crate) const PANES: i32 = 4;

/// The location of the pane log.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Log {
    Files,
    Topic(String),
}

/// A topic to read, and processes that read it.
pub(crate) struct Stage {
    directory: tempfile::TempDir,
    log: Log,
    pub(crate) bootstrap: String,
    pub(crate) topic: String,
    pub(crate) config: PathBuf,
    /// The settings that make a process a static member of its group, if it is one.
    instance: &'static str,
    /// More properties of the Kafka client.
    fetches: &'static str,
}

impl Stage {
    /// One machine with the log in files.
    pub(crate) fn new(kafka: &Kafka, topic: &str) -> Self {
        Self::with(kafka, topic, Log::Files)
    }

    /// Several machines with the log in a topic.
    pub(crate) fn on_topic(kafka: &Kafka, topic: &str) -> Self {
        Self::with(kafka, topic, Log::Topic(format!("{topic}-panes")))
    }

    fn with(kafka: &Kafka, topic: &str, log: Log) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fit_reference(directory.path());
        let mut stage = Stage {
            directory,
            log,
            bootstrap: kafka.bootstrap.clone(),
            topic: topic.to_owned(),
            config: PathBuf::new(),
            instance: ", group.instance.id: all",
            fetches: "",
        };
        stage.config = stage.configure("pegel", "");
        stage
    }

    /// A setting with one more property of the Kafka client.
    pub(crate) fn configure(&self, name: &str, property: &str) -> PathBuf {
        let state = match &self.log {
            Log::Files => "path: state".to_owned(),
            Log::Topic(panes) => {
                format!("panes_topic: {panes}, panes_partitions: {PANES}, snapshot_interval: 2s")
            }
        };
        let path = self.directory.path().join(format!("{name}.yaml"));
        let properties = format!("{}{property}", self.fetches);
        let text = configuration(&self.bootstrap, &self.topic, &state, &properties);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A process with one of the roles; `name` distinguishes it from others.
    pub(crate) fn role(&self, role: &str, name: &str, config: &Path) -> Daemon {
        let output = self.directory.path().join(format!("said-{name}"));
        Daemon::start(config, &["--role", role, "--create-topics"], &output)
    }

    /// The topic that holds the log.
    pub(crate) fn panes(&self) -> &str {
        match &self.log {
            Log::Files => panic!("the log is in files"),
            Log::Topic(panes) => panes,
        }
    }

    /// Waits until the topic of the log exists; the first process that misses it creates it.
    pub(crate) fn has_panes(&self) -> bool {
        let metadata = consumer(&self.bootstrap).fetch_metadata(Some(self.panes()), CATCH_UP);
        metadata.is_ok_and(|metadata| metadata.topics()[0].partitions().len() > 1)
    }

    pub(crate) fn workload(&self, partitions: i32, seed: u64) -> Workload {
        Workload::new((&self.bootstrap, &self.topic), partitions, seed)
    }

    /// Processes as dynamic members of the group. A static member that leads its group gets its old
    /// assignment back after a restart, and nobody looks for partitions that were added meanwhile
    /// (KAFKA-13435).
    pub(crate) fn with_dynamic_members(mut self) -> Self {
        self.instance = "";
        self
    }

    /// Processes that fetch one batch at a time, so that little is in flight to a stopped process.
    pub(crate) fn with_small_fetches(mut self) -> Self {
        self.fetches = ", fetch.message.max.bytes: 1000";
        self.config = self.configure("pegel", "");
        self
    }

    /// One process with both roles. With the log in a topic it is a static member of its group,
    /// which gets its partitions back at once.
    pub(crate) fn daemon(&self) -> Daemon {
        match &self.log {
            Log::Files => Daemon::start(&self.config, &[], &self.directory.path().join("said")),
            Log::Topic(_) => {
                let config = self.configure("all", self.instance);
                self.role("all", "all", &config)
            }
        }
    }

    pub(crate) fn recount(&self) -> Engine {
        recount(&self.config, &self.bootstrap, &self.topic)
    }

    pub(crate) fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    /// Waits until a process shows all counts that follow from the topic.
    pub(crate) fn expect(daemon: &Daemon, expected: &Engine) {
        let wanted = scrape_of(expected);
        let is_there = || (lines(&daemon.scrape()) == lines(&wanted)).then_some(());
        let instead = || difference(&daemon.scrape(), &wanted);
        eventually(CATCH_UP, is_there, instead);
    }

    /// Bytes of all segments of the log.
    pub(crate) fn log_bytes(&self) -> u64 {
        let entries = std::fs::read_dir(self.state())
            .into_iter()
            .flatten()
            .flatten();
        let is_segment = |path: &Path| path.extension().is_some_and(|end| end == "panes");
        let segments = entries.filter(|entry| is_segment(&entry.path()));
        let sizes = segments.filter_map(|entry| Some(entry.metadata().ok()?.len()));
        sizes.sum()
    }

    /// The engine restored from the log, which nobody writes any more.
    pub(crate) fn read_log(&self) -> Engine {
        self.read_log_and_losses().0
    }

    /// The engine restored from the log, and the number of offsets that its commits report as lost.
    pub(crate) fn read_log_and_losses(&self) -> (Engine, u64) {
        match &self.log {
            Log::Files => self.read_files(),
            Log::Topic(panes) => self.read_panes(panes),
        }
    }

    fn read_files(&self) -> (Engine, u64) {
        let ((_, mut engine), mut lost) = (engine(&self.config), 0);
        let opened = FileLog::open(&self.state(), &mut |actual| match actual {
            RecoveredEntry::Snapshot(bytes) => {
                engine.restore(read::<EngineSnapshot>(&bytes).unwrap())
            }
            RecoveredEntry::Commit(position, commit, bytes) => {
                engine.accept(0, position, &commit.claim()).unwrap();
                lost += commit.offsets_lost;
                engine.ingest_counts(0, &commit, bytes);
                engine.advance(0, &mut |_, _| ());
            }
        });
        opened.unwrap();
        (engine, lost)
    }

    /// Folds the whole topic, one partition after another; windows advance once all of it is read.
    fn read_panes(&self, panes: &str) -> (Engine, u64) {
        let ((_, mut engine), mut lost) = (engine(&self.config), 0);
        let mut schemas = SchemaTable::default();
        each_record(&self.bootstrap, panes, &mut |message| {
            let partition = u32::try_from(message.partition()).unwrap();
            let record = decode_with(message.payload().unwrap(), &mut schemas).unwrap();
            if let Record::Commit(commit) = record
                && engine
                    .accept(partition, message.offset(), &commit.claim())
                    .is_ok()
            {
                lost += commit.offsets_lost;
                engine.ingest_counts(partition, &commit, 0);
            }
        });
        engine.advance(0, &mut |_, _| ());
        (engine, lost)
    }
}

/// The first samples that differ from the expected ones.
fn difference(actual: &str, expected: &str) -> String {
    let (actual, expected) = (lines(actual), lines(expected));
    let not_in = |these: &[&str], others: &[&str]| -> Vec<String> {
        let missing = these.iter().filter(|line| !others.contains(line));
        missing.take(20).map(|line| (*line).to_owned()).collect()
    };
    format!(
        "found {:#?}, expected {:#?}",
        not_in(&actual, &expected),
        not_in(&expected, &actual)
    )
}

pub(crate) fn configuration(brokers: &str, topic: &str, state: &str, property: &str) -> String {
    format!(
        "version: 1
web: {{listen_address: \"127.0.0.1:0\"}}
state: {{flush_interval: 100ms, {state}}}
sources:
  s:
    kafka:
      brokers: [{brokers:?}]
      topics: [{topic:?}]
      group_id: {topic:?}
      start: earliest
      properties: {{session.timeout.ms: 6000, heartbeat.interval.ms: 500{property}}}
monitors:
  - name: m
    source: s
    timestamp: {{path: /ts, fallback: none}}
    windows: [{{size: 1h, slide: 5m, min_samples: 1}}]
    reference: {{file: reference.json}}
    alerts: []
    lateness: {{out_of_orderness: 0s, idle_after: 1h}}
"
    )
}

/// Fits the reference that the configuration names.
pub(crate) fn fit_reference(directory: &Path) {
    let row = |row: u32| format!("{},{},c{}\n", row % 100, row % 100 * 3, row % 10);
    let rows: String = (0..2000).map(row).collect();
    std::fs::write(directory.join("data.csv"), format!("x,y,c\n{rows}")).unwrap();
    fit(directory);
}

/// Fits `reference.json` to `data.csv`.
pub(crate) fn fit(directory: &Path) {
    let fit = Command::new(env!("CARGO_BIN_EXE_pegel"))
        .args(["fit", "data.csv", "-o", "reference.json"])
        .current_dir(directory)
        .stderr(Stdio::null())
        .status();
    assert!(fit.unwrap().success(), "fit");
}
