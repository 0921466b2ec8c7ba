//! Reads partitions of the topic, by plain assignment: every reader reads for itself.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{Message as _, Timestamp};

use super::{KafkaLogError, Key, client_config};
use crate::model::{EventTime, PanesTopicSpec};

/// Records handed on in one go.
const MOST_TOGETHER: usize = 500;
/// How long a request may take.
const REQUEST: Duration = Duration::from_secs(5);

/// A record of the log as it lies there.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    /// Its partition.
    pub partition: u32,
    /// Its position.
    pub offset: i64,
    /// When the broker took it; `None` where the topic keeps the writers' times.
    pub appended_at: Option<EventTime>,
    /// `None` for what no writer of ours wrote.
    pub key: Option<Key>,
    /// Its bytes.
    pub bytes: &'a [u8],
}

/// A reader of the log.
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
    /// A reader that follows nothing yet.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn try_new(spec: &PanesTopicSpec) -> Result<Self, KafkaLogError> {
        let own = [
            // Never used to keep anything: readers know where they are.
            ("group.id", "pegel-panes-reader"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            // What retention took under a reader is missing from its fold: it must begin at a snapshot again.
            ("auto.offset.reset", "error"),
            ("isolation.level", "read_uncommitted"),
            ("check.crcs", "true"),
            ("fetch.wait.max.ms", "100"),
            ("queued.max.messages.kbytes", "65536"),
        ];
        let consumer = client_config(spec, &own)
            .create()
            .map_err(KafkaLogError::client)?;
        Ok(Reader {
            spec: spec.clone(),
            consumer,
            followed: Vec::new(),
        })
    }

    /// Whether a partition is followed.
    #[must_use]
    pub fn follows(&self, partition: u32) -> bool {
        self.followed.contains(&partition)
    }

    /// Reads a partition from a position on.
    ///
    /// # Errors
    /// The client does not take it.
    pub fn follow(&mut self, partition: u32, from: i64) -> Result<(), KafkaLogError> {
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.spec.topic, number(partition), Offset::Offset(from))
            .and_then(|()| self.consumer.incremental_assign(&list))
            .map_err(KafkaLogError::kafka(
                &self.spec,
                "a partition cannot be read",
            ))?;
        self.followed.push(partition);
        Ok(())
    }

    /// Waits at most `wait` for a record and hands on what is there; returns how many.
    ///
    /// # Errors
    /// Retention took what was to be read next, or a partition is gone. That nobody answers is no error: there is nothing then.
    pub fn poll(
        &self,
        wait: Duration,
        take: &mut dyn FnMut(Entry<'_>),
    ) -> Result<usize, KafkaLogError> {
        let (mut wait, mut taken) = (wait, 0);
        while taken < MOST_TOGETHER {
            match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    take(Entry {
                        partition: u32::try_from(message.partition()).unwrap_or(u32::MAX),
                        offset: message.offset(),
                        appended_at: match message.timestamp() {
                            Timestamp::LogAppendTime(at) => Some(EventTime::from_millis(at)),
                            _ => None,
                        },
                        key: message.key().and_then(Key::from_bytes),
                        bytes: message.payload().unwrap_or_default(),
                    });
                    taken += 1;
                    wait = Duration::ZERO;
                }
                Some(Err(error)) if is_lasting(&error) => {
                    return Err(KafkaLogError::kafka(&self.spec, "it cannot be read on")(
                        error,
                    ));
                }
                Some(Err(error)) => {
                    let topic = &self.spec.topic;
                    tracing::debug!(topic, %error, "pane log reader");
                    break;
                }
            }
        }
        Ok(taken)
    }

    /// The oldest record of each partition.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn beginnings(&self) -> Result<BTreeMap<u32, i64>, KafkaLogError> {
        self.listed(0..self.spec.partitions, Offset::Beginning)
    }

    /// The position behind the newest record of these partitions.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn ends(
        &self,
        partitions: impl IntoIterator<Item = u32>,
    ) -> Result<BTreeMap<u32, i64>, KafkaLogError> {
        self.listed(partitions, Offset::End)
    }

    /// The first record of a partition written at or after a time; its end when there is none.
    ///
    /// # Errors
    /// Nobody answers.
    pub fn position_at(&self, partition: u32, time_ms: i64) -> Result<i64, KafkaLogError> {
        let found = self.listed([partition], Offset::Offset(time_ms.max(0)))?;
        match found.get(&partition) {
            Some(position) => Ok(*position),
            None => Ok(self
                .ends([partition])?
                .get(&partition)
                .copied()
                .unwrap_or(0)),
        }
    }

    /// Kafka's ListOffsets for many partitions at once; its special times for the two ends are librdkafka's logical offsets.
    fn listed(
        &self,
        partitions: impl IntoIterator<Item = u32>,
        at: Offset,
    ) -> Result<BTreeMap<u32, i64>, KafkaLogError> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            list.add_partition(&self.spec.topic, number(partition));
        }
        let answer = list
            .set_all_offsets(at)
            .and_then(|()| self.consumer.offsets_for_times(list, REQUEST))
            .map_err(KafkaLogError::kafka(
                &self.spec,
                "no answer about its offsets",
            ))?;
        let mut found = BTreeMap::new();
        for element in answer.elements() {
            let answered = element.error();
            answered.map_err(KafkaLogError::kafka(
                &self.spec,
                "no answer about its offsets",
            ))?;
            if let (Ok(partition), Offset::Offset(offset)) =
                (u32::try_from(element.partition()), element.offset())
            {
                found.insert(partition, offset);
            }
        }
        Ok(found)
    }
}

fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}

/// Whether reading does not go on by itself after an error.
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
