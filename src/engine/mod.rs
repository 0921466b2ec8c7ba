//! The scorer: accepted commits in, evaluations out.
//!
//! One owner of all windows, driven by one thread: `apply` takes a commit, `advance` closes the windows whose time has come, `snapshot` is the picture of how
//! everything stands. Time is an argument everywhere, so that a replayed file, a test and a live stream go through the same code.

mod doubt;
mod judge;
mod lines;
mod monitor;
mod moving;
mod places;
mod plan;
mod saved;
mod scorer;
mod shards;
mod snapshot;
mod standards;
mod totals;
mod windows;

pub use judge::{Assessment, AssessmentInput, StatisticAssessment, assess, effective};
pub use moving::{Hours, Mover};
pub use plan::{FeaturePlan, LoadedReference, MonitorPlan, Rule, ThresholdSource};
pub use saved::EngineSnapshot;
pub use scorer::Engine;
pub use snapshot::{
    AlertView, ComparisonView, EngineView, FeatureView, MonitorView, ReferenceView, SourceView,
    WindowFeatureView, WindowView,
};
