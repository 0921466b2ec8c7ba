//! Decides which partitions this process reads and where each starts.
//!
//! Partitions are discovered every few seconds. Without group membership the source reads all of
//! them, otherwise those that the group assigns. A partition starts at the head of the pane log, or
//! at the group's committed offset, or at the configured start, in this order. The group is asked
//! only about partitions without a head, so a coordinator that is down does not stop the others.
//!
//! A partition without a position may be new to a topic that was read before. The evidence is
//! gathered for the whole topic, because another process may have read the rest of it: partitions
//! that are open here, committed offsets, and heads (`topic_history`).
//!
//! Heads may be pending while the pane log is read. Then only the lookups are repeated, no request.
//!
//! The requests of a refresh block the reading thread, so each has a short timeout (`backoff`).

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use tracing::{debug, info};

use super::backoff::Backoff;
use super::discovery::{DiscoveredPartitions, Discovery};
use super::group_offsets::{CommittedOffset, fetch_committed};
use super::health::{ProblemScope, RequestError};
use super::partition_offsets::{list_bounds, list_offsets_at};
use super::partition_reader::PartitionReader;
use super::partitions::PartitionTable;
use super::resume::{previous_position, resume, start_at};
use super::settings::Timing;
use super::topic_history::TopicHistory;
use super::topic_id::TopicIds;
use crate::clock;
use crate::kafka::TopicPartition;
use crate::model::{KafkaSpec, Shard, StartAt};
use crate::source::{ResumeLookup, ResumePoint, ResumeRelease, Sink};

/// The delay before pending resume points are looked up again.
const LOOKUP_DELAY: Duration = Duration::from_millis(50);

/// The time after which pending lookups are a problem.
const LOOKUP_PATIENCE: Duration = Duration::from_secs(5);

/// A partition on its way to be opened.
struct NewPartition {
    partition: TopicPartition,
    resume_point: ResumePoint,
    committed: Option<CommittedOffset>,
    /// The first offset to read without any position; `None` for the end.
    start_offset: Option<i64>,
}

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
    resume_release: ResumeRelease,
    /// The shards whose lookups are pending, since a time.
    awaited: Option<(Vec<Shard>, Instant)>,
    /// The next time to repeat the pending lookups.
    lookup_at: Instant,
    /// Partitions were opened since this was last asked.
    has_opened: bool,
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
            resume_release: Box::new(|_| ()),
            awaited: None,
            lookup_at: now,
            has_opened: false,
            backoff: Backoff::new(timing, now),
        }
    }

    /// Sets the lookup of positions in the pane log.
    pub(super) fn set_resume_lookup(&mut self, resume_lookup: ResumeLookup) {
        self.resume_lookup = resume_lookup;
    }

    /// Sets the release of positions that were looked up in vain.
    pub(super) fn set_resume_release(&mut self, resume_release: ResumeRelease) {
        self.resume_release = resume_release;
    }

    /// Returns `true` if partitions were opened since the last call.
    pub(super) fn take_opened(&mut self) -> bool {
        std::mem::take(&mut self.has_opened)
    }

    /// Replaces the partitions that the group assigned, and ends all pauses.
    pub(super) fn assign(&mut self, partitions: Vec<TopicPartition>) {
        self.set_assigned(partitions.into_iter().collect());
        self.paused_until.clear();
        self.backoff.refresh_now();
    }

    /// Removes all partitions until the group assigns again.
    pub(super) fn revoke_all(&mut self) {
        self.set_assigned(BTreeSet::new());
    }

    /// Replaces the assigned partitions. Positions that were looked up for the others are released:
    /// another process reads them on.
    fn set_assigned(&mut self, assigned: BTreeSet<TopicPartition>) {
        let former = self.assigned.replace(assigned).unwrap_or_default();
        let Some(cluster) = self.discovery.known_cluster() else {
            return;
        };
        for partition in former.iter().filter(|former| !self.is_assigned(former)) {
            (self.resume_release)(&self.shard(partition, cluster, 0));
        }
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
        self.repeat_lookups(now, reader);
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
        sink.extent(discovered.count());
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
            .iter()
            .filter(|partition| self.may_open(partition, &reader.table))
            .cloned()
            .collect();
        let cluster = self.discovery.cluster(reader, timeout)?;
        let opened = if new.is_empty() {
            Ok(true)
        } else {
            self.open(&new, &discovered, &cluster, reader, sink)
        };
        // Stopped partitions have a position, so they do not wait for an answer of the group.
        let restarted = reader.restart_stopped(&self.topic_ids, timeout, sink);
        Ok(opened? && restarted?)
    }

    /// True if a partition is assigned, not paused, and not open yet.
    fn may_open(&mut self, partition: &TopicPartition, table: &PartitionTable) -> bool {
        let is_open = table.slot(&partition.topic, partition.partition).is_some();
        if is_open || !self.is_assigned(partition) {
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

    /// Repeats the pending lookups when they are due, and makes a refresh due when none is left.
    fn repeat_lookups(&mut self, now: Instant, reader: &mut PartitionReader) {
        let Some((shards, since)) = &self.awaited else {
            return;
        };
        if now < self.lookup_at {
            return;
        }
        let waited = now.duration_since(*since);
        let mut pending = shards
            .iter()
            .filter(|shard| (self.resume_lookup)(shard) == ResumePoint::Pending);
        let problem = pending.next().map(|first| {
            let more = match pending.count() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let first = TopicPartition::from(first);
            format!("the pane log does not answer yet where {first}{more} resume")
        });
        if problem.is_none() {
            self.awaited = None;
            self.backoff.refresh_now();
        } else {
            self.lookup_at = now + LOOKUP_DELAY;
        }
        if problem.is_none() || waited > LOOKUP_PATIENCE {
            reader.health.set_problem(ProblemScope::Heads, problem);
        }
    }

    /// Looks up the positions of these shards; `None` while one is pending.
    fn look_up(&mut self, shards: Vec<Shard>) -> Option<Vec<ResumePoint>> {
        let resume_points: Vec<ResumePoint> = shards.iter().map(&self.resume_lookup).collect();
        let pending: Vec<Shard> = shards
            .into_iter()
            .zip(&resume_points)
            .filter(|(_, resume_point)| **resume_point == ResumePoint::Pending)
            .map(|(shard, _)| shard)
            .collect();
        if pending.is_empty() {
            return Some(resume_points);
        }
        let now = clock::monotonic();
        let since = self.awaited.take().map_or(now, |(_, since)| since);
        self.awaited = Some((pending, since));
        self.lookup_at = now + LOOKUP_DELAY;
        None
    }

    /// Opens partitions; returns `false` if some must be tried again soon.
    fn open(
        &mut self,
        new: &[TopicPartition],
        discovered: &DiscoveredPartitions,
        cluster: &str,
        reader: &mut PartitionReader,
        sink: &mut dyn Sink,
    ) -> Result<bool, RequestError> {
        let shards = new
            .iter()
            .map(|partition| self.shard(partition, cluster, 0))
            .collect();
        let Some(resume_points) = self.look_up(shards) else {
            // The lookups are repeated without a request, and make the next refresh due.
            return Ok(true);
        };
        let (counted, unread): (Vec<NewPartition>, Vec<NewPartition>) = new
            .iter()
            .zip(resume_points)
            .map(|(partition, resume_point)| NewPartition {
                partition: partition.clone(),
                resume_point,
                committed: None,
                start_offset: None,
            })
            .partition(|new| matches!(new.resume_point, ResumePoint::At { .. }));
        let are_counted_open = self.open_at(&counted, cluster, reader, sink)?;
        let Some(unread) = self.plan_unread(unread, discovered, cluster, reader)? else {
            return Ok(are_counted_open);
        };
        let are_unread_open = self.open_at(&unread, cluster, reader, sink)?;
        Ok(are_counted_open && are_unread_open)
    }

    /// Opens partitions whose positions are known; returns `false` if some must be tried again
    /// soon.
    fn open_at(
        &mut self,
        new: &[NewPartition],
        cluster: &str,
        reader: &mut PartitionReader,
        sink: &mut dyn Sink,
    ) -> Result<bool, RequestError> {
        if new.is_empty() {
            return Ok(true);
        }
        let partitions: Vec<TopicPartition> = new.iter().map(|new| new.partition.clone()).collect();
        let bounds = list_bounds(
            reader.client.consumer(),
            &partitions,
            self.backoff.timeout(),
        )
        .map_err(RequestError::in_topic_of(&partitions))?;
        let now = clock::monotonic();
        let mut opened = 0;
        for new in new {
            let partition = &new.partition;
            let min_incarnation = self.min_incarnation(partition);
            let committed = new.committed.map(|committed| committed.offset);
            let (Some(bounds), Some((incarnation, position))) = (
                bounds.get(partition),
                previous_position(new.resume_point, committed, min_incarnation),
            ) else {
                continue;
            };
            let topic_id = self.topic_ids.get(&partition.topic);
            let start = match position {
                Some(position) => resume(position, *bounds, topic_id),
                None => start_at(new.start_offset.unwrap_or(bounds.high), *bounds, topic_id),
            };
            if !reader
                .tail_losses
                .is_settled(partition, start, &self.topic_ids, now)
            {
                continue;
            }
            let started = min_incarnation.max(incarnation + u32::from(start.is_new_incarnation()));
            reader.open(
                self.shard(partition, cluster, started),
                start,
                position.map(|position| position.upto),
                committed,
                sink,
            )?;
            opened += 1;
        }
        if opened > 0 {
            self.has_opened = true;
            reader.table.assignments += 1;
            info!(
                source = self.source,
                partitions = opened,
                "reading partitions"
            );
        }
        Ok(opened == new.len())
    }

    /// Finds the committed or configured start of partitions without a head; `None` while a lookup
    /// is pending.
    fn plan_unread(
        &mut self,
        mut unread: Vec<NewPartition>,
        discovered: &DiscoveredPartitions,
        cluster: &str,
        reader: &mut PartitionReader,
    ) -> Result<Option<Vec<NewPartition>>, RequestError> {
        let topics: BTreeSet<String> = unread
            .iter()
            .map(|new| new.partition.topic.clone())
            .collect();
        let siblings: Vec<TopicPartition> = topics
            .iter()
            .flat_map(|topic| discovered.of_topic(topic))
            .collect();
        if siblings.is_empty() {
            return Ok(Some(unread));
        }
        let committed = fetch_committed(
            reader,
            &self.spec.group_id,
            &siblings,
            self.backoff.timeout(),
        )?;
        let mut from_configured = Vec::new();
        for topic in &topics {
            let Some(history) = self.history(topic, &committed, discovered, cluster, reader) else {
                return Ok(None);
            };
            reader.table.set_first_count(
                topic,
                match history {
                    TopicHistory::Unread => self.discovery.initial_count(topic),
                    TopicHistory::Read { first_count } => first_count,
                },
            );
            for new in unread
                .iter_mut()
                .filter(|new| new.partition.topic == *topic)
            {
                let partition = &new.partition;
                new.committed = committed.get(partition).copied();
                let is_from_oldest = self.spec.start == StartAt::Earliest
                    || history.is_new(partition.partition)
                    || self.discovery.is_created_later(partition);
                if is_from_oldest {
                    new.start_offset = Some(0);
                } else if new.committed.is_none() {
                    from_configured.push(partition.clone());
                }
            }
        }
        let starts = self.configured_starts(&from_configured, reader)?;
        for new in &mut unread {
            new.start_offset = new
                .start_offset
                .or_else(|| starts.get(&new.partition).copied());
        }
        Ok(Some(unread))
    }

    /// The history of a topic, from the cheapest evidence that there is; `None` while a lookup is
    /// pending.
    fn history(
        &mut self,
        topic: &str,
        committed: &BTreeMap<TopicPartition, CommittedOffset>,
        discovered: &DiscoveredPartitions,
        cluster: &str,
        reader: &PartitionReader,
    ) -> Option<TopicHistory> {
        let of_open = reader.table.history(topic);
        let of_commits = TopicHistory::of_commits(
            committed
                .iter()
                .filter(|(partition, _)| partition.topic == topic)
                .map(|(_, committed)| committed.first_count),
        );
        let known = [of_open, of_commits]
            .into_iter()
            .find(|history| *history != TopicHistory::Unread);
        if known.is_some() || self.spec.start == StartAt::Earliest {
            return Some(known.unwrap_or(TopicHistory::Unread));
        }
        let shards: Vec<Shard> = discovered
            .of_topic(topic)
            .map(|partition| self.shard(&partition, cluster, 0))
            .collect();
        let resume_points = self.look_up(shards.clone())?;
        let is_read = resume_points
            .iter()
            .any(|resume_point| matches!(resume_point, ResumePoint::At { .. }));
        for shard in &shards {
            if !self.is_assigned(&TopicPartition::from(shard)) {
                (self.resume_release)(shard);
            }
        }
        Some(if is_read {
            TopicHistory::Read { first_count: None }
        } else {
            TopicHistory::Unread
        })
    }

    /// The configured start of partitions without any position; one that is missing here starts at
    /// its end.
    fn configured_starts(
        &self,
        partitions: &[TopicPartition],
        reader: &PartitionReader,
    ) -> Result<BTreeMap<TopicPartition, i64>, RequestError> {
        let StartAt::Timestamp(time) = self.spec.start else {
            return Ok(BTreeMap::new());
        };
        if partitions.is_empty() {
            return Ok(BTreeMap::new());
        }
        let offsets = list_offsets_at(
            reader.client.consumer(),
            partitions,
            time,
            self.backoff.timeout(),
        )
        .map_err(RequestError::in_topic_of(partitions))?;
        Ok(offsets
            .into_iter()
            .filter_map(|(partition, offset)| Some((partition, offset?)))
            .collect())
    }

    fn is_assigned(&self, partition: &TopicPartition) -> bool {
        self.assigned
            .as_ref()
            .is_none_or(|assigned| assigned.contains(partition))
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
