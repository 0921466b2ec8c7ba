//! On Apache Kafka: what the mock cluster cannot do (transactions, timestamps, retention, added
//! partitions, restarts).
//!
//! `PEGEL_TEST_KAFKA=host:port` names a broker (`kafka.sh start DIR` runs one). Without it these
//! tests print that they are skipped, or fail when `PEGEL_TEST_REQUIRE=1`.

use std::time::Duration;

use pegel::model::StartAt;
use rdkafka::producer::Producer;

use rdkafka::topic_partition_list::Offset;

use crate::cluster::{DEADLINE, Kafka, kafka, producer, send_one, unique};
use crate::node::Node;
use crate::vocabulary::{Reader, numbered, produce, send, spec};

#[test]
fn two_topics_in_every_codec_are_read_once() {
    let Some(kafka) = kafka() else { return };
    let topics = [kafka.topic(3), kafka.topic(2)];
    let mut expected = Vec::new();
    for codec in ["none", "gzip", "snappy", "lz4", "zstd"] {
        let producer = producer(&kafka.bootstrap, &[("compression.type", codec)]);
        send(&producer, &topics[0], 3, codec, 300);
        expected.extend(numbered(codec, 300));
    }
    produce(&kafka.bootstrap, &topics[1], 2, "other", 100);
    expected.extend(numbered("other", 100));
    expected.sort();
    let spec = spec(
        &kafka.bootstrap,
        &[&topics[0], &topics[1]],
        StartAt::Earliest,
    );
    let mut reader = Reader::new(&spec);
    reader.until_caught_up(5);
    assert_eq!(reader.texts(), expected, "what was read");
    reader.assert_each_offset_once();
}

#[test]
fn each_start_policy_starts_at_its_position() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(1);
    let producer = producer(&kafka.bootstrap, &[]);
    // Not older than the retention of the broker.
    let first = pegel::clock::now().minus(Duration::from_secs(3600));
    for (offset, time) in (0..10).map(|offset| (offset, first.as_millis() + offset * 1000)) {
        send_one(&producer, &topic, 0, Some(&offset.to_string()), Some(time));
    }
    producer.flush(DEADLINE).unwrap();
    let check = |start: StartAt, base: i64| {
        let mut reader = Reader::new(&spec(&kafka.bootstrap, &[&topic], start));
        reader.until_caught_up(1);
        let slot = reader.slot_of(&topic, 0);
        assert_eq!((slot.base, slot.upto), (base, 10), "from {start:?}");
    };
    check(StartAt::Earliest, 0);
    check(StartAt::Latest, 10);
    check(
        StartAt::Timestamp(first.plus(Duration::from_millis(3500))),
        4,
    );
    check(
        StartAt::Timestamp(first.plus(Duration::from_secs(86_400))),
        10,
    );
}

#[test]
fn partitions_added_while_running_are_read_from_their_start() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(1);
    produce(&kafka.bootstrap, &topic, 1, "old", 5);
    let mut reader = Reader::new(&spec(&kafka.bootstrap, &[&topic], StartAt::Latest));
    reader.until_caught_up(1);
    kafka.grow(&topic, 3);
    produce(&kafka.bootstrap, &topic, 3, "new", 30);
    reader.until_caught_up(3);
    reader.until_records(30);
    assert_eq!(reader.texts(), numbered("new", 30), "what was read");
    assert!(reader.slot_of(&topic, 2).from_start, "from its start");
}

#[test]
fn aborted_records_are_invisible_and_the_position_passes_them() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(1);
    let producer = producer(&kafka.bootstrap, &[("transactional.id", &unique("tx"))]);
    producer.init_transactions(DEADLINE).unwrap();
    for word in ["kept", "aborted", "also", "last"] {
        producer.begin_transaction().unwrap();
        send(&producer, &topic, 1, word, 10);
        if word == "kept" || word == "also" {
            producer.commit_transaction(DEADLINE).unwrap();
        } else {
            producer.abort_transaction(DEADLINE).unwrap();
        }
    }
    let spec = spec(&kafka.bootstrap, &[&topic], StartAt::Earliest);
    let mut reader = Reader::new(&spec);
    reader.until_caught_up(1);
    let mut expected = numbered("kept", 10);
    expected.extend(numbered("also", 10));
    expected.sort();
    assert_eq!(reader.texts(), expected, "what was read");
    // 40 records and a control record for each transaction.
    assert_eq!(reader.slot_of(&topic, 0).upto, 44, "the position");
    reader.accept_all();
    drop(reader);
    kafka.delete_before(&topic, 0, Offset::Offset(44));
    let mut second = Reader::new(&spec);
    second.until_caught_up(1);
    second.until("the report", |reader| !reader.report().topics.is_empty());
    assert_eq!(second.slot_of(&topic, 0).base, 44, "resumed behind all");
    assert_eq!(
        second.report().topics[&topic].offsets_lost,
        0,
        "nothing was lost"
    );
}

#[test]
fn tombstones_come_without_payload() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(1);
    let producer = producer(&kafka.bootstrap, &[]);
    for text in [Some("a"), None] {
        send_one(&producer, &topic, 0, text, None);
    }
    producer.flush(DEADLINE).unwrap();
    let mut reader = Reader::new(&spec(&kafka.bootstrap, &[&topic], StartAt::Earliest));
    reader.until_caught_up(1);
    let payloads: Vec<_> = reader
        .sink
        .records
        .iter()
        .map(|got| got.payload.as_deref())
        .collect();
    assert_eq!(payloads, [Some(&b"a"[..]), None], "payloads in order");
}

#[test]
fn records_removed_before_the_committed_position_are_counted_as_lost() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(1);
    produce(&kafka.bootstrap, &topic, 1, "r", 100);
    let spec = spec(&kafka.bootstrap, &[&topic], StartAt::Earliest);
    let mut first = Reader::new(&spec);
    first.until_caught_up(1);
    pegel::source::Source::accepted(&mut first.source, 0, 20);
    drop(first);
    kafka.delete_before(&topic, 0, Offset::Offset(70));
    let mut second = Reader::new(&spec);
    second.until_caught_up(1);
    let slot = second.slot_of(&topic, 0);
    assert_eq!(
        (slot.base, slot.lost),
        (20, 50),
        "position after the restart"
    );
    assert_eq!(second.sink.records.len(), 30, "what was left");
    second.until("the loss in the report", |reader| {
        reader.report().topics[&topic].offsets_lost == 50
    });
}

#[test]
fn a_topic_deleted_and_created_again_is_a_new_shard() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(1);
    produce(&kafka.bootstrap, &topic, 1, "old", 50);
    let mut reader = Reader::new(&spec(&kafka.bootstrap, &[&topic], StartAt::Earliest));
    reader.until_caught_up(1);
    kafka.delete(&topic);
    reader.until("the problem", |reader| reader.report().problem.is_some());
    kafka.create(&topic, 1);
    produce(&kafka.bootstrap, &topic, 1, "new", 5);
    reader.until_records(55);
    let slot = reader.slot_of(&topic, 0);
    assert_eq!(
        (slot.shard.incarnation, slot.base),
        (1, 0),
        "its second life"
    );
    assert!(reader.sink.slots[0].closed, "its first life is over");
}

#[test]
fn a_broker_killed_under_load_loses_and_repeats_no_record() {
    if kafka().is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let node = Node(dir.path().to_owned());
    let kafka = Kafka::at(node.run("start"));
    let topic = kafka.topic(4);
    let properties = [
        ("enable.idempotence", "true"),
        ("message.timeout.ms", "120000"),
    ];
    let producer = producer(&kafka.bootstrap, &properties);
    let mut reader = Reader::new(&spec(&kafka.bootstrap, &[&topic], StartAt::Earliest));
    let sending = std::thread::spawn({
        let topic = topic.clone();
        move || {
            for index in 0..20_000 {
                send_one(
                    &producer,
                    &topic,
                    index % 4,
                    Some(&format!("r {index}")),
                    None,
                );
                if index % 20 == 0 {
                    producer.poll(Duration::from_millis(5));
                }
            }
            producer.flush(Duration::from_secs(100)).unwrap();
        }
    });
    reader.until_records(2000);
    node.run("kill");
    reader.until("the outage", |reader| !reader.report().up);
    node.run("start");
    while !sending.is_finished() {
        reader.poll();
    }
    sending.join().unwrap();
    reader.until_records(20_000);
    assert_eq!(reader.texts(), numbered("r", 20_000), "every record");
    reader.assert_each_offset_once();
}
