//! Reads the partitions that are assigned to this process, and restarts those that librdkafka
//! stopped reading.
//!
//! Two streams meet here: records come from one data queue, everything else as events of callbacks.
//! The owner takes the events first and drains the data after that, so a decision never competes
//! with a record.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::Message as _;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{debug, warn};

use super::callbacks::{CallbackEvent, serve_callbacks};
use super::error_code::stops_reading;
use super::health::{Health, ProblemScope, RequestError};
use super::leader_ends::LeaderEnds;
use super::librdkafka::Client;
use super::partition_offsets::list_bounds;
use super::partitions::{PartitionFailure, PartitionTable};
use super::resume::{OffsetBounds, PreviousPosition, StartPosition, resume};
use super::tail_loss::TailLosses;
use super::topic_id::TopicIds;
use crate::clock;
use crate::kafka::{TopicPartition, partition_list};
use crate::model::Shard;
use crate::source::Sink;

/// The client with the partitions it reads and the state of its connection.
pub(super) struct PartitionReader {
    source: String,
    pub(super) client: Client,
    pub(super) table: PartitionTable,
    pub(super) health: Health,
    leader_ends: LeaderEnds,
    pub(super) tail_losses: TailLosses,
    /// Open slots that librdkafka stopped reading.
    needs_restart: BTreeSet<usize>,
}

impl PartitionReader {
    /// Reads nothing yet.
    pub(super) fn new(
        source: &str,
        client: Client,
        health: Health,
        leader_ends: LeaderEnds,
        tail_losses: TailLosses,
    ) -> Self {
        PartitionReader {
            source: source.to_owned(),
            client,
            table: PartitionTable::new(),
            health,
            leader_ends,
            tail_losses,
            needs_restart: BTreeSet::new(),
        }
    }

    /// Serves the callbacks that are due and takes their events.
    pub(super) fn take_callback_events(&mut self) -> Vec<CallbackEvent> {
        let mut events = Vec::new();
        if let Some(member) = self.client.member() {
            let code = serve_callbacks(member, &mut |_| ());
            events.extend(member.context().take_events());
            events.extend(code.map(CallbackEvent::MemberError));
        }
        let mut strays = Vec::new();
        let consumer = self.client.consumer();
        serve_callbacks(consumer, &mut |record| {
            strays.extend(self.table.slot(record.topic(), record.partition()));
        });
        events.extend(consumer.context().take_events());
        for slot in strays {
            // Cannot happen while every partition is forwarded. If it does, the partition is read
            // again from its last position.
            self.stop_reading(slot);
        }
        events
    }

    /// Updates connection and lags; returns `true` if the connection is new.
    pub(super) fn apply_statistics(&mut self, statistics: &Statistics) -> bool {
        let is_connected = statistics
            .brokers
            .values()
            .any(|broker| broker.state == "UP");
        let is_reconnected = if is_connected {
            self.health.connected()
        } else {
            self.health.disconnected();
            false
        };
        self.table.apply_lags(|shard| {
            let topic = statistics.topics.get(&shard.topic)?;
            let partition = topic.partitions.get(&shard.partition)?;
            // The last stable offset is the end for read_committed; it is negative before the
            // first fetch.
            [partition.ls_offset, partition.hi_offset]
                .into_iter()
                .find(|offset| *offset >= 0)
        });
        is_reconnected
    }

    /// Takes the ends of partitions that their leaders reported, and sends the next requests when
    /// they are due. Does not wait.
    pub(super) fn confirm_ends(&mut self, sink: &mut dyn Sink) {
        for answer in self.leader_ends.take_answers(&self.client) {
            match answer.ends {
                Some(ends) => {
                    self.health.leader_answered(answer.leader);
                    for (partition, end) in ends {
                        self.table
                            .take_end(&partition, end, answer.sent_at, answer.slots, sink);
                    }
                }
                None => {
                    let quiet = self.table.quiet_among(answer.partitions);
                    self.health.leader_silent(answer.leader, &quiet);
                }
            }
        }
        // A record that exists now is before the end that a leader reports after it.
        let sent_at = clock::now();
        let now = clock::monotonic();
        if self.leader_ends.is_due(now) {
            let mut by_leader = self.table.take_unconfirmed();
            self.health
                .retain_leaders(|leader| by_leader.contains_key(&leader));
            by_leader.retain(|leader, _| !self.leader_ends.is_pending(*leader));
            self.table.note_requests(by_leader.values().flatten());
            let slots = self.table.slot_count();
            self.leader_ends
                .request(&self.client, by_leader, slots, now, sent_at);
        }
    }

    /// Delivers the available records, or waits for the first one up to `wait`; returns `true` if a
    /// partition needs a restart.
    pub(super) fn read(&mut self, wait: Duration, sink: &mut dyn Sink) -> bool {
        for (topic, partition) in self.table.without_events() {
            self.client.forward(topic, partition);
        }
        let mut intake = self.table.intake(sink);
        self.client.drain(wait, &mut intake);
        let (failures, recovered) = (intake.failures, intake.recovered);
        if intake.events > 0 {
            self.health.answered();
        }
        for slot in recovered {
            self.clear_problem(slot);
        }
        for failure in &failures {
            self.on_failure(failure);
        }
        self.report_positions(sink);
        failures.iter().any(|failure| stops_reading(failure.code))
    }

    fn report_positions(&mut self, sink: &mut dyn Sink) {
        let slots = self.table.take_advanced();
        if slots.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::with_capacity(slots.len());
        for slot in &slots {
            let shard = &self.table.get(*slot).shard;
            list.add_partition(&shard.topic, shard.partition);
        }
        self.client.positions(&mut list);
        for (slot, element) in slots.into_iter().zip(list.elements()) {
            match element.offset() {
                Offset::Offset(position) => self.table.advance(slot, position, sink),
                _ => self.table.advance(slot, 0, sink),
            }
        }
    }

    fn on_failure(&mut self, PartitionFailure { slot, code, text }: &PartitionFailure) {
        self.health.count_error(*code);
        let (source, text) = (&*self.source, &**text);
        let name = self.table.name(*slot);
        let TopicPartition { topic, partition } = &name;
        if stops_reading(*code) {
            warn!(source, topic, partition, text, "position is out of range");
            self.stop_reading(*slot);
            return;
        }
        if *code == RDKafkaErrorCode::TopicAuthorizationFailed as i32 {
            debug!(source, topic, partition, "reading is denied");
            let scope = ProblemScope::Records(topic.clone());
            let problem = scope.describe(*code);
            self.health.set_problem(scope, Some(problem));
            self.table.set_failing(*slot);
            // librdkafka reports neither a second denial nor its end: the next refresh assigns the
            // partition again, and then a record or its end arrives.
            self.stop_reading(*slot);
            return;
        }
        debug!(source, topic, partition, text, "partition failed");
        let problem = format!("{name}: {text}");
        self.health
            .set_problem(ProblemScope::Partition(name), Some(problem));
        self.table.set_failing(*slot);
    }

    /// Ends the problem of a partition.
    pub(super) fn clear_problem(&mut self, slot: usize) {
        let name = self.table.name(slot);
        self.health
            .set_problem(ProblemScope::Records(name.topic.clone()), None);
        self.health.set_problem(ProblemScope::Partition(name), None);
    }

    /// Opens a partition and reads it from `start`.
    ///
    /// The sink opens the partition at the `previous` position. After that it receives the offsets
    /// that the log lost behind it as lost.
    pub(super) fn open(
        &mut self,
        shard: Shard,
        start: StartPosition,
        previous: Option<i64>,
        committed: Option<i64>,
        sink: &mut dyn Sink,
    ) -> Result<(), RequestError> {
        let partition = TopicPartition::from(&shard);
        self.log_start(&partition, start, previous);
        self.assign(&partition, start.base)?;
        self.health
            .set_problem(ProblemScope::Partition(partition), None);
        let opened_at = previous
            .filter(|_| !start.is_new_incarnation())
            .unwrap_or(start.base);
        let slot = self
            .table
            .insert(shard, opened_at, start.topic_id, committed, sink);
        self.table.restart(slot, start.base, start.lost, sink);
        let topic = self.table.name(slot).topic;
        if self.health.has_problem(&ProblemScope::Records(topic)) {
            // The first record, or the end of the partition, ends the problem.
            self.table.set_failing(slot);
        }
        Ok(())
    }

    /// Restarts the partitions that librdkafka stopped; returns `false` if some must be tried
    /// again.
    pub(super) fn restart_stopped(
        &mut self,
        topic_ids: &TopicIds,
        timeout: Duration,
        sink: &mut dyn Sink,
    ) -> Result<bool, RequestError> {
        if self.needs_restart.is_empty() {
            return Ok(true);
        }
        let slots: Vec<usize> = self.needs_restart.iter().copied().collect();
        let partitions: Vec<TopicPartition> =
            slots.iter().map(|slot| self.table.name(*slot)).collect();
        let bounds = list_bounds(self.client.consumer(), &partitions, timeout)
            .map_err(RequestError::in_topic_of(&partitions))?;
        for (slot, partition) in slots.into_iter().zip(&partitions) {
            if let Some(bounds) = bounds.get(partition)
                && self.restart(slot, *bounds, topic_ids, sink)?
            {
                self.needs_restart.remove(&slot);
            }
        }
        Ok(self.needs_restart.is_empty())
    }

    /// Restarts a partition; returns `false` if it must be tried again.
    fn restart(
        &mut self,
        slot: usize,
        bounds: OffsetBounds,
        topic_ids: &TopicIds,
        sink: &mut dyn Sink,
    ) -> Result<bool, RequestError> {
        let state = self.table.get(slot);
        let mut shard = state.shard.clone();
        let previous = PreviousPosition {
            upto: state.next_offset,
            topic_id: state.topic_id,
            is_deleted: false,
        };
        let start = resume(previous, bounds, topic_ids.get(&shard.topic));
        let partition = TopicPartition::from(&shard);
        let now = clock::monotonic();
        if !self
            .tail_losses
            .is_settled(&partition, start, topic_ids, now)
        {
            return Ok(false);
        }
        self.log_start(&partition, start, Some(previous.upto));
        self.assign(&partition, start.base)?;
        if start.is_new_incarnation() {
            self.table.close(slot, sink);
            self.table.revocations += 1;
            self.table.assignments += 1;
            shard.incarnation += 1;
            let slot = self
                .table
                .insert(shard, start.base, start.topic_id, None, sink);
            self.table.restart(slot, start.base, start.lost, sink);
        } else {
            self.table.restart(slot, start.base, start.lost, sink);
        }
        Ok(true)
    }

    fn log_start(
        &self,
        TopicPartition { topic, partition }: &TopicPartition,
        StartPosition {
            base,
            lost,
            is_recreated,
            is_truncated,
            ..
        }: StartPosition,
        previous: Option<i64>,
    ) {
        let source = &*self.source;
        if is_truncated {
            warn!(
                source,
                topic,
                partition,
                previous,
                base,
                lost,
                "the log of a partition lost its end, continuing there; nothing is counted twice"
            );
        } else if lost > 0 {
            warn!(
                source,
                topic, partition, lost, base, "retention deleted offsets before they were read"
            );
        }
        if is_recreated {
            warn!(
                source,
                topic, partition, previous, base, "topic was recreated, all of its records are new"
            );
        }
    }

    /// Reads a partition from `base` on. Its queue must be forwarded before, see `librdkafka`.
    fn assign(&self, name: &TopicPartition, base: i64) -> Result<(), RequestError> {
        let TopicPartition { topic, partition } = name;
        self.client.forward(topic, *partition);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, *partition, Offset::Offset(base))
            .and_then(|()| self.client.consumer().incremental_assign(&list))
            .map_err(RequestError::in_scope(ProblemScope::Partition(
                name.clone(),
            )))
    }

    /// Stops reading a partition until it is restarted.
    fn stop_reading(&mut self, slot: usize) {
        if self.needs_restart.insert(slot) {
            self.unassign(slot);
        }
    }

    /// Unassigns a partition that is assigned. One that continues elsewhere is unassigned as well,
    /// because librdkafka refuses to seek after a failure (librdkafka #2961).
    fn unassign(&self, slot: usize) {
        let list = partition_list([&self.table.name(slot)]);
        if let Err(error) = self.client.consumer().incremental_unassign(&list) {
            debug!(source = self.source, %error, "cannot unassign a partition");
        }
    }

    /// Closes a partition.
    pub(super) fn close(&mut self, slot: usize, sink: &mut dyn Sink) {
        if !self.needs_restart.remove(&slot) {
            self.unassign(slot);
        }
        self.table.close(slot, sink);
        // No partition is left whose record would end the problem.
        let topic = self.table.name(slot).topic;
        if !self.table.is_topic_open(&topic) {
            self.health.set_problem(ProblemScope::Records(topic), None);
        }
    }

    /// Closes all partitions, so that the sink commits their last counts; returns `true` if there
    /// were any.
    pub(super) fn revoke_all(&mut self, sink: &mut dyn Sink) -> bool {
        let slots = self.table.open_slots();
        let has_open = !slots.is_empty();
        self.table.revocations += u64::from(has_open);
        for slot in slots {
            self.close(slot, sink);
        }
        has_open
    }
}
