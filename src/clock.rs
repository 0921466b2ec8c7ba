//! The one place that reads a clock; everything else takes time as an argument.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::EventTime;

/// Wall time.
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

/// Time that only moves forward, for measuring how long something took.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads a clock"
)]
pub fn monotonic() -> Instant {
    Instant::now()
}
