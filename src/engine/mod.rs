//! Turns accepted commits into evaluations of windows.
//!
//! One thread drives the engine: `ingest_counts` adds a commit, `advance` evaluates the windows
//! that are due, `view` returns an immutable state for the exporters. Time is an argument of every
//! call, so that a replayed file, a test and a live stream run the same code and give the same
//! evaluations.
//!
//! The heart is a `Comparison`: one feature of one window against one reference. It owns the
//! reference in force, the stream's history, the rules with their alerts, and the latest scores.
//!
//! From the bottom to the top: `plan` (what to compare), `commit_index` and `shards` (what was
//! counted), `assess` (null distributions and thresholds), `null_supply`, `reference`,
//! `rule_state`, `comparison`, `window_feature`, `window_tables`, `window`, `monitor`, `engine`.

mod assess;
mod commit_index;
mod comparison;
mod counters;
#[expect(clippy::module_inception, reason = "the engine itself")]
mod engine;
#[cfg(test)]
mod fixture;
mod hold;
mod monitor;
mod null_supply;
mod plan;
mod reference;
mod rule_state;
mod sample;
mod shards;
mod silence;
mod snapshot;
mod staleness;
mod view;
mod volume;
mod window;
mod window_feature;
mod window_tables;

pub use assess::{
    Assessment, AssessmentInput, StatisticAssessment, assess, effective_samples, status_names,
};
pub use engine::Engine;
pub use hold::WatermarkHold;
pub use null_supply::{NullTableId, SimulatedTable, TableRequest};
pub use plan::{
    FeaturePlan, HourOfWeekReference, LoadedReference, MonitorPlan, PlanProblem, PlanSubject,
    ReferenceDynamics, ReferencePlan, ReferenceView, Rule, ThresholdSource,
};
pub use snapshot::EngineSnapshot;
pub use view::{
    AlertView, ComparisonView, EngineView, FeatureView, MonitorView, SourceView, WindowFeatureView,
    WindowView,
};
