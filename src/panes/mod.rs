//! Panes and commits: counts per slice of event time, and the rule that decides which of them
//! count.
//!
//! Observers hand over *deltas* of panes in commits, one commit per shard. The fold accepts each
//! offset of a shard exactly once, and scorers add the accepted deltas up. Counts add, so panes of
//! different shards and commits merge by plain addition in any order. This room only computes: the
//! pane log stores and transports the commits.

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
pub use fold::{Claim, Head, Heads, MAX_COMMITS_IN_FLIGHT, Rejected};
pub use frame::Frame;
pub use log_state::{LogState, Position, content_hash};
pub use pane_counts::PaneCounts;
