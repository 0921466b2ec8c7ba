//! What a slot means to a feature of a kind: a value, a missing value, or one that cannot be used.

use std::fmt::Write as _;

use crate::model::{InvalidReason, Literal, MissingKind, Slot, TextRange};

/// What a feature makes of a slot.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reading<T> {
    /// A usable value.
    Value(T),
    /// There is none.
    Missing(MissingKind),
    /// There is one that cannot be counted.
    Invalid(InvalidReason),
}

impl<T> Reading<T> {
    /// The same reading with its value turned into another.
    pub fn map<U>(self, turn: impl FnOnce(T) -> U) -> Reading<U> {
        match self {
            Reading::Value(value) => Reading::Value(turn(value)),
            Reading::Missing(kind) => Reading::Missing(kind),
            Reading::Invalid(reason) => Reading::Invalid(reason),
        }
    }
}

const WRONG_KIND: InvalidReason = InvalidReason::WrongKind;

/// A slot as a finite number.
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

/// A slot as a category; numbers become canonical text in `buffer`, whole ones without a fraction.
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

/// A cell that a number was written to as `5411.0` is the code `5411`; every other text is itself.
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

fn canonical_number<'a>(value: f64, digits: &'a str, buffer: &'a mut String) -> Reading<&'a str> {
    match finite(value) {
        Reading::Value(_) if is_whole_text(digits) => Reading::Value(digits),
        Reading::Value(value) => {
            buffer.clear();
            // Adding zero turns -0 into 0; writing to a String cannot fail.
            let written = write!(buffer, "{}", value + 0.0);
            debug_assert!(written.is_ok(), "a String takes any text");
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

/// A slot as `true` or `false`; in a table the words count in any case.
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

/// Whether a slot equals a literal of the configuration.
#[must_use]
pub fn matches(slot: Slot, scratch: &str, literal: &Literal) -> bool {
    let text_is = |text: TextRange, expected: &str| text.of(scratch) == expected;
    match (slot, literal) {
        (Slot::Text(text) | Slot::Cell(text), Literal::Text(expected)) => text_is(text, expected),
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

/// Equal as numbers: zero has no sign here, and nothing equals NaN.
fn equal(a: f64, b: f64) -> bool {
    a.partial_cmp(&b).is_some_and(std::cmp::Ordering::is_eq)
}
