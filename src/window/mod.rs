//! Windows over event time: which panes they hold, when they are complete, and how much of them was counted.
//!
//! Panes are summed at each evaluation instead of keeping a running total: evaluations are rare next to observations, and no subtraction can go wrong when a
//! pane expires. An idle gap longer than the window leaves it empty, so a stream that returns starts over. Deltas whose pane has left the ring are counted
//! as expired.

mod coverage;
mod progress;
mod ring;
mod schedule;

pub use coverage::Covered;
pub use progress::{Coverage, LogTime, Progress, coverage, watermark};
pub use ring::Ring;
pub use schedule::{Due, Schedule};
