//! A writer of the topic.
//!
//! Sending only queues a record in the client; delivery is reported later. A commit counts when it
//! was read back and the fold accepted it, so a delivery that failed only tells its sender to start
//! again at the head.

use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, unbounded};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use super::announcements::Announcements;
use super::client::{RecordLimit, log_client_config};
use super::error::KafkaLogError;
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

/// A record whose delivery failed; it may be in the log nevertheless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFailure {
    /// Number of the record.
    pub number: u64,
    /// Message of the client.
    pub reason: String,
    /// True if the broker accepts no record of this size.
    pub is_too_large: bool,
}

/// A delivery report that the writer looks at.
enum DeliveryReport {
    Failed(DeliveryFailure),
    /// The record with this number holds a whole schema and was acknowledged.
    Announced(u64),
}

/// Sends the delivery reports to the writer that it looks at.
struct DeliveryReports(Sender<DeliveryReport>);

/// A record on its way.
struct SentRecord {
    number: u64,
    /// True if it holds a whole schema.
    announces: bool,
}

impl ClientContext for DeliveryReports {}

impl ProducerContext for DeliveryReports {
    type DeliveryOpaque = Box<SentRecord>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Box<SentRecord>) {
        let number = sent.number;
        let report = match result {
            Err((error, _)) => DeliveryReport::Failed(DeliveryFailure {
                number,
                reason: error.to_string(),
                is_too_large: is_too_large(error),
            }),
            Ok(_) if sent.announces => DeliveryReport::Announced(number),
            Ok(_) => return,
        };
        // The receiver is gone only when the writer is dropped.
        self.0.send(report).ok();
    }
}

/// A writer of commits, snapshots and openings.
pub struct Writer {
    spec: PanesTopicSpec,
    producer: ThreadedProducer<DeliveryReports>,
    reports: Receiver<DeliveryReport>,
    failures: Vec<DeliveryFailure>,
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
        let (sender, reports) = unbounded();
        let largest_record = limit.client_bytes().to_string();
        let properties = [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("linger.ms", "5"),
            ("compression.type", "zstd"),
            ("message.timeout.ms", "30000"),
            ("queue.buffering.max.kbytes", "65536"),
            ("message.max.bytes", &largest_record),
        ];
        let producer = log_client_config(spec, &properties)
            .create_with_context(DeliveryReports(sender))
            .map_err(KafkaLogError::client)?;
        Ok(Writer {
            spec: spec.clone(),
            producer,
            reports,
            failures: Vec::new(),
            announcements: Announcements::default(),
            schema_ids: SchemaIds::default(),
            id: rand::random(),
            next: 0,
            chunk_bytes: CHUNK_BYTES.min(limit.bytes() / 2),
            buffer: Vec::new(),
        })
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
        for report in self.reports.try_iter() {
            match report {
                DeliveryReport::Announced(number) => self.announcements.acknowledge(number),
                DeliveryReport::Failed(failure) => {
                    self.announcements.forget(failure.number);
                    self.failures.push(failure);
                }
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
            return self.send(partition, false);
        }
        let schema = self.schema_ids.of(&commit.counted);
        if self.announcements.are_fresh(partition, schema, now) {
            encode_commit_by_id(commit, schema, &mut self.buffer);
            return self.send(partition, false);
        }
        encode_commit(commit, &mut self.buffer);
        let number = self.send(partition, true)?;
        self.announcements.begin(number, partition, schema, now);
        Ok(number)
    }

    /// Writes a snapshot in pieces, and waits until each is acknowledged.
    ///
    /// # Errors
    /// Returns an error if the client does not accept a piece, or one is not acknowledged within
    /// 30 s. Readers skip the snapshot then.
    pub fn snapshot(&mut self, scope: &str, bytes: &[u8]) -> Result<(), KafkaLogError> {
        let pieces: Vec<&[u8]> = bytes.chunks(self.chunk_bytes).collect();
        let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        let id = rand::random();
        let first = self.next;
        for (part, piece) in (0..count).zip(pieces) {
            let chunk = SnapshotChunk {
                id,
                scope: scope.to_owned(),
                part,
                parts: count,
                bytes: piece.to_vec(),
            };
            self.buffer.clear();
            encode_chunk(&chunk, &mut self.buffer);
            self.send(self.spec.snapshots(), false)?;
        }
        self.acknowledged_since(first)
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
            self.send(partition, false)?;
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
            .map_err(KafkaLogError::kafka(&self.spec, "get records acknowledged"))?;
        refused(self.failures(), first, &self.spec.topic)
    }

    /// Queues the buffer as a record in the client, and returns the number of the record.
    ///
    /// It waits while the queue of the client is full. The wait ends, because the client gives up a
    /// record that it cannot deliver within 30 s.
    fn send(&mut self, partition: u32, announces: bool) -> Result<u64, KafkaLogError> {
        let number = self.next;
        self.next += 1;
        let key = RecordKey {
            writer: self.id,
            number,
            partitions: self.spec.partitions,
        }
        .to_bytes();
        loop {
            let record = BaseRecord::with_opaque_to(
                &self.spec.topic,
                Box::new(SentRecord { number, announces }),
            )
            .partition(i32::try_from(partition).unwrap_or(i32::MAX))
            .key(&key)
            .payload(&self.buffer);
            match self.producer.send(record) {
                Ok(()) => return Ok(number),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    // A timeout is fine here: the loop tries again.
                    self.producer.flush(Duration::from_millis(100)).ok();
                }
                Err((error, _)) if is_too_large(&error) => {
                    return Err(KafkaLogError::TooLarge {
                        topic: self.spec.topic.clone(),
                        bytes: self.buffer.len(),
                    });
                }
                Err((error, _)) => {
                    return Err(KafkaLogError::kafka(&self.spec, "send a record")(error));
                }
            }
        }
    }
}

/// Returns an error if one of these failures is of a record from number `first` on.
fn refused(failures: Vec<DeliveryFailure>, first: u64, topic: &str) -> Result<(), KafkaLogError> {
    match failures.into_iter().find(|failure| failure.number >= first) {
        None => Ok(()),
        Some(DeliveryFailure { reason, .. }) => Err(KafkaLogError::Refused {
            topic: topic.to_owned(),
            reason,
        }),
    }
}

/// Returns true if the client or the broker accepts no record of this size.
fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A snapshot that the broker refused was logged as written, and the next start began at an
    /// old one.
    #[test]
    fn a_piece_that_was_refused_is_an_error_and_an_older_failure_is_not() {
        let failure = |number| DeliveryFailure {
            number,
            reason: "Broker: Message size too large".to_owned(),
            is_too_large: true,
        };
        let written = refused(vec![failure(3)], 4, "panes");
        assert!(written.is_ok(), "all pieces were acknowledged");
        let problem = refused(vec![failure(3), failure(4)], 4, "panes").unwrap_err();
        assert_eq!(
            problem.to_string(),
            "pane log topic panes: a record was not written: Broker: Message size too large"
        );
        assert!(problem.is_transient(), "it is written again");
    }
}
