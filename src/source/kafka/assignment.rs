//! Decides which partitions this process reads and where each starts.
//!
//! Partitions are discovered every few seconds. Without group membership the source reads all of
//! them, otherwise those that the group assigns. A partition starts at the head of the pane log, or
//! at the group's committed offset, or at the configured start, in this order.
//!
//! The requests of a refresh block the reading thread, so each has a short timeout (`backoff`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tracing::{debug, info};

use super::backoff::Backoff;
use super::discovery::Discovery;
use super::group_offsets::fetch_committed;
use super::health::RequestError;
use super::partition_offsets::{list_bounds, list_offsets_at};
use super::partition_reader::PartitionReader;
use super::partitions::PartitionTable;
use super::resume::{previous_position, resume, start_at};
use super::settings::Timing;
use super::topic_id::TopicIds;
use crate::clock;
use crate::kafka::TopicPartition;
use crate::model::{KafkaSpec, Shard, StartAt};
use crate::source::{ResumeLookup, ResumePoint, Sink};

/// The delay before pending resume points are looked up again.
const LOOKUP_DELAY: Duration = Duration::from_millis(50);

/// The partitions to read.
pub(super) struct Assignment {
    source: String,
    spec: KafkaSpec,
    /// The partitions that the group assigned; `None` = all, without group membership.
    assigned: Option<BTreeSet<TopicPartition>>,
    /// Partitions that must not be opened before a time.
    paused_until: BTreeMap<TopicPartition, Instant>,
    /// The lowest possible incarnation of partitions whose topic was seen to be recreated. It
    /// overrides a lower one from the resume lookup.
    min_incarnations: BTreeMap<TopicPartition, u32>,
    discovery: Discovery,
    topic_ids: TopicIds,
    resume_lookup: ResumeLookup,
    pub(super) backoff: Backoff,
}

impl Assignment {
    /// Assigns nothing before the first refresh, which is due at `now`.
    pub(super) fn new(
        source: &str,
        spec: &KafkaSpec,
        is_in_group: bool,
        timing: Timing,
        now: Instant,
    ) -> Self {
        Assignment {
            source: source.to_owned(),
            spec: spec.clone(),
            assigned: is_in_group.then(BTreeSet::new),
            paused_until: BTreeMap::new(),
            min_incarnations: BTreeMap::new(),
            discovery: Discovery::default(),
            topic_ids: TopicIds::default(),
            resume_lookup: Box::new(|_| ResumePoint::Unread),
            backoff: Backoff::new(timing, now),
        }
    }

    /// Sets the lookup of positions in the pane log.
    pub(super) fn set_resume_lookup(&mut self, resume_lookup: ResumeLookup) {
        self.resume_lookup = resume_lookup;
    }

    /// Replaces the partitions that the group assigned, and ends all pauses.
    pub(super) fn assign(&mut self, partitions: Vec<TopicPartition>) {
        self.assigned = Some(partitions.into_iter().collect());
        self.paused_until.clear();
        self.backoff.refresh_now();
    }

    /// Removes all partitions until the group assigns again.
    pub(super) fn revoke_all(&mut self) {
        self.assigned = Some(BTreeSet::new());
    }

    /// Prevents the opening of a partition until a time.
    pub(super) fn pause(&mut self, partition: TopicPartition, until: Instant) {
        self.paused_until.insert(partition, until);
        self.backoff.refresh_at(until);
    }

    /// Applies new topic ids, if they arrive within `timeout` after their request: partitions of a
    /// recreated topic are closed. The next refresh opens them in their new incarnation.
    pub(super) fn poll_topic_ids(
        &mut self,
        timeout: Duration,
        reader: &mut PartitionReader,
        sink: &mut dyn Sink,
    ) {
        if !self.topic_ids.poll(&reader.client, timeout) {
            return;
        }
        for topic in &self.spec.topics {
            let Some(id) = self.topic_ids.get(topic) else {
                continue;
            };
            if reader.table.is_former_id(topic, id) {
                self.topic_ids.discard(topic);
                continue;
            }
            let outdated = reader.table.identify(topic, id, sink);
            if !outdated.is_empty() {
                reader.table.revocations += 1;
                self.backoff.refresh_now();
            }
            for slot in outdated {
                let shard = &reader.table.get(slot).shard;
                self.min_incarnations
                    .insert(TopicPartition::from(shard), shard.incarnation + 1);
                reader.clear_problem(slot);
                reader.close(slot, sink);
            }
        }
    }

    /// Opens new partitions and restarts stopped ones when a refresh is due; `wait` is the caller's
    /// wait for records.
    pub(super) fn refresh_if_due(
        &mut self,
        now: Instant,
        wait: Duration,
        reader: &mut PartitionReader,
        sink: &mut dyn Sink,
    ) {
        if !self.backoff.is_due(now) {
            return;
        }
        self.backoff.begin(reader.health.is_connected(), wait);
        let outcome = self.refresh(reader, sink);
        let end = clock::monotonic();
        match outcome {
            Ok(is_complete) => self.backoff.succeeded(end, is_complete),
            Err(failure) => {
                debug!(source = self.source, error = %failure.error, "request failed");
                let was_unanswered = reader.health.request_failed(failure);
                let is_slow = was_unanswered && reader.health.is_connected();
                self.backoff.failed(end, is_slow);
            }
        }
    }

    /// Refreshes once; returns `false` if something must be tried again soon.
    fn refresh(
        &mut self,
        reader: &mut PartitionReader,
        sink: &mut dyn Sink,
    ) -> Result<bool, RequestError> {
        let timeout = self.backoff.timeout();
        let discovered = self
            .discovery
            .discover_partitions(&self.spec.topics, reader, timeout)?;
        sink.extent(u32::try_from(discovered.count).unwrap_or(u32::MAX));
        self.topic_ids.request(&reader.client, &self.spec.topics);
        let needs_topic_ids = discovered.with_leader.iter().any(|partition| {
            self.topic_ids.get(&partition.topic).is_none()
                && self.may_open(partition, &reader.table)
        });
        if needs_topic_ids {
            self.poll_topic_ids(self.backoff.patient_timeout(), reader, sink);
        }
        let new: Vec<TopicPartition> = discovered
            .with_leader
            .into_iter()
            .filter(|partition| self.may_open(partition, &reader.table))
            .collect();
        // Shards carry the id of the cluster: without it, nothing can be opened.
        let Some(cluster) = self.discovery.cluster(&reader.client, timeout) else {
            return Ok(false);
        };
        let cluster = cluster.to_owned();
        let all_opened = new.is_empty() || self.open(&new, &cluster, reader, sink)?;
        let all_restarted = reader.restart_stopped(&self.topic_ids, timeout, sink)?;
        Ok(all_opened && all_restarted)
    }

    /// True if a partition is assigned, not paused, and not open yet.
    fn may_open(&mut self, partition: &TopicPartition, table: &PartitionTable) -> bool {
        let is_open = table.slot(&partition.topic, partition.partition).is_some();
        let is_assigned = self
            .assigned
            .as_ref()
            .is_none_or(|assigned| assigned.contains(partition));
        if is_open || !is_assigned {
            return false;
        }
        let now = clock::monotonic();
        self.paused_until.retain(|_, until| *until > now);
        match self.paused_until.get(partition) {
            Some(until) => {
                self.backoff.refresh_at(*until);
                false
            }
            None => true,
        }
    }

    /// Opens partitions; returns `false` if some must be tried again soon.
    fn open(
        &mut self,
        new: &[TopicPartition],
        cluster: &str,
        reader: &mut PartitionReader,
        sink: &mut dyn Sink,
    ) -> Result<bool, RequestError> {
        let timeout = self.backoff.timeout();
        let resume_points: BTreeMap<&TopicPartition, ResumePoint> = new
            .iter()
            .map(|partition| {
                let shard = self.shard(partition, cluster, 0);
                (partition, (self.resume_lookup)(&shard))
            })
            .collect();
        let committed = fetch_committed(reader, new, timeout)?;
        let bounds = list_bounds(reader.client.consumer(), new, timeout)
            .map_err(RequestError::in_topic_of(new))?;
        let configured = self.configured_starts(new, &committed, &resume_points, reader)?;
        // If one partition of a topic has a known position, new ones start at the oldest record. So
        // all are looked up before the first is opened.
        let Some(previous) = new
            .iter()
            .map(|partition| {
                let min_incarnation = self.min_incarnation(partition);
                let committed = committed.get(partition).copied();
                previous_position(resume_points[partition], committed, min_incarnation)
            })
            .collect::<Option<Vec<_>>>()
        else {
            self.backoff.refresh_at(clock::monotonic() + LOOKUP_DELAY);
            return Ok(false);
        };
        let mut opened = 0;
        for (partition, (incarnation, position)) in new.iter().zip(previous) {
            let Some(bounds) = bounds.get(partition) else {
                continue;
            };
            let topic_id = self.topic_ids.get(&partition.topic);
            let start = match position {
                Some(position) => resume(position, *bounds, topic_id),
                None => {
                    let offset = configured.get(partition).copied().unwrap_or(bounds.high);
                    start_at(offset, *bounds, topic_id)
                }
            };
            let started = self
                .min_incarnation(partition)
                .max(incarnation + u32::from(start.is_recreated));
            reader.open(
                self.shard(partition, cluster, started),
                start,
                position.map(|position| position.upto),
                committed.get(partition).copied(),
                sink,
            )?;
            opened += 1;
        }
        if opened > 0 {
            reader.table.assignments += 1;
            info!(
                source = self.source,
                partitions = opened,
                "reading partitions"
            );
        }
        Ok(opened == new.len())
    }

    /// The start of each partition without a committed offset; one that is missing here starts at
    /// its end.
    ///
    /// A topic or partition that was created after pegel started on its topic is read from its
    /// oldest record: `latest` means "from the first start on", and all of its records are newer.
    fn configured_starts(
        &self,
        new: &[TopicPartition],
        committed: &BTreeMap<TopicPartition, i64>,
        resume_points: &BTreeMap<&TopicPartition, ResumePoint>,
        reader: &PartitionReader,
    ) -> Result<BTreeMap<TopicPartition, i64>, RequestError> {
        let known_topics: BTreeSet<&str> = resume_points
            .iter()
            .filter(|(_, resume_point)| matches!(resume_point, ResumePoint::At { .. }))
            .map(|(partition, _)| *partition)
            .chain(committed.keys())
            .map(|partition| &*partition.topic)
            .collect();
        let (from_oldest, from_configured): (Vec<TopicPartition>, Vec<TopicPartition>) = new
            .iter()
            .filter(|partition| !committed.contains_key(partition))
            .cloned()
            .partition(|partition| {
                self.spec.start == StartAt::Earliest
                    || known_topics.contains(&*partition.topic)
                    || self.discovery.is_created_later(partition)
            });
        let mut starts: BTreeMap<TopicPartition, i64> = from_oldest
            .into_iter()
            .map(|partition| (partition, 0))
            .collect();
        if let StartAt::Timestamp(time) = self.spec.start
            && !from_configured.is_empty()
        {
            let offsets = list_offsets_at(
                reader.client.consumer(),
                &from_configured,
                time,
                self.backoff.timeout(),
            )
            .map_err(RequestError::in_topic_of(&from_configured))?;
            starts.extend(
                offsets
                    .into_iter()
                    .filter_map(|(partition, offset)| Some((partition, offset?))),
            );
        }
        Ok(starts)
    }

    fn min_incarnation(&self, partition: &TopicPartition) -> u32 {
        self.min_incarnations.get(partition).copied().unwrap_or(0)
    }

    fn shard(&self, partition: &TopicPartition, cluster: &str, incarnation: u32) -> Shard {
        Shard {
            source: self.source.clone(),
            cluster: cluster.to_owned(),
            topic: partition.topic.clone(),
            partition: partition.partition,
            incarnation,
        }
    }
}
