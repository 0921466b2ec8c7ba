//! A reference by hour of the week: what a stream with a daily and weekly rhythm is when all is well.
//!
//! All hours share the reference's edges and cells. An hour is one of the wall clock of a time zone, because people's rhythm is; where a clock is set back, one
//! profile holds both passes of the hour.

use jiff::tz::TimeZone;

use crate::model::EventTime;
use crate::stats::FeatureCounts;

/// Hours of a week; the first is Monday from 00:00 to 01:00.
pub const HOURS: usize = 168;

/// Counts by hour of the week.
#[derive(Debug, Clone, PartialEq)]
pub struct Profiles {
    /// Whose wall clock, by its IANA name.
    pub timezone: String,
    /// By feature, in the reference's order, and by hour.
    pub features: Vec<Vec<FeatureCounts>>,
}

/// No such time zone.
#[derive(Debug, thiserror::Error)]
#[error("no time zone {name:?}: expected an IANA name, as \"Europe/Berlin\" or \"UTC\"")]
pub struct UnknownTimezone {
    /// What was asked for.
    pub name: String,
}

/// Which hour of the week it is somewhere.
#[derive(Debug, Clone)]
pub struct HourOfWeek {
    timezone: TimeZone,
}

impl HourOfWeek {
    /// By the wall clock of a time zone.
    ///
    /// # Errors
    /// It is not known.
    pub fn try_new(timezone: &str) -> Result<Self, UnknownTimezone> {
        let found = TimeZone::get(timezone).map_err(|_| UnknownTimezone {
            name: timezone.to_owned(),
        });
        found.map(|timezone| HourOfWeek { timezone })
    }

    /// The hour that contains `at`, in `0..HOURS`.
    #[must_use]
    pub fn of(&self, at: EventTime) -> u16 {
        let Ok(instant) = jiff::Timestamp::from_millisecond(at.as_millis()) else {
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
        let check = |timezone: &str, at: &str, expected: u16| {
            let instant: jiff::Timestamp = at.parse().unwrap();
            let hour = HourOfWeek::try_new(timezone).unwrap();
            let found = hour.of(EventTime::from_millis(instant.as_millisecond()));
            assert_eq!(found, expected, "{at} in {timezone}");
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
    fn an_unknown_time_zone_says_what_is_expected() {
        let error = HourOfWeek::try_new("Mars/Olympus").unwrap_err();
        assert!(error.to_string().contains("Europe/Berlin"), "{error}");
    }
}
