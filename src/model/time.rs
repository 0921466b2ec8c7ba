//! Event time: milliseconds since the Unix epoch, UTC.
//!
//! One integer type for "when it happened" keeps pane arithmetic exact. Wall-clock instants that meet event time (arrival, "caught up at") use the
//! same type and are passed in as arguments: nothing below the shell reads a clock.

use std::fmt;
use std::time::Duration;

/// Milliseconds since the Unix epoch, UTC.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
pub struct EventTime(i64);

impl EventTime {
    /// Earlier than every time a record can carry.
    pub const MIN: EventTime = EventTime(i64::MIN);

    /// A time from milliseconds since the epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        EventTime(millis)
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Seconds since the epoch, with the fraction kept.
    #[must_use]
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// This time moved later, saturating at the ends of the range.
    #[must_use]
    pub fn plus(self, span: Duration) -> Self {
        EventTime(self.0.saturating_add(millis(span)))
    }

    /// This time moved earlier, saturating at the ends of the range.
    #[must_use]
    pub fn minus(self, span: Duration) -> Self {
        EventTime(self.0.saturating_sub(millis(span)))
    }

    /// How long after `earlier` this is; zero when it is not after it.
    #[must_use]
    pub fn since(self, earlier: EventTime) -> Duration {
        let gap = self.0.saturating_sub(earlier.0).max(0);
        Duration::from_millis(gap.unsigned_abs())
    }

    /// The start of the slide of `width` that contains this time; slides are aligned to the epoch.
    #[must_use]
    pub fn align_down(self, width: Duration) -> Self {
        let width = millis(width).max(1);
        EventTime(self.0.div_euclid(width).saturating_mul(width))
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}

impl fmt::Display for EventTime {
    /// RFC 3339 in UTC, as in `2026-11-01T00:00:00Z`.
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
            let found = EventTime::from_millis(at).align_down(minute);
            assert_eq!(found.as_millis(), start, "slide of {at}");
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
