//! Records from Kafka.
//!
//! One consumer per ingest thread, owned and polled by that thread alone. It assigns partitions itself and asks for new ones every few seconds. On one
//! machine it reads all of them, without group membership, because a second member would take half the stream away from the windows; the group only keeps
//! positions, which are committed once counts are safe, never because they were read.
//!
//! With many ingesters the group decides who reads what. A second client is the member then: it reads nothing, its notes say which partitions are ours, and
//! the first client goes on exactly as alone. So a rebalance never touches the data path, and partitions are begun at the pane log's heads.
//!
//! Two streams meet here: records come from one data queue (`queue`), everything else as notes from callbacks (`context`). The thread serves the notes
//! first and then drains the data, so no decision ever races a record.
//!
//! A broker that is down, a topic that does not exist and a missing authorization are states, not errors: they are told (`health`), retried with a
//! back-off, and end by themselves.

mod assignment;
mod callbacks;
mod group_offsets;
mod health;
mod librdkafka;
mod list_offsets;
mod partitions;
pub mod range;
mod resume;
mod settings;
mod topic_id;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{BorrowedMessage, Message as _};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use self::health::{Concern, Health};
use self::topic_id::TopicIds;
use super::kafka::assignment::Rhythm;
use super::kafka::callbacks::{CallbackContext, Event};
use super::kafka::group_offsets::Commits;
use super::kafka::librdkafka::Link;
use super::kafka::list_offsets::Key;
use super::kafka::partitions::{End, Failure, Table};
use super::kafka::resume::needs_restart;
use super::{ResumeLookup, ResumePoint, Sink, Source};
use crate::clock;
use crate::model::{KafkaReport, KafkaSpec, Shard, SourceSpec};

pub use self::settings::{SourceError, Timing, client_problem, property_problems};

/// The longest wait on the data queue: callbacks are served this often.
const LONGEST_DRAIN: Duration = Duration::from_millis(200);
/// Notes served in one go, so that a flood of them cannot keep records waiting.
const MOST_CALLBACKS: u64 = 256;
/// A broker that sent nothing for longer than this may be gone: fetches are answered at least every half second.
const FRESH_MICROS: i64 = 5_000_000;

/// A Kafka source; see the module.
pub struct KafkaSource {
    name: String,
    spec: KafkaSpec,
    timing: Timing,
    link: Link,
    table: Table,
    health: Health,
    /// Partitions that must be begun anew, because librdkafka gave them up.
    stranded: BTreeSet<usize>,
    /// The partitions the group gave us; `None` = all are ours.
    assigned: Option<BTreeSet<Key>>,
    /// How far partitions were counted before.
    memory: ResumeLookup,
    /// Partitions let go, and when they may be begun again.
    held: BTreeMap<Key, Instant>,
    /// Topics that did not exist when they were first looked for: all they hold is newer than we are.
    awaited: BTreeSet<String>,
    /// How many partitions each topic had when it was first seen: later ones are newer than we are.
    first_seen: BTreeMap<String, usize>,
    cluster: Option<String>,
    topic_ids: TopicIds,
    /// The least life of partitions whose topic was found to be another one, whatever the memory says.
    lives: BTreeMap<Key, u32>,
    rhythm: Rhythm,
    commits: Commits,
    report: Arc<ArcSwap<KafkaReport>>,
    publish_at: Instant,
}

impl KafkaSource {
    /// Makes the client; nothing is asked of a broker yet.
    pub fn try_new(
        spec: &SourceSpec,
        report: Arc<ArcSwap<KafkaReport>>,
    ) -> Result<Self, SourceError> {
        Self::with_timing(spec, report, Timing::default())
    }

    /// The same, with another rhythm.
    pub fn with_timing(
        spec: &SourceSpec,
        report: Arc<ArcSwap<KafkaReport>>,
        timing: Timing,
    ) -> Result<Self, SourceError> {
        Self::make(spec, report, timing, None)
    }

    /// A source that reads only what the consumer group assigns to it.
    pub fn in_group(
        spec: &SourceSpec,
        report: Arc<ArcSwap<KafkaReport>>,
        timing: Timing,
    ) -> Result<Self, SourceError> {
        let config = settings::member_config(&spec.kafka, &timing);
        let context = CallbackContext::new(&spec.name);
        let member = BaseConsumer::from_config_and_context(&config, context)?;
        let topics: Vec<&str> = spec.kafka.topics.iter().map(String::as_str).collect();
        member.subscribe(&topics)?;
        Self::make(spec, report, timing, Some(member))
    }

    fn make(
        spec: &SourceSpec,
        report: Arc<ArcSwap<KafkaReport>>,
        timing: Timing,
        member: Option<BaseConsumer<CallbackContext>>,
    ) -> Result<Self, SourceError> {
        let config = settings::client_config(&spec.kafka, &timing);
        let context = CallbackContext::new(&spec.name);
        let consumer = BaseConsumer::from_config_and_context(&config, context)?;
        let now = clock::monotonic();
        Ok(KafkaSource {
            name: spec.name.clone(),
            spec: spec.kafka.clone(),
            timing,
            assigned: member.is_some().then(BTreeSet::new),
            link: Link::new(consumer, member, timing.close).ok_or(SourceError::Queue)?,
            table: Table::default(),
            health: Health::new(&spec.name, &spec.kafka.brokers),
            stranded: BTreeSet::new(),
            memory: Box::new(|_| ResumePoint::Unread),
            held: BTreeMap::new(),
            awaited: BTreeSet::new(),
            first_seen: BTreeMap::new(),
            cluster: None,
            topic_ids: TopicIds::default(),
            lives: BTreeMap::new(),
            rhythm: Rhythm::new(timing, now),
            commits: Commits::new(now + timing.commit),
            report,
            publish_at: now,
        })
    }

    /// Asks `memory` where each partition was left; the group's positions are second to it.
    #[must_use]
    pub fn with_resume_lookup(mut self, memory: ResumeLookup) -> Self {
        self.memory = memory;
        self
    }

    /// Commits what was accepted and leaves; dropping the source does the same.
    pub fn close(self) {}

    /// Serves the callbacks that are due; `true` when partitions were let go.
    fn serve_callbacks(&mut self, sink: &mut dyn Sink) -> bool {
        let mut let_go = false;
        for event in self.callbacks() {
            match event {
                Event::Error { code, reason } => {
                    if self.health.client_error(code, &reason) {
                        self.rhythm.retry_soon(clock::monotonic());
                    }
                }
                Event::Statistics(statistics) => self.learn(&statistics, sink),
                Event::Assigned(keys) => {
                    tracing::info!(
                        source = self.name,
                        partitions = keys.len(),
                        "the group assigns"
                    );
                    self.assigned = Some(keys.into_iter().collect());
                    self.held.clear();
                    self.rhythm.look_now();
                }
                Event::Revoked => let_go |= self.let_all_go(sink),
            }
        }
        let_go
    }

    /// The group gives all partitions out anew: what was counted goes into a last commit each; `true` when there were any.
    fn let_all_go(&mut self, sink: &mut dyn Sink) -> bool {
        tracing::info!(source = self.name, "the group revokes");
        self.assigned = Some(BTreeSet::new());
        self.stranded.clear();
        let open = self.table.open_slots();
        let had_some = !open.is_empty();
        self.table.revoked += u64::from(had_some);
        for slot in open {
            self.withdraw(slot);
            self.table.close(slot, sink);
        }
        had_some
    }

    /// A poll serves one callback; it is repeated until one finds none.
    fn callbacks(&mut self) -> Vec<Event> {
        let mut events = Vec::new();
        if let Some(member) = self.link.member() {
            serve(member, &mut |_| ());
            events.extend(member.context().take());
        }
        let mut strays = Vec::new();
        let consumer = self.link.consumer();
        serve(consumer, &mut |stray| {
            strays.extend(self.table.slot(stray.topic(), stray.partition()));
        });
        events.extend(consumer.context().take());
        for slot in strays {
            // Cannot happen while every partition is forwarded; if it does, the partition is read again from where it was.
            self.withdraw(slot);
            self.stranded.insert(slot);
        }
        events
    }

    fn learn(&mut self, statistics: &Statistics, sink: &mut dyn Sink) {
        let is_up = |state: &str| state == "UP";
        let brokers = || statistics.brokers.values();
        if !brokers().any(|broker| is_up(&broker.state)) {
            self.health.disconnected();
        } else if self.health.connected() {
            self.rhythm.look_now();
        }
        let fresh: BTreeSet<i32> = brokers()
            .filter(|broker| is_up(&broker.state) && broker.rxidle < FRESH_MICROS)
            .map(|broker| broker.nodeid)
            .collect();
        let end_of = |shard: &Shard| {
            let topic = statistics.topics.get(&shard.topic)?;
            let partition = topic.partitions.get(&shard.partition)?;
            // The last stable offset is where read_committed ends; it is unknown until the first fetch.
            let offset = Some(partition.ls_offset).filter(|offset| *offset >= 0);
            let offset = offset.or(Some(partition.hi_offset).filter(|offset| *offset >= 0))?;
            let is_fresh = fresh.contains(&partition.broker);
            Some(End { offset, is_fresh })
        };
        self.table.learn_ends(end_of, sink);
    }

    /// Hands on what is there, or waits for it.
    fn read(&mut self, wait: Duration, sink: &mut dyn Sink) {
        for (topic, partition) in self.table.unheard() {
            self.link.forward(topic, partition);
        }
        let mut intake = self.table.intake(sink);
        self.link.drain(wait, &mut intake);
        let (failures, recovered) = (intake.failures, intake.recovered);
        if intake.arrivals > 0 {
            self.health.answered();
        }
        for slot in recovered {
            self.health.set(self.concern(slot), None);
        }
        for failure in failures {
            self.partition_failed(&failure);
        }
        self.tell_positions(sink);
    }

    fn tell_positions(&mut self, sink: &mut dyn Sink) {
        let touched = self.table.take_touched();
        if touched.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::with_capacity(touched.len());
        for slot in &touched {
            let shard = &self.table.get(*slot).shard;
            list.add_partition(&shard.topic, shard.partition);
        }
        self.link.positions(&mut list);
        for (slot, element) in touched.into_iter().zip(list.elements()) {
            match element.offset() {
                Offset::Offset(position) => self.table.advance(slot, position, sink),
                _ => self.table.advance(slot, 0, sink),
            }
        }
    }

    fn partition_failed(&mut self, failure: &Failure) {
        self.health.count(failure.code);
        let concern = self.concern(failure.slot);
        let (source, text) = (&*self.name, &*failure.text);
        let Shard {
            topic, partition, ..
        } = &self.table.get(failure.slot).shard;
        if needs_restart(failure.code) {
            tracing::warn!(source, topic, partition, text, "position is out of range");
            self.stranded.insert(failure.slot);
            self.withdraw(failure.slot);
            self.rhythm.look_now();
            return;
        }
        tracing::debug!(source, topic, partition, text, "partition failed");
        let problem = format!("partition {partition} of topic {topic}: {text}");
        self.health.set(concern, Some(problem));
        self.table.set_failing(failure.slot);
    }

    fn concern(&self, slot: usize) -> Concern {
        let shard = &self.table.get(slot).shard;
        Concern::Partition(shard.topic.clone(), shard.partition)
    }

    fn publish(&mut self, now: Instant) {
        if now < self.publish_at {
            return;
        }
        self.publish_at = now + self.timing.publish;
        self.health.tell();
        self.report.store(Arc::new(KafkaReport {
            up: self.health.is_up(),
            problem: self.health.problem(),
            topics: self.table.report(self.spec.topics.iter()),
            rebalances: [
                ("assigned", self.table.assigned),
                ("revoked", self.table.revoked),
            ]
            .into(),
            errors: self.health.errors().clone(),
        }));
    }
}

/// Polls a client until no callback is due; records do not come this way, unless something is wrong.
fn serve(client: &BaseConsumer<CallbackContext>, stray: &mut dyn FnMut(&BorrowedMessage<'_>)) {
    for _ in 0..MOST_CALLBACKS {
        let before = client.context().calls();
        if let Some(Ok(message)) = client.poll(Duration::ZERO) {
            stray(&message);
        }
        if client.context().calls() == before {
            break;
        }
    }
}

impl Source for KafkaSource {
    fn poll(&mut self, wait: Duration, sink: &mut dyn Sink) -> bool {
        let begun = clock::monotonic();
        if self.serve_callbacks(sink) {
            // The last commits must be in the log before the next owner looks there: one that comes later costs that owner a pause.
            return true;
        }
        self.hear_of_topics(Duration::ZERO, sink);
        self.look_around(begun, wait, sink);
        self.commit_if_due(begun);
        self.publish(begun);
        let left = wait.saturating_sub(clock::monotonic().duration_since(begun));
        self.read(left.min(LONGEST_DRAIN), sink);
        true
    }

    fn accepted(&mut self, slot: usize, upto: i64) {
        self.table.accept(slot, upto);
    }

    fn rejected(&mut self, slot: usize, sink: &mut dyn Sink) {
        if !self.table.is_open(slot) {
            return;
        }
        let pause = self.timing.rejected.mul_f64(rand::random_range(1.0..5.0));
        let Shard {
            topic, partition, ..
        } = &self.table.get(slot).shard;
        tracing::warn!(
            source = self.name,
            topic,
            partition,
            pause_ms = pause.as_millis(),
            "what was counted does not count: somebody else counted it, or the pane log did not take it; begun again at its head"
        );
        let key = (topic.clone(), *partition);
        let until = clock::monotonic() + pause;
        self.withdraw(slot);
        self.stranded.remove(&slot);
        self.table.close(slot, sink);
        self.table.revoked += 1;
        self.held.insert(key, until);
        self.rhythm.look_at(until);
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.last_commit();
    }
}

impl std::fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSource")
            .field("name", &self.name)
            .field("topics", &self.spec.topics)
            .field("health", &self.health)
            .finish_non_exhaustive()
    }
}
