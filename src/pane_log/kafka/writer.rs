//! Appends to the topic.

use crossbeam_channel::{Receiver, Sender, unbounded};
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer as _, ProducerContext, ThreadedProducer};
use std::time::Duration;

use super::{KafkaLogError, Key, client_config, partition_of};
use crate::model::PanesTopicSpec;
use crate::pane_log::{Chunk, Opening, encode_chunk, encode_commit, encode_opening};
use crate::panes::Commit;

/// A snapshot is written in pieces of this size: a record of a topic is at most 1 MiB, if nobody raised it.
const CHUNK_BYTES: usize = 512 * 1024;

/// A record that may not be in the log, although it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Its number.
    pub number: u64,
    /// The client's words.
    pub reason: String,
}

struct Deliveries(Sender<Failure>);

impl ClientContext for Deliveries {}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<u64>;

    fn delivery(&self, result: &DeliveryResult<'_>, number: Box<u64>) {
        if let Err((error, _)) = result {
            let reason = error.to_string();
            // Who does not listen any more does not need to know.
            self.0
                .send(Failure {
                    number: *number,
                    reason,
                })
                .ok();
        }
    }
}

/// A writer of the log.
pub struct Writer {
    spec: PanesTopicSpec,
    producer: ThreadedProducer<Deliveries>,
    failures: Receiver<Failure>,
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
    /// A writer with nothing sent yet.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn try_new(spec: &PanesTopicSpec) -> Result<Self, KafkaLogError> {
        let (failed, failures) = unbounded();
        let own = [
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("linger.ms", "5"),
            ("compression.type", "zstd"),
            ("message.timeout.ms", "30000"),
            ("queue.buffering.max.kbytes", "65536"),
            ("message.max.bytes", super::MAX_MESSAGE_BYTES),
        ];
        let producer = client_config(spec, &own)
            .create_with_context(Deliveries(failed))
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

    /// Whose records these are.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The records that may not have been written, since the last call.
    pub fn failures(&self) -> Vec<Failure> {
        self.failures.try_iter().collect()
    }

    /// Sends a commit to its shard's partition; returns its number.
    ///
    /// # Errors
    /// The client does not take it.
    pub fn commit(&mut self, commit: &Commit) -> Result<u64, KafkaLogError> {
        self.buffer.clear();
        encode_commit(commit, &mut self.buffer);
        self.send(partition_of(&commit.shard, &self.spec))
    }

    /// Sends a snapshot and waits until all of it is there.
    ///
    /// # Errors
    /// It is not.
    pub fn snapshot(&mut self, scope: &str, bytes: &[u8]) -> Result<(), KafkaLogError> {
        let pieces: Vec<&[u8]> = bytes.chunks(CHUNK_BYTES).collect();
        let parts = u32::try_from(pieces.len()).unwrap_or(u32::MAX);
        let id = rand::random();
        for (part, piece) in (0..parts).zip(pieces) {
            self.buffer.clear();
            let chunk = Chunk {
                id,
                scope: scope.to_owned(),
                part,
                parts,
                bytes: piece.to_vec(),
            };
            encode_chunk(&chunk, &mut self.buffer);
            self.send(self.spec.snapshots())?;
        }
        self.flush(Duration::from_secs(30))
    }

    /// Sends the first record of a partition.
    ///
    /// # Errors
    /// The client does not take it.
    pub fn opening(&mut self, partition: u32) -> Result<(), KafkaLogError> {
        self.buffer.clear();
        let partitions = self.spec.partitions;
        encode_opening(Opening { partitions }, &mut self.buffer);
        self.send(partition).map(|_| ())
    }

    /// Waits until everything sent has an answer.
    ///
    /// # Errors
    /// It has not within `wait`.
    pub fn flush(&self, wait: Duration) -> Result<(), KafkaLogError> {
        let flushed = self.producer.flush(wait);
        flushed.map_err(KafkaLogError::kafka(
            &self.spec,
            "records were not acknowledged",
        ))
    }

    /// Hands the buffer to the client, which has room sooner or later: what it cannot deliver in 30 s it gives up.
    fn send(&mut self, partition: u32) -> Result<u64, KafkaLogError> {
        let number = self.next;
        self.next += 1;
        let key = Key {
            writer: self.id,
            number,
            partitions: self.spec.partitions,
        };
        let key = key.to_bytes();
        loop {
            let record = BaseRecord::with_opaque_to(&self.spec.topic, Box::new(number))
                .partition(i32::try_from(partition).unwrap_or(i32::MAX))
                .key(&key)
                .payload(&self.buffer);
            match self.producer.send(record) {
                Ok(()) => return Ok(number),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                    // Full until something is delivered or given up.
                    self.producer.flush(Duration::from_millis(100)).ok();
                }
                Err((error, _)) => {
                    return Err(KafkaLogError::kafka(&self.spec, "a record cannot be sent")(
                        error,
                    ));
                }
            }
        }
    }
}
