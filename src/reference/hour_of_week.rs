//! Hours of the week, and a reference's counts by hour of the week.
//!
//! A stream with a daily and weekly rhythm is compared with the same hours of earlier weeks. All
//! hours share the reference's edges and cells. An hour follows the wall clock of a time zone,
//! because people do. When a clock is set back, one profile holds both passes of the hour.

use std::sync::Arc;

use jiff::tz::TimeZone;

use crate::model::EventTime;
use crate::stats::FeatureCounts;

/// Hours of a week; the first is Monday from 00:00 to 01:00.
pub const HOURS: usize = 168;

/// The counts of a reference's features by hour of the week.
#[derive(Debug, Clone, PartialEq)]
pub struct Profiles {
    /// IANA name of the time zone whose wall clock gives the hours.
    pub timezone: String,
    /// One list per feature, in the reference's order, each with counts for 168 hours.
    ///
    /// Shared, because every reference of a monitor that is loaded from the file uses the same.
    pub features: Vec<Arc<[FeatureCounts]>>,
}

impl Profiles {
    /// Number of hours of the week that have at least so many rows.
    #[must_use]
    pub fn hours_with(&self, rows: u64) -> usize {
        (0..HOURS)
            .filter(|hour| {
                self.features
                    .iter()
                    .any(|hours| hours[*hour].tallies.events() >= rows)
            })
            .count()
    }
}

/// A time zone that does not exist.
#[derive(Debug, thiserror::Error)]
#[error("unknown time zone {name:?}, expected an IANA name such as \"Europe/Berlin\" or \"UTC\"")]
pub struct UnknownTimezone {
    /// Name that is not a time zone.
    pub name: String,
}

/// Finds the hour of the week on the wall clock of a time zone.
#[derive(Debug, Clone)]
pub struct HourOfWeek {
    timezone: TimeZone,
}

impl HourOfWeek {
    /// Creates a clock for the time zone with this IANA name.
    ///
    /// # Errors
    /// There is no such time zone.
    pub fn try_new(timezone: &str) -> Result<Self, UnknownTimezone> {
        TimeZone::get(timezone)
            .map(|timezone| HourOfWeek { timezone })
            .map_err(|_| UnknownTimezone {
                name: timezone.to_owned(),
            })
    }

    /// The hour that contains `time`, in `0..HOURS`; 0 for a time outside the calendar.
    #[must_use]
    pub fn of(&self, time: EventTime) -> u16 {
        let Ok(instant) = jiff::Timestamp::from_millisecond(time.as_millis()) else {
            return 0;
        };
        let local = self.timezone.to_datetime(instant);
        let day = i16::from(local.weekday().to_monday_zero_offset());
        (day * 24 + i16::from(local.hour())).unsigned_abs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_follow_the_wall_clock() {
        let check = |timezone: &str, time: &str, expected: u16| {
            let instant: jiff::Timestamp = time.parse().unwrap();
            let clock = HourOfWeek::try_new(timezone).unwrap();
            let hour = clock.of(EventTime::from_millis(instant.as_millisecond()));
            assert_eq!(hour, expected, "{time} in {timezone}");
        };
        check("UTC", "2026-11-23T00:00:00Z", 0);
        check("UTC", "2026-11-29T23:59:59.999Z", 167);
        check("UTC", "1969-12-31T23:00:00Z", 2 * 24 + 23);
        // Summer time ends on 25 October 2026 at 01:00 UTC.
        check("Europe/Berlin", "2026-10-24T22:00:00Z", 6 * 24);
        check("Europe/Berlin", "2026-10-25T00:30:00Z", 6 * 24 + 2);
        check("Europe/Berlin", "2026-10-25T01:30:00Z", 6 * 24 + 2);
        check("Europe/Berlin", "2026-10-25T23:00:00Z", 0);
        check("Asia/Kolkata", "2026-11-22T18:30:00Z", 0);
    }

    #[test]
    fn the_error_for_an_unknown_time_zone_names_a_valid_one() {
        let error = HourOfWeek::try_new("Mars/Olympus").unwrap_err();
        assert!(error.to_string().contains("Europe/Berlin"), "{error}");
    }
}
