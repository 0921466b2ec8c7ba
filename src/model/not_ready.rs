//! The reasons why a score is absent.
//!
//! Absence is a value with a reason: a window that cannot be scored never shows zero, NaN or an old
//! number.

use std::fmt;

/// The reason why a score is absent; a value of the label `reason`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub enum NotReady {
    /// No reference is loaded for the feature.
    NoReference,
    /// No evaluation was completed for a long time.
    Stale,
    /// Counting began after the start of the window.
    Warming,
    /// Part of the window was not counted: a shard was released or left a hole.
    Partial,
    /// The window holds no value of the feature.
    Empty,
    /// Fewer values than `min_samples`.
    TooFewSamples {
        /// Values in the window.
        have: u64,
        /// The configured minimum.
        need: u64,
    },
    /// No event was counted for a long time, although the source was read.
    Silent,
    /// The threshold is above the largest value that the statistic can take.
    LineUnreachable,
    /// The score exists, but the null tables of its threshold are still simulated.
    Calibrating,
}

impl NotReady {
    /// The label value; one of a fixed set.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            NotReady::NoReference => "no_reference",
            NotReady::Stale => "stale",
            NotReady::Warming | NotReady::Calibrating => "warming",
            NotReady::Partial => "partial",
            NotReady::Empty => "empty",
            NotReady::TooFewSamples { .. } => "too_few_samples",
            NotReady::Silent => "silent",
            NotReady::LineUnreachable => "line_unreachable",
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
            NotReady::Silent => f.write_str("the stream is silent"),
            NotReady::LineUnreachable => f.write_str(
                "its threshold is above the largest value of the statistic: more values or fewer \
                 categories (`top`) are needed",
            ),
            NotReady::Calibrating => f.write_str("its threshold is still being simulated"),
        }
    }
}
