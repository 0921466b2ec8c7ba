//! The pane log: the only state.
//!
//! A pane is a slice of event time. Observers hand over *deltas* of panes in commits, one per shard; the fold accepts each offset of a shard exactly once and
//! scorers add accepted deltas up. Counts add, so panes of different shards and commits merge by plain addition in any order.

mod commit;
mod encoding;
mod fold;
mod frame;
pub mod identity;
mod log_state;
mod pane_counts;

pub use commit::{
    Commit, CommitSchema, FeatureDelta, MonitorCommit, MonitorSchema, PaneDelta, RecordCounts,
};
pub use fold::{Claim, Head, Heads, Rejected};
pub use frame::Frame;
pub use log_state::{LogState, Position, content_hash};
pub use pane_counts::PaneCounts;
