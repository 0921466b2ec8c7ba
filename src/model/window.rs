//! Sliding windows as configured.

use std::time::Duration;

/// A sliding window: the last `size` of event time, evaluated every `slide`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WindowSpec {
    /// Unique in its monitor.
    pub name: String,
    /// A whole number of slides.
    pub size: Duration,
    /// At least one second, in whole milliseconds.
    pub slide: Duration,
    /// The smallest number of values that is scored; at least 1.
    pub min_samples: u64,
}

impl WindowSpec {
    /// The default of `min_samples`.
    pub const DEFAULT_MIN_SAMPLES: u64 = 500;
    /// The default slide is the window divided by this number.
    pub const DEFAULT_SLIDES: u32 = 15;
}
