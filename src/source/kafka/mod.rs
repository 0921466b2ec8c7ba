//! Records from Kafka.
//!
//! [`KafkaSource`] reads topics continuously, for the daemon; [`range`] reads a part of a topic
//! once, for commands. librdkafka is the client of both.
//!
//! The files form a staircase, from the bottom: error codes (`error_code`), the connection
//! (`health`, `callbacks`, `librdkafka`, `leader_ends`, `settings`), the partitions
//! (`topic_history`, `read_confirmation`, `partition_state`, `partitions`, `resume`,
//! `partition_offsets`, `topic_id`, `tail_loss`), the parts of the source (`partition_reader`,
//! `group_offsets`, `discovery`, `backoff`, `assignment`), and the poll loop (`consumer`).

mod assignment;
mod backoff;
mod callbacks;
mod consumer;
mod discovery;
mod error_code;
mod group_offsets;
mod health;
mod leader_ends;
mod librdkafka;
mod partition_offsets;
mod partition_reader;
mod partition_state;
mod partitions;
pub mod range;
mod read_confirmation;
mod resume;
mod settings;
mod tail_loss;
mod topic_history;
mod topic_id;

pub use self::consumer::KafkaSource;
pub use self::settings::{SourceError, Timing, client_problem, property_problems};
