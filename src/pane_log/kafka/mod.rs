//! The pane log in a Kafka topic: the same records and the same fold, for many machines.
//!
//! ```text
//!   partition 0 .. n-2   opening | commit commit ...      shards, spread by a hash of their names
//!   partition n-1        opening | snapshot snapshot ...  the records that readers begin with
//! ```
//!
//! Producers are idempotent and wait for all in-sync replicas, but no transaction is used. The
//! position of a commit among the others of its shard decides whether it counts, and every reader
//! decides that alone and alike. The key of a record holds its writer, and the number of partitions
//! that the writer was configured with.

mod admission;
mod announcements;
mod client;
mod client_check;
mod delivery;
mod error;
#[cfg(test)]
pub(crate) mod fixtures;
mod openings;
mod reader;
mod record_key;
mod routing;
mod snapshots;
mod topic;
mod writer;

pub use admission::{Admission, admit};
pub use client::RecordLimit;
pub use client_check::client_problem;
pub use delivery::{DeliveryFailure, Refusal};
pub use error::{KafkaLogError, LogAction, TopicOperation, TopicProblem};
pub use openings::{inspect, open_partitions};
pub use reader::{Entry, Reader};
pub use record_key::RecordKey;
pub use routing::partition_of;
pub use snapshots::{AssembledSnapshot, SnapshotAssembly, newest_snapshots};
pub use topic::{CheckedTopic, TopicRequirements, WidestSource, ensure};
pub use writer::Writer;
