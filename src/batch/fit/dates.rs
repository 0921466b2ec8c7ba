//! Texts that begin with a date, in the usual orders of day, month and year.
//!
//! A date is not a category: each new day would be an unseen one. It need not be a time that pegel
//! can read, because a date alone says nothing about the hour, and `8.11.2026` leaves open what is
//! the day.

/// True for a date, alone or with a time behind it.
pub(super) fn begins_with_date(text: &str) -> bool {
    let text = text.trim_ascii();
    let date = text.split([' ', 'T', 't']).next().unwrap_or_default();
    let has_only_time_behind = text[date.len()..]
        .bytes()
        .all(|byte| byte.is_ascii_digit() || b" Tt:.,+-ZzAaPpMm".contains(&byte));
    has_only_time_behind
        && ['-', '/', '.']
            .into_iter()
            .any(|separator| is_date(date, separator))
}

fn is_date(date: &str, separator: char) -> bool {
    let numbers: Vec<&str> = date.split(separator).collect();
    let [first, middle, last] = numbers[..] else {
        return false;
    };
    let is_year = |text: &str| number(text, 4).is_some_and(|year| (1900..2100).contains(&year));
    let is_day = |text: &str| number(text, 2).is_some_and(|day| (1..=31).contains(&day));
    is_day(middle) && (is_year(first) && is_day(last) || is_day(first) && is_year(last))
}

/// The number of at most `digits` digits; `None` for another text.
fn number(text: &str, digits: usize) -> Option<u32> {
    let is_short = (1..=digits).contains(&text.len());
    let has_digits = text.bytes().all(|byte| byte.is_ascii_digit());
    (is_short && has_digits)
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_in_the_usual_orders_are_found_and_other_numbers_are_not() {
        for date in [
            "2026-11-08",
            "2026/11/8",
            "8.11.2026",
            "11/28/2026",
            "08.11.2026 14:23",
            "11/08/2026 02:23:55 PM",
            "2026-11-08T14:23:55.5",
        ] {
            assert!(begins_with_date(date), "{date}");
        }
        for text in [
            "",
            "1.2.3",
            "127.0.0.1",
            "2026",
            "12-50",
            "2026-45-01",
            "2026-11-08 Cologne",
            "red",
            "1.234.567",
        ] {
            assert!(!begins_with_date(text), "{text}");
        }
    }
}
