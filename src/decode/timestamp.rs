//! Event times of records: texts with or without a zone, and numbers since the epoch.
//!
//! The unit of a number follows from the configured format or, for `auto`, from its magnitude:
//! seconds of the years 1973 to 5138 are below every millisecond of these years, and so on for
//! micro- and nanoseconds. A smaller number is no time: it is more likely a counter.

use jiff::civil::DateTime;

use super::buffer::Fields;
use super::reading::Reading;
use crate::model::{
    EventTime, InvalidReason, MissingKind, Slot, TimestampFormat, TimestampSpec, Zone,
};

/// The last millisecond of the year 9999.
const LATEST_MS: i64 = 253_402_300_799_999;

/// The smallest number of each unit that `auto` takes for a time, the largest first. A number is in
/// the first unit whose limit it reaches.
const MAGNITUDES: [(f64, TimestampFormat); 4] = [
    (1e17, TimestampFormat::EpochNs),
    (1e14, TimestampFormat::EpochUs),
    (1e11, TimestampFormat::EpochMs),
    (1e8, TimestampFormat::EpochS),
];

/// The number of bytes of a date such as `2026-11-08`.
const DATE_LENGTH: usize = 10;

/// The field of a record that holds its event time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeField {
    /// The slot of the time.
    pub slot: usize,
    reader: TimeReader,
}

impl TimeField {
    /// A field with the format and the zone of `spec`.
    #[must_use]
    pub fn new(slot: usize, spec: &TimestampSpec) -> Self {
        TimeField {
            slot,
            reader: TimeReader::new(spec),
        }
    }

    /// Reads the time of a record; invalid if a value is present that is no time.
    #[must_use]
    #[inline]
    pub fn read(&self, fields: Fields<'_>) -> Reading<EventTime> {
        self.reader.read(fields.slots[self.slot], fields.scratch)
    }

    /// The form in which the time of a record is written; `None` if it has none.
    #[must_use]
    pub fn format_of(&self, fields: Fields<'_>) -> Option<TimestampFormat> {
        match self.reader.find(fields.slots[self.slot], fields.scratch) {
            Reading::Value((_, format)) => Some(format),
            Reading::Missing(_) | Reading::Invalid(_) => None,
        }
    }
}

/// Reads times of one format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeReader {
    format: TimestampFormat,
    zone: Zone,
}

impl TimeReader {
    /// A reader for the format and the zone of `spec`.
    #[must_use]
    pub fn new(spec: &TimestampSpec) -> Self {
        TimeReader {
            format: spec.format,
            zone: spec.zone.clone(),
        }
    }

    /// Reads a slot as a time; a time is after the epoch and before the year 10000.
    #[must_use]
    #[inline]
    pub fn read(&self, slot: Slot, scratch: &str) -> Reading<EventTime> {
        self.find(slot, scratch).map(|(time, _)| time)
    }

    /// Reads a slot as a time, and the form in which it is written.
    #[must_use]
    pub fn find(&self, slot: Slot, scratch: &str) -> Reading<(EventTime, TimestampFormat)> {
        let time = match slot {
            Slot::Absent => return Reading::Missing(MissingKind::Absent),
            Slot::Null => return Reading::Missing(MissingKind::Null),
            Slot::Number(value, digits) => self.of_number(value, digits.of(scratch)),
            Slot::Text(text) => {
                let text = text.of(scratch);
                match self.reads_digits().then(|| text.parse::<f64>()) {
                    Some(Ok(value)) => self.of_number(value, text),
                    _ => self.of_text(text),
                }
            }
            Slot::Cell(text) => {
                let text = text.of(scratch).trim();
                match text.parse::<f64>() {
                    Ok(value) if value.is_nan() => return Reading::Missing(MissingKind::Nan),
                    Ok(value) => self.of_number(value, text),
                    Err(_) => self.of_text(text),
                }
            }
            Slot::Bool(_) | Slot::Nested => None,
        };
        time.map_or(Reading::Invalid(InvalidReason::WrongKind), Reading::Value)
    }

    /// True if a JSON text may hold the digits of a number, as some producers write it.
    const fn reads_digits(&self) -> bool {
        matches!(
            self.format,
            TimestampFormat::Auto
                | TimestampFormat::EpochS
                | TimestampFormat::EpochMs
                | TimestampFormat::EpochUs
                | TimestampFormat::EpochNs
        )
    }

    /// The time of a number; `digits` are exact where a double is not.
    fn of_number(&self, value: f64, digits: &str) -> Option<(EventTime, TimestampFormat)> {
        let format = match self.format {
            TimestampFormat::Auto => MAGNITUDES.into_iter().find(|(limit, _)| value >= *limit)?.1,
            TimestampFormat::Rfc3339OrEpochMs => TimestampFormat::EpochMs,
            format => format,
        };
        let millis = match format {
            // To the microsecond first: 1.001 s is a little less than 1001 ms as a double.
            TimestampFormat::EpochS => whole((value * 1e6).round() / 1e3)?,
            TimestampFormat::EpochMs => whole(value)?,
            TimestampFormat::EpochUs => whole(value / 1e3)?,
            TimestampFormat::EpochNs => match digits.parse::<i64>() {
                Ok(nanos) => nanos / 1_000_000,
                Err(_) => whole(value / 1e6)?,
            },
            TimestampFormat::Auto
            | TimestampFormat::Rfc3339
            | TimestampFormat::Datetime
            | TimestampFormat::Rfc3339OrEpochMs => return None,
        };
        Some((in_range(millis)?, format))
    }

    /// The time of a text. A text with a zone has a `Z`, a `+` or a `-` behind its date.
    fn of_text(&self, text: &str) -> Option<(EventTime, TimestampFormat)> {
        let of_day = text.as_bytes().get(DATE_LENGTH..)?;
        let has_zone = memchr::memchr3(b'Z', b'+', b'-', of_day)
            .or_else(|| memchr::memchr(b'z', of_day))
            .is_some();
        let format = match has_zone {
            true => TimestampFormat::Rfc3339,
            false => TimestampFormat::Datetime,
        };
        let is_accepted = match self.format {
            TimestampFormat::Auto => true,
            TimestampFormat::Rfc3339OrEpochMs => has_zone,
            configured => configured == format,
        };
        if !is_accepted {
            return None;
        }
        let timestamp = match has_zone {
            true => text.parse::<jiff::Timestamp>().ok()?,
            false => self.local_time(text, of_day)?,
        };
        Some((in_range(timestamp.as_millisecond())?, format))
    }

    /// The time of a text in the reader's zone. Of a local time that occurs twice, the first one;
    /// one that a clock skips is moved forward by the length of the gap.
    fn local_time(&self, text: &str, of_day: &[u8]) -> Option<jiff::Timestamp> {
        // A date alone is the time of nothing that happened on that day.
        if of_day.len() < "T00:00".len() {
            return None;
        }
        let local = text.parse::<DateTime>().ok()?;
        self.zone.rules().to_timestamp(local).ok()
    }
}

/// The whole part of a number of milliseconds; `None` far outside of the range of times.
#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn whole(millis: f64) -> Option<i64> {
    (0.0..=LATEST_MS as f64)
        .contains(&millis)
        .then_some(millis as i64)
}

fn in_range(millis: i64) -> Option<EventTime> {
    (1..=LATEST_MS)
        .contains(&millis)
        .then(|| EventTime::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TextRange;

    const NO_TEXT: TextRange = TextRange { start: 0, end: 0 };

    /// 2026-11-08T14:23:55Z in seconds.
    const SECOND: i64 = 1_794_147_835;

    fn reader(format: TimestampFormat, zone: &str) -> TimeReader {
        TimeReader::new(&TimestampSpec {
            format,
            zone: Zone::named(zone).unwrap(),
            ..TimestampSpec::default()
        })
    }

    fn range(text: &str) -> TextRange {
        let end = u32::try_from(text.len()).unwrap();
        TextRange { start: 0, end }
    }

    fn millis(reading: Reading<EventTime>) -> Option<i64> {
        match reading {
            Reading::Value(time) => Some(time.as_millis()),
            Reading::Invalid(_) => None,
            Reading::Missing(kind) => panic!("missing ({})", kind.name()),
        }
    }

    fn of_text(reader: &TimeReader, text: &str) -> Option<i64> {
        let of_cell = millis(reader.read(Slot::Cell(range(text)), text));
        let of_json = millis(reader.read(Slot::Text(range(text)), text));
        assert_eq!(of_cell, of_json, "a cell and a JSON text: {text:?}");
        of_json
    }

    #[test]
    fn auto_reads_texts_with_and_without_a_zone() {
        let utc = reader(TimestampFormat::Auto, "UTC");
        let check = |text: &str, expected: Option<i64>| {
            assert_eq!(of_text(&utc, text), expected, "{text:?}");
        };
        check("2026-11-08T14:23:55Z", Some(SECOND * 1000));
        check("2026-11-08t14:23:55z", Some(SECOND * 1000));
        check("2026-11-08T16:23:55.5+02:00", Some(SECOND * 1000 + 500));
        check("2026-11-08 14:23:55+00:00", Some(SECOND * 1000));
        // pandas and MySQL write no zone; it was not read at all.
        check("2026-11-08 14:23:55", Some(SECOND * 1000));
        check("2026-11-08 14:23:55.123", Some(SECOND * 1000 + 123));
        check("2026-11-08T14:23:55.123456", Some(SECOND * 1000 + 123));
        for no_time in [
            "2026-11-08",
            "1969-12-31T23:59:59Z",
            "yesterday",
            "",
            "14:23:55",
            "\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}\u{e9}",
        ] {
            check(no_time, None);
        }
    }

    #[test]
    fn auto_reads_numbers_by_their_magnitude() {
        let utc = reader(TimestampFormat::Auto, "UTC");
        let check = |value: f64, format: TimestampFormat, expected: i64| {
            let reading = utc.find(Slot::Number(value, NO_TEXT), "");
            let time = EventTime::from_millis(expected);
            assert_eq!(reading, Reading::Value((time, format)), "{value}");
        };
        let seconds = SECOND as f64;
        // Seconds were read as milliseconds of January 1970, micro- and nanoseconds not at all.
        check(seconds, TimestampFormat::EpochS, SECOND * 1000);
        check(seconds + 0.001, TimestampFormat::EpochS, SECOND * 1000 + 1);
        check(seconds + 0.25, TimestampFormat::EpochS, SECOND * 1000 + 250);
        check(
            seconds * 1e3 + 7.9,
            TimestampFormat::EpochMs,
            SECOND * 1000 + 7,
        );
        check(
            seconds * 1e6 + 7e3,
            TimestampFormat::EpochUs,
            SECOND * 1000 + 7,
        );
        check(seconds * 1e9, TimestampFormat::EpochNs, SECOND * 1000);
        for no_time in [0.0, -5.0, 86_400.0, 99_999_999.0, 1e300, f64::INFINITY] {
            let reading = utc.find(Slot::Number(no_time, NO_TEXT), "");
            assert_eq!(
                reading,
                Reading::Invalid(InvalidReason::WrongKind),
                "{no_time}"
            );
        }
    }

    #[test]
    fn nanoseconds_are_exact_where_a_double_is_not() {
        // 1794147835000999999 as a double is 1794147835001000000.
        let digits = "1794147835000999999";
        let utc = reader(TimestampFormat::Auto, "UTC");
        let slot = Slot::Number(digits.parse().unwrap(), range(digits));
        assert_eq!(
            millis(utc.read(slot, digits)),
            Some(SECOND * 1000),
            "number"
        );
        assert_eq!(of_text(&utc, digits), Some(SECOND * 1000), "text");
    }

    #[test]
    fn a_format_by_name_reads_nothing_else() {
        let number = |format, value: f64| {
            millis(reader(format, "UTC").read(Slot::Number(value, NO_TEXT), ""))
        };
        assert_eq!(
            number(TimestampFormat::EpochS, 60.0),
            Some(60_000),
            "any second"
        );
        assert_eq!(
            number(TimestampFormat::EpochMs, 60.0),
            Some(60),
            "any millisecond"
        );
        assert_eq!(
            number(TimestampFormat::EpochUs, 5e3),
            Some(5),
            "microseconds"
        );
        assert_eq!(
            number(TimestampFormat::EpochNs, 5e6),
            Some(5),
            "nanoseconds"
        );
        assert_eq!(
            number(TimestampFormat::Rfc3339OrEpochMs, 60.0),
            Some(60),
            "either"
        );
        assert_eq!(number(TimestampFormat::Rfc3339, 1.8e9), None, "a text");
        assert_eq!(number(TimestampFormat::Datetime, 1.8e9), None, "a text");
        let (zoned, local) = ("2026-11-08T14:23:55Z", "2026-11-08 14:23:55");
        let text = |format, text: &str| of_text(&reader(format, "UTC"), text).is_some();
        assert!(text(TimestampFormat::Rfc3339, zoned) && !text(TimestampFormat::Rfc3339, local));
        assert!(text(TimestampFormat::Datetime, local) && !text(TimestampFormat::Datetime, zoned));
        let either = TimestampFormat::Rfc3339OrEpochMs;
        assert!(text(either, zoned) && !text(either, local));
        assert!(!text(TimestampFormat::EpochS, zoned), "a number");
    }

    #[test]
    fn a_local_time_is_read_in_the_configured_zone() {
        let berlin = reader(TimestampFormat::Auto, "Europe/Berlin");
        let check = |local: &str, utc: &str| {
            let expected = utc.parse::<jiff::Timestamp>().unwrap().as_millisecond();
            assert_eq!(of_text(&berlin, local), Some(expected), "{local}");
        };
        check("2026-07-01 12:00:00", "2026-07-01T10:00:00Z");
        check("2026-12-01 12:00:00", "2026-12-01T11:00:00Z");
        // 02:30 occurs twice on 2026-10-25 and not at all on 2026-03-29.
        check("2026-10-25 02:30:00", "2026-10-25T00:30:00Z");
        check("2026-03-29 02:30:00", "2026-03-29T01:30:00Z");
        check("2026-07-01T12:00:00Z", "2026-07-01T12:00:00Z");
    }

    #[test]
    fn a_missing_time_is_not_an_unreadable_one() {
        let utc = reader(TimestampFormat::Auto, "UTC");
        let check = |slot: Slot, text: &str, expected: Reading<EventTime>| {
            assert_eq!(utc.read(slot, text), expected, "{slot:?}");
        };
        check(Slot::Absent, "", Reading::Missing(MissingKind::Absent));
        check(Slot::Null, "", Reading::Missing(MissingKind::Null));
        check(
            Slot::Cell(range("nan")),
            "nan",
            Reading::Missing(MissingKind::Nan),
        );
        let unreadable = Reading::Invalid(InvalidReason::WrongKind);
        check(Slot::Bool(true), "", unreadable);
        check(Slot::Nested, "", unreadable);
        check(Slot::Text(range("soon")), "soon", unreadable);
    }
}
