//! Event time: milliseconds since the Unix epoch, UTC.
//!
//! One integer type keeps the arithmetic of panes exact. Wall-clock times that meet event time,
//! such as a record's arrival, have the same type and are arguments: no stage reads a clock.

use std::fmt;
use std::time::Duration;

/// Milliseconds since the Unix epoch, UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct EventTime(i64);

impl EventTime {
    /// Earlier than the time of every record.
    pub const MIN: EventTime = EventTime(i64::MIN);

    /// Creates a time from milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        EventTime(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, with their fraction.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// Returns the time that is later by `span`; saturates at the ends of the range.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        EventTime(self.0.saturating_add(millis(span)))
    }

    /// Returns the time that is earlier by `span`; saturates at the ends of the range.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        EventTime(self.0.saturating_sub(millis(span)))
    }

    /// The time that passed since `earlier`; zero if `earlier` is not earlier.
    #[must_use]
    pub fn since(self, earlier: EventTime) -> Duration {
        let gap = self.0.saturating_sub(earlier.0).max(0);
        Duration::from_millis(gap.unsigned_abs())
    }

    /// The start of the interval of `width` that contains this time. Intervals are aligned to the
    /// epoch.
    #[must_use]
    pub fn align_down(self, width: Duration) -> Self {
        let width_millis = millis(width).max(1);
        EventTime(self.0.div_euclid(width_millis).saturating_mul(width_millis))
    }
}

/// Whole milliseconds of a duration; saturates.
fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for EventTime {
    /// Prints RFC 3339 in UTC, such as `2026-11-01T00:00:00Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_millisecond(self.0) {
            Ok(timestamp) => write!(f, "{timestamp}"),
            Err(_) => write!(f, "{} ms", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slides_are_aligned_to_the_epoch_on_both_sides_of_it() {
        let minute = Duration::from_secs(60);
        let check = |at: i64, start: i64| {
            let aligned = EventTime::from_millis(at).align_down(minute);
            assert_eq!(aligned.as_millis(), start, "slide of {at}");
        };
        check(0, 0);
        check(59_999, 0);
        check(60_000, 60_000);
        check(-1, -60_000);
    }

    #[test]
    fn a_time_prints_as_rfc_3339() {
        let at = EventTime::from_millis(1_793_491_200_000);
        assert_eq!(at.to_string(), "2026-11-01T00:00:00Z", "printed form");
    }
}
