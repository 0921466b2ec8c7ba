//! Where records and the pane log are.

use std::collections::BTreeMap;
use std::time::Duration;

use super::EventTime;

/// Where reading begins when the group has no committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// The end of each partition.
    Latest,
    /// The oldest record each partition holds.
    Earliest,
    /// The first record at or after a time.
    Timestamp(EventTime),
}

/// A Kafka source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSpec {
    /// `host:port`, at least one.
    pub brokers: Vec<String>,
    /// At least one.
    pub topics: Vec<String>,
    /// Where offsets are committed.
    pub group_id: String,
    /// Where to begin without a committed offset.
    pub start: StartAt,
    /// librdkafka properties the daemon does not own.
    pub properties: BTreeMap<String, String>,
}

/// A Kafka topic that holds the pane log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanesTopicSpec {
    /// Its name.
    pub topic: String,
    /// `host:port`, at least one.
    pub brokers: Vec<String>,
    /// How many partitions it has; shards are spread over all but the last, which holds snapshots.
    pub partitions: u32,
    /// How often a scorer writes a snapshot.
    pub snapshot_interval: Duration,
    /// librdkafka properties the daemon does not own.
    pub properties: BTreeMap<String, String>,
}

impl PanesTopicSpec {
    /// The partition that snapshots are in.
    #[must_use]
    pub fn snapshots(&self) -> u32 {
        self.partitions.saturating_sub(1)
    }

    /// Partitions that hold commits: all of them, or all but the last.
    #[must_use]
    pub fn commits(&self) -> u32 {
        self.partitions.saturating_sub(1).max(1)
    }
}

/// A named stream of JSON records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceSpec {
    /// Unique in the process.
    pub name: String,
    /// Where it comes from.
    pub kafka: KafkaSpec,
}
