//! A reader of the topic.
//!
//! It assigns partitions to itself instead of joining a group: every reader reads all records of
//! the partitions it follows, and keeps its own position.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{Message as _, Timestamp};

use super::client::log_client_config;
use super::error::KafkaLogError;
use super::record_key::RecordKey;
use crate::kafka::{TopicPartition, at_time, list_offsets};
use crate::model::{EventTime, PanesTopicSpec};

/// Wait of one poll while records that exist are read.
pub(super) const POLL_WAIT: Duration = Duration::from_millis(250);
/// Polls in a row without a record, after which a partition is reported as silent: 10 s.
pub(super) const MAX_EMPTY_POLLS: u32 = 40;

/// Records handed over in one poll.
const MAX_RECORDS_PER_POLL: usize = 500;
/// Timeout of a request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);

/// A record of the topic.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Partition of the record.
    pub partition: u32,
    /// Offset of the record.
    pub offset: i64,
    /// Time of the broker when it appended the record; `None` if the topic keeps the writers'
    /// times.
    pub appended_at: Option<EventTime>,
    /// Key of the record; `None` if pegel did not write it.
    pub key: Option<RecordKey>,
    /// Payload of the record.
    pub bytes: &'a [u8],
}

/// A reader of some partitions of the log.
pub struct Reader {
    spec: PanesTopicSpec,
    consumer: BaseConsumer,
    followed: Vec<u32>,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("followed", &self.followed)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Creates a reader that follows no partition yet.
    ///
    /// # Errors
    /// Returns an error if the client cannot be created.
    pub fn try_new(spec: &PanesTopicSpec) -> Result<Self, KafkaLogError> {
        let properties = [
            // Required by librdkafka; nothing is stored in the group.
            ("group.id", "pegel-panes-reader"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            // Records that retention deletes ahead of a reader are missing from its fold: it must
            // begin at a snapshot again.
            ("auto.offset.reset", "error"),
            ("isolation.level", "read_uncommitted"),
            ("check.crcs", "true"),
            ("fetch.wait.max.ms", "100"),
            ("queued.max.messages.kbytes", "65536"),
        ];
        let consumer = log_client_config(spec, &properties)
            .create()
            .map_err(KafkaLogError::client)?;
        Ok(Reader {
            spec: spec.clone(),
            consumer,
            followed: Vec::new(),
        })
    }

    /// Returns true if the reader follows the partition.
    #[must_use]
    pub fn follows(&self, partition: u32) -> bool {
        self.followed.contains(&partition)
    }

    /// Reads a partition from offset `from` on.
    ///
    /// # Errors
    /// Returns an error if the client does not accept the assignment.
    pub fn follow(&mut self, partition: u32, from: i64) -> Result<(), KafkaLogError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(
            &self.spec.topic,
            kafka_partition(partition),
            Offset::Offset(from),
        )
        .and_then(|()| self.consumer.incremental_assign(&list))
        .map_err(KafkaLogError::kafka(
            &self.spec,
            "start reading a partition",
        ))?;
        self.followed.push(partition);
        Ok(())
    }

    /// Waits at most `wait` for a record, passes the records that are there to `on_entry`, and
    /// returns their number.
    ///
    /// # Errors
    /// Returns an error if retention deleted the next record, or a partition is gone. A broker that
    /// does not answer is not an error: there are no records then.
    pub fn poll(
        &self,
        wait: Duration,
        on_entry: &mut dyn FnMut(Entry<'_>),
    ) -> Result<usize, KafkaLogError> {
        let (mut wait, mut records) = (wait, 0);
        while records < MAX_RECORDS_PER_POLL {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    on_entry(Entry {
                        partition: u32::try_from(message.partition()).unwrap_or(u32::MAX),
                        offset: message.offset(),
                        appended_at: match message.timestamp() {
                            Timestamp::LogAppendTime(at) => Some(EventTime::from_millis(at)),
                            _ => None,
                        },
                        key: message.key().and_then(RecordKey::from_bytes),
                        bytes: message.payload().unwrap_or_default(),
                    });
                    records += 1;
                    wait = Duration::ZERO;
                }
                Some(Err(error)) if is_lasting(&error) => {
                    return Err(KafkaLogError::kafka(&self.spec, "read on")(error));
                }
                Some(Err(error)) => {
                    let topic = &self.spec.topic;
                    tracing::debug!(topic, %error, "pane log reader error, retrying");
                    break;
                }
            }
        }
        Ok(records)
    }

    /// Returns the offset of the oldest record of each partition.
    ///
    /// # Errors
    /// Returns an error if a broker does not answer.
    pub fn beginnings(&self) -> Result<BTreeMap<u32, i64>, KafkaLogError> {
        self.request_offsets(0..self.spec.partitions, Offset::Beginning)
    }

    /// Returns the offset after the newest record of these partitions.
    ///
    /// # Errors
    /// Returns an error if a broker does not answer.
    pub fn ends(
        &self,
        partitions: impl IntoIterator<Item = u32>,
    ) -> Result<BTreeMap<u32, i64>, KafkaLogError> {
        self.request_offsets(partitions, Offset::End)
    }

    /// Returns the offset of the first record written at or after a time, or the end if there is
    /// none.
    ///
    /// # Errors
    /// Returns an error if a broker does not answer.
    pub fn position_at(&self, partition: u32, time_ms: i64) -> Result<i64, KafkaLogError> {
        let time = EventTime::from_millis(time_ms);
        let offsets = self.request_offsets([partition], at_time(time))?;
        match offsets.get(&partition) {
            Some(offset) => Ok(*offset),
            None => Ok(self
                .ends([partition])?
                .get(&partition)
                .copied()
                .unwrap_or(0)),
        }
    }

    /// Requests the offsets of many partitions at once, as [`list_offsets`] does.
    ///
    /// A partition without a record at or after the time is left out. The first partition whose
    /// leader does not answer fails the request.
    fn request_offsets(
        &self,
        partitions: impl IntoIterator<Item = u32>,
        at: Offset,
    ) -> Result<BTreeMap<u32, i64>, KafkaLogError> {
        let topic_partitions: Vec<TopicPartition> = partitions
            .into_iter()
            .map(|partition| TopicPartition::new(&self.spec.topic, kafka_partition(partition)))
            .collect();
        let answer = list_offsets(&self.consumer, &topic_partitions, at, REQUEST_TIMEOUT)
            .map_err(KafkaLogError::kafka(&self.spec, "list offsets"))?;
        let mut offsets = BTreeMap::new();
        for (TopicPartition { partition, .. }, offset) in answer {
            let offset = offset.map_err(KafkaLogError::kafka(&self.spec, "list offsets"))?;
            if let (Ok(partition), Some(offset)) = (u32::try_from(partition), offset) {
                offsets.insert(partition, offset);
            }
        }
        Ok(offsets)
    }
}

fn kafka_partition(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// Returns true if the client does not recover from the error by itself.
fn is_lasting(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::AutoOffsetReset
                | Code::OffsetOutOfRange
                | Code::Fatal
                | Code::TopicAuthorizationFailed
        )
    )
}
