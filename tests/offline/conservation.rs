//! The three conservation laws, checked to the record on a stream with every kind of error.

use pegel::app::observer_plan;
use pegel::decode::DecodeError;
use pegel::engine::Engine;
use pegel::ingest::Ingest;
use pegel::model::{EventTime, Literal, Pointer, Select, Shard};
use pegel::source::{RawRecord, Sink as _};
use proptest::prelude::*;

use crate::support::{at, plan, record, spec};

/// Good and bad records; each kind ends in one counter.
fn payload(kind: u8, minute: i64) -> Option<Vec<u8>> {
    let time = at(12, minute, 0);
    let text = match kind {
        0..=3 => record(time, "500", "\"de\""),
        4 => record(time, "null", "\"xx\""),
        5 => record(time, "1e999", "\"a\\\"b\\n<i>\""),
        6 => record(time, "\"text\"", "5"),
        7 => record(time, "1e9", "{}"),
        8 => format!("{{\"ts\":{}}}", time.as_millis()),
        9 => record(time, "NaN", "\"de\""),
        10 => record(time, "1,\"x\":2", "\"de\""),
        11 => String::new(),
        12 => return None,
        13 => return Some(b"{\"x\":\"\xff\"}".to_vec()),
        14 => format!("{{\"x\":{}1{}}}", "[".repeat(40), "]".repeat(40)),
        15 => record(EventTime::from_millis(-5), "1", "\"de\""),
        16 => record(at(12 + 24 * 30, 0, 0), "1", "\"de\""),
        17 => record(at(1, 0, 0), "1", "\"de\""),
        18 => "[1]".to_owned(),
        _ => format!("{{\"pad\":\"{}\"}}", " ".repeat(1 << 20)),
    };
    Some(text.into_bytes())
}

fn shard(partition: i32) -> Shard {
    Shard {
        source: "data".to_owned(),
        cluster: String::new(),
        topic: "t".to_owned(),
        partition,
        incarnation: 0,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn nothing_is_lost_and_nothing_is_counted_twice(
        kinds in proptest::collection::vec((0..20u8, 0..20i64, 0..3usize), 1..150), flush_every in 1..40usize
    ) {
        let mut plain = spec();
        plain.timestamp.fallback_kafka = false;
        let mut picky = plain.clone();
        picky.name = "picky".to_owned();
        let path = Pointer::parse("/c").unwrap();
        picky.select = Some(Select { path, equals: vec![Literal::Text("de".to_owned()), Literal::Number(5.0)] });
        let mut engine = Engine::new(vec![plan(plain), plan(picky)]);
        let plans: Vec<_> = (0..2).map(|index| engine.plan(index).clone()).collect();
        let mut ingest = Ingest::new(observer_plan("data", &plans), 1 << 20);
        ingest.set_now(Some(at(12, 30, 0)));
        for (slot, partition) in (0..3).enumerate() {
            ingest.opened(slot, &shard(partition), 0, true);
        }
        let mut offsets = [0; 3];
        for (index, (kind, minute, slot)) in kinds.iter().enumerate() {
            let payload = payload(*kind, *minute);
            let offset = offsets[*slot];
            ingest.record(RawRecord { slot: *slot, offset, timestamp_ms: Some(1), payload: payload.as_deref() });
            offsets[*slot] += 1;
            if index % flush_every == 0 {
                for flushed in ingest.flush() {
                    prop_assert!(engine.apply(&flushed.commit).is_ok());
                    prop_assert!(engine.apply(&flushed.commit).is_err() || flushed.commit.base == flushed.commit.upto, "a duplicate counts nothing");
                }
                (0..2).for_each(|monitor| { engine.advance(monitor, &mut |_, _| ()); });
            }
        }
        for flushed in ingest.flush() {
            prop_assert!(engine.apply(&flushed.commit).is_ok());
        }
        let snapshot = engine.view();
        let source = &snapshot.sources[0];
        let errors: u64 = source.decode_errors.iter().map(|(_, count)| count).sum();
        prop_assert_eq!(source.decoded + errors + source.tombstones, kinds.len() as u64, "consumed");
        for monitor in &snapshot.monitors {
            let dropped: u64 = monitor.dropped.iter().filter(|(reason, _)| *reason != "expired").map(|(_, count)| count).sum();
            prop_assert_eq!(monitor.events + dropped, source.decoded, "decoded = events + dropped");
            for feature in &monitor.features {
                prop_assert_eq!(feature.tallies.events(), monitor.events, "events = values + missing + invalid");
            }
        }
    }
}

#[test]
fn each_kind_of_bad_record_has_its_own_reason() {
    let check = |kind: u8, expected: DecodeError| {
        let plans = vec![plan(spec())];
        let mut engine = Engine::new(plans);
        let mut ingest = Ingest::new(observer_plan("data", &[engine.plan(0).clone()]), 1 << 20);
        ingest.opened(0, &shard(0), 0, true);
        ingest.record(RawRecord {
            slot: 0,
            offset: 0,
            timestamp_ms: None,
            payload: payload(kind, 0).as_deref(),
        });
        for flushed in ingest.flush() {
            engine.apply(&flushed.commit).unwrap();
        }
        let source = &engine.view().sources[0];
        let actual: Vec<_> = source
            .decode_errors
            .iter()
            .filter(|(_, count)| *count > 0)
            .collect();
        assert_eq!(actual, [&(expected.reason(), 1)], "kind {kind}");
    };
    check(9, DecodeError::NonFiniteLiteral);
    check(10, DecodeError::DuplicateKey);
    check(11, DecodeError::Json);
    check(13, DecodeError::Utf8);
    check(14, DecodeError::Depth);
    check(18, DecodeError::NotAnObject);
    check(19, DecodeError::TooLarge);
}
