//! Retention faster than the reader, on the mock cluster: it keeps 5 MiB per partition and drops
//! the oldest records.

use pegel::model::StartAt;

use crate::cluster::{DEADLINE, producer, send_one};
use crate::mock::broker;
use crate::vocabulary::{Reader, produce, spec};
use rdkafka::producer::Producer;

#[test]
fn a_position_older_than_the_oldest_record_resumes_there() {
    let (_broker, bootstrap) = broker(1);
    let spec = spec(&bootstrap, &["predictions"], StartAt::Earliest);
    produce(&bootstrap, "predictions", 1, "r", 10);
    let mut first = Reader::new(&spec);
    first.until_caught_up(1);
    first.accept_all();
    drop(first);
    let text = "x".repeat(1000);
    let producer = producer(&bootstrap, &[]);
    for _ in 0..10_000 {
        send_one(&producer, "predictions", 0, Some(&text), None);
    }
    producer.flush(DEADLINE).unwrap();
    let mut second = Reader::new(&spec);
    second.until_caught_up(1);
    let slot = second.slot_of("predictions", 0);
    let base = slot.base + i64::try_from(slot.lost).unwrap();
    assert_eq!(slot.base, 10, "resumes at the old position");
    assert!(base > 10, "read from {base}");
    second.until("the loss in the report", |reader| {
        reader.report().topics["predictions"].offsets_lost == base.unsigned_abs() - 10
    });
    assert_eq!(
        second.slot_of("predictions", 0).upto,
        10_010,
        "read to the end"
    );
}

#[test]
fn records_removed_under_a_running_reader_are_counted_and_skipped() {
    let (_broker, bootstrap) = broker(1);
    produce(&bootstrap, "predictions", 1, "r", 1000);
    let mut spec = spec(&bootstrap, &["predictions"], StartAt::Earliest);
    // As little prefetching as librdkafka allows, so that the reader falls behind while nobody
    // polls it.
    for (property, value) in [
        ("queued.min.messages", "1"),
        ("queued.max.messages.kbytes", "1"),
        ("fetch.message.max.bytes", "1000"),
        ("fetch.queue.backoff.ms", "1"),
    ] {
        spec.kafka
            .properties
            .insert(property.to_owned(), value.to_owned());
    }
    let mut reader = Reader::new(&spec);
    reader.until_records(1);
    let text = "x".repeat(1000);
    let producer = producer(&bootstrap, &[("batch.num.messages", "10")]);
    for _ in 0..10_000 {
        send_one(&producer, "predictions", 0, Some(&text), None);
    }
    producer.flush(DEADLINE).unwrap();
    reader.until("the end of all of it", |reader| {
        reader.slot_of("predictions", 0).upto == 11_000
    });
    reader.until("the loss in the report", |reader| {
        let report = reader.report();
        let topic = &report.topics["predictions"];
        topic.offsets_lost > 0 && topic.offsets_lost + topic.records == 11_000
    });
    reader.assert_each_offset_once();
    assert_eq!(reader.sink.slots.len(), 1, "still the same shard");
}
