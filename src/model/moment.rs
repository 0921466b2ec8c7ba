//! A reading of both clocks: the wall clock for times, the monotonic one for intervals.
//!
//! The wall clock can jump, so an interval measured with it can be negative or hours long. The
//! monotonic clock cannot, but it knows no date. Rooms without a clock receive both together.

use std::time::Duration;

use super::EventTime;

/// A reading of the wall clock and of the monotonic clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The wall clock.
    pub wall: EventTime,
    /// The monotonic time since some fixed moment.
    pub uptime: Duration,
}

impl Moment {
    /// A moment of a simulated stream, in which both clocks run alike.
    ///
    /// Times before the epoch have no monotonic time and count as 0.
    #[must_use]
    pub fn simulated(wall: EventTime) -> Self {
        let uptime = Duration::from_millis(u64::try_from(wall.as_millis()).unwrap_or(0));
        Moment { wall, uptime }
    }
}
