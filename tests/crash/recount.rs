//! The expected result: the topic read in one go and counted by the library, without a process, a
//! log or a restart.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use pegel::app::load_monitors;
use pegel::app::observer_plan;
use pegel::config::{Config, load_file};
use pegel::engine::{Engine, EngineView, FeatureView, MonitorPlan};
use pegel::export::Exporter;
use pegel::ingest::{Flushed, Ingest};
use pegel::model::Shard;
use pegel::source::{RawRecord, Sink as _};
use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::cluster::{DEADLINE, unique};

/// Families whose every sample follows from the counts.
const FAMILIES: [&str; 14] = [
    "pegel_events_total",
    "pegel_events_late_total",
    "pegel_events_dropped_total",
    "pegel_decode_errors_total",
    "pegel_feature_values_total",
    "pegel_feature_missing_total",
    "pegel_feature_invalid_total",
    "pegel_feature_out_of_range_total",
    "pegel_feature_unseen_category_total",
    "pegel_window_samples",
    "pegel_window_coverage_ratio",
    "pegel_window_end_timestamp_seconds",
    "pegel_drift_score",
    "pegel_watermark_timestamp_seconds",
];

/// The configuration, with an engine that has counted nothing.
pub(crate) fn engine(config: &Path) -> (Config, Engine) {
    let config = load_file(config).unwrap();
    let plans = load_monitors(config.monitors.iter().cloned());
    (config, Engine::new(plans))
}

/// Counts everything in a topic.
pub(crate) fn recount(config: &Path, bootstrap: &str, topic: &str) -> Engine {
    let (config, mut engine) = engine(config);
    recount_into(&mut engine, &config, (bootstrap, topic), 0);
    engine
}

/// Counts everything in one incarnation of a topic, on top of what the engine has.
pub(crate) fn recount_into(
    engine: &mut Engine,
    config: &Config,
    (bootstrap, topic): (&str, &str),
    incarnation: u32,
) {
    let plans: Vec<Arc<MonitorPlan>> = (0..engine.monitors())
        .map(|index| Arc::clone(engine.plan(index)))
        .collect();
    let source = &config.sources[0].name;
    let plan = observer_plan(source, &plans);
    let mut ingest = Ingest::new(plan, config.limits.max_message_bytes);
    ingest.set_now(Some(pegel::clock::now()));
    let shard = Shard {
        source: source.clone(),
        cluster: String::new(),
        topic: topic.to_owned(),
        partition: 0,
        incarnation,
    };
    read(bootstrap, &shard, &mut ingest);
    for Flushed { commit, .. } in ingest.flush() {
        engine.apply(&commit).unwrap();
    }
    for monitor in 0..engine.monitors() {
        engine.advance(monitor, &mut |_, _| ());
    }
}

/// Delivers every committed record of an incarnation.
fn read(bootstrap: &str, life: &Shard, ingest: &mut Ingest) {
    let partitions = partitions(bootstrap, &life.topic);
    ingest.extent(u32::try_from(partitions).unwrap());
    for (slot, partition) in (0..partitions).zip(0..) {
        let shard = Shard {
            partition,
            ..life.clone()
        };
        ingest.opened(slot, &shard, 0, true);
    }
    each_record(bootstrap, &life.topic, &mut |message| {
        ingest.record(RawRecord {
            slot: usize::try_from(message.partition()).unwrap(),
            offset: message.offset(),
            timestamp_ms: message.timestamp().to_millis(),
            payload: message.payload(),
        });
    });
}

/// Every committed record, in the order of its partition.
pub(crate) fn each_record(
    bootstrap: &str,
    topic: &str,
    on_record: &mut dyn FnMut(&BorrowedMessage<'_>),
) {
    let partitions = partitions(bootstrap, topic);
    let mut list = TopicPartitionList::new();
    for partition in 0..i32::try_from(partitions).unwrap() {
        list.add_partition_offset(topic, partition, Offset::Beginning)
            .unwrap();
    }
    let consumer = consumer(bootstrap);
    consumer.assign(&list).unwrap();
    let (mut ended, deadline) = (0, Instant::now() + DEADLINE);
    while ended < partitions {
        assert!(
            Instant::now() < deadline,
            "{ended} of {partitions} partitions read"
        );
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(message)) => on_record(&message),
            Some(Err(KafkaError::PartitionEOF(_))) => ended += 1,
            Some(Err(error)) => panic!("the topic cannot be read: {error}"),
            None => {}
        }
    }
}

/// The end offset of each partition.
pub(crate) fn ends(bootstrap: &str, topic: &str) -> Vec<i64> {
    let consumer = consumer(bootstrap);
    let partitions = 0..i32::try_from(partitions(bootstrap, topic)).unwrap();
    let end = |partition| consumer.fetch_watermarks(topic, partition, DEADLINE);
    partitions
        .map(|partition| end(partition).unwrap().1)
        .collect()
}

fn partitions(bootstrap: &str, topic: &str) -> usize {
    let metadata = consumer(bootstrap).fetch_metadata(Some(topic), DEADLINE);
    metadata.unwrap().topics()[0].partitions().len()
}

pub(crate) fn consumer(bootstrap: &str) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", bootstrap)
        .set("group.id", unique("recount"))
        .set("enable.auto.commit", "false")
        .set("isolation.level", "read_committed")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap()
}

/// The samples of a scrape that follow from the counts.
pub(crate) fn lines(scrape: &str) -> Vec<&str> {
    let is_ours = |line: &&str| {
        let family = line.split(['{', ' ']).next();
        family.is_some_and(|family| FAMILIES.contains(&family))
    };
    scrape.lines().filter(is_ours).collect()
}

/// The samples that a process with these counts would export.
pub(crate) fn scrape_of(engine: &Engine) -> String {
    let snapshot = engine.view();
    let names = snapshot.sources.iter().map(|source| source.name.clone());
    let names: Vec<String> = names.collect();
    let exporter = Exporter::new(names.iter().map(String::as_str), 1000);
    exporter.publish(snapshot);
    String::from_utf8(exporter.scrape(false)).unwrap()
}

/// Number of records with a payload that an engine has counted.
pub(crate) fn counted(engine: &Engine) -> u64 {
    let source = &engine.view().sources[0];
    let errors = source.decode_errors.iter().map(|(_, count)| count);
    source.decoded + errors.sum::<u64>()
}

/// Compares all counters, and the hash of all bins and cells.
pub(crate) fn assert_same(actual: &Engine, expected: &Engine) {
    let hashes = (hash(actual), hash(expected));
    let (actual, expected) = (actual.view(), expected.view());
    let records = |snapshot: &EngineView| {
        let source = &snapshot.sources[0];
        let errors = source.decode_errors.clone();
        (source.decoded, errors, source.tombstones)
    };
    assert_eq!(records(&actual), records(&expected), "records");
    for (actual, expected) in actual.monitors.iter().zip(&expected.monitors) {
        assert_eq!(actual.events, expected.events, "events");
        assert_eq!(actual.events_late, expected.events_late, "late events");
        assert_eq!(actual.dropped, expected.dropped, "dropped events");
        for (actual, expected) in actual.features.iter().zip(&expected.features) {
            let of =
                |feature: &FeatureView| (feature.tallies, feature.out_of_range, feature.unseen);
            assert_eq!(of(actual), of(expected), "totals of {}", actual.name);
        }
    }
    assert_eq!(hashes.0, hashes.1, "the hash of all counts");
}

/// Compares the latest windows: each bin, each cell and its sum. Nearly all events are in them, and
/// nothing is missing.
pub(crate) fn assert_same_windows(actual: &Engine, expected: &Engine) {
    let windows = |engine: &Engine| engine.view().monitors[0].windows.clone();
    let events = expected.view().monitors[0].events;
    let (actual, expected) = (windows(actual), windows(expected));
    for (actual, expected) in actual.iter().zip(&expected) {
        assert_eq!(actual.end, expected.end, "end of the window");
        let coverage = (actual.coverage.to_bits(), expected.coverage.to_bits());
        assert_eq!(coverage, (1.0_f64.to_bits(), 1.0_f64.to_bits()), "coverage");
        let features = actual.features.iter().zip(&expected.features);
        for (index, (actual, expected)) in features.enumerate() {
            let counts = expected.counts.as_ref();
            let inside = counts.map_or(0, |counts| counts.tallies.events());
            assert!(
                inside * 10 > events * 9,
                "feature {index}: {inside} of {events}"
            );
            assert_eq!(
                actual.counts, expected.counts,
                "bins and cells of feature {index}"
            );
        }
    }
}

/// The hash of all counts, for any partition of the log.
fn hash(engine: &Engine) -> u64 {
    let partitions = engine.log().partitions.values();
    partitions.fold(0, |sum, index| sum.wrapping_add(index.hash))
}
