//! Positions in the consumer group: the second place to resume at, and the input of lag tools.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer as _;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::health::{ProblemScope, RequestError};
use super::partition_reader::PartitionReader;
use super::settings::Timing;
use super::topic_history::first_count;
use crate::clock;
use crate::kafka::{TopicPartition, partition_list};

/// Commits accepted offsets to the group.
///
/// At most one commit is in flight, because an answer does not name the commit it belongs to.
#[derive(Debug)]
pub(super) struct GroupOffsets {
    source: String,
    group: String,
    /// False for a source that must leave no trace.
    is_enabled: bool,
    timing: Timing,
    due: Instant,
    is_in_flight: bool,
}

impl GroupOffsets {
    /// The first commit is due one interval after `now`.
    pub(super) fn new(source: &str, group: &str, timing: Timing, now: Instant) -> Self {
        GroupOffsets {
            source: source.to_owned(),
            group: group.to_owned(),
            is_enabled: true,
            timing,
            due: now + timing.commit,
            is_in_flight: false,
        }
    }

    /// Sends no commit from now on.
    pub(super) fn disable(&mut self) {
        self.is_enabled = false;
    }

    /// Makes a commit due now: other members must not take a partition that was opened for one
    /// that nobody has read.
    pub(super) fn commit_soon(&mut self, now: Instant) {
        self.due = self.due.min(now);
    }

    /// Handles the answer to a commit, and sends the next one when it is due. Does not wait.
    pub(super) fn commit_if_due(&mut self, now: Instant, reader: &mut PartitionReader) {
        self.await_outcome(Duration::ZERO, reader);
        if now >= self.due && !self.is_in_flight {
            self.due = now + self.timing.commit;
            self.commit(reader);
        }
    }

    /// Commits the offsets that are left and waits for the answer, up to [`Timing::close`]; does
    /// nothing while no broker answers.
    pub(super) fn commit_last(&mut self, reader: &mut PartitionReader) {
        if !reader.health.is_up() {
            return;
        }
        let deadline = clock::monotonic() + self.timing.close;
        let remaining = || deadline.saturating_duration_since(clock::monotonic());
        self.await_outcome(remaining(), reader);
        self.commit(reader);
        self.await_outcome(remaining(), reader);
    }

    /// Sends a commit, unless no broker answers: the request would be queued, and closing the
    /// client would wait for it.
    fn commit(&mut self, reader: &mut PartitionReader) {
        if !self.is_enabled || self.is_in_flight || !reader.health.is_up() {
            return;
        }
        match reader.table.offsets_to_commit() {
            Ok(offsets) if offsets.count() > 0 => {
                reader.client.commit(&offsets);
                self.is_in_flight = true;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::debug!(source = self.source, %error, "cannot list the offsets to commit");
            }
        }
    }

    fn await_outcome(&mut self, wait: Duration, reader: &mut PartitionReader) {
        if !self.is_in_flight {
            return;
        }
        let Some(code) = reader.client.commit_outcome(wait) else {
            return;
        };
        self.is_in_flight = false;
        reader.table.end_commit(code == 0);
        let scope = ProblemScope::Commit(self.group.clone());
        let mut problem = None;
        if code != 0 {
            reader.health.count_error(code);
            problem = Some(scope.describe(code));
        }
        reader.health.set_problem(scope, problem);
    }
}

/// The offset that a group holds for a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CommittedOffset {
    pub(super) offset: i64,
    /// The number of partitions that the topic had when pegel first read it, if the commit has it.
    pub(super) first_count: Option<i32>,
}

/// Requests the offsets that the group holds; a partition without one is left out.
pub(super) fn fetch_committed(
    reader: &mut PartitionReader,
    group: &str,
    partitions: &[TopicPartition],
    timeout: Duration,
) -> Result<BTreeMap<TopicPartition, CommittedOffset>, RequestError> {
    let scope = ProblemScope::Group(group.to_owned());
    let offsets = reader
        .client
        .consumer()
        .committed_offsets(partition_list(partitions), timeout)
        .and_then(|list| offsets_of(&list))
        .map_err(RequestError::in_scope(scope.clone()))?;
    reader.health.set_problem(scope, None);
    Ok(offsets)
}

/// Reads the offsets of a list; a partition without one is left out.
///
/// # Errors
/// The list carries an error for one of its partitions.
fn offsets_of(list: &TopicPartitionList) -> KafkaResult<BTreeMap<TopicPartition, CommittedOffset>> {
    let mut offsets = BTreeMap::new();
    for element in list.elements() {
        element.error()?;
        if let Offset::Offset(offset) = element.offset() {
            let partition = TopicPartition::new(element.topic(), element.partition());
            let first_count = first_count(element.metadata());
            offsets.insert(
                partition,
                CommittedOffset {
                    offset,
                    first_count,
                },
            );
        }
    }
    Ok(offsets)
}
