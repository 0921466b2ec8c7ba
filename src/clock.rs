//! The only place that reads a clock. Everywhere else, time is an argument.
//!
//! So a test, a replay and a live stream run the same code. A lint forbids the clock functions of
//! the standard library in all other files.

use std::sync::LazyLock;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::model::{EventTime, Moment};

/// The moment from which monotonic times are measured: the first reading of this process.
static FIRST_READING: LazyLock<Instant> = LazyLock::new(monotonic);

/// The wall time; it may jump. A clock before 1970 reads as 1970.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the only place that reads a clock"
)]
pub fn now() -> EventTime {
    let since_epoch = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    EventTime::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// The monotonic time, for intervals and durations.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the only place that reads a clock"
)]
pub fn monotonic() -> Instant {
    Instant::now()
}

/// Both clocks at once.
#[must_use]
pub fn moment() -> Moment {
    let first = *FIRST_READING;
    Moment {
        wall: now(),
        uptime: monotonic().duration_since(first),
    }
}
