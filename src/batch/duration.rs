//! Durations as text in the units of the configuration: `7d`, `1d 12h`, `250ms`.
//!
//! `humantime` parses these texts but writes thirty-one days as `1month 13h 26m 24s`. The largest
//! unit here is the day, as in configurations that people write.

use std::time::Duration;

/// Seconds of each unit, largest first.
const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];

/// Formats a duration exactly to the millisecond, as a configuration accepts it.
#[must_use]
pub fn format_exact(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    let mut texts: Vec<String> = Vec::new();
    for (seconds, unit) in UNITS {
        if rest >= seconds {
            texts.push(format!("{}{unit}", rest / seconds));
            rest %= seconds;
        }
    }
    let millis = duration.subsec_millis();
    if millis > 0 || texts.is_empty() {
        texts.push(format!("{millis}ms"));
    }
    texts.join(" ")
}

/// Formats a duration for a table: rounded down to its largest unit and the next one.
///
/// Durations below a second are exact to the millisecond.
#[must_use]
pub fn format_rounded(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let Some(largest) = UNITS.iter().position(|(unit, _)| seconds >= *unit) else {
        return format_exact(duration);
    };
    let (finest, _) = UNITS[(largest + 1).min(UNITS.len() - 1)];
    format_exact(Duration::from_secs(seconds / finest * finest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exact_durations_name_every_unit() {
        let check = |millis: u64, expected: &str| {
            assert_eq!(format_exact(Duration::from_millis(millis)), expected);
        };
        check(0, "0ms");
        check(250, "250ms");
        check(1500, "1s 500ms");
        check(7 * 86_400_000, "7d");
        check(36 * 3_600_000, "1d 12h");
        check(86_400_000 + 61_000, "1d 1m 1s");
    }

    #[test]
    fn exact_durations_can_be_parsed_again() {
        for millis in [1, 59_999, 3_600_000, 90_061_001] {
            let duration = Duration::from_millis(millis);
            let parsed = humantime::parse_duration(&format_exact(duration));
            assert_eq!(parsed, Ok(duration), "{millis} ms");
        }
    }

    #[test]
    fn rounded_durations_have_two_neighbouring_units() {
        let check = |seconds: u64, expected: &str| {
            assert_eq!(
                format_rounded(Duration::from_secs(seconds)),
                expected,
                "{seconds} s"
            );
        };
        check(0, "0ms");
        check(45, "45s");
        check(180, "3m");
        check(3661, "1h 1m");
        check(86_400 * 14 + 59, "14d");
    }
}
