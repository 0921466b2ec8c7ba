//! The partitions of a source, and the position in each.
//!
//! A slot is the number of a partition in one incarnation, and is never reused: a partition of a
//! recreated topic gets another slot. So a late event of the old incarnation cannot be mistaken for
//! one of the new.

use std::collections::BTreeMap;

use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::librdkafka::{KafkaEvent, RecordHandler};
use crate::kafka::TopicPartition;
use crate::model::{Shard, TopicId, TopicReport};
use crate::source::{RawRecord, Sink};

/// One partition in one of its incarnations.
#[derive(Debug)]
pub(super) struct PartitionState {
    pub(super) shard: Shard,
    is_open: bool,
    /// The id of its topic, if known.
    pub(super) topic_id: Option<TopicId>,
    /// Every record before this offset was delivered.
    pub(super) next_offset: i64,
    /// Everything before this offset is in the pane log: a restart may resume here.
    accepted: i64,
    /// The offset in the commit that is not answered yet.
    sent: Option<i64>,
    /// The offset that the group is known to hold.
    committed: Option<i64>,
    /// The last event was the end of the partition.
    is_at_end: bool,
    /// An event arrived since the partition was assigned.
    has_events: bool,
    /// Records arrived since the last position was reported, and the end did not.
    has_advanced: bool,
    /// The last failure is not over yet.
    is_failing: bool,
    lag: Option<u64>,
    records: u64,
    bytes: u64,
    tombstones: u64,
    offsets_lost: u64,
}

impl PartitionState {
    fn add_to(&self, report: &mut TopicReport) {
        report.records += self.records;
        report.bytes += self.bytes;
        report.tombstones += self.tombstones;
        report.offsets_lost += self.offsets_lost;
        if self.is_open {
            report.lags.insert(self.shard.partition, self.lag);
        }
    }
}

/// All partitions of a source, by slot.
#[derive(Debug, Default)]
pub(super) struct PartitionTable {
    partitions: Vec<PartitionState>,
    /// The open slots by topic and partition.
    open: BTreeMap<String, BTreeMap<i32, usize>>,
    /// The slots whose records arrived since the last positions were reported.
    advanced: Vec<usize>,
    /// Times that partitions were assigned; several partitions at once count once.
    pub(super) assignments: u64,
    /// Times that partitions were revoked; several partitions at once count once.
    pub(super) revocations: u64,
}

impl PartitionTable {
    pub(super) fn get(&self, slot: usize) -> &PartitionState {
        &self.partitions[slot]
    }

    pub(super) fn is_open(&self, slot: usize) -> bool {
        self.partitions
            .get(slot)
            .is_some_and(|partition| partition.is_open)
    }

    pub(super) fn open_slots(&self) -> Vec<usize> {
        self.open
            .values()
            .flat_map(|partitions| partitions.values().copied())
            .collect()
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
        let slot = self.partitions.len();
        sink.opened(slot, &shard, base, base == 0);
        if let Some(topic_id) = topic_id {
            sink.identified(slot, topic_id);
        }
        self.open
            .entry(shard.topic.clone())
            .or_default()
            .insert(shard.partition, slot);
        self.partitions.push(PartitionState {
            shard,
            is_open: true,
            topic_id,
            next_offset: base,
            accepted: base,
            sent: None,
            committed,
            is_at_end: false,
            has_events: false,
            has_advanced: false,
            is_failing: false,
            lag: None,
            records: 0,
            bytes: 0,
            tombstones: 0,
            offsets_lost: 0,
        });
        slot
    }

    /// True if a topic had this id in an earlier incarnation: a broker that reports it lags behind.
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
        of_topic()
            .filter(|partition| partition.topic_id == Some(id))
            .any(|PartitionState { shard, .. }| shard.incarnation < latest[&shard.partition])
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
        partition.is_open = false;
        if let Some(partitions) = self.open.get_mut(&partition.shard.topic) {
            partitions.remove(&partition.shard.partition);
        }
        sink.closed(slot);
    }

    /// Continues at `base` after retention deleted `lost` offsets before it.
    pub(super) fn restart(&mut self, slot: usize, base: i64, lost: u64, sink: &mut dyn Sink) {
        let partition = &mut self.partitions[slot];
        if lost > 0 {
            partition.offsets_lost += lost;
            sink.lost(slot, lost);
        }
        partition.has_events = false;
        partition.is_at_end = false;
        if base != partition.next_offset {
            partition.next_offset = base;
            sink.position(slot, base, false);
        }
    }

    /// The open partitions without any event since they were assigned.
    pub(super) fn without_events(&self) -> impl Iterator<Item = (&str, i32)> {
        self.partitions
            .iter()
            .filter(|partition| partition.is_open && !partition.has_events)
            .map(|PartitionState { shard, .. }| (&*shard.topic, shard.partition))
    }

    /// Marks everything before `upto` as stored in the pane log.
    pub(super) fn accept(&mut self, slot: usize, upto: i64) {
        if let Some(partition) = self.partitions.get_mut(slot) {
            partition.accepted = partition.accepted.max(upto.min(partition.next_offset));
        }
    }

    /// The accepted offsets that the group does not hold yet, remembered as sent.
    pub(super) fn offsets_to_commit(&mut self) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for partition in &mut self.partitions {
            if partition.is_open && partition.committed != Some(partition.accepted) {
                let offset = Offset::Offset(partition.accepted);
                let Shard {
                    topic,
                    partition: number,
                    ..
                } = &partition.shard;
                list.add_partition_offset(topic, *number, offset)?;
                partition.sent = Some(partition.accepted);
            }
        }
        Ok(list)
    }

    /// Ends the commit that was sent.
    pub(super) fn end_commit(&mut self, has_succeeded: bool) {
        for partition in &mut self.partitions {
            let sent = partition.sent.take();
            if has_succeeded {
                partition.committed = sent.or(partition.committed);
            }
        }
    }

    /// Updates the lags, and confirms the position of each partition that was read to its end.
    ///
    /// The end must come from a broker that is known to answer: without new records alone, a
    /// partition may as well be unreachable.
    pub(super) fn apply_ends(
        &mut self,
        end_of: impl Fn(&Shard) -> Option<PartitionEnd>,
        sink: &mut dyn Sink,
    ) {
        for (slot, partition) in self.partitions.iter_mut().enumerate() {
            let end = partition
                .is_open
                .then(|| end_of(&partition.shard))
                .flatten();
            partition.lag = end.as_ref().map(|end| {
                end.offset
                    .saturating_sub(partition.next_offset)
                    .max(0)
                    .unsigned_abs()
            });
            if partition.is_at_end
                && partition.lag == Some(0)
                && end.is_some_and(|end| end.is_fresh)
            {
                sink.position(slot, partition.next_offset, true);
            }
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
        self.partitions[slot].is_failing = true;
    }

    /// Takes the slots whose records arrived since the last call and whose end did not.
    pub(super) fn take_advanced(&mut self) -> Vec<usize> {
        let mut advanced = std::mem::take(&mut self.advanced);
        advanced.retain(|slot| std::mem::take(&mut self.partitions[*slot].has_advanced));
        advanced
    }

    /// Reports the position of a partition: the client's, if it is past the last record's
    /// offset + 1.
    pub(super) fn advance(&mut self, slot: usize, position: i64, sink: &mut dyn Sink) {
        let partition = &mut self.partitions[slot];
        partition.next_offset = partition.next_offset.max(position);
        sink.position(slot, partition.next_offset, false);
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

/// The end of a partition, from the last statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PartitionEnd {
    pub(super) offset: i64,
    /// The broker of the partition sent something a few seconds ago at most.
    pub(super) is_fresh: bool,
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
        // A record that was fetched for an earlier assignment was delivered before.
        if offset < partition.next_offset {
            return;
        }
        partition.next_offset = offset + 1;
        partition.is_at_end = false;
        partition.records += 1;
        partition.bytes += payload.map_or(0, |bytes| bytes.len() as u64);
        partition.tombstones += u64::from(payload.is_none());
        if !partition.has_advanced {
            partition.has_advanced = true;
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
        partition.next_offset = partition.next_offset.max(offset);
        partition.is_at_end = true;
        partition.has_advanced = false;
        partition.lag = Some(0);
        self.sink.position(slot, partition.next_offset, true);
    }

    fn count_event(&mut self, slot: usize) {
        self.events += 1;
        let partition = &mut self.table.partitions[slot];
        partition.has_events = true;
        if std::mem::take(&mut partition.is_failing) {
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
