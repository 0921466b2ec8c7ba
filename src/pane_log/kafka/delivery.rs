//! The client that sends records, and its reports of what was delivered.

use crossbeam_channel::Sender;
use rdkafka::ClientContext;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{ProducerContext, ThreadedProducer};

use super::client::{RecordLimit, log_client_config};
use super::error::{KafkaLogError, is_unauthorized};
use crate::model::PanesTopicSpec;

/// A record whose delivery failed; it may be in the log nevertheless.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeliveryFailure {
    /// Number of the record.
    pub number: u64,
    /// Message of the client.
    pub reason: String,
    /// The conclusion about the record.
    pub refusal: Refusal,
}

/// The conclusion from a failed delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The broker accepts no record of this size.
    TooLarge,
    /// The batch was too large. The record may have been in it beside the one to blame.
    BatchTooLarge,
    /// An ACL is missing.
    Unauthorized,
    /// Something else; the same record may be accepted another time.
    Other,
}

impl Refusal {
    fn of(error: &KafkaError, is_single: bool) -> Self {
        if is_unauthorized(error) {
            Refusal::Unauthorized
        } else if !is_too_large(error) {
            Refusal::Other
        } else if is_single {
            Refusal::TooLarge
        } else {
            Refusal::BatchTooLarge
        }
    }
}

/// A delivery report that the writer looks at.
pub(super) enum DeliveryReport {
    Failed(DeliveryFailure),
    /// The record with this number holds a whole schema and was acknowledged.
    Announced(u64),
    /// The record with this number is a piece of a snapshot and was acknowledged.
    Saved(u64),
}

/// Sends the delivery reports to the writer that it looks at.
pub(super) struct DeliveryReports {
    reports: Sender<DeliveryReport>,
    /// True if each record is in a batch of its own.
    is_single: bool,
}

/// The content of a record, as far as its acknowledgement matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordKind {
    /// A commit with a whole schema.
    Announcement,
    /// A piece of a snapshot.
    Piece,
    /// Any other record.
    Plain,
}

/// A record on its way.
pub(super) struct SentRecord {
    pub(super) number: u64,
    pub(super) kind: RecordKind,
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
                refusal: Refusal::of(error, self.is_single),
            }),
            Ok(_) => match sent.kind {
                RecordKind::Announcement => DeliveryReport::Announced(number),
                RecordKind::Piece => DeliveryReport::Saved(number),
                RecordKind::Plain => return,
            },
        };
        // The receiver is gone only when the writer is dropped.
        self.reports.send(report).ok();
    }
}

/// Creates a client that reports deliveries to `reports`.
pub(super) fn producer(
    spec: &PanesTopicSpec,
    limit: RecordLimit,
    is_single: bool,
    reports: &Sender<DeliveryReport>,
) -> Result<ThreadedProducer<DeliveryReports>, KafkaLogError> {
    let largest_record = limit.client_bytes().to_string();
    let mut properties = vec![
        ("enable.idempotence", "true"),
        ("acks", "all"),
        ("linger.ms", "5"),
        ("compression.type", "zstd"),
        ("message.timeout.ms", "30000"),
        ("queue.buffering.max.kbytes", "65536"),
        ("message.max.bytes", &largest_record),
    ];
    if is_single {
        properties.push(("batch.num.messages", "1"));
    }
    let reports = DeliveryReports {
        reports: reports.clone(),
        is_single,
    };
    log_client_config(spec, &properties)
        .create_with_context(reports)
        .map_err(KafkaLogError::client)
}

/// Returns true if the client or the broker accepts no record of this size.
pub(super) fn is_too_large(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::MessageSizeTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A heartbeat in the batch of a commit that was too large was taken for too large itself, and
    /// the process ended: it holds no record, so that it could not be cut smaller.
    #[test]
    fn only_a_record_in_a_batch_of_its_own_is_known_to_be_too_large() {
        let refusal =
            |code, is_single| Refusal::of(&KafkaError::MessageProduction(code), is_single);
        let too_large = RDKafkaErrorCode::MessageSizeTooLarge;
        assert_eq!(refusal(too_large, false), Refusal::BatchTooLarge);
        assert_eq!(refusal(too_large, true), Refusal::TooLarge);
        let invalid = RDKafkaErrorCode::InvalidRecord;
        assert_eq!(refusal(invalid, false), Refusal::Other, "sent again");
        for code in [
            RDKafkaErrorCode::TopicAuthorizationFailed,
            RDKafkaErrorCode::ClusterAuthorizationFailed,
        ] {
            assert_eq!(refusal(code, false), Refusal::Unauthorized, "{code:?}");
        }
    }
}
