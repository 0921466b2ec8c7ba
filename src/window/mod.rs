//! Windows over event time: the panes they hold, when they are complete, and their coverage.
//!
//! A window keeps the sum of its panes from one evaluation to the next: it adds the panes that
//! enter and subtracts those that leave, which is exact because all counts are integers. A gap in
//! the stream that is longer than the window empties it, so a stream that returns starts over.
//! Deltas whose pane has expired are reported to the caller, which counts them.

mod coverage;
mod progress;
mod ring;
mod schedule;
mod shard_coverage;
mod sliding_sum;

pub use coverage::{Coverage, coverage};
pub use progress::{Advance, LogTime, Progress, watermark};
pub use ring::Ring;
pub use schedule::{Due, Schedule};
pub use shard_coverage::ShardCoverage;
pub use sliding_sum::SlidingSum;
