//! The scorer: accepted commits in, evaluations out.

mod snapshot;

pub use snapshot::{
    AlertLine, FeatureScores, FeatureState, MonitorState, ReferenceState, Snapshot, SourceState,
    WindowState,
};
