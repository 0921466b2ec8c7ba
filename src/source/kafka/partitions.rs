//! The partitions being read, and how far.
//!
//! A slot is never used twice: a partition whose topic was made anew gets another one, so that news of the old life cannot be taken for the new one.

use std::collections::BTreeMap;

use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::librdkafka::{Arrival, Receiver};
use crate::model::{Shard, TopicId, TopicReport};
use crate::source::{RawRecord, Sink};

/// One partition in one of its lives.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) shard: Shard,
    pub(super) open: bool,
    /// The topic it is of, where that is known.
    pub(super) topic_id: Option<TopicId>,
    /// Everything before was handed on.
    pub(super) next: i64,
    /// Everything before is safe: a restart may resume here.
    accepted: i64,
    /// What was sent to the group and not answered yet, and what the group is known to hold.
    sent: Option<i64>,
    committed: Option<i64>,
    /// The last news was that it ends here.
    at_end: bool,
    /// Something arrived since it was assigned.
    heard: bool,
    touched: bool,
    /// Its last failure is not over yet.
    failing: bool,
    lag: Option<u64>,
    records: u64,
    bytes: u64,
    tombstones: u64,
    offsets_lost: u64,
}

impl Part {
    fn name(&self) -> (&str, i32) {
        (&self.shard.topic, self.shard.partition)
    }

    fn report(&self, report: &mut TopicReport) {
        report.records += self.records;
        report.bytes += self.bytes;
        report.tombstones += self.tombstones;
        report.offsets_lost += self.offsets_lost;
        if self.open {
            report.lags.insert(self.shard.partition, self.lag);
        }
    }
}

/// All partitions of a source, by slot.
#[derive(Debug, Default)]
pub(super) struct Table {
    parts: Vec<Part>,
    open: BTreeMap<String, BTreeMap<i32, usize>>,
    touched: Vec<usize>,
    /// How often partitions were begun and ended; several at once count once.
    pub(super) assigned: u64,
    pub(super) revoked: u64,
}

impl Table {
    pub(super) fn get(&self, slot: usize) -> &Part {
        &self.parts[slot]
    }

    pub(super) fn is_open(&self, slot: usize) -> bool {
        self.parts.get(slot).is_some_and(|part| part.open)
    }

    pub(super) fn open_slots(&self) -> Vec<usize> {
        self.open
            .values()
            .flat_map(|partitions| partitions.values().copied())
            .collect()
    }

    pub(super) fn slot(&self, topic: &str, partition: i32) -> Option<usize> {
        self.open.get(topic)?.get(&partition).copied()
    }

    /// Enters a partition and tells the sink. The base itself counts as accepted: until the first record, a restart resumes there.
    pub(super) fn enter(
        &mut self,
        shard: Shard,
        base: i64,
        topic_id: Option<TopicId>,
        committed: Option<i64>,
        sink: &mut dyn Sink,
    ) -> usize {
        let slot = self.parts.len();
        sink.opened(slot, &shard, base, base == 0);
        if let Some(topic_id) = topic_id {
            sink.identified(slot, topic_id);
        }
        self.open
            .entry(shard.topic.clone())
            .or_default()
            .insert(shard.partition, slot);
        self.parts.push(Part {
            shard,
            open: true,
            topic_id,
            next: base,
            accepted: base,
            sent: None,
            committed,
            at_end: false,
            heard: false,
            touched: false,
            failing: false,
            lag: None,
            records: 0,
            bytes: 0,
            tombstones: 0,
            offsets_lost: 0,
        });
        slot
    }

    /// Whether a topic had this id in a life that is over: a broker that names it again lags.
    pub(super) fn is_former(&self, topic: &str, id: TopicId) -> bool {
        let parts = self.parts.iter().filter(|part| part.shard.topic == topic);
        let mut latest: BTreeMap<i32, u32> = BTreeMap::new();
        for shard in parts.clone().map(|part| &part.shard) {
            let life = latest.entry(shard.partition).or_default();
            *life = shard.incarnation.max(*life);
        }
        parts
            .filter(|part| part.topic_id == Some(id))
            .any(|part| part.shard.incarnation < latest[&part.shard.partition])
    }

    /// Learns a topic's id; returns the open slots that are of another topic.
    pub(super) fn identify(&mut self, topic: &str, id: TopicId, sink: &mut dyn Sink) -> Vec<usize> {
        let mut others = Vec::new();
        for slot in self.open.get(topic).into_iter().flat_map(BTreeMap::values) {
            match &mut self.parts[*slot].topic_id {
                Some(known) if *known != id => others.push(*slot),
                Some(_) => {}
                unknown => {
                    *unknown = Some(id);
                    sink.identified(*slot, id);
                }
            }
        }
        others
    }

    /// Ends a partition's life and tells the sink.
    pub(super) fn close(&mut self, slot: usize, sink: &mut dyn Sink) {
        let part = &mut self.parts[slot];
        part.open = false;
        if let Some(partitions) = self.open.get_mut(&part.shard.topic) {
            partitions.remove(&part.shard.partition);
        }
        sink.closed(slot);
    }

    /// Goes on at `base`, before which retention took `lost` offsets.
    pub(super) fn restart(&mut self, slot: usize, base: i64, lost: u64, sink: &mut dyn Sink) {
        let part = &mut self.parts[slot];
        if lost > 0 {
            part.offsets_lost += lost;
            sink.lost(slot, lost);
        }
        part.heard = false;
        part.at_end = false;
        if base != part.next {
            part.next = base;
            sink.position(slot, base, false);
        }
    }

    /// Partitions of which nothing was heard since they were assigned.
    pub(super) fn unheard(&self) -> impl Iterator<Item = (&str, i32)> {
        self.parts
            .iter()
            .filter(|part| part.open && !part.heard)
            .map(Part::name)
    }

    pub(super) fn accept(&mut self, slot: usize, upto: i64) {
        if let Some(part) = self.parts.get_mut(slot) {
            part.accepted = part.accepted.max(upto.min(part.next));
        }
    }

    /// What the group does not hold yet; remembers it as sent.
    pub(super) fn uncommitted(&mut self) -> KafkaResult<TopicPartitionList> {
        let mut list = TopicPartitionList::new();
        for part in &mut self.parts {
            if part.open && part.committed != Some(part.accepted) {
                let offset = Offset::Offset(part.accepted);
                list.add_partition_offset(&part.shard.topic, part.shard.partition, offset)?;
                part.sent = Some(part.accepted);
            }
        }
        Ok(list)
    }

    /// The answer to what was sent.
    pub(super) fn committed(&mut self, succeeded: bool) {
        for part in &mut self.parts {
            let sent = part.sent.take();
            if succeeded {
                part.committed = sent.or(part.committed);
            }
        }
    }

    /// Learns where partitions end; one that is read to its end says so again, because silence alone proves nothing.
    pub(super) fn learn_ends(
        &mut self,
        end_of: impl Fn(&Shard) -> Option<End>,
        sink: &mut dyn Sink,
    ) {
        for (slot, part) in self.parts.iter_mut().enumerate() {
            let end = part.open.then(|| end_of(&part.shard)).flatten();
            part.lag = end
                .as_ref()
                .map(|end| end.offset.saturating_sub(part.next).max(0).unsigned_abs());
            if part.at_end && part.lag == Some(0) && end.is_some_and(|end| end.is_fresh) {
                sink.position(slot, part.next, true);
            }
        }
    }

    /// Takes what arrives, for the length of one drain.
    pub(super) fn intake<'a>(&'a mut self, sink: &'a mut dyn Sink) -> Intake<'a> {
        Intake {
            table: self,
            sink,
            failures: Vec::new(),
            recovered: Vec::new(),
            arrivals: 0,
        }
    }

    pub(super) fn set_failing(&mut self, slot: usize) {
        self.parts[slot].failing = true;
    }

    /// The partitions that took records since the last call and have not ended since.
    pub(super) fn take_touched(&mut self) -> Vec<usize> {
        let mut touched = std::mem::take(&mut self.touched);
        touched.retain(|slot| std::mem::take(&mut self.parts[*slot].touched));
        touched
    }

    /// The client's position of a partition, where it knows better than `last record + 1`.
    pub(super) fn advance(&mut self, slot: usize, position: i64, sink: &mut dyn Sink) {
        let part = &mut self.parts[slot];
        part.next = part.next.max(position);
        sink.position(slot, part.next, false);
    }

    pub(super) fn report<'a>(
        &self,
        topics: impl Iterator<Item = &'a String>,
    ) -> BTreeMap<String, TopicReport> {
        let mut reports: BTreeMap<_, _> = topics
            .map(|topic| (topic.clone(), TopicReport::default()))
            .collect();
        for part in &self.parts {
            part.report(reports.entry(part.shard.topic.clone()).or_default());
        }
        reports
    }
}

/// Where a partition ends, by the last statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct End {
    pub(super) offset: i64,
    /// Its broker was heard a moment ago.
    pub(super) is_fresh: bool,
}

/// A failure of one partition.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) slot: usize,
    pub(super) code: i32,
    pub(super) text: String,
}

/// Hands arrivals to the sink and keeps the table.
pub(super) struct Intake<'a> {
    table: &'a mut Table,
    sink: &'a mut dyn Sink,
    pub(super) failures: Vec<Failure>,
    /// Partitions whose failure is over.
    pub(super) recovered: Vec<usize>,
    pub(super) arrivals: u64,
}

impl Intake<'_> {
    fn record(
        &mut self,
        slot: usize,
        offset: i64,
        timestamp_ms: Option<i64>,
        payload: Option<&[u8]>,
    ) {
        let part = &mut self.table.parts[slot];
        // What was fetched for an earlier assignment was handed on already.
        if offset < part.next {
            return;
        }
        part.next = offset + 1;
        part.at_end = false;
        part.records += 1;
        part.bytes += payload.map_or(0, |bytes| bytes.len() as u64);
        part.tombstones += u64::from(payload.is_none());
        if !part.touched {
            part.touched = true;
            self.table.touched.push(slot);
        }
        self.sink.record(RawRecord {
            slot,
            offset,
            timestamp_ms,
            payload,
        });
    }

    fn heard(&mut self, slot: usize) {
        self.arrivals += 1;
        let part = &mut self.table.parts[slot];
        part.heard = true;
        if std::mem::take(&mut part.failing) {
            self.recovered.push(slot);
        }
    }

    fn end(&mut self, slot: usize, offset: i64) {
        let part = &mut self.table.parts[slot];
        part.next = part.next.max(offset);
        part.at_end = true;
        part.touched = false;
        part.lag = Some(0);
        self.sink.position(slot, part.next, true);
    }
}

impl Receiver for Intake<'_> {
    fn slot(&mut self, topic: &str, partition: i32) -> Option<usize> {
        self.table.slot(topic, partition)
    }

    fn take(&mut self, slot: usize, arrival: Arrival<'_>) {
        match arrival {
            Arrival::Record {
                offset,
                timestamp_ms,
                payload,
            } => {
                self.heard(slot);
                self.record(slot, offset, timestamp_ms, payload);
            }
            Arrival::End { offset } => {
                self.heard(slot);
                self.end(slot, offset);
            }
            Arrival::Failure { code, text } => self.failures.push(Failure { slot, code, text }),
        }
    }
}
