//! The pane log in a Kafka topic: the same records and the same fold, for many machines.
//!
//! ```text
//!   partition 0 .. n-2   opening | commit commit ...      shards, spread by a hash of their names
//!   partition n-1        opening | snapshot snapshot ...  from which readers begin
//! ```
//!
//! Producers are idempotent and wait for all replicas, but no transaction is used: whether a commit counts is decided by where it lies behind others of its
//! shard, and every reader decides it alone and alike. Who wrote a record and how many partitions that writer believed in stands in its key.

mod openings;
mod reader;
mod snapshots;
mod topic;
mod writer;

use std::collections::BTreeMap;

use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

pub use openings::{inspect, open_partitions};
pub use reader::{Entry, Reader};
pub use snapshots::{Assembly, Whole, newest_snapshots};
pub use topic::{Needs, ensure};
pub use writer::{Failure, Writer};

use super::CodecError;
use crate::model::{PanesTopicSpec, Shard, place_of};

/// A commit is at most about 512 KiB, unless one record alone touches more features than that holds.
const MAX_MESSAGE_BYTES: &str = "4194304";

/// Why the topic cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KafkaLogError {
    /// The properties do not go together.
    #[error("librdkafka cannot make a client: {0}")]
    Client(String),
    /// Nobody answers, or a request was refused; may pass.
    #[error("pane log topic {topic}: {what}: {reason}")]
    Kafka {
        /// The topic.
        topic: String,
        /// What was tried.
        what: &'static str,
        /// The client's words; its error would repeat them as its own cause.
        reason: String,
    },
    /// Records were not written; may pass.
    #[error("pane log topic {topic}: a record was not written: {reason}")]
    Refused {
        /// The topic.
        topic: String,
        /// The client's words.
        reason: String,
    },
    /// Records that are there do not come.
    #[error("pane log topic {topic}: partition {partition} is not answered")]
    Silent {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: u32,
    },
    /// The topic does not exist.
    #[error(
        "the pane log topic {topic} does not exist: start once with --create-topics, or run\n  {command}"
    )]
    Missing {
        /// The topic.
        topic: String,
        /// What creates it.
        command: String,
    },
    /// The topic is not made for this.
    #[error("the pane log topic {topic} cannot be used: {problem}")]
    Unfit {
        /// The topic.
        topic: String,
        /// What is wrong, and what would be accepted.
        problem: String,
    },
    /// Written by a newer program.
    #[error("pane log topic {topic}: record {offset} of partition {partition} cannot be read")]
    Newer {
        /// The topic.
        topic: String,
        /// Where.
        partition: u32,
        /// Where.
        offset: i64,
        /// Its format and ours.
        source: CodecError,
    },
}

impl KafkaLogError {
    fn client(error: KafkaError) -> Self {
        KafkaLogError::Client(match error {
            KafkaError::ClientCreation(reason) => reason,
            other => other.to_string(),
        })
    }

    fn kafka(
        spec: &PanesTopicSpec,
        what: &'static str,
    ) -> impl FnOnce(KafkaError) -> KafkaLogError + use<> {
        let topic = spec.topic.clone();
        move |error| KafkaLogError::Kafka {
            topic,
            what,
            reason: error.to_string(),
        }
    }

    /// Whether trying again may help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(
            self,
            KafkaLogError::Kafka { .. }
                | KafkaLogError::Refused { .. }
                | KafkaLogError::Silent { .. }
        )
    }
}

/// The partition of the log that holds a shard's commits; all lives of a partition are together.
#[must_use]
pub fn partition_of(shard: &Shard, spec: &PanesTopicSpec) -> u32 {
    let partition = shard.partition.to_le_bytes();
    let parts = [
        shard.source.as_bytes(),
        shard.cluster.as_bytes(),
        shard.topic.as_bytes(),
        &partition,
    ];
    place_of(parts, spec.commits())
}

/// A client's properties: ours for this use, then the user's.
fn client_config(spec: &PanesTopicSpec, own: &[(&str, &str)]) -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set_log_level(RDKafkaLogLevel::Warning);
    let shared = [
        ("client.id", "pegel"),
        ("socket.keepalive.enable", "true"),
        ("reconnect.backoff.max.ms", "5000"),
        ("log.connection.close", "false"),
        ("allow.auto.create.topics", "false"),
    ];
    let all: BTreeMap<&str, &str> = shared.iter().chain(own).copied().collect();
    for (property, value) in all {
        config.set(property, value);
    }
    config.set("bootstrap.servers", spec.brokers.join(","));
    for (property, value) in &spec.properties {
        config.set(property, value);
    }
    config
}

/// What librdkafka has against the clients of this log. No broker is asked.
#[must_use]
pub fn client_problem(spec: &PanesTopicSpec) -> Option<String> {
    let alone = PanesTopicSpec {
        brokers: Vec::new(),
        ..spec.clone()
    };
    let made = topic::admin(&alone)
        .map(drop)
        .and_then(|()| Reader::try_new(&alone).map(drop))
        .and_then(|()| Writer::try_new(&alone).map(drop));
    made.err().map(|error| error.to_string())
}

/// The key of a record: who wrote it, its number among the writer's, and how many partitions the writer believes in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// The writer; drawn at its start.
    pub writer: u64,
    /// Counts up from 0.
    pub number: u64,
    /// Partitions of the log.
    pub partitions: u32,
}

impl Key {
    fn to_bytes(self) -> [u8; 20] {
        let mut bytes = [0; 20];
        bytes[..8].copy_from_slice(&self.writer.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..].copy_from_slice(&self.partitions.to_le_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 20] = bytes.try_into().ok()?;
        let number = |from: usize| bytes[from..from + 8].try_into().map(u64::from_le_bytes);
        Some(Key {
            writer: number(0).ok()?,
            number: number(8).ok()?,
            partitions: bytes[16..].try_into().map(u32::from_le_bytes).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(partitions: u32) -> PanesTopicSpec {
        PanesTopicSpec {
            topic: "panes".to_owned(),
            brokers: Vec::new(),
            partitions,
            snapshot_interval: std::time::Duration::from_secs(300),
            properties: BTreeMap::new(),
        }
    }

    fn shard(partition: i32, incarnation: u32) -> Shard {
        Shard {
            source: "s".to_owned(),
            cluster: "c".to_owned(),
            topic: "t".to_owned(),
            partition,
            incarnation,
        }
    }

    #[test]
    fn a_key_survives() {
        let key = Key {
            writer: u64::MAX,
            number: 7,
            partitions: 8,
        };
        assert_eq!(Key::from_bytes(&key.to_bytes()), Some(key), "round trip");
        assert_eq!(Key::from_bytes(b"other"), None, "something else");
    }

    #[test]
    fn shards_are_spread_over_all_partitions_but_the_last() {
        let spec = spec(4);
        let places: Vec<u32> = (0..100)
            .map(|partition| partition_of(&shard(partition, 0), &spec))
            .collect();
        for place in 0..3 {
            let shards = places.iter().filter(|found| **found == place).count();
            assert!(shards > 15, "{shards} of 100 in {place}");
        }
        assert!(!places.contains(&spec.snapshots()), "snapshots are apart");
        let (first, second) = (shard(5, 0), shard(5, 3));
        let place = partition_of(&first, &spec);
        assert_eq!(place, partition_of(&second, &spec), "lives are together");
    }

    #[test]
    fn a_log_of_one_partition_holds_both() {
        let spec = spec(1);
        let places = (partition_of(&shard(5, 0), &spec), spec.snapshots());
        assert_eq!(places, (0, 0), "commits and snapshots");
    }
}
