//! The offset at which a partition starts: new partitions of a known topic, logs that lost their
//! end, and commands that leave no trace.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use pegel::model::{EventTime, Shard, SourceSpec, StartAt, TopicId};
use pegel::source::{KafkaSource, RawRecord, ResumePoint, Sink, Source, Timing};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::mocking::MockCluster;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::cluster::{DEADLINE, kafka};
use crate::mock::broker;
use crate::vocabulary::{FAST, Reader, numbered, produce, spec};

/// The head of a partition in its first incarnation.
fn head(upto: i64, topic_id: Option<TopicId>) -> ResumePoint {
    ResumePoint::At {
        incarnation: 0,
        upto,
        topic_id,
    }
}

fn reader_with_head(spec: &SourceSpec, head: ResumePoint) -> Reader {
    let mut reader = Reader::new(spec);
    reader.source = reader.source.with_resume_lookup(Box::new(move |_| head));
    reader
}

/// The offsets that a group holds for the first `partitions` partitions.
fn committed(bootstrap: &str, group: &str, topic: &str, partitions: i32) -> Vec<Offset> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", bootstrap);
    config.set("group.id", group);
    let consumer: BaseConsumer = config.create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..partitions {
        list.add_partition(topic, partition);
    }
    let offsets = consumer.committed_offsets(list, DEADLINE).unwrap();
    let elements = offsets.elements();
    elements.iter().map(|element| element.offset()).collect()
}

/// Polls members of one group in turn until `reached`.
fn until(members: &mut [Reader], what: &str, reached: impl Fn(&[Reader]) -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !reached(members) {
        let counts: Vec<usize> = members.iter().map(open_partitions).collect();
        assert!(
            Instant::now() < deadline,
            "not reached: {what}; open partitions {counts:?}"
        );
        for member in &mut *members {
            member.poll();
        }
    }
}

fn open_partitions(reader: &Reader) -> usize {
    let slots = reader.sink.slots.iter();
    slots.filter(|slot| !slot.closed && slot.caught_up).count()
}

fn are_all_at_the_end(members: &[Reader], partitions: usize) -> bool {
    members.iter().map(open_partitions).sum::<usize>() == partitions
        && members.iter().all(|member| open_partitions(member) > 0)
}

/// An ingester whose lookups wait until the group has settled.
struct GatedReader {
    reader: Reader,
    /// The partitions that were looked up since this was last cleared.
    asked: Arc<Mutex<BTreeSet<i32>>>,
}

fn gated(spec: &SourceSpec, is_open: &Arc<AtomicBool>) -> GatedReader {
    let asked = Arc::new(Mutex::new(BTreeSet::new()));
    let (log, gate) = (Arc::clone(&asked), Arc::clone(is_open));
    let lookup = move |shard: &Shard| {
        log.lock().unwrap().insert(shard.partition);
        if gate.load(Ordering::Relaxed) {
            ResumePoint::Unread
        } else {
            ResumePoint::Pending
        }
    };
    let mut reader = Reader::in_group(spec);
    reader.source = reader.source.with_resume_lookup(Box::new(lookup));
    GatedReader { reader, asked }
}

/// Starts three ingesters, and lets them open their partitions once each has its third.
fn settled_trio(spec: &SourceSpec, partitions: usize) -> Vec<Reader> {
    let is_open = Arc::new(AtomicBool::new(false));
    let mut members: Vec<GatedReader> = (0..3).map(|_| gated(spec, &is_open)).collect();
    let deadline = Instant::now() + DEADLINE;
    loop {
        for member in &members {
            member.asked.lock().unwrap().clear();
        }
        // Several refreshes of each.
        for member in (0..10).flat_map(|_| 0..3) {
            members[member].reader.poll();
        }
        let shares = members
            .iter()
            .map(|member| member.asked.lock().unwrap().len());
        if shares.clone().all(|share| share == partitions / 3) {
            break;
        }
        let shares: Vec<usize> = shares.collect();
        assert!(Instant::now() < deadline, "shares of the group: {shares:?}");
    }
    is_open.store(true, Ordering::Relaxed);
    members.into_iter().map(|member| member.reader).collect()
}

/// Three ingesters share the partitions. One of them gets only new ones and sees nothing of the
/// topic beside them, so it started them at the end: their records were lost in silence.
#[test]
fn partitions_added_while_all_ingesters_were_down_are_read_from_their_start() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(63);
    let spec = spec(&kafka.bootstrap, &[&topic], StartAt::Latest);
    let mut members = settled_trio(&spec, 63);
    until(&mut members, "63 partitions", |members| {
        are_all_at_the_end(members, 63)
    });
    until(&mut members, "the commits", |_| {
        committed(&kafka.bootstrap, &spec.kafka.group_id, &topic, 63) == [Offset::Offset(0); 63]
    });
    drop(members);
    kafka.grow(&topic, 96);
    produce(&kafka.bootstrap, &topic, 96, "r", 960);
    let mut members = settled_trio(&spec, 96);
    until(&mut members, "96 partitions", |members| {
        are_all_at_the_end(members, 96)
    });
    let mut texts: Vec<String> = members.iter().flat_map(Reader::texts).collect();
    texts.sort();
    assert_eq!(texts, numbered("r", 960), "what was read");
}

/// A head of any partition makes a topic known, also when the group has no offset of it.
#[test]
fn a_partition_beside_a_counted_one_is_read_from_its_start() {
    let (_broker, bootstrap) = broker(2);
    produce(&bootstrap, "predictions", 2, "r", 20);
    let spec = spec(&bootstrap, &["predictions"], StartAt::Latest);
    let mut reader = Reader::new(&spec);
    let lookup = |shard: &Shard| match shard.partition {
        0 => head(10, None),
        _ => ResumePoint::Unread,
    };
    reader.source = reader.source.with_resume_lookup(Box::new(lookup));
    reader.until_caught_up(2);
    assert_eq!(reader.slot_of("predictions", 1).base, 0, "of the new one");
    assert_eq!(reader.sink.records.len(), 10, "records");
}

/// Ingesters that start a new source together open their shares one after the other. The later
/// ones must not take the first one's partitions for a known topic and read the whole retention.
#[test]
fn ingesters_that_start_a_topic_together_all_begin_at_its_end() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(12);
    produce(&kafka.bootstrap, &topic, 12, "old", 1_200);
    let spec = spec(&kafka.bootstrap, &[&topic], StartAt::Latest);
    let mut members = vec![Reader::in_group(&spec)];
    until(&mut members, "the first ingester", |members| {
        open_partitions(&members[0]) == 12
    });
    for _ in 0..2 {
        members.push(Reader::in_group(&spec));
    }
    until(&mut members, "12 partitions", |members| {
        are_all_at_the_end(members, 12)
    });
    produce(&kafka.bootstrap, &topic, 12, "new", 120);
    until(&mut members, "the new records", |members| {
        let records = members.iter().map(|member| member.sink.records.len());
        records.sum::<usize>() >= 120
    });
    let mut texts: Vec<String> = members.iter().flat_map(Reader::texts).collect();
    texts.sort();
    assert_eq!(texts, numbered("new", 120), "what was read");
}

/// Asserts that a head beyond the end of 100 records continues at the end, in a new incarnation.
fn assert_continues_at_the_end(bootstrap: &str, topic: &str, topic_id: Option<TopicId>) {
    let spec = spec(bootstrap, &[topic], StartAt::Earliest);
    let mut reader = reader_with_head(&spec, head(150, topic_id));
    reader.until_caught_up(1);
    let slot = reader.slot_of(topic, 0);
    let incarnation = slot.shard.incarnation;
    assert_eq!((incarnation, slot.base, slot.lost), (1, 100, 50), "begun");
    produce(bootstrap, topic, 1, "new", 5);
    reader.until_records(5);
    reader.until("some refreshes and the loss in the report", |reader| {
        reader.slot_of(topic, 0).times_caught_up > 10
            && reader.report().topics[topic].offsets_lost == 50
    });
    assert_eq!(reader.texts(), numbered("new", 5), "nothing is read again");
    assert_eq!(reader.sink.slots.len(), 1, "one incarnation");
}

/// The whole retention was read again into open windows, on top of its own counts.
#[test]
fn a_head_beyond_the_end_of_the_same_topic_continues_at_the_end() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(1);
    produce(&kafka.bootstrap, &topic, 1, "counted", 100);
    let spec = spec(&kafka.bootstrap, &[&topic], StartAt::Earliest);
    let mut first = Reader::new(&spec);
    first.until_caught_up(1);
    let topic_id = first.slot_of(&topic, 0).topic_id;
    assert!(topic_id.is_some(), "the broker reports ids");
    drop(first);
    assert_continues_at_the_end(&kafka.bootstrap, &topic, topic_id);
}

/// Without ids, a recreated topic looks the same. Missed records are a visible hole; records that
/// are counted twice are a wrong number.
#[test]
fn a_head_beyond_the_end_of_a_topic_without_an_id_continues_at_the_end() {
    let (_broker, bootstrap) = broker(1);
    produce(&bootstrap, "predictions", 1, "counted", 100);
    assert_continues_at_the_end(&bootstrap, "predictions", None);
}

#[test]
fn a_head_beyond_the_end_of_another_topic_starts_at_its_first_record() {
    let Some(kafka) = kafka() else { return };
    let topic = kafka.topic(1);
    produce(&kafka.bootstrap, &topic, 1, "new", 100);
    let spec = spec(&kafka.bootstrap, &[&topic], StartAt::Earliest);
    let mut reader = reader_with_head(&spec, head(150, Some([7; 16])));
    reader.until_caught_up(1);
    let slot = reader.slot_of(&topic, 0);
    assert_eq!((slot.shard.incarnation, slot.base), (1, 0), "begun");
    assert_eq!(slot.lost, 0, "nothing is lost");
    assert_eq!(reader.texts(), numbered("new", 100), "what was read");
}

/// A check wrote offsets to the group when it closed its source, so that a later first start
/// began at the time of the check.
#[test]
fn a_source_that_only_looks_leaves_no_offset_in_the_group() {
    let (_broker, bootstrap) = broker(1);
    produce(&bootstrap, "predictions", 1, "r", 10);
    let spec = spec(&bootstrap, &["predictions"], StartAt::Latest);
    let mut reader = Reader::new(&spec);
    reader.source = reader.source.without_commits();
    reader.until_caught_up(1);
    reader.until("many commit intervals", |reader| {
        reader.slot_of("predictions", 0).times_caught_up > 5
    });
    drop(reader);
    let offsets = committed(&bootstrap, &spec.kafka.group_id, "predictions", 1);
    assert_eq!(offsets, [Offset::Invalid], "after the look");
}

#[test]
fn check_connect_leaves_no_offset_in_the_group() {
    let (_broker, bootstrap) = broker(2);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("pegel.yaml");
    let config = format!(
        "version: 1
state: {{path: {}}}
sources: {{s: {{kafka: {{brokers: [\"{bootstrap}\"], topics: [predictions], group_id: looked}}}}}}
monitors:
  - {{name: m, source: s, timestamp: {{path: /ts}}, windows: [{{name: 1m, size: 1m}}], references: [],
      features: [{{name: x, kind: numeric, bins: {{edges: [0, 1, 2]}}}}], alerts: []}}
",
        directory.path().join("state").display()
    );
    std::fs::write(&path, config).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_pegel"))
        .args(["check", "--connect", "-c"])
        .arg(&path)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("source s: 2 partitions found"), "{text}");
    let offsets = committed(&bootstrap, "looked", "predictions", 2);
    assert_eq!(offsets, [Offset::Invalid; 2], "after the check");
    assert!(!directory.path().join("state").exists(), "no state");
}

#[test]
fn partitions_with_heads_are_read_without_the_coordinator_and_the_group_is_named() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("predictions", 2, 1).unwrap();
    let bootstrap = cluster.bootstrap_servers();
    produce(&bootstrap, "predictions", 2, "r", 20);
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED;
    cluster.request_errors(RDKafkaApiKey::OffsetFetch, &[refusal; 1000]);
    cluster.request_errors(RDKafkaApiKey::OffsetCommit, &[refusal; 1000]);
    let spec = spec(&bootstrap, &["predictions"], StartAt::Earliest);
    let expected = format!(
        "not authorized to use the consumer group {0}: grant Read on group {0} to User:ANONYMOUS",
        spec.kafka.group_id
    );
    let lookup = |shard: &Shard| match shard.partition {
        0 => head(4, None),
        _ => ResumePoint::Unread,
    };
    let mut reader = Reader::new(&spec);
    reader.source = reader.source.with_resume_lookup(Box::new(lookup));
    reader.until("the problem and the counted partition", |reader| {
        let problem = reader.report().problem.clone().unwrap_or_default();
        problem.starts_with(&expected) && reader.sink.records.len() == 6
    });
    assert_eq!(reader.sink.slots.len(), 1, "the other one waits");
    // A counted partition that librdkafka stopped was not restarted until the group answered.
    let stop = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
    cluster.request_errors(RDKafkaApiKey::Fetch, &[stop]);
    produce(&bootstrap, "predictions", 2, "more", 10);
    reader.until("the stopped partition is read on", |reader| {
        reader.sink.records.len() == 11
    });
    assert!(reader.report().problem.is_some(), "the group refuses still");
    cluster.clear_request_errors(RDKafkaApiKey::OffsetFetch);
    cluster.clear_request_errors(RDKafkaApiKey::OffsetCommit);
    reader.until_caught_up(2);
    reader.until("no problem", |reader| reader.report().problem.is_none());
}

/// A topic that may not be described does not look missing.
#[test]
fn a_topic_that_may_not_be_read_is_named_as_such() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("predictions", 1, 1).unwrap();
    let refusal = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    cluster.topic_error("predictions", refusal).unwrap();
    let bootstrap = cluster.bootstrap_servers();
    let mut reader = Reader::new(&spec(&bootstrap, &["predictions"], StartAt::Earliest));
    reader.until("the problem", |reader| {
        let expected = "not authorized to describe the topic predictions: grant Describe and Read on topic predictions to User:ANONYMOUS";
        reader.report().problem.as_deref() == Some(expected)
    });
    assert!(reader.report().up, "the broker answers");
}

#[test]
fn a_cluster_without_an_id_is_a_problem_with_a_name() {
    let (_broker, bootstrap) = broker(1);
    let mut spec = spec(&bootstrap, &["predictions"], StartAt::Earliest);
    // The metadata of such an old broker has no cluster id.
    for (property, value) in [
        ("api.version.request", "false"),
        ("broker.version.fallback", "0.9.0"),
    ] {
        spec.kafka
            .properties
            .insert(property.to_owned(), value.to_owned());
    }
    let mut reader = Reader::new(&spec);
    reader.until("the problem", |reader| {
        let expected = "the brokers report no cluster id, Kafka 0.10.1 or newer is needed";
        reader.report().problem.as_deref() == Some(expected)
    });
}

/// Counts the rounds of requests: each reports the extent of the source.
#[derive(Default)]
struct Rounds {
    rounds: usize,
    opened: usize,
}

impl Sink for Rounds {
    fn extent(&mut self, _: u32) {
        self.rounds += 1;
    }
    fn opened(&mut self, _: usize, _: &Shard, _: i64, _: bool) {
        self.opened += 1;
    }
    fn identified(&mut self, _: usize, _: TopicId) {}
    fn record(&mut self, _: RawRecord<'_>) {}
    fn position(&mut self, _: usize, _: i64, _: Option<EventTime>) {}
    fn lost(&mut self, _: usize, _: u64) {}
    fn closed(&mut self, _: usize) {}
}

/// While the pane log was down, every source asked the brokers for metadata, offsets and both ends
/// of each partition every 50 ms.
#[test]
fn a_pane_log_that_does_not_answer_causes_no_requests_to_the_source() {
    let (_broker, bootstrap) = broker(4);
    let spec = spec(&bootstrap, &["predictions"], StartAt::Earliest);
    let timing = Timing {
        refresh: Duration::from_secs(600),
        ..FAST
    };
    let is_answered = Arc::new(AtomicBool::new(false));
    let answered = Arc::clone(&is_answered);
    let lookup = move |_: &Shard| {
        if answered.load(Ordering::Relaxed) {
            ResumePoint::Unread
        } else {
            ResumePoint::Pending
        }
    };
    let report = Arc::default();
    let mut source = KafkaSource::with_timing(&spec, Arc::clone(&report), timing)
        .unwrap()
        .with_resume_lookup(Box::new(lookup));
    let mut sink = Rounds::default();
    let deadline = Instant::now() + DEADLINE;
    let expected =
        "the pane log does not answer yet where partition 0 of topic predictions and 3 more resume";
    while report.load().problem.as_deref() != Some(expected) {
        assert!(Instant::now() < deadline, "{:?}", report.load());
        source.poll(Duration::from_millis(50), &mut sink);
    }
    assert!(sink.rounds <= 3, "rounds of requests: {}", sink.rounds);
    assert_eq!(sink.opened, 0, "nothing is opened");
    is_answered.store(true, Ordering::Relaxed);
    while sink.opened < 4 || report.load().problem.is_some() {
        assert!(Instant::now() < deadline, "{:?}", report.load());
        source.poll(Duration::from_millis(50), &mut sink);
    }
}
