//! The decoder from outside: the slots or the error of each kind of record.

use super::*;
use crate::model::{InvalidReason, Kind, MissingKind, Pointer, Slot, TextRange, TimestampSpec};
use proptest::prelude::*;

const PATHS: [&str; 5] = ["/amount", "/user/country", "/flag", "/codes/1", "/user"];

fn decoder() -> Decoder {
    let mut paths = Paths::new();
    for path in PATHS {
        paths.add(&Pointer::parse(path).unwrap(), None);
    }
    Decoder::new(&paths)
}

fn slots(record: &str) -> Result<Vec<Slot>, DecodeError> {
    decoder()
        .json(record.as_bytes())
        .map(|fields| fields.slots.to_vec())
}

fn amount(record: &str) -> Reading<f64> {
    let mut decoder = decoder();
    let fields = decoder.json(record.as_bytes()).unwrap();
    number(fields.slots[0], fields.scratch)
}

fn country(record: &str) -> String {
    let (mut decoder, mut buffer) = (decoder(), String::new());
    let fields = decoder.json(record.as_bytes()).unwrap();
    format!(
        "{:?}",
        category(fields.slots[1], fields.scratch, &mut buffer)
    )
}

#[test]
fn values_are_decoded_wherever_they_are_in_the_record() {
    let slots = slots(
        r#"{"x":[1,{"amount":9}],"user":{"y":{},"country":"DE"},"codes":[7,8],"flag":true,"amount":1.5}"#,
    )
    .unwrap();
    let no_text = TextRange { start: 0, end: 0 };
    assert_eq!(slots[0], Slot::Number(1.5, no_text), "amount");
    assert_eq!(slots[2], Slot::Bool(true), "flag");
    assert_eq!(slots[3], Slot::Number(8.0, no_text), "second code");
    assert_eq!(slots[4], Slot::Nested, "an object is not a scalar");
}

#[test]
fn each_broken_record_has_one_reason() {
    let check = |record: &[u8], reason: &str| {
        let error = decoder().json(record).unwrap_err();
        assert_eq!(
            error.reason(),
            reason,
            "{}",
            String::from_utf8_lossy(record)
        );
    };
    for broken in [
        &b""[..],
        b"{",
        b"{}x",
        b"{\"a\":00.1}",
        b"{\"a\":1,,}",
        b"{\"amount\":1",
        b"{\"a\":tru}",
        b"nonsense",
    ] {
        check(broken, "json");
    }
    check(b"{\"a\":\"\xff\"}", "utf8");
    check(b"{\"amount\":1,\"amount\":2}", "duplicate_key");
    check(b"{\"user\":{},\"user\":{}}", "duplicate_key");
    for literal in ["NaN", "Infinity", "-Infinity"] {
        check(
            format!("{{\"amount\": {literal}}}").as_bytes(),
            "non_finite_literal",
        );
        check(
            format!("{{\"ignored\":\n[1, {literal}]}}").as_bytes(),
            "non_finite_literal",
        );
    }
    for scalar in [&b"5"[..], b"[1]", b"\"text\"", b"null", b"true"] {
        check(scalar, "not_an_object");
    }
    check(
        format!("{{\"a\":{}{}}}", "[".repeat(32), "]".repeat(32)).as_bytes(),
        "depth",
    );
    check(&[b'['; 100_000], "depth");
    check(&vec![b' '; Decoder::DEFAULT_MAX_BYTES + 1], "too_large");
}

#[test]
fn brackets_in_texts_do_not_count_as_depth() {
    let record = format!("{{\"a\":\"{}\\\"[\",\"amount\":3}}", "[{".repeat(100));
    assert_eq!(amount(&record), Reading::Value(3.0), "deep only in a text");
    let record = format!(
        "{{\"a\":{}{},\"amount\":3}}",
        "[".repeat(31),
        "]".repeat(31)
    );
    assert_eq!(
        amount(&record),
        Reading::Value(3.0),
        "32 levels are allowed"
    );
}

#[test]
fn a_repeated_key_that_is_not_configured_is_ignored() {
    assert_eq!(
        amount(r#"{"x":1,"x":2,"amount":3}"#),
        Reading::Value(3.0),
        "ignored key twice"
    );
}

#[test]
fn a_number_out_of_range_affects_that_value_only() {
    let infinite = Reading::Invalid(InvalidReason::Infinite);
    assert_eq!(
        amount(r#"{"amount":1e999,"flag":true}"#),
        infinite,
        "monitored"
    );
    assert_eq!(
        amount(r#"{"other":1e999,"amount":2}"#),
        Reading::Value(2.0),
        "ignored"
    );
    assert_eq!(
        amount(r#"{"user":1e999,"codes":[0,-1e999],"amount":2}"#),
        Reading::Value(2.0),
        "inner"
    );
    let check = |record: &str| {
        assert_eq!(
            decoder().json(record.as_bytes()).unwrap_err(),
            DecodeError::DuplicateKey
        )
    };
    check(r#"{"amount":1e999,"amount":1}"#);
}

#[test]
fn numbers_of_every_form_are_read_and_other_values_are_rejected() {
    let check = |value: &str, expected: Reading<f64>| {
        assert_eq!(
            amount(&format!("{{\"amount\":{value}}}")),
            expected,
            "{value}"
        );
    };
    check("-0.5e2", Reading::Value(-50.0));
    check(
        "18446744073709551615",
        Reading::Value(18_446_744_073_709_551_615.0),
    );
    check("1e-400", Reading::Value(0.0));
    check("null", Reading::Missing(MissingKind::Null));
    check("\"5\"", Reading::Invalid(InvalidReason::WrongKind));
    check("true", Reading::Invalid(InvalidReason::WrongKind));
    check("[1]", Reading::Invalid(InvalidReason::WrongKind));
    assert_eq!(
        amount("{}"),
        Reading::Missing(MissingKind::Absent),
        "absent"
    );
}

#[test]
fn a_text_is_a_number_only_where_it_is_coerced() {
    let read = |value: &str| {
        let record = format!("{{\"amount\":{value}}}");
        let mut decoder = decoder();
        let fields = decoder.json(record.as_bytes()).unwrap();
        let slot = fields.slots[0];
        let advice = expected_instead(Kind::Numeric, slot, fields.scratch);
        let reading = number(coerced(slot, fields.scratch), fields.scratch);
        (reading, advice.unwrap_or_default())
    };
    let check = |value: &str, expected: Reading<f64>, advice: &str| {
        assert_eq!(read(value), (expected, advice.to_owned()), "{value}");
    };
    let invalid = Reading::Invalid(InvalidReason::WrongKind);
    check(
        "\"12\"",
        Reading::Value(12.0),
        "text \"12\" where numbers are expected: set `coerce: true` or `kind: categorical`",
    );
    check(
        "\"12,50\"",
        invalid,
        "text \"12,50\" where numbers are expected: set `kind: categorical`",
    );
    check(
        "true",
        invalid,
        "true where numbers are expected: set `kind: boolean`",
    );
    let nested = "an object or an array where numbers are expected: set `path` to a value in it";
    check("{}", invalid, nested);
    check("12", Reading::Value(12.0), "");
    check("null", Reading::Missing(MissingKind::Null), "");
    assert_eq!(read("\"\"").0, Reading::Missing(MissingKind::Null), "empty");
}

#[test]
fn category_codes_are_canonical_text() {
    let check = |value: &str, expected: &str| {
        assert_eq!(
            country(&format!("{{\"user\":{{\"country\":{value}}}}}")),
            format!("Value({expected:?})"),
            "{value}"
        );
    };
    check("\"DE\"", "DE");
    check("\"a\\n\\\"<b>\"", "a\n\"<b>");
    check("5411", "5411");
    check("5411.0", "5411");
    check("-0.0", "0");
    check("1.5", "1.5");
    check("9007199254740993", "9007199254740993");
    check("true", "true");
}

#[test]
fn a_slot_is_filled_by_the_column_of_its_path_or_its_alternative() {
    let mut paths = Paths::new();
    let amount = paths.add(&Pointer::parse("/features/amount").unwrap(), Some("amount"));
    let ts = paths.add(&Pointer::parse("/ts").unwrap(), None);
    let absent = paths.add(&Pointer::parse("/gone").unwrap(), Some("gone"));
    let mut decoder = Decoder::new(&paths);
    let columns = decoder.table(&["ts", "amount"], &CellForm::default());
    assert!(
        columns.has(amount) && columns.has(ts) && !columns.has(absent),
        "mapping"
    );
    let fields = decoder.row(
        &columns,
        &csv::StringRecord::from(vec!["2026-11-01T00:00:00Z", "nan"]),
    );
    assert_eq!(
        number(fields.slots[amount], fields.scratch),
        Reading::Missing(MissingKind::Null),
        "nan cell"
    );
    assert!(
        matches!(
            TimeField::new(ts, &TimestampSpec::default()).read(fields),
            Reading::Value(_)
        ),
        "time cell"
    );
    assert_eq!(fields.slots[absent], Slot::Absent, "no such column");
}

proptest! {
    #[test]
    fn any_bytes_are_decoded_or_rejected_as_strictly_as_serde_json_does(payload in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut decoder = decoder();
        let strict = serde_json::from_slice::<serde_json::Value>(&payload).is_ok_and(|value| value.is_object());
        prop_assert_eq!(decoder.json(&payload).is_ok(), strict);
    }

    #[test]
    fn numbers_agree_with_a_full_parse(value in any::<f64>().prop_filter("finite", |x| x.is_finite())) {
        prop_assert_eq!(amount(&format!("{{\"amount\":{value:e}}}")), Reading::Value(value));
    }
}
