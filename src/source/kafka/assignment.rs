//! Which partitions there are, and where each is begun.
//!
//! Requests here block the reading thread, so each may take only a short time, and after a failure the next round waits. A broker that is merely slow
//! gets more time with each attempt: a limit that is always too short would never be answered.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tracing::{debug, info, warn};

use super::health::Concern;
use super::list_offsets::{Key, Trouble, list_of};
use super::resume::{Begin, Bounds, PreviousPosition, begin, resume};
use super::{KafkaSource, Timing};
use crate::clock;
use crate::model::Shard;
use crate::source::{ResumePoint, Sink};

/// The pause before a head is asked for again.
const HEAD_PAUSE: Duration = Duration::from_millis(50);

/// When to ask next, and how long to wait for the answer.
#[derive(Debug)]
pub(super) struct Rhythm {
    timing: Timing,
    due: Instant,
    /// Something will be due at this moment, whatever the rest says.
    wish: Option<Instant>,
    pause: Duration,
    patience: Duration,
}

impl Rhythm {
    pub(super) fn new(timing: Timing, now: Instant) -> Self {
        Rhythm {
            timing,
            due: now,
            wish: None,
            pause: timing.retry,
            patience: Duration::ZERO,
        }
    }

    /// The connection was lost: ask soon, not at the next refresh.
    pub(super) fn retry_soon(&mut self, now: Instant) {
        self.due = self.due.min(now + self.pause);
    }

    /// Something is due at this moment.
    pub(super) fn look_at(&mut self, at: Instant) {
        self.wish = Some(self.wish.map_or(at, |wish| wish.min(at)));
    }

    fn is_due(&self, now: Instant) -> bool {
        now >= self.due || self.wish.is_some_and(|wish| now >= wish)
    }

    /// Something waits for an answer.
    pub(super) fn look_now(&mut self) {
        self.due = self.due.min(clock::monotonic());
    }

    pub(super) fn patience(&self) -> Duration {
        self.patience
    }

    fn succeeded(&mut self, now: Instant, all_done: bool) {
        self.pause = self.timing.retry;
        self.patience = self.timing.request;
        let pause = if all_done {
            self.timing.refresh
        } else {
            self.pause
        };
        self.due = now + pause;
    }

    fn failed(&mut self, now: Instant, was_silence: bool, is_connected: bool) {
        self.due = now + self.pause;
        self.pause = (self.pause * 2).min(self.timing.refresh);
        self.patience = if was_silence && is_connected {
            (self.patience * 2).min(self.timing.request * 8)
        } else {
            Duration::ZERO
        };
    }
}

impl KafkaSource {
    /// Asks for new partitions when it is time, and begins those there are.
    pub(super) fn look_around(&mut self, now: Instant, wait: Duration, sink: &mut dyn Sink) {
        if !self.rhythm.is_due(now) {
            return;
        }
        self.rhythm.wish = None;
        let least = if self.health.is_connected() {
            self.timing.request
        } else {
            // Most likely there is nothing to wait for.
            self.timing.request.min(wait.max(Duration::from_millis(50)))
        };
        self.rhythm.patience = self.rhythm.patience.max(least);
        let outcome = self.survey(sink);
        let now = clock::monotonic();
        match outcome {
            Ok(all_done) => self.rhythm.succeeded(now, all_done),
            Err(Trouble { concern, error }) => {
                debug!(source = self.name, %error, "request failed");
                let was_silence = self.health.request_failed(concern, &error);
                let is_connected = self.health.is_connected();
                self.rhythm.failed(now, was_silence, is_connected);
            }
        }
    }

    /// `false` when something is left to do soon.
    fn survey(&mut self, sink: &mut dyn Sink) -> Result<bool, Trouble> {
        let found = self.found_partitions(sink)?;
        self.topic_ids.ask(&self.link, &self.spec.topics);
        let mut keys = found.iter();
        if keys.any(|key| self.topic_ids.of(&key.0).is_none() && self.may_begin(key)) {
            let patience = self.rhythm.patience.max(self.timing.request);
            self.hear_of_topics(patience, sink);
        }
        let new: Vec<Key> = found
            .into_iter()
            .filter(|key| self.may_begin(key))
            .collect();
        if self.cluster.is_none() {
            let client = self.link.consumer().client();
            // Shards are filed under the cluster's id: nothing is begun without it.
            let Some(cluster) = client.fetch_cluster_id(self.rhythm.patience) else {
                return Ok(false);
            };
            self.cluster = Some(cluster);
        }
        let all_opened = new.is_empty() || self.open(&new, sink)?;
        let all_restarted = self.stranded.is_empty() || self.restart_stranded(sink)?;
        Ok(all_opened && all_restarted)
    }

    /// The partitions that have a leader.
    fn found_partitions(&mut self, sink: &mut dyn Sink) -> Result<Vec<Key>, Trouble> {
        let (mut keys, mut shards) = (Vec::new(), 0);
        for topic in self.spec.topics.clone() {
            let concern = Concern::Topic(topic.clone());
            let metadata = self
                .link
                .consumer()
                .fetch_metadata(Some(&topic), self.rhythm.patience)
                .map_err(Trouble::with(concern.clone()))?;
            self.health.answered();
            let Some(found) = metadata.topics().first() else {
                continue;
            };
            let mut problem = None;
            if let Some(error) = found.error() {
                let code = RDKafkaErrorCode::from(error);
                self.health.count(code as i32);
                problem = Some(concern.describe(code as i32));
                if code == RDKafkaErrorCode::UnknownTopicOrPartition {
                    self.awaited.insert(topic.clone());
                }
            }
            let partitions = found.partitions().len();
            shards += partitions;
            if partitions > 0 {
                self.first_seen.entry(topic.clone()).or_insert(partitions);
            }
            for partition in found.partitions() {
                if partition.leader() < 0 {
                    let id = partition.id();
                    problem = Some(format!("partition {id} of topic {topic} has no leader"));
                } else {
                    keys.push((topic.clone(), partition.id()));
                }
            }
            self.health.set(concern, problem);
        }
        sink.extent(u32::try_from(shards).unwrap_or(u32::MAX));
        Ok(keys)
    }

    /// Whether a partition is to be read and is not yet.
    fn may_begin(&mut self, key: &Key) -> bool {
        if self.table.slot(&key.0, key.1).is_some() {
            return false;
        }
        if self
            .assigned
            .as_ref()
            .is_some_and(|ours| !ours.contains(key))
        {
            return false;
        }
        let now = clock::monotonic();
        self.held.retain(|_, until| *until > now);
        if let Some(until) = self.held.get(key).copied() {
            self.rhythm.look_at(until);
            return false;
        }
        true
    }

    /// Begins partitions; `false` when some are not ready yet.
    fn open(&mut self, new: &[Key], sink: &mut dyn Sink) -> Result<bool, Trouble> {
        let left: BTreeMap<&Key, ResumePoint> = new
            .iter()
            .map(|key| (key, (self.memory)(&self.shard(key, 0))))
            .collect();
        let committed = self.committed(new)?;
        let bounds = self.bounds(new)?;
        let chosen = self.chosen(new, &committed, &left)?;
        let mut begun = 0;
        // Whether a topic is known decides where its other partitions begin: none is begun before all are looked up.
        if left.values().any(|left| *left == ResumePoint::Pending) {
            self.rhythm.look_at(clock::monotonic() + HEAD_PAUSE);
            return Ok(false);
        }
        for key in new {
            let (Some(bounds), Some(left)) = (bounds.get(key), left.get(key)) else {
                continue;
            };
            let committed = committed.get(key).copied();
            let least = self.lives.get(key).copied().unwrap_or(0);
            let Some((incarnation, past)) = past_of(*left, committed, least) else {
                self.rhythm.look_at(clock::monotonic() + HEAD_PAUSE);
                continue;
            };
            let topic_id = self.topic_ids.of(&key.0);
            let start = match past {
                Some(past) => resume(past, *bounds, topic_id),
                None => {
                    let chosen = chosen.get(key).copied().unwrap_or(bounds.high);
                    begin(chosen, *bounds, topic_id)
                }
            };
            let life = least.max(incarnation + u32::from(start.reborn));
            let (shard, position) = (self.shard(key, life), past.map(|past| past.upto));
            self.begin(shard, start, position, committed, sink)?;
            begun += 1;
        }
        if begun > 0 {
            self.table.assigned += 1;
            info!(source = self.name, partitions = begun, "reading partitions");
        }
        Ok(begun == new.len())
    }

    fn shard(&self, (topic, partition): &Key, incarnation: u32) -> Shard {
        Shard {
            source: self.name.clone(),
            cluster: self.cluster.clone().unwrap_or_default(),
            topic: topic.clone(),
            partition: *partition,
            incarnation,
        }
    }

    /// Begins a partition that was left at `position`: the sink hears of that, and then of what retention took behind it.
    fn begin(
        &mut self,
        shard: Shard,
        start: Begin,
        position: Option<i64>,
        committed: Option<i64>,
        sink: &mut dyn Sink,
    ) -> Result<(), Trouble> {
        let key = (shard.topic.clone(), shard.partition);
        self.warn_of(&key, start, position);
        self.assign(&key, start.base)?;
        let concern = Concern::Partition(key.0, key.1);
        self.health.set(concern, None);
        let opened_at = position.filter(|_| !start.reborn).unwrap_or(start.base);
        let slot = self
            .table
            .enter(shard, opened_at, start.topic_id, committed, sink);
        self.table.restart(slot, start.base, start.lost, sink);
        Ok(())
    }

    fn warn_of(&self, (topic, partition): &Key, start: Begin, position: Option<i64>) {
        let (source, base) = (&*self.name, start.base);
        if start.lost > 0 {
            let lost = start.lost;
            warn!(
                source,
                topic, partition, lost, base, "retention took offsets before they were read"
            );
        }
        if start.reborn {
            warn!(
                source,
                topic, partition, position, base, "topic was created anew: all it holds is new"
            );
        }
    }

    /// Begins again what librdkafka gave up; `false` when some are not ready yet.
    fn restart_stranded(&mut self, sink: &mut dyn Sink) -> Result<bool, Trouble> {
        let keys: Vec<(usize, Key)> = self
            .stranded
            .iter()
            .map(|slot| (*slot, &self.table.get(*slot).shard))
            .map(|(slot, shard)| (slot, (shard.topic.clone(), shard.partition)))
            .collect();
        let names: Vec<Key> = keys.iter().map(|(_, key)| key.clone()).collect();
        let bounds = self.bounds(&names)?;
        for (slot, key) in keys {
            if let Some(bounds) = bounds.get(&key) {
                self.restart(slot, &key, *bounds, sink)?;
                self.stranded.remove(&slot);
            }
        }
        Ok(self.stranded.is_empty())
    }

    fn restart(
        &mut self,
        slot: usize,
        key: &Key,
        bounds: Bounds,
        sink: &mut dyn Sink,
    ) -> Result<(), Trouble> {
        let part = self.table.get(slot);
        let mut shard = part.shard.clone();
        let past = PreviousPosition {
            upto: part.next,
            topic_id: part.topic_id,
            is_over: false,
        };
        let start = resume(past, bounds, self.topic_ids.of(&key.0));
        self.warn_of(key, start, Some(past.upto));
        self.assign(key, start.base)?;
        if start.reborn {
            self.table.close(slot, sink);
            self.table.revoked += 1;
            self.table.assigned += 1;
            shard.incarnation += 1;
            self.table
                .enter(shard, start.base, start.topic_id, None, sink);
        } else {
            self.table.restart(slot, start.base, start.lost, sink);
        }
        Ok(())
    }

    /// Reads a partition from `base` on. The order matters, see `queue`.
    fn assign(&self, (topic, partition): &Key, base: i64) -> Result<(), Trouble> {
        let mut list = TopicPartitionList::new();
        self.link.forward(topic, *partition);
        list.add_partition_offset(topic, *partition, Offset::Offset(base))
            .and_then(|()| self.link.consumer().incremental_assign(&list))
            .map_err(Trouble::with(Concern::Partition(topic.clone(), *partition)))
    }

    /// Stops reading a partition that will be begun again: seeking after a failure is refused (librdkafka #2961).
    pub(super) fn withdraw(&self, slot: usize) {
        let shard = &self.table.get(slot).shard;
        let list = list_of(&[(shard.topic.clone(), shard.partition)]);
        if let Err(error) = self.link.consumer().incremental_unassign(&list) {
            debug!(source = self.name, %error, "partition was not assigned");
        }
    }
}

/// Which life a partition was left in, and how, where it was counted before or the group has a position; `None` while that is not known.
fn past_of(
    left: ResumePoint,
    committed: Option<i64>,
    least: u32,
) -> Option<(u32, Option<PreviousPosition>)> {
    let (incarnation, upto, topic_id) = match left {
        ResumePoint::Pending => return None,
        ResumePoint::Unread => (0, committed, None),
        ResumePoint::At {
            incarnation,
            upto,
            topic_id,
        } => (incarnation, Some(upto), topic_id),
    };
    let past = |upto| PreviousPosition {
        upto,
        topic_id,
        is_over: incarnation < least,
    };
    Some((incarnation, upto.map(past)))
}
