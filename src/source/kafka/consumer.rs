//! The Kafka source: the poll loop of one ingest thread.
//!
//! One thread owns the consumer and polls it. A poll handles callback events first, then topic ids,
//! a due refresh of the assignment, a due commit, a due report and the ends of quiet partitions,
//! and drains the records last. So no decision is made while a record is on its way.
//!
//! It assigns partitions itself. On one machine it reads all of them without group membership,
//! because a second member would take half of the records away from the windows. The group only
//! keeps positions, which are committed once their counts are in the pane log, and never because
//! they were read.
//!
//! With several ingesters, the group decides which process reads a partition. A second client is
//! the member then. It reads nothing; its events report the assignment, and the first client
//! continues exactly as alone. So a rebalance never touches the data path, and partitions start at
//! the heads of the pane log.
//!
//! An unreachable broker, a missing topic and a missing authorization are states and not errors:
//! they are reported (`health`), retried with increasing delays, and end by themselves.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use tracing::{info, warn};

use super::assignment::Assignment;
use super::callbacks::{CallbackContext, CallbackEvent};
use super::group_offsets::GroupOffsets;
use super::health::{Health, ProblemScope};
use super::leader_ends::LeaderEnds;
use super::librdkafka::Client;
use super::partition_reader::PartitionReader;
use super::settings::{SourceError, Timing, member_config, reader_config};
use super::tail_loss::TailLosses;
use crate::clock;
use crate::kafka::TopicPartition;
use crate::model::{KafkaReport, SourceSpec};
use crate::source::{ResumeLookup, ResumeRelease, Sink, Source};

/// The longest wait on the data queue, so that callbacks are served at least this often.
const MAX_DRAIN_WAIT: Duration = Duration::from_millis(200);

/// A source that reads Kafka topics.
pub struct KafkaSource {
    name: String,
    group: String,
    topics: Vec<String>,
    timing: Timing,
    reader: PartitionReader,
    assignment: Assignment,
    group_offsets: GroupOffsets,
    report: Arc<ArcSwap<KafkaReport>>,
    publish_at: Instant,
}

impl KafkaSource {
    /// A source that reads all partitions. Creates the client; sends nothing to a broker yet.
    ///
    /// # Errors
    /// librdkafka rejects the properties.
    pub fn try_new(
        spec: &SourceSpec,
        report: Arc<ArcSwap<KafkaReport>>,
    ) -> Result<Self, SourceError> {
        Self::with_timing(spec, report, Timing::default())
    }

    /// The same as [`KafkaSource::try_new`] with other intervals and timeouts.
    ///
    /// # Errors
    /// librdkafka rejects the properties.
    pub fn with_timing(
        spec: &SourceSpec,
        report: Arc<ArcSwap<KafkaReport>>,
        timing: Timing,
    ) -> Result<Self, SourceError> {
        Self::with_member(spec, report, timing, None)
    }

    /// A source that reads only the partitions that the consumer group assigns to it.
    ///
    /// # Errors
    /// librdkafka rejects the properties.
    pub fn in_group(
        spec: &SourceSpec,
        report: Arc<ArcSwap<KafkaReport>>,
        timing: Timing,
    ) -> Result<Self, SourceError> {
        let config = member_config(&spec.kafka, &timing);
        let context = CallbackContext::new(&spec.name);
        let member = BaseConsumer::from_config_and_context(&config, context)?;
        let topics: Vec<&str> = spec.kafka.topics.iter().map(String::as_str).collect();
        member.subscribe(&topics)?;
        Self::with_member(spec, report, timing, Some(member))
    }

    fn with_member(
        spec: &SourceSpec,
        report: Arc<ArcSwap<KafkaReport>>,
        timing: Timing,
        member: Option<BaseConsumer<CallbackContext>>,
    ) -> Result<Self, SourceError> {
        let config = reader_config(&spec.kafka, &timing);
        let context = CallbackContext::new(&spec.name);
        let consumer = BaseConsumer::from_config_and_context(&config, context)?;
        let is_in_group = member.is_some();
        let client = Client::new(consumer, member, timing.close).ok_or(SourceError::Queue)?;
        let now = clock::monotonic();
        let health = Health::new(&spec.name, &spec.kafka.brokers, now);
        let leader_ends = LeaderEnds::new(timing.ends, &spec.kafka.properties, now);
        let tail_losses = TailLosses::new(timing.refresh);
        Ok(KafkaSource {
            name: spec.name.clone(),
            group: spec.kafka.group_id.clone(),
            topics: spec.kafka.topics.clone(),
            timing,
            reader: PartitionReader::new(&spec.name, client, health, leader_ends, tail_losses),
            assignment: Assignment::new(&spec.name, &spec.kafka, is_in_group, timing, now),
            group_offsets: GroupOffsets::new(&spec.name, &spec.kafka.group_id, timing, now),
            report,
            publish_at: now,
        })
    }

    /// Sets the lookup of positions in the pane log, which precede the group's positions.
    #[must_use]
    pub fn with_resume_lookup(mut self, resume_lookup: ResumeLookup) -> Self {
        self.assignment.set_resume_lookup(resume_lookup);
        self
    }

    /// Sets the release of looked-up positions of partitions that this process does not open.
    #[must_use]
    pub fn with_resume_release(mut self, release: ResumeRelease) -> Self {
        self.assignment.set_resume_release(release);
        self
    }

    /// Commits no offset to the group, now or when the source is dropped: a look at a topic must
    /// not decide where a later start begins.
    #[must_use]
    pub fn without_commits(mut self) -> Self {
        self.group_offsets.disable();
        self
    }

    /// Commits the accepted positions and closes the client; dropping the source does the same.
    pub fn close(self) {}

    /// Handles the callback events that are due; returns `true` if partitions were revoked.
    fn handle_callback_events(&mut self, sink: &mut dyn Sink) -> bool {
        let mut has_revoked = false;
        for event in self.reader.take_callback_events() {
            match event {
                CallbackEvent::Error { code, reason } => {
                    if self.reader.health.client_error(code, &reason) {
                        self.assignment.backoff.retry_soon(clock::monotonic());
                    }
                }
                CallbackEvent::Statistics(statistics) => {
                    if self.reader.apply_statistics(&statistics) {
                        self.assignment.backoff.refresh_now();
                    }
                }
                CallbackEvent::MemberError(code) => {
                    self.reader.health.count_error(code as i32);
                    if code == RDKafkaErrorCode::GroupAuthorizationFailed {
                        let scope = ProblemScope::Group(self.group.clone());
                        let problem = scope.describe(code as i32);
                        self.reader.health.set_problem(scope, Some(problem));
                    }
                }
                CallbackEvent::Assigned(partitions) => {
                    let scope = ProblemScope::Group(self.group.clone());
                    self.reader.health.set_problem(scope, None);
                    let count = partitions.len();
                    info!(
                        source = self.name,
                        partitions = count,
                        "partitions assigned"
                    );
                    self.assignment.assign(partitions);
                }
                CallbackEvent::Revoked => {
                    info!(source = self.name, "partitions revoked");
                    self.assignment.revoke_all();
                    has_revoked |= self.reader.revoke_all(sink);
                }
            }
        }
        has_revoked
    }

    fn publish_if_due(&mut self, now: Instant) {
        if now >= self.publish_at {
            self.publish_report(now);
        }
    }

    fn publish_report(&mut self, now: Instant) {
        self.publish_at = now + self.timing.publish;
        let PartitionReader { table, health, .. } = &mut self.reader;
        health.log_changes(now);
        self.report.store(Arc::new(KafkaReport {
            up: health.is_up(),
            problem: health.reportable_problem(now),
            topics: table.report(&self.topics),
            rebalances: [
                ("assigned", table.assignments),
                ("revoked", table.revocations),
            ]
            .into(),
            errors: health.errors().clone(),
        }));
    }
}

impl Source for KafkaSource {
    fn poll(&mut self, wait: Duration, sink: &mut dyn Sink) -> bool {
        let start = clock::monotonic();
        if self.handle_callback_events(sink) {
            // The last commits must be in the log before the next owner looks up the heads; a
            // commit that comes later costs that owner a pause.
            return true;
        }
        self.assignment
            .poll_topic_ids(Duration::ZERO, &mut self.reader, sink);
        self.assignment
            .refresh_if_due(start, wait, &mut self.reader, sink);
        if self.assignment.take_opened() {
            self.group_offsets.commit_soon(start);
        }
        self.group_offsets.commit_if_due(start, &mut self.reader);
        self.publish_if_due(start);
        self.reader.confirm_ends(sink);
        let remaining = wait.saturating_sub(clock::monotonic().duration_since(start));
        if self.reader.read(remaining.min(MAX_DRAIN_WAIT), sink) {
            self.assignment.backoff.refresh_now();
        }
        true
    }

    fn publish(&mut self) {
        self.publish_report(clock::monotonic());
    }

    fn accepted(&mut self, slot: usize, upto: i64) {
        self.reader.table.accept(slot, upto);
    }

    fn rejected(&mut self, slot: usize, sink: &mut dyn Sink) {
        if !self.reader.table.is_open(slot) {
            return;
        }
        let pause = self.timing.rejected.mul_f64(rand::random_range(1.0..5.0));
        let name = self.reader.table.name(slot);
        let TopicPartition { topic, partition } = &name;
        warn!(
            source = self.name,
            topic,
            partition,
            pause_ms = pause.as_millis(),
            "the pane log rejected the counts of a partition, reading it again from its head"
        );
        let until = clock::monotonic() + pause;
        self.reader.close(slot, sink);
        self.reader.table.revocations += 1;
        self.assignment.pause(name, until);
    }
}

impl Drop for KafkaSource {
    fn drop(&mut self) {
        self.group_offsets.commit_last(&mut self.reader);
    }
}

impl std::fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSource")
            .field("name", &self.name)
            .field("topics", &self.topics)
            .field("health", &self.reader.health)
            .finish_non_exhaustive()
    }
}
