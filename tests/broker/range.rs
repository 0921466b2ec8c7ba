//! Ranges of a topic: where they begin and end, and how a reading ends where a topic has gaps or a broker goes away.

use std::time::{Duration, Instant};

use pegel::demo::EmbeddedBroker;
use pegel::model::{EventTime, StartAt};
use pegel::source::range::{RangeBounds, RangeError, RangeStart, TopicRange};
use rdkafka::producer::Producer;

use crate::cluster::{DEADLINE, Kafka, kafka, producer, send_keyed, send_one, unique};
use crate::vocabulary::{produce, send, spec};

/// 2026-11-01T00:00:00Z.
pub(crate) const MIDNIGHT: i64 = 1_793_491_200_000;
const PATIENCE: Duration = Duration::from_secs(20);
const EVERYTHING: RangeBounds = RangeBounds {
    from: RangeStart::Earliest,
    to: None,
};

/// A topic that keeps records of long ago.
pub(crate) fn archive(kafka: &Kafka, partitions: i32) -> String {
    let name = unique("archive");
    kafka.create_with(&name, partitions, &[("retention.ms", "-1")]);
    name
}

fn range(bootstrap: &str, topic: &str, bounds: RangeBounds) -> Result<TopicRange, RangeError> {
    let spec = spec(bootstrap, &[topic], StartAt::Latest);
    TopicRange::find(&spec, bounds, PATIENCE)
}

/// Offsets of all records, partition after partition.
fn offsets(range: &TopicRange) -> Result<Vec<i64>, RangeError> {
    let mut reader = range.open()?;
    let mut found = Vec::new();
    for slot in 0..range.parts().len() {
        while let Some(record) = reader.next(slot)? {
            found.push(record.offset);
        }
    }
    Ok(found)
}

#[test]
fn a_broker_that_is_down_is_given_up() {
    let mut spec = spec("127.0.0.1:1", &["t"], StartAt::Latest);
    spec.kafka
        .properties
        .insert("reconnect.backoff.max.ms".to_owned(), "100".to_owned());
    let begun = Instant::now();
    let error = TopicRange::find(&spec, EVERYTHING, Duration::from_secs(1)).unwrap_err();
    let text = error.to_string();
    assert!(text.contains("no broker answers at 127.0.0.1:1"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(5), "in bounded time");
}

#[test]
fn a_broker_that_dies_while_a_range_is_read_ends_the_reading() {
    let broker = EmbeddedBroker::start("dies", 1).unwrap();
    produce(&broker.bootstrap_servers(), "dies", 1, "r", 10);
    let spec = spec(&broker.bootstrap_servers(), &["dies"], StartAt::Latest);
    let range = TopicRange::find(&spec, EVERYTHING, Duration::from_secs(2)).unwrap();
    drop(broker);
    let text = offsets(&range).unwrap_err().to_string();
    let words = "partition 0 of topic dies: nothing came for 2s at offset 0 of 10";
    assert!(text.contains(words), "{text}");
}

#[test]
fn a_range_can_be_read_again_and_does_not_grow() {
    let broker = EmbeddedBroker::start("again", 2).unwrap();
    let bootstrap = broker.bootstrap_servers();
    produce(&bootstrap, "again", 2, "r", 10);
    let range = range(&bootstrap, "again", EVERYTHING).unwrap();
    produce(&bootstrap, "again", 2, "later", 10);
    let expected = [0, 1, 2, 3, 4, 0, 1, 2, 3, 4];
    assert_eq!(offsets(&range).unwrap(), expected, "once");
    assert_eq!(offsets(&range).unwrap(), expected, "twice");
}

#[test]
fn times_cut_where_they_say() {
    let Some(kafka) = kafka() else { return };
    let topic = archive(&kafka, 2);
    let producer = producer(&kafka.bootstrap, &[]);
    for i in 0..20 {
        let text = i.to_string();
        send_one(
            &producer,
            &topic,
            i % 2,
            Some(&text),
            Some(MIDNIGHT + i64::from(i / 2) * 1000),
        );
    }
    producer.flush(DEADLINE).unwrap();
    let second = |second: i64| EventTime::from_millis(MIDNIGHT + second * 1000);
    let check = |from: Option<EventTime>, to: Option<EventTime>, expected: std::ops::Range<i64>| {
        let from = from.map_or(RangeStart::Earliest, RangeStart::At);
        let range = range(&kafka.bootstrap, &topic, RangeBounds { from, to }).unwrap();
        let found = offsets(&range).unwrap();
        let expected: Vec<i64> = expected.clone().chain(expected).collect();
        assert_eq!(found, expected, "{from:?} to {to:?}");
    };
    check(None, None, 0..10);
    check(Some(second(3)), None, 3..10);
    check(Some(second(3)), Some(second(7)), 3..7);
    check(
        Some(EventTime::from_millis(MIDNIGHT + 2001)),
        Some(second(8)),
        3..8,
    );
    check(None, Some(second(100)), 0..10);
    let bounds = RangeBounds {
        from: RangeStart::At(second(10)),
        to: None,
    };
    let text = range(&kafka.bootstrap, &topic, bounds)
        .unwrap_err()
        .to_string();
    let words = "holds no record from 2026-11-01T00:00:10Z to its end";
    assert!(text.contains(words), "{text}");
}

fn transaction(kafka: &Kafka, topic: &str, word: &str, commits: Option<bool>) {
    let producer = producer(&kafka.bootstrap, &[("transactional.id", &unique("tx"))]);
    producer.init_transactions(DEADLINE).unwrap();
    producer.begin_transaction().unwrap();
    send(&producer, topic, 1, word, 10);
    match commits {
        Some(true) => producer.commit_transaction(DEADLINE).unwrap(),
        Some(false) => producer.abort_transaction(DEADLINE).unwrap(),
        None => {}
    }
}

#[test]
fn a_range_ends_behind_control_records_and_before_open_transactions() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(1);
    for (word, commits) in [("kept", true), ("aborted", false)] {
        transaction(&kafka, &topic, word, Some(commits));
    }
    let found = range(&kafka.bootstrap, &topic, EVERYTHING).unwrap();
    assert_eq!(found.parts()[0].end, 22, "records and control records");
    let kept: Vec<i64> = (0..10).collect();
    assert_eq!(offsets(&found).unwrap(), kept, "what was committed");
    transaction(&kafka, &topic, "open", None);
    let found = range(&kafka.bootstrap, &topic, EVERYTHING).unwrap();
    assert_eq!(found.parts()[0].end, 22, "nobody knows what comes of it");
    assert_eq!(offsets(&found).unwrap(), kept, "what was committed");
}

#[test]
fn compaction_may_take_what_a_range_ends_with() {
    let Some(kafka) = kafka() else { return };
    let topic = unique("compacted");
    let settings = [
        ("cleanup.policy", "compact"),
        ("segment.ms", "100"),
        ("min.cleanable.dirty.ratio", "0.01"),
    ];
    kafka.create_with(&topic, 1, &settings);
    let producer = producer(&kafka.bootstrap, &[]);
    let deadline = Instant::now() + DEADLINE;
    loop {
        // The segment being written is never compacted: it rolls with what comes later.
        for i in 0..50 {
            send_keyed(&producer, &topic, 0, "k", Some(&i.to_string()), None);
        }
        producer.flush(DEADLINE).unwrap();
        let found = range(&kafka.bootstrap, &topic, EVERYTHING).unwrap();
        let read = offsets(&found).unwrap();
        if u64::try_from(read.len()).unwrap() < found.offsets() {
            break;
        }
        assert!(Instant::now() < deadline, "nothing was compacted");
    }
}
