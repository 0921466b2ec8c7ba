//! Hours of the week, and a reference's counts by hour of the week.
//!
//! A stream with a daily and weekly rhythm is compared with the same hours of earlier weeks. All
//! hours share the reference's edges and cells. An hour follows the wall clock of a time zone,
//! because people do. When a clock is set back, one profile holds both passes of the hour.

use std::sync::Arc;
use std::time::Duration;

use jiff::tz::TimeZone;

use crate::model::EventTime;
use crate::stats::FeatureCounts;

/// Hours of a week; the first is Monday from 00:00 to 01:00.
pub const HOURS: usize = 168;

/// The longest time that never spans two local hours: every UTC offset in use is a whole number of
/// quarters of an hour.
pub const QUARTER: Duration = Duration::from_secs(900);

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

    /// Adds the events of the pane that begins at `start` to the hours that it spans, in proportion
    /// to the time that it has in each.
    ///
    /// A pane spans two hours where it is longer than an hour, or where the offset of the time zone
    /// is not a whole number of hours. Only the last of `hours` is looked at for an equal one.
    pub fn add_events(
        &self,
        (start, width): (EventTime, Duration),
        events: u64,
        hours: &mut Vec<(u16, u64)>,
    ) {
        let quarters = width.as_millis().div_ceil(QUARTER.as_millis()).max(1);
        let quarters = u32::try_from(quarters).unwrap_or(u32::MAX);
        let until = |quarter: u32| events * u64::from(quarter) / u64::from(quarters);
        for quarter in 0..quarters {
            let hour = self.of(start.plus(width / (2 * quarters) * (2 * quarter + 1)));
            let in_quarter = until(quarter + 1) - until(quarter);
            match hours.last_mut().filter(|(last, _)| *last == hour) {
                Some((_, sum)) => *sum += in_quarter,
                None => hours.push((hour, in_quarter)),
            }
        }
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
    fn a_pane_is_divided_between_its_local_hours() {
        let divide = |timezone: &str, minutes: u64, events: u64| {
            let monday: jiff::Timestamp = "2026-11-23T00:00:00Z".parse().unwrap();
            let start = EventTime::from_millis(monday.as_millisecond());
            let clock = HourOfWeek::try_new(timezone).unwrap();
            let width = Duration::from_secs(60 * minutes);
            let mut hours = Vec::new();
            clock.add_events((start, width), events, &mut hours);
            hours
        };
        assert_eq!(divide("UTC", 60, 100), [(0, 100)], "a whole hour");
        assert_eq!(divide("UTC", 4, 100), [(0, 100)], "a part of it");
        assert_eq!(divide("UTC", 120, 101), [(0, 50), (1, 51)], "none is lost");
        let kolkata = [(5, 50), (6, 50)];
        assert_eq!(divide("Asia/Kolkata", 60, 100), kolkata, "from 5:30 on");
        let kathmandu = [(5, 25), (6, 75)];
        assert_eq!(divide("Asia/Kathmandu", 60, 100), kathmandu, "from 5:45");
        let day: u64 = divide("UTC", 1440, 7)
            .iter()
            .map(|(_, events)| events)
            .sum();
        assert_eq!(day, 7, "fewer events than quarters");
    }

    #[test]
    fn the_error_for_an_unknown_time_zone_names_a_valid_one() {
        let error = HourOfWeek::try_new("Mars/Olympus").unwrap_err();
        assert!(error.to_string().contains("Europe/Berlin"), "{error}");
    }
}
