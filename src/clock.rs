//! The one place that reads a clock.
//!
//! Everything else takes the time as an argument, so that tests and replays choose it.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::EventTime;

/// The wall clock, as event time.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads a clock"
)]
pub fn now() -> EventTime {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    EventTime::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// A clock that never goes back, for intervals.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads a clock"
)]
pub fn monotonic() -> Instant {
    Instant::now()
}
