//! Event times of records: RFC 3339 texts and milliseconds since the epoch.

use crate::model::{EventTime, Slot};

/// The last millisecond of the year 9999. A larger number is in another unit than milliseconds.
const LATEST_MS: f64 = 253_402_300_799_999.0;

/// Reads a slot as a time. Returns `None` if it is absent, not a time, or not after the epoch.
#[must_use]
pub fn timestamp(slot: Slot, scratch: &str) -> Option<EventTime> {
    match slot {
        Slot::Number(millis, _) => from_millis(millis),
        Slot::Text(text) => from_rfc_3339(text.of(scratch)),
        Slot::Cell(text) => {
            let text = text.of(scratch);
            text.parse()
                .map_or_else(|_| from_rfc_3339(text), from_millis)
        }
        Slot::Absent | Slot::Null | Slot::Bool(_) | Slot::Nested => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
fn from_millis(millis: f64) -> Option<EventTime> {
    (1.0..=LATEST_MS)
        .contains(&millis)
        .then(|| EventTime::from_millis(millis as i64))
}

fn from_rfc_3339(text: &str) -> Option<EventTime> {
    let millis = text.parse::<jiff::Timestamp>().ok()?.as_millisecond();
    (millis > 0).then(|| EventTime::from_millis(millis))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TextRange;

    fn of_text(text: &str) -> Option<i64> {
        let end = u32::try_from(text.len()).unwrap();
        timestamp(Slot::Text(TextRange { start: 0, end }), text).map(EventTime::as_millis)
    }

    #[test]
    fn texts_are_rfc_3339_with_an_offset() {
        let check =
            |text: &str, expected: Option<i64>| assert_eq!(of_text(text), expected, "{text:?}");
        check("2026-11-01T00:00:00Z", Some(1_793_491_200_000));
        check("2026-11-01T02:00:00.5+02:00", Some(1_793_491_200_500));
        check("2026-11-01T00:00:00", None);
        check("1969-12-31T23:59:59Z", None);
        check("yesterday", None);
        check("", None);
    }

    #[test]
    fn numbers_are_milliseconds_after_the_epoch() {
        let check = |millis: f64, expected: Option<i64>| {
            let time = timestamp(Slot::Number(millis, TextRange { start: 0, end: 0 }), "");
            assert_eq!(time.map(EventTime::as_millis), expected, "{millis}");
        };
        check(1_793_491_200_000.0, Some(1_793_491_200_000));
        check(0.0, None);
        check(-5.0, None);
        check(1e300, None);
        check(f64::INFINITY, None);
    }
}
