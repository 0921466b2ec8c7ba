//! The one way to print a duration, in the spelling of the configuration.
//!
//! `humantime` parses durations, but prints 30 days as `30days` or `1month`. A user writes `30d`,
//! so texts that are shown or pasted into a configuration use [`fn@format`], and tables use
//! [`format_rounded`].

use std::time::Duration;

/// Units above a second, in seconds.
const LONG_UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];

/// Units below a second, in nanoseconds.
const SHORT_UNITS: [(u32, &str); 3] = [(1_000_000, "ms"), (1000, "us"), (1, "ns")];

/// Prints a duration in days, hours, minutes, seconds and parts of a second, without zero units:
/// `30d`, `1h 30m`, `500ms`, `0s`. The configuration reads the same duration from it.
#[must_use]
pub fn format(duration: Duration) -> String {
    let mut seconds = duration.as_secs();
    let mut nanoseconds = duration.subsec_nanos();
    let mut terms = Vec::new();
    for (length, unit) in LONG_UNITS {
        if seconds >= length {
            terms.push(format!("{}{unit}", seconds / length));
            seconds %= length;
        }
    }
    for (length, unit) in SHORT_UNITS {
        if nanoseconds >= length {
            terms.push(format!("{}{unit}", nanoseconds / length));
            nanoseconds %= length;
        }
    }
    match terms.is_empty() {
        true => "0s".to_owned(),
        false => terms.join(" "),
    }
}

/// Prints a duration for a table: rounded down to its largest unit and the next one.
///
/// Durations from a second on have no parts of a second; shorter ones are exact to the millisecond.
#[must_use]
pub fn format_rounded(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match LONG_UNITS.iter().position(|(length, _)| seconds >= *length) {
        Some(largest) => {
            let (finest, _) = LONG_UNITS[(largest + 1).min(LONG_UNITS.len() - 1)];
            format(Duration::from_secs(seconds / finest * finest))
        }
        None => format(Duration::from_millis(duration.subsec_millis().into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_duration_prints_without_units_that_are_zero() {
        let check = |millis: u64, expected: &str| {
            assert_eq!(format(Duration::from_millis(millis)), expected);
        };
        check(0, "0s");
        check(500, "500ms");
        check(60_000, "1m");
        check(90_000, "1m 30s");
        check(36 * 3_600_000, "1d 12h");
        check(30 * 86_400_000, "30d");
        check(365 * 86_400_000, "365d");
    }

    #[test]
    fn a_rounded_duration_has_two_neighbouring_units() {
        let check = |millis: u64, expected: &str| {
            let duration = Duration::from_millis(millis);
            assert_eq!(format_rounded(duration), expected, "{millis} ms");
        };
        check(0, "0s");
        check(250, "250ms");
        check(45_500, "45s");
        check(180_000, "3m");
        check(3_661_000, "1h 1m");
        check(14 * 86_400_000 + 59_000, "14d");
    }

    #[test]
    fn a_rounded_duration_below_a_second_is_exact_to_the_millisecond() {
        assert_eq!(format_rounded(Duration::from_micros(1500)), "1ms");
    }

    proptest! {
        #[test]
        fn a_printed_duration_reads_back_the_same(seconds in 0..u64::from(u32::MAX), nanos in 0..1_000_000_000_u32) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(humantime::parse_duration(&format(duration)).unwrap(), duration);
        }
    }
}
