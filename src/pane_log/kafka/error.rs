//! Errors of the log in a Kafka topic.

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use crate::kafka::PRINCIPAL;
use crate::model::PanesTopicSpec;
use crate::pane_log::codec::CodecError;

/// The reason why the topic cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KafkaLogError {
    /// The client properties do not fit together.
    #[error("librdkafka cannot make a client: {reason}")]
    Client {
        /// Message of the client.
        reason: String,
    },
    /// No broker answers, or a request was refused; a retry may help.
    #[error("pane log topic {topic}: cannot {action}: {reason}")]
    Kafka {
        /// Name of the topic.
        topic: String,
        /// The operation that failed.
        action: LogAction,
        /// Message of the client, whose error would repeat it as its own cause.
        reason: String,
    },
    /// The broker refused a record; a retry may help.
    #[error("pane log topic {topic}: a record was not written: {reason}")]
    Refused {
        /// Name of the topic.
        topic: String,
        /// Message of the client.
        reason: String,
    },
    /// The topic accepts no record of this size.
    #[error(
        "pane log topic {topic}: a record of {bytes} bytes is larger than its max.message.bytes: raise it, or split the monitors over several sources"
    )]
    TooLarge {
        /// Name of the topic.
        topic: String,
        /// Size of the record, uncompressed.
        bytes: usize,
    },
    /// A partition holds records, but none of them arrives; a retry may help.
    #[error("pane log topic {topic}: no records received from partition {partition}")]
    Silent {
        /// Name of the topic.
        topic: String,
        /// Partition of the log.
        partition: u32,
    },
    /// An ACL is missing or denies an operation; it may be granted while the process runs.
    #[error(
        "not authorized to {} the pane log topic {topic}: grant {} on topic {topic} to {PRINCIPAL}",
        operation.verb(),
        operation.needed()
    )]
    Unauthorized {
        /// Name of the topic.
        topic: String,
        /// The operation that is denied.
        operation: TopicOperation,
    },
    /// The topic does not exist.
    #[error(
        "the pane log topic {topic} does not exist: start once with --create-topics, or run\n  {command}"
    )]
    Missing {
        /// Name of the topic.
        topic: String,
        /// Shell command that creates it.
        command: String,
    },
    /// The topic cannot hold the log.
    #[error("the pane log topic {topic} cannot be used: {problem}")]
    Unfit {
        /// Name of the topic.
        topic: String,
        /// The setting or content that does not fit.
        problem: TopicProblem,
    },
    /// A record was written by another version of the program.
    #[error("pane log topic {topic}: record {offset} of partition {partition} cannot be read")]
    AnotherFormat {
        /// Name of the topic.
        topic: String,
        /// Partition of the record.
        partition: u32,
        /// Offset of the record.
        offset: i64,
        /// Its format, and the one that this program reads.
        source: CodecError,
    },
}

/// A request to the brokers of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogAction {
    /// The topic is looked up.
    FetchMetadata,
    /// The topic is created.
    CreateTopic,
    /// The bounds of partitions are requested.
    ListOffsets,
    /// A partition is assigned to a reader.
    Follow,
    /// Records are read.
    Read,
    /// A record is sent.
    Send,
    /// Records are acknowledged.
    Acknowledge,
}

impl std::fmt::Display for LogAction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            LogAction::FetchMetadata => "fetch its metadata",
            LogAction::CreateTopic => "create the topic",
            LogAction::ListOffsets => "list offsets",
            LogAction::Follow => "start reading a partition",
            LogAction::Read => "read on",
            LogAction::Send => "send a record",
            LogAction::Acknowledge => "get records acknowledged",
        })
    }
}

impl LogAction {
    /// Returns the operation that an ACL must allow.
    const fn operation(self) -> TopicOperation {
        match self {
            LogAction::FetchMetadata | LogAction::ListOffsets | LogAction::Follow => {
                TopicOperation::Describe
            }
            LogAction::CreateTopic => TopicOperation::Create,
            LogAction::Read => TopicOperation::Read,
            LogAction::Send | LogAction::Acknowledge => TopicOperation::Write,
        }
    }
}

/// An operation of Kafka's ACLs on a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicOperation {
    /// Reading metadata and offsets.
    Describe,
    /// Reading records.
    Read,
    /// Writing commits and snapshots.
    Write,
    /// A topic that does not exist.
    Create,
}

impl TopicOperation {
    const fn verb(self) -> &'static str {
        match self {
            TopicOperation::Describe => "describe",
            TopicOperation::Read => "read",
            TopicOperation::Write => "write to",
            TopicOperation::Create => "create",
        }
    }

    /// Returns the operations to grant. An ACL that allows Read or Write allows Describe, so that
    /// whoever may not describe the topic lacks all three.
    const fn needed(self) -> &'static str {
        match self {
            TopicOperation::Describe => "Describe, Read and Write",
            TopicOperation::Read => "Read",
            TopicOperation::Write => "Write",
            TopicOperation::Create => "Create",
        }
    }
}

/// The reason why a topic cannot hold the log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TopicProblem {
    /// The topic has another number of partitions than is configured.
    #[error(
        "it has {actual} partitions and state.panes_partitions is {configured}; the number must never change, because shards are spread by it"
    )]
    PartitionCount {
        /// Partitions of the topic.
        actual: usize,
        /// Partitions in the configuration.
        configured: u32,
    },
    /// The log was started with another number of partitions than is configured.
    #[error(
        "the log was started with {actual} partitions and state.panes_partitions is {configured}; the number must never change"
    )]
    StartedWith {
        /// Partitions at the start of the log.
        actual: u32,
        /// Partitions in the configuration.
        configured: u32,
    },
    /// The first record of a partition was not written by pegel.
    #[error("the first record of partition {partition} was not written by pegel")]
    ForeignRecord {
        /// Partition of the record.
        partition: u32,
    },
    /// The topic is compacted.
    #[error(
        "its cleanup.policy is {policy}: compaction would remove commits, only delete is accepted"
    )]
    Compacted {
        /// The cleanup policy.
        policy: String,
    },
    /// The topic deletes commits that windows still need.
    #[error(
        "its retention.ms is {retention_ms}, shorter than the longest window ({longest_window_ms} ms)"
    )]
    ShortRetention {
        /// Retention of the topic in milliseconds.
        retention_ms: i128,
        /// Longest window of any monitor in milliseconds.
        longest_window_ms: u128,
    },
    /// The topic does not accept the counts of a single record.
    #[error(
        "its max.message.bytes is {limit}, and the counts of one record take about {needed} bytes ({features} features of source {source_name}): raise it, or split the monitors over several sources"
    )]
    SmallRecords {
        /// Largest record of the topic in bytes.
        limit: usize,
        /// Estimated size of the counts of one record.
        needed: usize,
        /// Number of features of the source.
        features: usize,
        /// The source with the most features.
        source_name: String,
    },
}

impl KafkaLogError {
    /// Converts an error of creating a client.
    pub(super) fn client(error: KafkaError) -> Self {
        let reason = match error {
            KafkaError::ClientCreation(reason) => reason,
            error => error.to_string(),
        };
        KafkaLogError::Client { reason }
    }

    /// Returns a function that adds topic and action to an error of the client.
    pub(super) fn kafka(
        spec: &PanesTopicSpec,
        action: LogAction,
    ) -> impl FnOnce(KafkaError) -> KafkaLogError + use<'_> {
        move |error| {
            if is_unauthorized(&error) {
                return KafkaLogError::unauthorized(spec, action.operation());
            }
            KafkaLogError::Kafka {
                topic: spec.topic.clone(),
                action,
                reason: error.to_string(),
            }
        }
    }

    /// Returns an error about an operation that the brokers deny.
    pub(super) fn unauthorized(spec: &PanesTopicSpec, operation: TopicOperation) -> Self {
        KafkaLogError::Unauthorized {
            topic: spec.topic.clone(),
            operation,
        }
    }

    /// Returns an error about a topic that cannot hold the log.
    pub(super) fn unfit(spec: &PanesTopicSpec, problem: TopicProblem) -> Self {
        KafkaLogError::Unfit {
            topic: spec.topic.clone(),
            problem,
        }
    }

    /// Returns true if a reader or a writer that runs should wait until an ACL is granted.
    #[must_use]
    pub fn is_unauthorized(&self) -> bool {
        matches!(self, KafkaLogError::Unauthorized { .. })
    }

    /// Returns true if a retry may help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        matches!(
            self,
            KafkaLogError::Kafka { .. }
                | KafkaLogError::Refused { .. }
                | KafkaLogError::Silent { .. }
                | KafkaLogError::Unauthorized { .. }
        )
    }
}

/// Returns true if the brokers deny an operation on the topic.
///
/// An idempotent producer without the right to write to any topic gets the code of the cluster.
pub(super) fn is_unauthorized(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
        )
    )
}
