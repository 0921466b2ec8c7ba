//! The pane log and its back ends: a file on one machine, a Kafka topic on many machines.
//!
//! Both hold the same records and are read by the same fold. A reader's knowledge after some
//! records is its [`LogState`](crate::panes::LogState). Tests and commands that need no log use the
//! fold alone, in memory.

mod codec;
pub mod file;
mod head_lookup;
pub mod kafka;
mod schemas;

pub use codec::{
    CodecError, FORMAT, OLDEST_FORMAT, Opening, Record, SnapshotChunk, decode, decode_claim,
    decode_with,
};
pub use codec::{encode_chunk, encode_commit, encode_opening, read, read_prefix, write};
pub use head_lookup::{HeadAnswer, HeadLookup};
pub use schemas::SchemaTable;
