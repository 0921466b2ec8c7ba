//! Observation: turns decoded records into counts per pane.
//!
//! There is one observer per ingest thread and source. It is a plain value driven by its thread:
//! records go in, commits come out, time is an argument. It alone decides which events are late,
//! from the watermark of their shard, so readers of its commits never disagree about it. Nothing is
//! allocated or locked for a record, apart from the frame of a new pane.

mod commit_size;
mod event_clock;
mod observer;
mod plan;
mod rejections;
mod shard;
#[cfg(test)]
mod tests;
mod time_sample;
mod wrong_kinds;

pub use event_clock::is_in_wrong_unit;
pub use observer::{Observer, count_record, is_selected};
pub use plan::{ObservedFeature, ObservedMonitor, ObserverPlan};
pub use rejections::RejectedRecords;
pub use shard::is_too_late;
pub use time_sample::SourceTime;
pub use wrong_kinds::WrongKind;
