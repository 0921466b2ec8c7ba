//! Shared parts of the Kafka clients of a source and of the pane log.
//!
//! Sources and the pane log do not import each other, but both configure clients of librdkafka and
//! look up offsets of partitions. Code that only one of them needs stays in its own room: groups,
//! callbacks and error codes in the source, creation of the topic in the pane log.

mod client_config;
mod list_offsets;
mod topic_partition;

pub use client_config::{PRINCIPAL, client_config};
pub use list_offsets::{at_time, list_offsets};
pub use topic_partition::{TopicPartition, partition_list};
