//! Kafka sources, and the Kafka topic of the pane log.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event_time::EventTime;

/// The position where reading begins if the group has no committed offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartAt {
    /// The end of each partition.
    Latest,
    /// The oldest record of each partition.
    Earliest,
    /// The first record at or after a time, by Kafka's timestamp.
    Timestamp(EventTime),
}

/// A Kafka source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KafkaSpec {
    /// Bootstrap servers as `host:port`; at least one.
    pub brokers: Vec<String>,
    /// Topic names; at least one.
    pub topics: Vec<String>,
    /// The consumer group under which offsets are committed.
    pub group_id: String,
    /// The position for partitions without a committed offset.
    pub start: StartAt,
    /// librdkafka properties, none of which pegel sets itself.
    pub properties: BTreeMap<String, String>,
}

/// A Kafka topic that holds the pane log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PanesTopicSpec {
    /// Name of the topic.
    pub topic: String,
    /// Bootstrap servers as `host:port`; at least one.
    pub brokers: Vec<String>,
    /// Number of partitions. Shards are spread over all but the last, which holds snapshots.
    pub partitions: u32,
    /// Time between two snapshots of a scorer.
    pub snapshot_interval: Duration,
    /// librdkafka properties, none of which pegel sets itself.
    pub properties: BTreeMap<String, String>,
}

impl PanesTopicSpec {
    /// The partition that holds snapshots.
    #[must_use]
    pub fn snapshots(&self) -> u32 {
        self.partitions.saturating_sub(1)
    }

    /// The number of partitions that hold commits: all but the last, or the only one.
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
    /// Brokers, topics and the consumer group.
    pub kafka: KafkaSpec,
}

impl SourceSpec {
    /// The default size limit of a record: 1 MiB.
    pub const DEFAULT_MAX_MESSAGE_BYTES: usize = 1 << 20;
}
