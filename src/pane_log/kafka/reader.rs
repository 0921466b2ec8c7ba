//! A reader of the topic.
//!
//! It assigns partitions to itself instead of joining a group: every reader reads all records of
//! the partitions it follows, and keeps its own position.

use std::collections::BTreeMap;
use std::sync::Once;
use std::time::{Duration, Instant};

use rdkafka::client::Client;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::{ClientContext, Message as _, Timestamp};
use tracing::{debug, warn};

use super::client::log_client_config;
use super::error::{KafkaLogError, LogAction, TopicOperation, is_unauthorized};
use super::record_key::RecordKey;
use crate::clock;
use crate::kafka::{PRINCIPAL, TopicPartition, at_time, list_offsets};
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

/// The group that librdkafka looks up for every reader, although none joins it.
const GROUP: &str = "pegel-panes-reader";
/// One line about the group is enough, however many readers there are.
static GROUP_DENIAL: Once = Once::new();

/// The pauses before a reader that was denied tries again: the first one, and the longest.
const DENIED_PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// A reader of some partitions of the log.
pub struct Reader {
    spec: PanesTopicSpec,
    consumer: BaseConsumer,
    /// The next record of each partition that it follows.
    followed: BTreeMap<u32, i64>,
    denial: Option<Denial>,
}

/// The brokers deny reading; nothing is assigned until the next attempt.
#[derive(Debug, Clone, Copy)]
struct Denial {
    operation: TopicOperation,
    pause: Duration,
    /// The time of the next attempt; `None` while one runs.
    retry_at: Option<Instant>,
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
            ("group.id", GROUP),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            // Records that retention deletes ahead of a reader are missing from its fold: it must
            // begin at a snapshot again.
            ("auto.offset.reset", "error"),
            ("isolation.level", "read_uncommitted"),
            ("check.crcs", "true"),
            // The sign that reading is allowed again, where there is no new record.
            ("enable.partition.eof", "true"),
            ("fetch.wait.max.ms", "100"),
            ("queued.max.messages.kbytes", "65536"),
        ];
        let consumer = log_client_config(spec, &properties)
            .create()
            .map_err(KafkaLogError::client)?;
        Ok(Reader {
            spec: spec.clone(),
            consumer,
            followed: BTreeMap::new(),
            denial: None,
        })
    }

    /// Returns true if the reader follows the partition.
    #[must_use]
    pub fn follows(&self, partition: u32) -> bool {
        self.followed.contains_key(&partition)
    }

    /// Returns the problem while the brokers deny reading.
    #[must_use]
    pub fn denial(&self) -> Option<KafkaLogError> {
        self.denial
            .map(|denial| KafkaLogError::unauthorized(&self.spec, denial.operation))
    }

    /// Reads a partition from offset `from` on.
    ///
    /// # Errors
    /// Returns an error if the client does not accept the assignment.
    pub fn follow(&mut self, partition: u32, from: i64) -> Result<(), KafkaLogError> {
        self.followed.insert(partition, from);
        if self.denial.is_none_or(|denial| denial.retry_at.is_none()) {
            self.assign([partition])?;
        }
        Ok(())
    }

    /// Assigns partitions at their next records.
    fn assign(&self, partitions: impl IntoIterator<Item = u32>) -> Result<(), KafkaLogError> {
        let mut list = TopicPartitionList::new();
        partitions
            .into_iter()
            .try_for_each(|partition| {
                list.add_partition_offset(
                    &self.spec.topic,
                    kafka_partition(partition),
                    Offset::Offset(self.followed[&partition]),
                )
            })
            .and_then(|()| self.consumer.incremental_assign(&list))
            .map_err(KafkaLogError::kafka(&self.spec, LogAction::Follow))
    }

    /// Stops reading after a denial, until the next attempt.
    ///
    /// librdkafka reports a denial once, and never that it is over. So everything is assigned
    /// again, at growing intervals, and the first record or end of a partition ends the denial.
    fn deny(&mut self, operation: TopicOperation) -> KafkaLogError {
        let (first, longest) = DENIED_PAUSES;
        let pause = self
            .denial
            .map_or(first, |denial| (denial.pause * 2).min(longest));
        let mut list = TopicPartitionList::new();
        for partition in self.followed.keys() {
            list.add_partition(&self.spec.topic, kafka_partition(*partition));
        }
        if let Err(error) = self.consumer.incremental_unassign(&list) {
            debug!(%error, "cannot unassign the partitions of the pane log");
        }
        self.denial = Some(Denial {
            operation,
            pause,
            retry_at: Some(clock::monotonic() + pause),
        });
        KafkaLogError::unauthorized(&self.spec, operation)
    }

    /// Assigns everything again when the pause after a denial is over.
    fn retry_if_due(&mut self) -> Result<(), KafkaLogError> {
        let is_due = |at: Instant| clock::monotonic() >= at;
        if !self
            .denial
            .and_then(|denial| denial.retry_at)
            .is_some_and(is_due)
        {
            return Ok(());
        }
        // Also refreshes what the client knows about the topic.
        if let Some(operation) = denied_operation(self.consumer.client(), &self.spec) {
            self.deny(operation);
            return Ok(());
        }
        if let Some(denial) = &mut self.denial {
            denial.retry_at = None;
        }
        self.assign(self.followed.keys().copied())
    }

    /// Waits at most `wait` for a record, passes the records that are there to `on_entry`, and
    /// returns their number.
    ///
    /// # Errors
    /// Returns an error if retention deleted the next record, or a partition is gone. When brokers
    /// begin to deny reading, it returns [`KafkaLogError::Unauthorized`] once; polling goes on and
    /// reads again when they allow it, see [`Reader::denial`]. A broker that does not answer is not
    /// an error: there are no records then.
    pub fn poll(
        &mut self,
        wait: Duration,
        on_entry: &mut dyn FnMut(Entry<'_>),
    ) -> Result<usize, KafkaLogError> {
        self.retry_if_due()?;
        let (mut wait, mut records) = (wait, 0);
        while records < MAX_RECORDS_PER_POLL {
            let error = match self.consumer.poll(wait) {
                None => break,
                Some(Ok(message)) => {
                    let partition = u32::try_from(message.partition()).unwrap_or(u32::MAX);
                    self.denial = None;
                    self.followed.insert(partition, message.offset() + 1);
                    on_entry(Entry {
                        partition,
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
                    continue;
                }
                Some(Err(error)) => error,
            };
            if matches!(error, KafkaError::PartitionEOF(_)) {
                self.denial = None;
            } else if is_unauthorized(&error) {
                let operation = denied_operation(self.consumer.client(), &self.spec);
                return Err(self.deny(operation.unwrap_or(TopicOperation::Read)));
            } else if error.rdkafka_error_code() == Some(RDKafkaErrorCode::GroupAuthorizationFailed)
            {
                GROUP_DENIAL.call_once(|| {
                    warn!(
                        "not authorized to describe the group {GROUP}: grant Describe on group {GROUP} to {PRINCIPAL}; \
                         nothing is stored in it, but the brokers deny a request per second and reader"
                    );
                });
                break;
            } else if is_lasting(&error) {
                return Err(KafkaLogError::kafka(&self.spec, LogAction::Read)(error));
            } else {
                let topic = &self.spec.topic;
                debug!(topic, %error, "pane log reader error, retrying");
                break;
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
            .map_err(KafkaLogError::kafka(&self.spec, LogAction::ListOffsets))?;
        let mut offsets = BTreeMap::new();
        for (TopicPartition { partition, .. }, offset) in answer {
            let offset =
                offset.map_err(KafkaLogError::kafka(&self.spec, LogAction::ListOffsets))?;
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
        Some(Code::AutoOffsetReset | Code::OffsetOutOfRange | Code::Fatal)
    )
}

/// Returns [`TopicOperation::Describe`] if the brokers deny to describe the topic.
///
/// The request also makes a client forget an earlier denial: otherwise it knows the topic as denied
/// for minutes. Brokers that do not answer deny nothing.
pub(super) fn denied_operation<C: ClientContext>(
    client: &Client<C>,
    spec: &PanesTopicSpec,
) -> Option<TopicOperation> {
    let metadata = client
        .fetch_metadata(Some(&spec.topic), REQUEST_TIMEOUT)
        .ok()?;
    let code = metadata.topics().first()?.error()?;
    (RDKafkaErrorCode::from(code) == RDKafkaErrorCode::TopicAuthorizationFailed)
        .then_some(TopicOperation::Describe)
}
