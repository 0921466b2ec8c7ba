//! Helpers of the broker tests: a reader that collects records, and producers.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use pegel::model::{EventTime, KafkaReport, KafkaSpec, Shard, SourceSpec, StartAt, TopicId};
use pegel::source::{KafkaSource, RawRecord, Sink, Source, Timing};
use rdkafka::producer::{BaseProducer, Producer};

use crate::cluster::{DEADLINE, producer, send_one, unique};

/// Shorter intervals than the daemon's.
pub(crate) const FAST: Timing = Timing {
    refresh: Duration::from_millis(200),
    retry: Duration::from_millis(100),
    request: Duration::from_millis(500),
    commit: Duration::from_millis(200),
    publish: Duration::from_millis(50),
    statistics: Duration::from_millis(200),
    ends: Duration::from_millis(200),
    rejected: Duration::from_millis(100),
    close: Duration::from_secs(5),
};

pub(crate) fn spec(bootstrap: &str, topics: &[&str], start: StartAt) -> SourceSpec {
    SourceSpec {
        name: "fraud".to_owned(),
        kafka: KafkaSpec {
            brokers: bootstrap.split(',').map(str::to_owned).collect(),
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
            group_id: unique("group"),
            start,
            properties: BTreeMap::new(),
        },
    }
}

/// A record as the sink received it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) slot: usize,
    pub(crate) offset: i64,
    pub(crate) timestamp_ms: Option<i64>,
    pub(crate) payload: Option<Vec<u8>>,
}

/// The calls that concerned a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Told {
    pub(crate) shard: Shard,
    pub(crate) base: i64,
    pub(crate) from_start: bool,
    pub(crate) topic_id: Option<TopicId>,
    pub(crate) upto: i64,
    pub(crate) caught_up: bool,
    pub(crate) times_caught_up: usize,
    pub(crate) lost: u64,
    pub(crate) closed: bool,
}

/// A sink that keeps everything and checks the order of the calls.
#[derive(Debug, Default)]
pub(crate) struct Collected {
    pub(crate) records: Vec<Got>,
    pub(crate) slots: Vec<Told>,
    pub(crate) shards: u32,
}

impl Sink for Collected {
    fn extent(&mut self, shards: u32) {
        self.shards = shards;
    }

    fn opened(&mut self, slot: usize, shard: &Shard, base: i64, from_start: bool) {
        let told = Told {
            shard: shard.clone(),
            base,
            from_start,
            topic_id: None,
            upto: base,
            caught_up: false,
            times_caught_up: 0,
            lost: 0,
            closed: false,
        };
        match self.slots.get_mut(slot) {
            None => {
                assert_eq!(slot, self.slots.len(), "slots are numbered in order");
                self.slots.push(told);
            }
            Some(former) => {
                assert!(former.closed, "slot {slot} is open");
                assert_eq!(former.shard, told.shard, "a slot belongs to one shard");
                *former = told;
            }
        }
    }

    fn identified(&mut self, slot: usize, topic_id: TopicId) {
        let known = self.slots[slot].topic_id.replace(topic_id);
        assert_eq!(known, None, "slot {slot} is identified once");
    }

    fn record(&mut self, record: RawRecord<'_>) {
        let state = &mut self.slots[record.slot];
        assert!(!state.closed, "a record of a closed slot: {record:?}");
        assert!(
            record.offset >= state.upto,
            "a record below the position: {record:?}"
        );
        state.upto = record.offset + 1;
        state.caught_up = false;
        self.records.push(Got {
            slot: record.slot,
            offset: record.offset,
            timestamp_ms: record.timestamp_ms,
            payload: record.payload.map(<[u8]>::to_vec),
        });
    }

    fn position(&mut self, slot: usize, upto: i64, confirmed_at: Option<EventTime>) {
        let state = &mut self.slots[slot];
        assert!(
            upto >= state.upto,
            "slot {slot} went back from {} to {upto}",
            state.upto
        );
        state.upto = upto;
        state.caught_up |= confirmed_at.is_some();
        state.times_caught_up += usize::from(confirmed_at.is_some());
    }

    fn lost(&mut self, slot: usize, offsets: u64) {
        self.slots[slot].lost += offsets;
    }

    fn closed(&mut self, slot: usize) {
        self.slots[slot].closed = true;
    }
}

/// A source, its sink and its report.
pub(crate) struct Reader {
    pub(crate) source: KafkaSource,
    pub(crate) sink: Collected,
    report: Arc<ArcSwap<KafkaReport>>,
}

impl Reader {
    pub(crate) fn new(spec: &SourceSpec) -> Self {
        let report = Arc::new(ArcSwap::from_pointee(KafkaReport::default()));
        let source = KafkaSource::with_timing(spec, Arc::clone(&report), FAST)
            .unwrap_or_else(|error| panic!("no source: {error}"));
        Reader {
            source,
            sink: Collected::default(),
            report,
        }
    }

    /// A member of the source's consumer group.
    pub(crate) fn in_group(spec: &SourceSpec) -> Self {
        let report = Arc::new(ArcSwap::from_pointee(KafkaReport::default()));
        let source = KafkaSource::in_group(spec, Arc::clone(&report), FAST)
            .unwrap_or_else(|error| panic!("no source: {error}"));
        Reader {
            source,
            sink: Collected::default(),
            report,
        }
    }

    pub(crate) fn report(&self) -> Arc<KafkaReport> {
        self.report.load_full()
    }

    pub(crate) fn poll(&mut self) {
        let more = self.source.poll(Duration::from_millis(50), &mut self.sink);
        assert!(more, "a Kafka source has no end");
    }

    /// Polls until `reached`, or fails with the actual state.
    pub(crate) fn until(&mut self, what: &str, reached: impl Fn(&Reader) -> bool) {
        let deadline = Instant::now() + DEADLINE;
        while !reached(self) {
            assert!(
                Instant::now() < deadline,
                "not reached: {what}; {} records, slots {:#?}, report {:#?}",
                self.sink.records.len(),
                self.sink.slots,
                self.report(),
            );
            self.poll();
        }
    }

    pub(crate) fn until_caught_up(&mut self, partitions: usize) {
        self.until("the end of all partitions", |reader| {
            let open = reader.sink.slots.iter().filter(|state| !state.closed);
            open.clone().count() == partitions && open.clone().all(|state| state.caught_up)
        });
    }

    pub(crate) fn until_records(&mut self, count: usize) {
        self.until(&format!("{count} records"), |reader| {
            reader.sink.records.len() >= count
        });
    }

    /// Accepts all records delivered so far, as a scorer does.
    pub(crate) fn accept_all(&mut self) {
        for (slot, state) in self.sink.slots.iter().enumerate() {
            self.source.accepted(slot, state.upto);
        }
    }

    pub(crate) fn slot_of(&self, topic: &str, partition: i32) -> &Told {
        self.sink
            .slots
            .iter()
            .rfind(|state| state.shard.topic == topic && state.shard.partition == partition)
            .unwrap_or_else(|| panic!("{topic} {partition} was never opened"))
    }

    /// Payloads as text, sorted.
    pub(crate) fn texts(&self) -> Vec<String> {
        let mut texts: Vec<String> = self
            .sink
            .records
            .iter()
            .filter_map(|got| got.payload.as_ref())
            .map(|payload| String::from_utf8_lossy(payload).into_owned())
            .collect();
        texts.sort();
        texts
    }

    pub(crate) fn assert_each_offset_once(&self) {
        let mut seen = BTreeSet::new();
        for got in &self.sink.records {
            let shard = &self.sink.slots[got.slot].shard;
            assert!(
                seen.insert((shard, got.offset)),
                "{} of {shard:?} came twice",
                got.offset
            );
        }
    }
}

/// Texts `0..count`, as produced by [`produce`], sorted as [`Reader::texts`] sorts.
pub(crate) fn numbered(word: &str, count: usize) -> Vec<String> {
    let mut texts: Vec<String> = (0..count).map(|index| format!("{word} {index}")).collect();
    texts.sort();
    texts
}

/// Sends `count` records `word 0`, `word 1`, ... to the partitions in turn, and waits until the
/// broker has them.
pub(crate) fn produce(bootstrap: &str, topic: &str, partitions: i32, word: &str, count: usize) {
    let producer = producer(bootstrap, &[]);
    send(&producer, topic, partitions, word, count);
}

pub(crate) fn send(
    producer: &BaseProducer,
    topic: &str,
    partitions: i32,
    word: &str,
    count: usize,
) {
    for (index, partition) in (0..count).zip((0..partitions).cycle()) {
        let text = format!("{word} {index}");
        send_one(producer, topic, partition, Some(&text), None);
    }
    producer.flush(DEADLINE).unwrap();
}
