//! The pane log and its back ends: a file on one machine, a Kafka topic on many, memory in tests and commands.
//!
//! All of them hold the same records and are read by the same fold; what a reader knows after so many records is its
//! [`LogState`](crate::panes::LogState).

mod codec;
pub mod file;
mod head_lookup;
pub mod kafka;

pub use codec::{Chunk, CodecError, FORMAT, Opening, Record, decode, decode_claim};
pub use codec::{encode_chunk, encode_commit, encode_opening, read, read_prefix, write};
pub use head_lookup::{HeadAnswer, HeadLookup};
