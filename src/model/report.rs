//! Progress reports of sources and of readers of the pane log.
//!
//! Plain numbers that the IO side publishes and the exporter shows. They carry no counts of events:
//! those come from the engine.

use std::collections::BTreeMap;

/// The state of one Kafka source at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KafkaReport {
    /// True while a broker answers.
    pub up: bool,
    /// The current problem, in one line.
    pub problem: Option<String>,
    /// Progress by topic.
    pub topics: BTreeMap<String, TopicReport>,
    /// Rebalances by kind (`assigned`, `revoked`). Includes changes that the source makes itself:
    /// discovered partitions and re-created topics.
    pub rebalances: BTreeMap<&'static str, u64>,
    /// Errors by librdkafka's code, in lower case.
    pub errors: BTreeMap<String, u64>,
}

/// Progress in one topic since the process started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicReport {
    /// Records read, including those that could not be decoded.
    pub records: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Records without a payload.
    pub tombstones: u64,
    /// Offsets that retention deleted before they were read; an upper bound on lost records.
    pub offsets_lost: u64,
    /// Assigned partitions, each with its lag in records if that is known.
    pub lags: BTreeMap<i32, Option<u64>>,
}

/// The state of a reader of the pane log at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogReport {
    /// The reason why its view lags behind the log; `None` if the view is current.
    pub problem: Option<String>,
    /// The reasons why the commits of this process wait.
    pub publisher_problems: Vec<String>,
    /// Comparisons of a feature in a window with a reference that have null tables, and all that
    /// need them; `None` if none waits for its first ones.
    pub calibrating: Option<(usize, usize)>,
    /// True until everything is read that the log held at the start.
    pub is_recovering: bool,
    /// Seconds it took to read the records that the log held at start.
    pub recovery_seconds: Option<f64>,
    /// Progress by partition of the log; a file is partition 0.
    pub partitions: BTreeMap<u32, LogPartition>,
    /// Snapshots that this process wrote to the log.
    pub snapshots: SnapshotCounts,
}

/// Snapshots written to the pane log since the start of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SnapshotCounts {
    /// Snapshots of which every piece was acknowledged.
    pub written: u64,
    /// Snapshots of which a piece was refused or not acknowledged in time; they are written again.
    pub failed: u64,
}

/// Progress in one partition of the pane log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogPartition {
    /// Position of the next record to read.
    pub next: i64,
    /// Unread records, if known.
    pub lag: Option<u64>,
    /// Hash of the counts that were accepted before position `hashed_at`.
    pub hash: u64,
    /// A position at which all readers take the hash, so that hashes can be compared.
    pub hashed_at: i64,
}
