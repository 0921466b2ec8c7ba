//! The pane log and its back ends: a file on one machine, a Kafka topic on many, memory in tests and commands.
//!
//! All of them hold the same records and are read by the same fold; what a reader knows after so many records is its [`LogState`].

mod board;
pub mod file;
pub mod kafka;
mod state;

pub use super::codec::{Chunk, CodecError, FORMAT, Opening, Record, decode, decode_claim};
pub use super::codec::{encode_chunk, encode_commit, encode_opening, read, read_prefix, write};
pub use board::{Board, Known};
pub use state::{LogState, Position, content_hash};
