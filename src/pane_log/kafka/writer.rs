//! A writer of the topic.
//!
//! Sending only queues a record in the client; delivery is reported later. A commit counts when it
//! was read back and the fold accepted it, so a delivery that failed only tells its sender to start
//! again at the head.
//!
//! The client sends several records in a batch, and a broker that refuses one of them refuses the
//! batch. So the refusal of a batch does not say which record is to blame, until every record is
//! sent in a batch of its own ([`Writer::send_singly`]).
//!
//! A client with a fatal error delivers nothing more. It is replaced ([`Writer::restore`]): what
//! counts is decided by the fold, and not by the order of an idempotent producer.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseRecord, Producer as _, ThreadedProducer};

use super::announcements::Announcements;
use super::client::RecordLimit;
use super::delivery::{
    DeliveryFailure, DeliveryReport, DeliveryReports, RecordKind, Refusal, SentRecord,
    is_too_large, producer,
};
use super::error::{KafkaLogError, LogAction, TopicOperation, is_unauthorized};
use super::reader::denied_operation;
use super::record_key::RecordKey;
use super::routing::partition_of;
use crate::model::PanesTopicSpec;
use crate::pane_log::codec::{
    Opening, SnapshotChunk, encode_chunk, encode_commit, encode_commit_by_id, encode_opening,
};
use crate::pane_log::schemas::SchemaIds;
use crate::panes::Commit;

/// Size of the pieces in which a snapshot is written: a broker accepts 1 MiB per record unless
/// configured otherwise.
const CHUNK_BYTES: usize = 512 * 1024;

/// Longest wait for acknowledgements.
const ACKNOWLEDGE_WAIT: Duration = Duration::from_secs(30);

/// A snapshot of which not every piece is acknowledged yet.
#[derive(Debug)]
struct UnfinishedSnapshot {
    id: u64,
    scope: String,
    bytes: Vec<u8>,
    /// The number of pieces that were sent.
    sent: u32,
    /// The records of the pieces that are not acknowledged.
    pending: BTreeSet<u64>,
}

/// A writer of commits, snapshots and openings.
pub struct Writer {
    spec: PanesTopicSpec,
    limit: RecordLimit,
    producer: ThreadedProducer<DeliveryReports>,
    is_single: bool,
    report_sender: Sender<DeliveryReport>,
    reports: Receiver<DeliveryReport>,
    failures: Vec<DeliveryFailure>,
    snapshot: Option<UnfinishedSnapshot>,
    announcements: Announcements,
    schema_ids: SchemaIds,
    id: u64,
    next: u64,
    /// Size of the pieces of a snapshot.
    chunk_bytes: usize,
    buffer: Vec<u8>,
}

impl std::fmt::Debug for Writer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("id", &self.id)
            .field("next", &self.next)
            .finish_non_exhaustive()
    }
}

impl Writer {
    /// Creates a writer with a random id, for a topic that takes records of this size.
    ///
    /// # Errors
    /// Returns an error if the client cannot be created.
    pub fn try_new(spec: &PanesTopicSpec, limit: RecordLimit) -> Result<Self, KafkaLogError> {
        let (report_sender, reports) = unbounded();
        Ok(Writer {
            spec: spec.clone(),
            limit,
            producer: producer(spec, limit, false, &report_sender)?,
            is_single: false,
            report_sender,
            reports,
            failures: Vec::new(),
            snapshot: None,
            announcements: Announcements::default(),
            schema_ids: SchemaIds::default(),
            id: rand::random(),
            next: 0,
            chunk_bytes: CHUNK_BYTES.min(limit.bytes() / 2),
            buffer: Vec::new(),
        })
    }

    /// Sends every record in a batch of its own from now on; returns false if it did so before.
    ///
    /// Records on their way may fail.
    ///
    /// # Errors
    /// Returns an error if the client cannot be created.
    pub fn send_singly(&mut self) -> Result<bool, KafkaLogError> {
        if self.is_single {
            return Ok(false);
        }
        self.is_single = true;
        self.replace_producer()?;
        Ok(true)
    }

    /// Returns the fatal error of the client, after which it delivers nothing more.
    #[must_use]
    pub fn fatal_error(&self) -> Option<KafkaLogError> {
        let (code, reason) = self.producer.client().fatal_error()?;
        let error = KafkaError::MessageProduction(code);
        Some(if is_unauthorized(&error) {
            self.denial()
        } else {
            KafkaLogError::Refused {
                topic: self.spec.topic.clone(),
                reason,
            }
        })
    }

    /// Asks what the brokers deny; for a writer that was refused.
    #[must_use]
    pub fn denial(&self) -> KafkaLogError {
        let operation = denied_operation(self.producer.client(), &self.spec);
        KafkaLogError::unauthorized(&self.spec, operation.unwrap_or(TopicOperation::Write))
    }

    /// Prepares the next attempt of a writer that was refused.
    ///
    /// # Errors
    /// Returns an error if the brokers still deny to describe the topic, or a client cannot be
    /// created.
    pub fn restore(&mut self) -> Result<(), KafkaLogError> {
        if let Some(operation) = denied_operation(self.producer.client(), &self.spec) {
            return Err(KafkaLogError::unauthorized(&self.spec, operation));
        }
        if self.producer.client().fatal_error().is_some() {
            self.replace_producer()?;
        }
        Ok(())
    }

    /// Replaces the client; dropping the former one reports its records as failed.
    fn replace_producer(&mut self) -> Result<(), KafkaLogError> {
        self.producer = producer(&self.spec, self.limit, self.is_single, &self.report_sender)?;
        Ok(())
    }

    /// Returns the id that the keys of its records carry.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the deliveries that failed since the last call.
    pub fn failures(&mut self) -> Vec<DeliveryFailure> {
        self.take_reports();
        std::mem::take(&mut self.failures)
    }

    fn take_reports(&mut self) {
        for report in self.reports.try_iter().collect::<Vec<_>>() {
            self.take_report(report);
        }
    }

    fn take_report(&mut self, report: DeliveryReport) {
        match report {
            DeliveryReport::Announced(number) => self.announcements.acknowledge(number),
            DeliveryReport::Saved(number) => {
                if let Some(snapshot) = &mut self.snapshot {
                    snapshot.pending.remove(&number);
                }
            }
            DeliveryReport::Failed(failure) => {
                self.announcements.forget(failure.number);
                self.failures.push(failure);
            }
        }
    }

    /// Sends a commit to the partition of its shard, and returns the number of its record.
    ///
    /// The commit is not acknowledged yet. It holds its schema whole unless the partition had it
    /// within the last minute before `now`.
    ///
    /// # Errors
    /// Returns an error if the client does not accept the record;
    /// [`KafkaLogError::TooLarge`] if a smaller one would be accepted.
    pub fn commit(&mut self, commit: &Commit, now: Instant) -> Result<u64, KafkaLogError> {
        self.take_reports();
        self.buffer.clear();
        let partition = partition_of(&commit.shard, &self.spec);
        if commit.counted.monitors.is_empty() {
            encode_commit(commit, &mut self.buffer);
            return self.send(partition, RecordKind::Plain);
        }
        let schema = self.schema_ids.of(&commit.counted);
        if self.announcements.are_fresh(partition, schema, now) {
            encode_commit_by_id(commit, schema, &mut self.buffer);
            return self.send(partition, RecordKind::Plain);
        }
        encode_commit(commit, &mut self.buffer);
        let number = self.send(partition, RecordKind::Announcement)?;
        self.announcements.begin(number, partition, schema, now);
        Ok(number)
    }

    /// Begins to write a snapshot in pieces; it replaces one that is not finished.
    ///
    /// Writing goes on in [`Writer::poll_snapshot`], so that nobody waits for acknowledgements.
    pub fn begin_snapshot(&mut self, scope: &str, bytes: Vec<u8>) {
        // Failures of the one before have no reader any more.
        self.take_reports();
        self.failures.clear();
        self.snapshot = Some(UnfinishedSnapshot {
            id: rand::random(),
            scope: scope.to_owned(),
            bytes,
            sent: 0,
            pending: BTreeSet::new(),
        });
    }

    /// Returns true while a snapshot is being written.
    #[must_use]
    pub fn is_writing_snapshot(&self) -> bool {
        self.snapshot.is_some()
    }

    /// Sends pieces of the snapshot while the client accepts them, and returns the outcome once:
    /// every piece is acknowledged, or one is not. Does not wait.
    ///
    /// A piece that cannot be delivered fails within 30 s. Readers skip the snapshot then.
    pub fn poll_snapshot(&mut self) -> Option<Result<(), KafkaLogError>> {
        let mut snapshot = self.snapshot.take()?;
        let outcome = self.advance_snapshot(&mut snapshot);
        if matches!(outcome, Ok(false)) {
            self.snapshot = Some(snapshot);
            return None;
        }
        Some(outcome.map(|_| ()))
    }

    /// Sends pieces of a snapshot; returns true when all are acknowledged.
    fn advance_snapshot(
        &mut self,
        snapshot: &mut UnfinishedSnapshot,
    ) -> Result<bool, KafkaLogError> {
        if let Some(problem) = self.fatal_error() {
            return Err(problem);
        }
        let pieces = snapshot.bytes.len().div_ceil(self.chunk_bytes);
        let piece_count = u32::try_from(pieces).unwrap_or(u32::MAX);
        while snapshot.sent < piece_count {
            let from = snapshot.sent as usize * self.chunk_bytes;
            let upto = (from + self.chunk_bytes).min(snapshot.bytes.len());
            let chunk = SnapshotChunk {
                id: snapshot.id,
                scope: snapshot.scope.clone(),
                part: snapshot.sent,
                parts: piece_count,
                bytes: snapshot.bytes[from..upto].to_vec(),
            };
            self.buffer.clear();
            encode_chunk(&chunk, &mut self.buffer);
            let Some(number) = self.try_send(self.spec.snapshots(), RecordKind::Piece)? else {
                break;
            };
            snapshot.pending.insert(number);
            snapshot.sent += 1;
        }
        for report in self.reports.try_iter().collect::<Vec<_>>() {
            match report {
                DeliveryReport::Saved(number) => {
                    snapshot.pending.remove(&number);
                }
                report => self.take_report(report),
            }
        }
        for failure in std::mem::take(&mut self.failures) {
            if !snapshot.pending.contains(&failure.number) {
                self.failures.push(failure);
            } else if failure.refusal == Refusal::Unauthorized {
                return Err(self.denial());
            } else {
                return Err(KafkaLogError::Refused {
                    topic: self.spec.topic.clone(),
                    reason: failure.reason,
                });
            }
        }
        Ok(snapshot.sent == piece_count && snapshot.pending.is_empty())
    }

    /// Writes the first record of these partitions, and waits until each is acknowledged.
    ///
    /// # Errors
    /// Returns an error if the client does not accept a record, or one is not acknowledged within
    /// 30 s.
    pub fn openings(
        &mut self,
        partitions: impl IntoIterator<Item = u32>,
    ) -> Result<(), KafkaLogError> {
        let opening = Opening {
            partitions: self.spec.partitions,
        };
        let first = self.next;
        for partition in partitions {
            self.buffer.clear();
            encode_opening(opening, &mut self.buffer);
            self.send(partition, RecordKind::Plain)?;
        }
        self.acknowledged_since(first)
    }

    /// Waits until every record from number `first` on is acknowledged.
    ///
    /// A flush of the client ends without an error although deliveries failed, so that their
    /// reports are looked at.
    fn acknowledged_since(&mut self, first: u64) -> Result<(), KafkaLogError> {
        self.producer
            .flush(ACKNOWLEDGE_WAIT)
            .map_err(KafkaLogError::kafka(&self.spec, LogAction::Acknowledge))?;
        match self
            .failures()
            .into_iter()
            .find(|failure| failure.number >= first)
        {
            None => Ok(()),
            Some(failure) if failure.refusal == Refusal::Unauthorized => Err(self.denial()),
            Some(failure) => Err(KafkaLogError::Refused {
                topic: self.spec.topic.clone(),
                reason: failure.reason,
            }),
        }
    }

    /// Queues the buffer as a record in the client, and returns the number of the record.
    ///
    /// It waits while the queue of the client is full. The wait ends, because the client gives up a
    /// record that it cannot deliver within 30 s.
    fn send(&mut self, partition: u32, kind: RecordKind) -> Result<u64, KafkaLogError> {
        loop {
            if let Some(number) = self.try_send(partition, kind)? {
                return Ok(number);
            }
            // A timeout is fine here: the loop tries again.
            self.producer.flush(Duration::from_millis(100)).ok();
        }
    }

    /// Queues the buffer as a record in the client; `None` while the queue is full.
    fn try_send(&mut self, partition: u32, kind: RecordKind) -> Result<Option<u64>, KafkaLogError> {
        let number = self.next;
        let key = RecordKey {
            writer: self.id,
            number,
            partitions: self.spec.partitions,
        }
        .to_bytes();
        let sent = Box::new(SentRecord { number, kind });
        let record = BaseRecord::with_opaque_to(&self.spec.topic, sent)
            .partition(i32::try_from(partition).unwrap_or(i32::MAX))
            .key(&key)
            .payload(&self.buffer);
        match self.producer.send(record) {
            Ok(()) => {
                self.next += 1;
                Ok(Some(number))
            }
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => Ok(None),
            Err((error, _)) if is_too_large(&error) => Err(KafkaLogError::TooLarge {
                topic: self.spec.topic.clone(),
                bytes: self.buffer.len(),
            }),
            Err((error, _)) if is_unauthorized(&error) => Err(self.denial()),
            Err((error, _)) => Err(self
                .fatal_error()
                .unwrap_or_else(|| KafkaLogError::kafka(&self.spec, LogAction::Send)(error))),
        }
    }
}
