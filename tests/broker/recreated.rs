//! Topics that are deleted and created again on Apache Kafka, and already have more records than
//! the old position: only their id differs.

use pegel::demo::TopicProducer;
use pegel::model::StartAt;
use pegel::source::ResumePoint;
use rdkafka::mocking::MockCluster;
use rdkafka::types::RDKafkaApiKey;

use crate::cluster::{Kafka, kafka};
use crate::daemon::{Daemon, fit_reference, produce as produce_events};
use crate::vocabulary::{Reader, numbered, produce, spec};

/// Replaces the topic by another one of the same name, with `count` records.
fn create_anew(kafka: &Kafka, topic: &str, word: &str, count: usize) {
    kafka.delete(topic);
    kafka.create(topic, 1);
    produce(&kafka.bootstrap, topic, 1, word, count);
}

/// A reader that always gets the same head of its partition, as one with a log in files does.
fn reader(kafka: &Kafka, topic: &str, left: ResumePoint) -> Reader {
    let mut reader = Reader::new(&spec(&kafka.bootstrap, &[topic], StartAt::Earliest));
    reader.source = reader.source.with_resume_lookup(Box::new(move |_| left));
    reader
}

/// The head that a reader leaves after it has read a topic to its end.
fn left_at_the_end(kafka: &Kafka, topic: &str) -> ResumePoint {
    let mut reader = reader(kafka, topic, ResumePoint::Unread);
    reader.until_caught_up(1);
    let slot = reader.slot_of(topic, 0);
    assert!(slot.topic_id.is_some(), "the broker returns the id");
    ResumePoint::At {
        incarnation: slot.shard.incarnation,
        upto: slot.upto,
        topic_id: slot.topic_id,
    }
}

/// The records read in the latest incarnation of the topic's only partition, in order.
fn texts_of_latest(reader: &Reader) -> Vec<String> {
    let latest = reader.sink.slots.len() - 1;
    let records = reader.sink.records.iter().filter(|got| got.slot == latest);
    let text = |payload: &Vec<u8>| String::from_utf8_lossy(payload).into_owned();
    let mut texts: Vec<String> = records
        .filter_map(|got| got.payload.as_ref().map(text))
        .collect();
    texts.sort();
    texts
}

/// Asserts that the partition is in this incarnation and all `count` records of it were read.
fn assert_life(reader: &mut Reader, topic: &str, incarnation: u32, word: &str, count: usize) {
    reader.until("all records of the latest life", |reader| {
        texts_of_latest(reader).len() >= count
    });
    reader.until_caught_up(1);
    let slot = reader.slot_of(topic, 0);
    assert_eq!(slot.shard.incarnation, incarnation, "its incarnation");
    assert_eq!((slot.base, slot.from_start), (0, true), "from its start");
    assert_eq!(
        (usize::try_from(slot.upto), texts_of_latest(reader).len()),
        (Ok(count), count),
        "to its end"
    );
    assert_eq!(texts_of_latest(reader), numbered(word, count), "all of it");
}

#[test]
fn each_creation_is_an_incarnation_even_when_it_has_more_records_than_the_last() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(1);
    produce(&kafka.bootstrap, &topic, 1, "first", 20_000);
    let mut reader = reader(&kafka, &topic, left_at_the_end(&kafka, &topic));
    reader.until_caught_up(1);
    for (life, word) in [(1, "second"), (2, "third")] {
        let count = 20_000 + 5_000 * life;
        create_anew(&kafka, &topic, word, count);
        reader.until("the next life", |reader| {
            reader.sink.slots.len() == life + 1
        });
        reader.until_caught_up(1);
        let incarnation = u32::try_from(life).unwrap();
        assert_life(&mut reader, &topic, incarnation, word, count);
    }
    let ids: Vec<_> = reader.sink.slots.iter().map(|slot| slot.topic_id).collect();
    assert!(
        ids[0] != ids[1] && ids[1] != ids[2] && ids.iter().all(Option::is_some),
        "each has its id: {ids:?}"
    );
}

#[test]
fn queued_records_of_the_old_topic_are_not_counted_for_the_new_one() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(1);
    let payload = "x".repeat(1000);
    produce(&kafka.bootstrap, &topic, 1, &payload, 30_000);
    let mut reader = reader(&kafka, &topic, ResumePoint::Unread);
    reader.until_records(1);
    assert!(reader.sink.records.len() < 30_000, "some wait");
    create_anew(&kafka, &topic, "new", 40_000);
    reader.until("its next life", |reader| reader.sink.slots.len() == 2);
    reader.until_caught_up(1);
    assert_life(&mut reader, &topic, 1, "new", 40_000);
}

#[test]
fn a_topic_recreated_while_nobody_read_starts_at_its_first_record() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(1);
    produce(&kafka.bootstrap, &topic, 1, "old", 50);
    let left = left_at_the_end(&kafka, &topic);
    create_anew(&kafka, &topic, "new", 120);
    let mut reader = reader(&kafka, &topic, left);
    reader.until_caught_up(1);
    assert_life(&mut reader, &topic, 1, "new", 120);
}

#[test]
fn the_same_topic_resumes_at_its_position() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(1);
    produce(&kafka.bootstrap, &topic, 1, "old", 50);
    let left = left_at_the_end(&kafka, &topic);
    produce(&kafka.bootstrap, &topic, 1, "new", 30);
    let mut reader = reader(&kafka, &topic, left);
    reader.until("many refreshes", |reader| {
        let slots = &reader.sink.slots;
        slots.iter().any(|slot| slot.times_caught_up > 10)
    });
    assert_eq!(reader.sink.slots.len(), 1, "one life");
    let slot = reader.slot_of(&topic, 0);
    assert_eq!(slot.shard.incarnation, 0, "the same");
    assert_eq!((slot.base, slot.upto, slot.lost), (50, 80, 0), "resumed");
    assert_eq!(reader.texts(), numbered("new", 30), "what was read");
}

#[test]
fn the_daemon_counts_a_topic_recreated_while_it_was_down() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(1);
    let directory = tempfile::tempdir().unwrap();
    fit_reference(directory.path());
    let count = |from, to| {
        let producer = TopicProducer::try_new(&kafka.bootstrap, &topic).unwrap();
        produce_events(&producer, from, to);
    };
    let events = "pegel_events_total{monitor=\"m\"}";
    count(0, 2000);
    let daemon = Daemon::start(&kafka.bootstrap, &topic, directory.path());
    daemon.expect(events, "2000");
    daemon.stop();
    kafka.delete(&topic);
    kafka.create(&topic, 1);
    count(0, 3000);
    let daemon = Daemon::start(&kafka.bootstrap, &topic, directory.path());
    daemon.expect(events, "5000");
    daemon.stop();
    count(3000, 3500);
    let daemon = Daemon::start(&kafka.bootstrap, &topic, directory.path());
    daemon.expect(events, "5500");
    daemon.stop();
}

#[test]
fn a_broker_without_topic_ids_is_read_normally() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("predictions", 1, 1).unwrap();
    // Topic ids exist since version 10 of the metadata request.
    let versions = (Some(0), Some(9));
    cluster
        .apiversion(RDKafkaApiKey::Metadata, versions.0, versions.1)
        .unwrap();
    let bootstrap = cluster.bootstrap_servers();
    produce(&bootstrap, "predictions", 1, "r", 100);
    let left = ResumePoint::At {
        incarnation: 3,
        upto: 40,
        topic_id: Some([7; 16]),
    };
    let mut reader = Reader::new(&spec(&bootstrap, &["predictions"], StartAt::Earliest));
    reader.source = reader.source.with_resume_lookup(Box::new(move |_| left));
    reader.until("many refreshes", |reader| {
        let slots = &reader.sink.slots;
        slots.iter().any(|slot| slot.times_caught_up > 10)
    });
    let slot = reader.slot_of("predictions", 0);
    assert_eq!((slot.shard.incarnation, slot.base), (3, 40), "resumed");
    assert_eq!(reader.sink.records.len(), 60, "to the end");
    assert_eq!(reader.report().problem, None, "nothing to tell");
}
