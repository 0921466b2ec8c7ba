//! Why there is no score.
//!
//! Absence is a value of its own: a window that cannot be judged has a reason, never a zero, a NaN or yesterday's number.

use std::fmt;

/// The reason a score is absent; each is a value of the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum NotReady {
    /// No reference is loaded for the feature.
    NoReference,
    /// No evaluation was completed for a long time.
    Stale,
    /// The window began before counting did.
    Warming,
    /// Part of the window was not counted: a shard was released or left a hole.
    Partial,
    /// The window holds no value of the feature.
    Empty,
    /// Fewer values than `min_samples`.
    TooFewSamples {
        /// Values in the window.
        have: u64,
        /// Values asked for.
        need: u64,
    },
}

impl NotReady {
    /// The label value; one of a fixed set.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            NotReady::NoReference => "no_reference",
            NotReady::Stale => "stale",
            NotReady::Warming => "warming",
            NotReady::Partial => "partial",
            NotReady::Empty => "empty",
            NotReady::TooFewSamples { .. } => "too_few_samples",
        }
    }
}

impl fmt::Display for NotReady {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotReady::TooFewSamples { have, need } => write!(f, "{have} of {need} samples"),
            NotReady::NoReference => f.write_str("no reference loaded"),
            NotReady::Stale => f.write_str("no evaluation for a long time"),
            NotReady::Warming => f.write_str("counting began inside the window"),
            NotReady::Partial => f.write_str("part of the window was not counted"),
            NotReady::Empty => f.write_str("no values in the window"),
        }
    }
}
