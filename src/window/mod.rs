//! Windows over event time: the panes they hold, when they are complete, and their coverage.
//!
//! Each evaluation sums the panes of its window instead of keeping a running total: evaluations are
//! rare next to observations, and no subtraction can go wrong when a pane expires. A gap in the
//! stream that is longer than the window empties it, so a stream that returns starts over. Deltas
//! whose pane has expired are reported to the caller, which counts them.

mod coverage;
mod progress;
mod ring;
mod schedule;
mod shard_coverage;

pub use coverage::{Coverage, coverage};
pub use progress::{Advance, LogTime, Progress, watermark};
pub use ring::Ring;
pub use schedule::{Due, Schedule};
pub use shard_coverage::ShardCoverage;
