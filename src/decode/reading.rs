//! Reads a slot as a value of one kind: a usable value, a missing value, or an invalid one.

use std::borrow::Cow;
use std::fmt::Write as _;

use super::cell_form::is_missing_text;
use crate::model::{InvalidReason, Kind, Literal, MissingKind, NESTED, Slot};

/// A slot, read as a value of type `T`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading<T> {
    /// A usable value.
    Value(T),
    /// No value is present.
    Missing(MissingKind),
    /// A value is present that cannot be counted.
    Invalid(InvalidReason),
}

impl<T> Reading<T> {
    /// Converts the value and keeps the reasons.
    pub fn map<U>(self, convert: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Reading::Value(value) => Reading::Value(convert(value)),
            Reading::Missing(kind) => Reading::Missing(kind),
            Reading::Invalid(reason) => Reading::Invalid(reason),
        }
    }
}

const WRONG_KIND: InvalidReason = InvalidReason::WrongKind;

/// Reads a slot as a finite number.
#[must_use]
#[inline]
pub fn number(slot: Slot, scratch: &str) -> Reading<f64> {
    match slot {
        Slot::Number(value, _) => finite(value),
        Slot::Absent => Reading::Missing(MissingKind::Absent),
        Slot::Null => Reading::Missing(MissingKind::Null),
        Slot::Cell(text) => match text.of(scratch).trim().parse::<f64>() {
            Ok(value) => finite(value),
            Err(_) => Reading::Invalid(WRONG_KIND),
        },
        Slot::Text(_) | Slot::Bool(_) | Slot::Nested => Reading::Invalid(WRONG_KIND),
    }
}

#[inline]
fn finite(value: f64) -> Reading<f64> {
    if value.is_finite() {
        Reading::Value(value)
    } else if value.is_nan() {
        Reading::Missing(MissingKind::Nan)
    } else {
        Reading::Invalid(InvalidReason::Infinite)
    }
}

/// Reads a slot as a category. Numbers become canonical text in `buffer`; whole ones have no
/// fraction.
#[must_use]
#[inline]
pub fn category<'a>(slot: Slot, scratch: &'a str, buffer: &'a mut String) -> Reading<&'a str> {
    match slot {
        Slot::Text(text) => Reading::Value(text.of(scratch)),
        Slot::Cell(text) => canonical_cell(text.of(scratch), buffer),
        Slot::Number(value, digits) => canonical_number(value, digits.of(scratch), buffer),
        Slot::Bool(value) => Reading::Value(if value { "true" } else { "false" }),
        Slot::Absent => Reading::Missing(MissingKind::Absent),
        Slot::Null => Reading::Missing(MissingKind::Null),
        Slot::Nested => Reading::Invalid(WRONG_KIND),
    }
}

/// Turns a whole number that a table holds as `5411.0` into the code `5411`; keeps every other
/// text.
fn canonical_cell<'a>(text: &'a str, buffer: &'a mut String) -> Reading<&'a str> {
    let whole = text.strip_suffix(".0").filter(|digits| {
        let digits = digits.strip_prefix('-').unwrap_or(digits);
        !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    match whole.and_then(|digits| digits.parse().ok()) {
        Some(value) => canonical_number(value, "", buffer),
        None => Reading::Value(text),
    }
}

/// Formats a number as a category. Digits of a whole number are kept as they are, because a double
/// may not hold them exactly.
fn canonical_number<'a>(value: f64, digits: &'a str, buffer: &'a mut String) -> Reading<&'a str> {
    match finite(value) {
        Reading::Value(_) if is_whole_text(digits) => Reading::Value(digits),
        Reading::Value(value) => {
            buffer.clear();
            // Adding zero turns -0 into 0.
            let written = write!(buffer, "{}", value + 0.0);
            debug_assert!(written.is_ok(), "writing to a String cannot fail");
            Reading::Value(buffer)
        }
        Reading::Missing(kind) => Reading::Missing(kind),
        Reading::Invalid(reason) => Reading::Invalid(reason),
    }
}

fn is_whole_text(digits: &str) -> bool {
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit())
}

/// Reads a slot as `true` or `false`. In a table, upper and lower case are the same.
#[must_use]
#[inline]
pub fn boolean(slot: Slot, scratch: &str) -> Reading<bool> {
    match slot {
        Slot::Bool(value) => Reading::Value(value),
        Slot::Absent => Reading::Missing(MissingKind::Absent),
        Slot::Null => Reading::Missing(MissingKind::Null),
        Slot::Cell(text) if text.of(scratch).eq_ignore_ascii_case("true") => Reading::Value(true),
        Slot::Cell(text) if text.of(scratch).eq_ignore_ascii_case("false") => Reading::Value(false),
        _ => Reading::Invalid(WRONG_KIND),
    }
}

/// A JSON text as a cell of a table, whose type the kind of the feature decides. A text that is a
/// missing value in a table is null; every other slot stays.
#[must_use]
#[inline]
pub fn coerced(slot: Slot, scratch: &str) -> Slot {
    match slot {
        Slot::Text(text) if is_missing_text(text.of(scratch).trim_ascii()) => Slot::Null,
        Slot::Text(text) => Slot::Cell(text),
        slot => slot,
    }
}

/// Spells a value as messages show it: a text in quotation marks, numbers and `true` as they are.
///
/// `buffer` is reused for the spelling.
#[must_use]
pub fn spelling<'a>(slot: Slot, scratch: &str, buffer: &'a mut String) -> &'a str {
    buffer.clear();
    let written = match slot {
        Slot::Text(text) | Slot::Cell(text) => write!(buffer, "{:?}", shortened(text.of(scratch))),
        Slot::Number(value, _) => write!(buffer, "{value:e}"),
        Slot::Bool(value) => write!(buffer, "{value}"),
        Slot::Nested => write!(buffer, "{NESTED}"),
        Slot::Absent | Slot::Null => write!(buffer, "nothing"),
    };
    debug_assert!(written.is_ok(), "writing to a String cannot fail");
    buffer
}

/// Describes a value of the wrong kind and what to do about it; `None` for other values.
#[must_use]
pub fn expected_instead(kind: Kind, slot: Slot, scratch: &str) -> Option<String> {
    let (expected, is_coercible) = match kind {
        Kind::Numeric => {
            let reading = number(coerced(slot, scratch), scratch);
            ("numbers", !matches!(reading, Reading::Invalid(_)))
        }
        Kind::Boolean => {
            let reading = boolean(coerced(slot, scratch), scratch);
            ("true or false", !matches!(reading, Reading::Invalid(_)))
        }
        Kind::Categorical => ("texts", false),
    };
    let (actual, advice) = match slot {
        Slot::Text(text) => (
            format!("text {:?}", shortened(text.of(scratch))),
            match is_coercible {
                true => "set `coerce: true` or `kind: categorical`",
                false => "set `kind: categorical`",
            },
        ),
        Slot::Cell(text) => (
            format!("text {:?}", shortened(text.of(scratch))),
            "set `kind: categorical`",
        ),
        Slot::Number(value, _) if kind == Kind::Boolean => {
            (format!("number {value}"), "set `kind: numeric`")
        }
        Slot::Bool(value) => (value.to_string(), "set `kind: boolean`"),
        Slot::Nested => (NESTED.to_owned(), "set `path` to a value in it"),
        Slot::Absent | Slot::Null | Slot::Number(..) => return None,
    };
    Some(format!("{actual} where {expected} are expected: {advice}"))
}

/// The beginning of a text, for messages.
fn shortened(text: &str) -> Cow<'_, str> {
    const MAX_CHARS: usize = 40;
    match text.char_indices().nth(MAX_CHARS) {
        Some((end, _)) => Cow::Owned(format!("{}...", &text[..end])),
        None => Cow::Borrowed(text),
    }
}

/// True if a slot equals a literal of the configuration.
#[must_use]
pub fn matches(slot: Slot, scratch: &str, literal: &Literal) -> bool {
    match (slot, literal) {
        (Slot::Text(text) | Slot::Cell(text), Literal::Text(expected)) => {
            text.of(scratch) == expected
        }
        (Slot::Number(value, _), Literal::Number(expected)) => equal(value, *expected),
        (Slot::Cell(text), Literal::Number(expected)) => text
            .of(scratch)
            .parse()
            .is_ok_and(|value: f64| equal(value, *expected)),
        (Slot::Bool(_) | Slot::Cell(_), Literal::Bool(expected)) => {
            boolean(slot, scratch) == Reading::Value(*expected)
        }
        _ => false,
    }
}

/// True if two numbers are equal: zero has no sign, and NaN equals nothing.
fn equal(a: f64, b: f64) -> bool {
    a.partial_cmp(&b).is_some_and(std::cmp::Ordering::is_eq)
}
