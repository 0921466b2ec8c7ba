//! What a source says about its connection: plain numbers that the shell publishes and the scrape shows.

use std::collections::BTreeMap;

/// The state of one Kafka source at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct KafkaReport {
    /// Whether a broker answers.
    pub up: bool,
    /// What is wrong, in one line; `None` when nothing is.
    pub problem: Option<String>,
    /// Per topic.
    pub topics: BTreeMap<String, TopicReport>,
    /// Rebalances by kind (`assigned`, `revoked`), also those that a source decides itself: partitions found, topics made anew.
    pub rebalances: BTreeMap<&'static str, u64>,
    /// Errors by librdkafka's code, lower case.
    pub errors: BTreeMap<String, u64>,
}

/// What was read of one topic.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TopicReport {
    /// Records read, also those that could not be decoded.
    pub records: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Records without a payload.
    pub tombstones: u64,
    /// Offsets that retention took before they were read; an upper bound on records.
    pub offsets_lost: u64,
    /// Partitions being read, each with its lag in records where it is known.
    pub lags: BTreeMap<i32, Option<u64>>,
}

/// How a reader of the pane log stands at one moment.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct LogReport {
    /// Why what it shows is not yet what the log holds; `None` when it is.
    pub problem: Option<String>,
    /// How long it took to read what was there at the start, in seconds.
    pub recovery_seconds: Option<f64>,
    /// By partition of the log; a file is partition 0.
    pub partitions: BTreeMap<u32, LogPartition>,
}

/// How one partition of the pane log was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LogPartition {
    /// The record to read next.
    pub next: i64,
    /// Records not read yet; `None` = not known.
    pub lag: Option<u64>,
    /// Hash of the counts accepted before the record `hashed_at`.
    pub hash: u64,
    /// A position that readers have in common.
    pub hashed_at: i64,
}

/// What a cluster calls a topic from its creation to its deletion; one created anew under the same name has another.
pub type TopicId = [u8; 16];

/// One source's partition, and which life of it: a re-created topic is a new shard.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct Shard {
    /// The source's name.
    pub source: String,
    /// The cluster's own id, empty where there is none.
    pub cluster: String,
    /// Topic, or file.
    pub topic: String,
    /// Partition; 0 for a file.
    pub partition: i32,
    /// Goes up when the topic is created anew.
    pub incarnation: u32,
}
