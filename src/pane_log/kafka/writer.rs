//! A writer of the topic.
//!
//! Sending only queues a record in the client; delivery is reported later. A commit counts when it
//! was read back and the fold accepted it, so a delivery that failed only tells its sender to start
//! again at the head.

use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, unbounded};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};

use super::client::{MAX_MESSAGE_BYTES, log_client_config};
use super::error::KafkaLogError;
use super::record_key::RecordKey;
use super::routing::partition_of;
use crate::model::PanesTopicSpec;
use crate::pane_log::codec::{Opening, SnapshotChunk, encode_chunk, encode_commit, encode_opening};
use crate::panes::Commit;

/// Size of the pieces in which a snapshot is written: a broker accepts 1 MiB per record unless
/// configured otherwise.
const CHUNK_BYTES: usize = 512 * 1024;

/// A record whose delivery failed; it may be in the log nevertheless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFailure {
    /// Number of the record.
    pub number: u64,
    /// Message of the client.
    pub reason: String,
}

/// Sends the failures among the client's delivery reports to the writer.
struct DeliveryReports(Sender<DeliveryFailure>);

impl ClientContext for DeliveryReports {}

impl ProducerContext for DeliveryReports {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<u64>) {
        if let Err((error, _)) = result {
            let failure = DeliveryFailure {
                number: *number,
                reason: error.to_string(),
            };
            // The receiver is gone only when the writer is dropped.
            self.0.send(failure).ok();
        }
    }
}

/// A writer of commits, snapshots and openings.
pub struct Writer {
    spec: PanesTopicSpec,
    producer: ThreadedProducer<DeliveryReports>,
    failures: Receiver<DeliveryFailure>,
    id: u64,
    next: u64,
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
    /// Creates a writer with a random id.
    ///
    /// # Errors
    /// Returns an error if the client cannot be created.
    pub fn try_new(spec: &PanesTopicSpec) -> Result<Self, KafkaLogError> {
        let (sender, failures) = unbounded();
        let properties = [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("linger.ms", "5"),
            ("compression.type", "zstd"),
            ("message.timeout.ms", "30000"),
            ("queue.buffering.max.kbytes", "65536"),
            ("message.max.bytes", MAX_MESSAGE_BYTES),
        ];
        let producer = log_client_config(spec, &properties)
            .create_with_context(DeliveryReports(sender))
            .map_err(KafkaLogError::client)?;
        Ok(Writer {
            spec: spec.clone(),
            producer,
            failures,
            id: rand::random(),
            next: 0,
            buffer: Vec::new(),
        })
    }

    /// Returns the id that the keys of its records carry.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the deliveries that failed since the last call.
    pub fn failures(&self) -> Vec<DeliveryFailure> {
        self.failures.try_iter().collect()
    }

    /// Sends a commit to the partition of its shard, and returns the number of its record.
    ///
    /// The commit is not acknowledged yet.
    ///
    /// # Errors
    /// Returns an error if the client does not accept the record.
    pub fn commit(&mut self, commit: &Commit) -> Result<u64, KafkaLogError> {
        self.buffer.clear();
        encode_commit(commit, &mut self.buffer);
        self.send(partition_of(&commit.shard, &self.spec))
    }

    /// Sends a snapshot in pieces, and waits until the delivery of each has succeeded or failed.
    ///
    /// Like [`Writer::flush`], it returns `Ok` although a delivery failed. Readers skip a snapshot
    /// with missing pieces.
    ///
    /// # Errors
    /// Returns an error if the client does not accept a piece, or a delivery is not settled within
    /// 30 s.
    pub fn snapshot(&mut self, scope: &str, bytes: &[u8]) -> Result<(), KafkaLogError> {
        let pieces: Vec<&[u8]> = bytes.chunks(CHUNK_BYTES).collect();
        let count = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        let id = rand::random();
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
            self.send(self.spec.snapshots())?;
        }
        self.flush(Duration::from_secs(30))
    }

    /// Sends the first record of a partition.
    ///
    /// The record is not acknowledged yet.
    ///
    /// # Errors
    /// Returns an error if the client does not accept the record.
    pub fn opening(&mut self, partition: u32) -> Result<(), KafkaLogError> {
        let opening = Opening {
            partitions: self.spec.partitions,
        };
        self.buffer.clear();
        encode_opening(opening, &mut self.buffer);
        self.send(partition).map(|_| ())
    }

    /// Waits until the delivery of every record sent has succeeded or failed.
    ///
    /// `Ok` does not mean that the records were written: [`Writer::failures`] returns those whose
    /// delivery failed.
    ///
    /// # Errors
    /// Returns an error if a delivery is not settled within `wait`.
    pub fn flush(&self, wait: Duration) -> Result<(), KafkaLogError> {
        self.producer
            .flush(wait)
            .map_err(KafkaLogError::kafka(&self.spec, "get records acknowledged"))
    }

    /// Queues the buffer as a record in the client, and returns the number of the record.
    ///
    /// It waits while the queue of the client is full. The wait ends, because the client gives up a
    /// record that it cannot deliver within 30 s.
    fn send(&mut self, partition: u32) -> Result<u64, KafkaLogError> {
        let number = self.next;
        self.next += 1;
        let key = RecordKey {
            writer: self.id,
            number,
            partitions: self.spec.partitions,
        }
        .to_bytes();
        loop {
            let record = BaseRecord::with_opaque_to(&self.spec.topic, Box::new(number))
                .partition(i32::try_from(partition).unwrap_or(i32::MAX))
                .key(&key)
                .payload(&self.buffer);
            match self.producer.send(record) {
                Ok(()) => return Ok(number),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    // A timeout is fine here: the loop tries again.
                    self.producer.flush(Duration::from_millis(100)).ok();
                }
                Err((error, _)) => {
                    return Err(KafkaLogError::kafka(&self.spec, "send a record")(error));
                }
            }
        }
    }
}
