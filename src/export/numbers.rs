//! Numbers, shares and bins as short text for people.

use crate::stats::{BinName, Interval};

/// The text of a number that does not exist.
pub(super) const NO_VALUE: &str = "-";

/// The most characters of a category that are shown.
const MAX_LABEL_CHARACTERS: usize = 30;

/// Whole numbers below this are shown with all digits.
const MAX_WHOLE: f64 = 1e9;

/// A value with about three significant digits.
#[must_use]
pub fn short_number(value: f64) -> String {
    match value.abs() {
        size if size >= 1e6 || (size > 0.0 && size < 1e-4) => format!("{value:.2e}"),
        size if size >= 100.0 => format!("{value:.0}"),
        size if size >= 10.0 => format!("{value:.1}"),
        size if size >= 1.0 => format!("{value:.2}"),
        size if size >= 0.1 => format!("{value:.3}"),
        size if size > 0.0 => format!("{value:.5}"),
        _ => "0".to_owned(),
    }
}

/// A number of a feature: whole where the feature is, else with about three significant digits.
#[must_use]
pub fn number_text(value: f64, is_whole: bool) -> String {
    if is_whole && value.abs() < MAX_WHOLE {
        format!("{value:.0}")
    } else {
        short_number(value)
    }
}

/// A share as a percentage with one decimal; a positive one is never shown as zero.
#[must_use]
pub fn percent(share: f64) -> String {
    if share > 0.0 && share < 0.0005 {
        "<0.1 %".to_owned()
    } else {
        format!("{:.1} %", share * 100.0)
    }
}

/// A count with commas between thousands.
#[must_use]
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .filter_map(|group| std::str::from_utf8(group).ok())
        .collect();
    groups.join(",")
}

/// A text of at most `max` characters; a longer one is cut and ends in an ellipsis.
#[must_use]
pub(super) fn shortened(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut cut: String = text.chars().take(max.saturating_sub(1)).collect();
    cut.push('\u{2026}');
    cut
}

/// The beginning of a category without control characters; an empty one in quotation marks.
#[must_use]
pub(super) fn label_text(label: &str) -> String {
    if label.is_empty() {
        return "\"\"".to_owned();
    }
    label
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_LABEL_CHARACTERS)
        .collect()
}

/// The text of a bin: an interval, or a category without control characters.
#[must_use]
pub(super) fn bin_text(name: BinName<'_>) -> String {
    let interval = match name {
        BinName::Interval(interval) => interval,
        BinName::Label(label) => return label_text(label),
    };
    let Interval { lower, upper } = interval;
    match (lower, upper) {
        (Some(lower), Some(upper)) if lower >= upper => format!("= {}", short_number(lower)),
        (Some(lower), Some(upper)) => {
            format!("[{}, {})", short_number(lower), short_number(upper))
        }
        (None, Some(upper)) => format!("below {}", short_number(upper)),
        (Some(lower), None) => format!("above {}", short_number(lower)),
        (None, None) => "all".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_thousands() {
        assert_eq!(
            [7, 1000, 1_234_567].map(grouped),
            ["7", "1,000", "1,234,567"]
        );
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        assert_eq!(shortened("gr\u{f6}\u{df}er", 6), "gr\u{f6}\u{df}er");
        assert_eq!(shortened("gr\u{f6}\u{df}ere", 6), "gr\u{f6}\u{df}e\u{2026}");
    }

    #[test]
    fn a_small_share_is_not_shown_as_zero() {
        assert_eq!(
            [0.0, 0.0004, 0.25].map(percent),
            ["0.0 %", "<0.1 %", "25.0 %"]
        );
    }
}
