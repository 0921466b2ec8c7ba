//! Tests of the Kafka source on the mock cluster; they run in every `cargo test`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use pegel::demo::EmbeddedBroker;
use pegel::model::{EventTime, KafkaReport, Shard, StartAt, TopicId};
use pegel::source::{KafkaSource, RawRecord, Sink, Source, SourceError, Timing};

use crate::cluster::{DEADLINE, producer, send_one, unique};
use crate::vocabulary::{Collected, FAST, Reader, numbered, produce, spec};
use rdkafka::producer::Producer;

pub(crate) fn broker(partitions: i32) -> (EmbeddedBroker, String) {
    let broker = EmbeddedBroker::start("predictions", partitions).unwrap();
    let bootstrap = broker.bootstrap_servers();
    (broker, bootstrap)
}

#[test]
fn earliest_reads_every_record_of_all_partitions_once() {
    let (_broker, bootstrap) = broker(4);
    produce(&bootstrap, "predictions", 4, "r", 1000);
    let mut reader = Reader::new(&spec(&bootstrap, &["predictions"], StartAt::Earliest));
    reader.until_caught_up(4);
    assert_eq!(reader.texts(), numbered("r", 1000), "what was read");
    reader.assert_each_offset_once();
    for slot in &reader.sink.slots {
        assert_eq!((slot.base, slot.from_start), (0, true), "base of {slot:?}");
        assert_eq!(slot.upto, 250, "upto of {slot:?}");
    }
    let times = reader.sink.records.iter().map(|got| got.timestamp_ms);
    assert!(times.clone().all(|at| at > Some(0)), "records carry times");
}

#[test]
fn records_that_arrive_later_are_read_and_the_end_is_reported_again() {
    let (_broker, bootstrap) = broker(1);
    let mut reader = Reader::new(&spec(&bootstrap, &["predictions"], StartAt::Earliest));
    reader.until_caught_up(1);
    produce(&bootstrap, "predictions", 1, "late", 10);
    reader.until_records(10);
    reader.until_caught_up(1);
    assert_eq!(reader.texts(), numbered("late", 10), "what was read");
    let before = reader.slot_of("predictions", 0).times_caught_up;
    reader.until("a silent partition says so again", |reader| {
        reader.slot_of("predictions", 0).times_caught_up > before + 1
    });
}

#[test]
fn a_restart_resumes_at_the_accepted_position() {
    let (_broker, bootstrap) = broker(2);
    produce(&bootstrap, "predictions", 2, "r", 100);
    let spec = spec(&bootstrap, &["predictions"], StartAt::Earliest);
    let mut first = Reader::new(&spec);
    first.until_caught_up(2);
    // The scorer accepted 30 of 50 records of the first partition, and all of the second.
    let slot = first
        .sink
        .slots
        .iter()
        .position(|slot| slot.shard.partition == 0);
    first.source.accepted(slot.unwrap(), 30);
    first.source.accepted(1 - slot.unwrap(), 50);
    drop(first);
    let mut second = Reader::new(&spec);
    second.until_caught_up(2);
    assert_eq!(second.slot_of("predictions", 0).base, 30, "first partition");
    assert_eq!(
        second.slot_of("predictions", 1).base,
        50,
        "second partition"
    );
    assert_eq!(second.sink.records.len(), 20, "only what was not accepted");
    assert!(
        !second.slot_of("predictions", 0).from_start,
        "not the start"
    );
}

#[test]
fn positions_are_committed_while_running() {
    let (_broker, bootstrap) = broker(1);
    produce(&bootstrap, "predictions", 1, "r", 10);
    let spec = spec(&bootstrap, &["predictions"], StartAt::Earliest);
    let mut first = Reader::new(&spec);
    first.until_caught_up(1);
    first.accept_all();
    let deadline = Instant::now() + DEADLINE;
    loop {
        first.poll();
        let mut second = Reader::new(&spec);
        second.until_caught_up(1);
        if second.slot_of("predictions", 0).base == 10 {
            break;
        }
        assert!(
            Instant::now() < deadline,
            "the position was never committed"
        );
    }
}

#[test]
fn latest_starts_at_the_end_and_survives_a_restart() {
    let (_broker, bootstrap) = broker(1);
    produce(&bootstrap, "predictions", 1, "before", 10);
    let spec = spec(&bootstrap, &["predictions"], StartAt::Latest);
    let mut first = Reader::new(&spec);
    first.until_caught_up(1);
    let slot = first.slot_of("predictions", 0);
    assert_eq!(
        (slot.base, slot.from_start),
        (10, false),
        "begun at the end"
    );
    drop(first);
    produce(&bootstrap, "predictions", 1, "between", 5);
    let mut second = Reader::new(&spec);
    second.until_caught_up(1);
    assert_eq!(
        second.texts(),
        numbered("between", 5),
        "what came meanwhile"
    );
}

#[test]
fn tombstones_are_records_without_payload_and_empty_payloads_are_not() {
    let (_broker, bootstrap) = broker(1);
    let producer = producer(&bootstrap, &[]);
    for text in [Some("a"), None, Some(""), None] {
        send_one(&producer, "predictions", 0, text, Some(1_700_000_000_000));
    }
    producer.flush(DEADLINE).unwrap();
    let mut reader = Reader::new(&spec(&bootstrap, &["predictions"], StartAt::Earliest));
    reader.until_caught_up(1);
    let payloads: Vec<_> = reader
        .sink
        .records
        .iter()
        .map(|got| got.payload.as_deref())
        .collect();
    let expected = [Some(&b"a"[..]), None, Some(&b""[..]), None];
    assert_eq!(payloads, expected, "payloads in order");
    assert_eq!(
        reader.sink.records[0].timestamp_ms,
        Some(1_700_000_000_000),
        "time"
    );
    reader.until("the report", |reader| {
        reader.report().topics["predictions"].records == 4
    });
    let report = reader.report();
    let topic = &report.topics["predictions"];
    assert_eq!((topic.tombstones, topic.bytes), (2, 1), "in {topic:?}");
}

/// The page showed more events than records: counts came at every flush, the report once a second.
#[test]
fn records_are_in_the_report_before_their_counts_are_handed_on() {
    let (_broker, bootstrap) = broker(2);
    produce(&bootstrap, "predictions", 2, "r", 100);
    let spec = spec(&bootstrap, &["predictions"], StartAt::Earliest);
    let timing = Timing {
        publish: Duration::from_secs(3600),
        ..FAST
    };
    let report = Arc::new(ArcSwap::from_pointee(KafkaReport::default()));
    let mut source = KafkaSource::with_timing(&spec, Arc::clone(&report), timing).unwrap();
    let mut sink = Collected::default();
    let deadline = Instant::now() + DEADLINE;
    while sink.records.len() < 100 {
        assert!(Instant::now() < deadline, "{} records", sink.records.len());
        source.poll(Duration::from_millis(50), &mut sink);
    }
    source.publish();
    assert_eq!(report.load().topics["predictions"].records, 100);
}

#[test]
fn two_topics_are_read_by_one_source() {
    let (broker, bootstrap) = broker(2);
    broker.create_topic("labels", 3).unwrap();
    produce(&bootstrap, "predictions", 2, "p", 20);
    produce(&bootstrap, "labels", 3, "l", 30);
    let mut reader = Reader::new(&spec(
        &bootstrap,
        &["predictions", "labels"],
        StartAt::Earliest,
    ));
    reader.until_caught_up(5);
    let of = |topic: &str| {
        let slots = &reader.sink.slots;
        let records = reader.sink.records.iter();
        records
            .filter(|got| slots[got.slot].shard.topic == topic)
            .count()
    };
    assert_eq!(
        (of("predictions"), of("labels")),
        (20, 30),
        "records by topic"
    );
    assert!(
        reader
            .sink
            .slots
            .iter()
            .all(|slot| !slot.shard.cluster.is_empty()),
        "shards carry the cluster's id"
    );
}

#[test]
fn a_topic_created_later_is_read_from_its_start_even_with_latest() {
    let (broker, bootstrap) = broker(1);
    let topic = unique("later");
    let mut reader = Reader::new(&spec(&bootstrap, &["predictions", &topic], StartAt::Latest));
    let expected = format!("topic {topic} does not exist yet");
    reader.until("the problem", |reader| {
        reader.report().problem.as_deref() == Some(&*expected)
    });
    assert!(reader.report().up, "the broker answers");
    broker.create_topic(&topic, 2).unwrap();
    produce(&bootstrap, &topic, 2, "r", 10);
    reader.until_caught_up(3);
    assert_eq!(reader.texts(), numbered("r", 10), "what was read");
    reader.until("no problem", |reader| reader.report().problem.is_none());
}

#[test]
fn the_report_shows_lag_and_partitions() {
    let (_broker, bootstrap) = broker(2);
    produce(&bootstrap, "predictions", 2, "r", 1000);
    let mut reader = Reader::new(&spec(&bootstrap, &["predictions"], StartAt::Earliest));
    reader.until_caught_up(2);
    reader.until("a lag of zero", |reader| {
        let report = reader.report();
        let lags = &report.topics["predictions"].lags;
        lags.len() == 2 && lags.values().all(|lag| *lag == Some(0))
    });
    let report = reader.report();
    assert!(report.up, "in {report:?}");
    assert_eq!(report.rebalances["assigned"], 1, "in {report:?}");
    assert_eq!(report.topics["predictions"].records, 1000, "in {report:?}");
}

#[test]
fn a_broker_that_is_down_is_reported_once_and_retried() {
    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let bootstrap = format!("127.0.0.1:{port}");
    let mut reader = Reader::new(&spec(&bootstrap, &["predictions"], StartAt::Earliest));
    let expected = format!("no broker answers at {bootstrap}: Connection refused");
    reader.until("the problem", |reader| {
        reader.report().problem.as_deref() == Some(&*expected)
    });
    assert!(!reader.report().up, "nothing is up");
    let begun = Instant::now();
    for _ in 0..20 {
        let poll = Instant::now();
        reader.poll();
        assert!(
            poll.elapsed() < Duration::from_millis(500),
            "a poll returns in time"
        );
    }
    assert!(
        begun.elapsed() > Duration::from_millis(900),
        "polls wait: {:?}",
        begun.elapsed()
    );
    let begun = Instant::now();
    drop(reader);
    assert!(
        begun.elapsed() < Duration::from_secs(3),
        "it closes in {:?}",
        begun.elapsed()
    );
}

#[test]
fn a_broker_that_disappears_blocks_neither_polling_nor_closing() {
    let (broker, bootstrap) = broker(1);
    produce(&bootstrap, "predictions", 1, "r", 10);
    let mut reader = Reader::new(&spec(&bootstrap, &["predictions"], StartAt::Earliest));
    reader.until_caught_up(1);
    drop(broker);
    reader.until("the outage", |reader| !reader.report().up);
    reader.accept_all();
    let begun = Instant::now();
    drop(reader);
    assert!(
        begun.elapsed() < Duration::from_secs(8),
        "it closes in {:?}",
        begun.elapsed()
    );
}

#[test]
fn an_unknown_librdkafka_property_is_named_without_its_value() {
    let mut spec = spec("localhost:1", &["predictions"], StartAt::Latest);
    spec.kafka
        .properties
        .insert("ssl.passwort".to_owned(), "hunter2".to_owned());
    let report = std::sync::Arc::default();
    let error = KafkaSource::try_new(&spec, report).err().unwrap();
    assert!(
        matches!(error, SourceError::Property { .. }),
        "is {error:?}"
    );
    let text = error.to_string();
    assert!(text.contains("ssl.passwort"), "names the property: {text}");
    assert!(!text.contains("hunter2"), "keeps the value: {text}");
}

#[test]
fn a_broker_that_accepts_connections_but_never_answers_does_not_block_the_thread() {
    // The kernel completes connections that nobody accepts.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bootstrap = silent.local_addr().unwrap().to_string();
    let mut reader = Reader::new(&spec(&bootstrap, &["predictions"], StartAt::Earliest));
    let expected = format!("no broker answers at {bootstrap}");
    reader.until("the problem", |reader| {
        reader.report().problem.as_deref() == Some(&*expected)
    });
    for _ in 0..20 {
        let poll = Instant::now();
        reader.poll();
        let took = poll.elapsed();
        assert!(took < Duration::from_millis(500), "a poll took {took:?}");
    }
    let begun = Instant::now();
    drop(reader);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(6), "it closes in {took:?}");
}

#[test]
fn a_panic_of_the_sink_reaches_the_caller() {
    struct Fragile;
    impl Sink for Fragile {
        fn extent(&mut self, _: u32) {}
        fn opened(&mut self, _: usize, _: &Shard, _: i64, _: bool) {}
        fn identified(&mut self, _: usize, _: TopicId) {}
        fn record(&mut self, record: RawRecord<'_>) {
            assert!(record.offset < 5, "fragile at {}", record.offset);
        }
        fn position(&mut self, _: usize, _: i64, _: Option<EventTime>) {}
        fn lost(&mut self, _: usize, _: u64) {}
        fn closed(&mut self, _: usize) {}
    }
    let (_broker, bootstrap) = broker(1);
    produce(&bootstrap, "predictions", 1, "r", 10);
    let spec = spec(&bootstrap, &["predictions"], StartAt::Earliest);
    let mut source = KafkaSource::try_new(&spec, std::sync::Arc::default()).unwrap();
    let deadline = Instant::now() + DEADLINE;
    let panic = loop {
        assert!(Instant::now() < deadline, "the sink never panicked");
        let poll = || source.poll(Duration::from_millis(50), &mut Fragile);
        if let Err(panic) = catch_unwind(AssertUnwindSafe(poll)) {
            break panic;
        }
    };
    let text = panic.downcast_ref::<String>().map(String::as_str);
    assert_eq!(text, Some("fragile at 5"), "the sink's own words");
}
