//! The partitions of a source, and the position in each.
//!
//! A slot is the number of a partition in one incarnation. A partition that is assigned again gets
//! its slot back, so that memory does not grow with the rebalances of a group. A partition of a
//! recreated topic gets another slot: a late event of the old incarnation cannot be mistaken for
//! one of the new.

use std::collections::BTreeMap;

use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::librdkafka::{KafkaEvent, RecordHandler};
use super::partition_state::PartitionState;
use super::topic_history::{TopicHistory, commit_metadata};
use crate::kafka::TopicPartition;
use crate::model::{EventTime, Shard, TopicId, TopicReport};
use crate::source::{RawRecord, Sink};

/// All partitions of a source, by slot.
#[derive(Debug)]
pub(super) struct PartitionTable {
    partitions: Vec<PartitionState>,
    /// The leaders by topic and partition, of the last metadata.
    leaders: BTreeMap<String, BTreeMap<i32, i32>>,
    /// The number of partitions that each topic had when it was first read, where known.
    first_counts: BTreeMap<String, i32>,
    /// The open slots by topic and partition.
    open: BTreeMap<String, BTreeMap<i32, usize>>,
    /// The slots of partitions that are not assigned.
    closed: BTreeMap<Shard, usize>,
    /// The slots whose records arrived since the last positions were reported.
    advanced: Vec<usize>,
    /// Times that partitions were assigned; several partitions at once count once.
    pub(super) assignments: u64,
    /// Times that partitions were revoked; several partitions at once count once.
    pub(super) revocations: u64,
}

impl PartitionTable {
    /// A table without partitions.
    pub(super) fn new() -> Self {
        PartitionTable {
            partitions: Vec::new(),
            leaders: BTreeMap::new(),
            first_counts: BTreeMap::new(),
            open: BTreeMap::new(),
            closed: BTreeMap::new(),
            advanced: Vec::new(),
            assignments: 0,
            revocations: 0,
        }
    }

    /// Sets the number of partitions that a topic had when it was first read; `None` if unknown.
    pub(super) fn set_first_count(&mut self, topic: &str, count: Option<i32>) {
        match count {
            Some(count) => self.first_counts.insert(topic.to_owned(), count),
            None => self.first_counts.remove(topic),
        };
    }

    /// The history of a topic as far as this process has read it.
    pub(super) fn history(&self, topic: &str) -> TopicHistory {
        if self.is_topic_open(topic) {
            TopicHistory::Read {
                first_count: self.first_counts.get(topic).copied(),
            }
        } else {
            TopicHistory::Unread
        }
    }

    /// The number of slots so far.
    pub(super) fn slot_count(&self) -> usize {
        self.partitions.len()
    }

    pub(super) fn get(&self, slot: usize) -> &PartitionState {
        &self.partitions[slot]
    }

    pub(super) fn is_open(&self, slot: usize) -> bool {
        self.partitions
            .get(slot)
            .is_some_and(PartitionState::is_open)
    }

    pub(super) fn open_slots(&self) -> Vec<usize> {
        self.open
            .values()
            .flat_map(|partitions| partitions.values().copied())
            .collect()
    }

    /// True while a partition of the topic is open.
    pub(super) fn is_topic_open(&self, topic: &str) -> bool {
        self.open.get(topic).is_some_and(|slots| !slots.is_empty())
    }

    /// The slot of an open partition.
    pub(super) fn slot(&self, topic: &str, partition: i32) -> Option<usize> {
        self.open.get(topic)?.get(&partition).copied()
    }

    /// Adds a partition and opens it in the sink; returns its slot. `base` counts as accepted:
    /// until counts are accepted, a restart resumes there.
    pub(super) fn insert(
        &mut self,
        shard: Shard,
        base: i64,
        topic_id: Option<TopicId>,
        committed: Option<i64>,
        sink: &mut dyn Sink,
    ) -> usize {
        // Another id means another topic, even if its incarnation is not known to differ.
        let is_same = |slot: &usize| {
            let known = self.partitions[*slot].topic_id;
            topic_id.is_none() || known.is_none() || topic_id == known
        };
        let former = self.closed.remove(&shard).filter(is_same);
        let slot = former.unwrap_or(self.partitions.len());
        sink.opened(slot, &shard, base, base == 0);
        if let Some(topic_id) = topic_id {
            sink.identified(slot, topic_id);
        }
        self.open
            .entry(shard.topic.clone())
            .or_default()
            .insert(shard.partition, slot);
        let is_reused = former.is_some();
        let former = former.map(|former| &self.partitions[former]);
        let state = PartitionState::open(shard, base, topic_id, committed, former);
        if is_reused {
            self.partitions[slot] = state;
        } else {
            self.partitions.push(state);
        }
        slot
    }

    /// True if a topic had this id in an earlier incarnation and has another one now: a broker that
    /// reports it lags behind. Incarnations of a log that lost its tail share their id.
    pub(super) fn is_former_id(&self, topic: &str, id: TopicId) -> bool {
        let of_topic = || {
            self.partitions
                .iter()
                .filter(|partition| partition.shard.topic == topic)
        };
        let mut latest: BTreeMap<i32, u32> = BTreeMap::new();
        for PartitionState { shard, .. } in of_topic() {
            let incarnation = latest.entry(shard.partition).or_default();
            *incarnation = shard.incarnation.max(*incarnation);
        }
        let is_latest = |partition: &PartitionState| {
            partition.shard.incarnation == latest[&partition.shard.partition]
        };
        let with_id = || of_topic().filter(|partition| partition.topic_id == Some(id));
        with_id().next().is_some() && !with_id().any(is_latest)
    }

    /// Sets the id of a topic where it was unknown; returns the open slots that have another id.
    pub(super) fn identify(&mut self, topic: &str, id: TopicId, sink: &mut dyn Sink) -> Vec<usize> {
        let mut outdated = Vec::new();
        for slot in self.open.get(topic).into_iter().flat_map(BTreeMap::values) {
            match &mut self.partitions[*slot].topic_id {
                Some(known) if *known != id => outdated.push(*slot),
                Some(_) => {}
                unknown => {
                    *unknown = Some(id);
                    sink.identified(*slot, id);
                }
            }
        }
        outdated
    }

    /// Closes a partition, also in the sink.
    pub(super) fn close(&mut self, slot: usize, sink: &mut dyn Sink) {
        let partition = &mut self.partitions[slot];
        partition.close();
        if let Some(partitions) = self.open.get_mut(&partition.shard.topic) {
            partitions.remove(&partition.shard.partition);
        }
        self.closed.insert(partition.shard.clone(), slot);
        sink.closed(slot);
    }

    /// Continues at `base` after retention deleted `lost` offsets before it.
    pub(super) fn restart(&mut self, slot: usize, base: i64, lost: u64, sink: &mut dyn Sink) {
        if lost > 0 {
            sink.lost(slot, lost);
        }
        if self.partitions[slot].restart(base, lost) {
            sink.position(slot, base, None);
        }
    }

    /// The open partitions without any event since they were assigned.
    pub(super) fn without_events(&self) -> impl Iterator<Item = (&str, i32)> {
        self.partitions
            .iter()
            .filter(|partition| partition.is_open() && !partition.has_events())
            .map(|PartitionState { shard, .. }| (&*shard.topic, shard.partition))
    }

    /// Marks everything before `upto` as stored in the pane log.
    pub(super) fn accept(&mut self, slot: usize, upto: i64) {
        if let Some(partition) = self.partitions.get_mut(slot) {
            partition.accept(upto);
        }
    }

    /// The accepted offsets that the group does not hold yet, remembered as sent.
    pub(super) fn offsets_to_commit(&mut self) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for partition in &mut self.partitions {
            if let Some(accepted) = partition.take_offset_to_commit() {
                let Shard {
                    topic,
                    partition: number,
                    ..
                } = &partition.shard;
                let first_count = self.first_counts.get(topic).copied();
                let mut element = list.add_partition(topic, *number);
                element.set_offset(Offset::Offset(accepted))?;
                element.set_metadata(commit_metadata(first_count));
            }
        }
        Ok(list)
    }

    /// Ends the commit that was sent.
    pub(super) fn end_commit(&mut self, has_succeeded: bool) {
        for partition in &mut self.partitions {
            partition.end_commit(has_succeeded);
        }
    }

    /// Updates the lags from the ends of the last statistics.
    pub(super) fn apply_lags(&mut self, end_of: impl Fn(&Shard) -> Option<i64>) {
        for partition in &mut self.partitions {
            let is_open = partition.is_open();
            partition.set_lag(is_open.then(|| end_of(&partition.shard)).flatten());
        }
    }

    /// Replaces the leaders of a topic's partitions.
    pub(super) fn set_leaders(&mut self, topic: &str, leaders: BTreeMap<i32, i32>) {
        self.leaders.insert(topic.to_owned(), leaders);
    }

    /// The open partitions whose ends are to be requested now, by their leader. One that has not
    /// reached the last end, but receives records, is left out.
    pub(super) fn take_unconfirmed(&mut self) -> BTreeMap<i32, Vec<TopicPartition>> {
        let mut by_leader: BTreeMap<i32, Vec<TopicPartition>> = BTreeMap::new();
        for (topic, slots) in &self.open {
            let Some(leaders) = self.leaders.get(topic) else {
                continue;
            };
            for (number, slot) in slots {
                let is_unconfirmed = self.partitions[*slot].take_unconfirmed();
                if let Some(leader) = leaders.get(number).filter(|_| is_unconfirmed) {
                    let partitions = by_leader.entry(*leader).or_default();
                    partitions.push(TopicPartition::new(topic, *number));
                }
            }
        }
        by_leader
    }

    /// Notes that the ends of these partitions are requested now.
    pub(super) fn note_requests<'a>(
        &mut self,
        partitions: impl IntoIterator<Item = &'a TopicPartition>,
    ) {
        for TopicPartition { topic, partition } in partitions {
            if let Some(slot) = self.slot(topic, *partition) {
                self.partitions[slot].note_request();
            }
        }
    }

    /// The partitions among these from which no record arrived since the last request.
    pub(super) fn quiet_among(&self, partitions: Vec<TopicPartition>) -> Vec<TopicPartition> {
        partitions
            .into_iter()
            .filter(|TopicPartition { topic, partition }| {
                self.slot(topic, *partition)
                    .is_some_and(|slot| self.partitions[slot].is_quiet())
            })
            .collect()
    }

    /// Takes the end of a partition, which its leader reported to a request of `sent_at`. The end
    /// is of one of the first `slots` slots.
    pub(super) fn take_end(
        &mut self,
        TopicPartition { topic, partition }: &TopicPartition,
        end: i64,
        sent_at: EventTime,
        slots: usize,
        sink: &mut dyn Sink,
    ) {
        let Some(slot) = self.slot(topic, *partition).filter(|slot| *slot < slots) else {
            return;
        };
        let partition = &mut self.partitions[slot];
        if let Some(confirmed_at) = partition.take_end(end, sent_at) {
            sink.position(slot, partition.next_offset, Some(confirmed_at));
        }
    }

    /// A handler of events for the length of one drain.
    pub(super) fn intake<'a>(&'a mut self, sink: &'a mut dyn Sink) -> RecordIntake<'a> {
        RecordIntake {
            table: self,
            sink,
            failures: Vec::new(),
            recovered: Vec::new(),
            events: 0,
        }
    }

    pub(super) fn set_failing(&mut self, slot: usize) {
        self.partitions[slot].set_failing();
    }

    /// Takes the slots whose records arrived since the last call and whose end did not.
    pub(super) fn take_advanced(&mut self) -> Vec<usize> {
        let mut advanced = std::mem::take(&mut self.advanced);
        advanced.retain(|slot| self.partitions[*slot].take_advance());
        advanced
    }

    /// Reports the position of a partition: the client's, if it is past the last record's
    /// offset + 1.
    pub(super) fn advance(&mut self, slot: usize, position: i64, sink: &mut dyn Sink) {
        let partition = &mut self.partitions[slot];
        let confirmed_at = partition.advance(position);
        sink.position(slot, partition.next_offset, confirmed_at);
    }

    /// The report of each topic; `topics` are reported even without any partition.
    pub(super) fn report<'a>(
        &self,
        topics: impl IntoIterator<Item = &'a String>,
    ) -> BTreeMap<String, TopicReport> {
        let mut reports: BTreeMap<_, _> = topics
            .into_iter()
            .map(|topic| (topic.clone(), TopicReport::default()))
            .collect();
        for partition in &self.partitions {
            partition.add_to(reports.entry(partition.shard.topic.clone()).or_default());
        }
        reports
    }

    /// The partition in a slot, by name.
    pub(super) fn name(&self, slot: usize) -> TopicPartition {
        TopicPartition::from(&self.partitions[slot].shard)
    }
}

/// A failure of one partition.
#[derive(Debug)]
pub(super) struct PartitionFailure {
    pub(super) slot: usize,
    pub(super) code: i32,
    pub(super) text: String,
}

/// Passes events to the sink and updates the table.
pub(super) struct RecordIntake<'a> {
    table: &'a mut PartitionTable,
    sink: &'a mut dyn Sink,
    pub(super) failures: Vec<PartitionFailure>,
    /// Slots whose failure is over.
    pub(super) recovered: Vec<usize>,
    /// The number of records and ends.
    pub(super) events: u64,
}

impl RecordIntake<'_> {
    fn on_record(
        &mut self,
        slot: usize,
        offset: i64,
        timestamp_ms: Option<i64>,
        payload: Option<&[u8]>,
    ) {
        let partition = &mut self.table.partitions[slot];
        if !partition.take_record(offset, payload) {
            return;
        }
        if partition.note_advance() {
            self.table.advanced.push(slot);
        }
        self.sink.record(RawRecord {
            slot,
            offset,
            timestamp_ms,
            payload,
        });
    }

    fn on_end(&mut self, slot: usize, offset: i64) {
        let partition = &mut self.table.partitions[slot];
        let confirmed_at = partition.reach_end(offset);
        self.sink
            .position(slot, partition.next_offset, confirmed_at);
    }

    fn count_event(&mut self, slot: usize) {
        self.events += 1;
        if self.table.partitions[slot].count_event() {
            self.recovered.push(slot);
        }
    }
}

impl RecordHandler for RecordIntake<'_> {
    fn slot(&mut self, topic: &str, partition: i32) -> Option<usize> {
        self.table.slot(topic, partition)
    }

    fn handle(&mut self, slot: usize, event: KafkaEvent<'_>) {
        match event {
            KafkaEvent::Record {
                offset,
                timestamp_ms,
                payload,
            } => {
                self.count_event(slot);
                self.on_record(slot, offset, timestamp_ms, payload);
            }
            KafkaEvent::End { offset } => {
                self.count_event(slot);
                self.on_end(slot, offset);
            }
            KafkaEvent::Failure { code, text } => {
                self.failures.push(PartitionFailure { slot, code, text });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A sink that keeps nothing.
    struct Nothing;

    impl Sink for Nothing {
        fn extent(&mut self, _: u32) {}
        fn opened(&mut self, _: usize, _: &Shard, _: i64, _: bool) {}
        fn identified(&mut self, _: usize, _: TopicId) {}
        fn record(&mut self, _: RawRecord<'_>) {}
        fn position(&mut self, _: usize, _: i64, _: Option<EventTime>) {}
        fn lost(&mut self, _: usize, _: u64) {}
        fn closed(&mut self, _: usize) {}
    }

    fn shard(incarnation: u32) -> Shard {
        Shard {
            source: "s".to_owned(),
            cluster: "c".to_owned(),
            topic: "t".to_owned(),
            partition: 0,
            incarnation,
        }
    }

    /// Each rebalance of a group gave new slots, and their memory was never returned.
    #[test]
    fn a_partition_that_is_assigned_again_gets_its_slot_back() {
        let mut table = PartitionTable::new();
        for base in 0..100 {
            let slot = table.insert(shard(0), base, Some([1; 16]), None, &mut Nothing);
            assert_eq!(slot, 0, "assigned for the {base}. time");
            assert_eq!(table.get(slot).next_offset, base, "from its new base");
            let is_new = table.partitions[slot].take_record(base, None);
            assert!(is_new, "the first record");
            table.close(slot, &mut Nothing);
        }
        let topics = ["t".to_owned()];
        let report = table.report(&topics);
        assert_eq!(report["t"].records, 100, "totals continue");
        let recreated = table.insert(shard(1), 0, Some([2; 16]), None, &mut Nothing);
        assert_eq!(recreated, 1, "another incarnation");
        let unnoticed = table.insert(shard(0), 0, Some([2; 16]), None, &mut Nothing);
        assert_eq!(unnoticed, 2, "another topic");
    }
}
