//! Records to counts in panes: event time, lateness, and what each feature makes of a record.
//!
//! One observer per ingest thread and source. It is a plain value driven by its thread: records go in, commits come out, time is an argument. It decides
//! alone what is late, from its own shard's watermark, so that two readers of its commits never disagree about it.

mod observer;
mod plan;
mod shard;

pub use observer::{Observer, count_record, is_selected};
pub use plan::{ObservedFeature, ObservedMonitor, ObserverPlan};
