//! librdkafka's callbacks: errors, statistics, log lines, and assignments of the consumer group.
//!
//! librdkafka runs a callback inside a poll of the thread that owns the source. A callback only
//! stores an event, which the thread takes after the poll, so no decision is made inside a
//! callback. librdkafka can repeat a log line every 0.3 s without end (a wrong password does), so
//! of each kind of line one in 30 s is logged, with the number of suppressed lines.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use tracing::{debug, error, info, warn};

use crate::clock;
use crate::kafka::TopicPartition;

/// The shortest time between two logged lines of one kind.
const LOG_INTERVAL: Duration = Duration::from_secs(30);
/// The most callbacks served in one go, so that a flood of them cannot delay records.
const MAX_CALLBACKS: u64 = 256;

/// An event that a callback stored.
#[derive(Debug)]
pub(super) enum CallbackEvent {
    /// An error of the client as a whole.
    Error {
        code: RDKafkaErrorCode,
        reason: String,
    },
    /// The periodic statistics.
    Statistics(Box<Statistics>),
    /// The group assigned exactly these partitions to this member.
    Assigned(Vec<TopicPartition>),
    /// The group revoked all partitions, to assign them again.
    Revoked,
    /// The member of the group failed.
    MemberError(RDKafkaErrorCode),
}

/// The callbacks of one consumer.
#[derive(Debug)]
pub(super) struct CallbackContext {
    source: String,
    inbox: Mutex<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    events: Vec<CallbackEvent>,
    /// The number of callbacks so far, log lines included.
    calls: u64,
    /// By kind of log line: the time of the last logged one, and the lines suppressed since.
    lines: BTreeMap<String, (Instant, u64)>,
}

impl CallbackContext {
    pub(super) fn new(source: &str) -> Self {
        CallbackContext {
            source: source.to_owned(),
            inbox: Mutex::default(),
        }
    }

    /// Takes the stored events.
    pub(super) fn take_events(&self) -> Vec<CallbackEvent> {
        self.with_inbox(|inbox| std::mem::take(&mut inbox.events))
    }

    fn calls(&self) -> u64 {
        self.with_inbox(|inbox| inbox.calls)
    }

    fn store(&self, event: CallbackEvent) {
        self.with_inbox(|inbox| {
            inbox.calls += 1;
            inbox.events.push(event);
        });
    }

    fn with_inbox<T>(&self, work: impl FnOnce(&mut Inbox) -> T) -> T {
        let mut inbox = self.inbox.lock().unwrap_or_else(PoisonError::into_inner);
        work(&mut inbox)
    }
}

impl Inbox {
    /// Counts a log line; returns the number of lines suppressed before it if it may be logged.
    fn admit_line(&mut self, kind: &str, now: Instant) -> Option<u64> {
        self.calls += 1;
        match self.lines.get_mut(kind) {
            Some((last, suppressed)) if now.duration_since(*last) < LOG_INTERVAL => {
                *suppressed += 1;
                None
            }
            Some(entry) => {
                let suppressed = entry.1;
                *entry = (now, 0);
                Some(suppressed)
            }
            None => {
                self.lines.insert(kind.to_owned(), (now, 0));
                Some(0)
            }
        }
    }
}

/// The level at which a line of librdkafka is logged.
///
/// A failed assignment is logged by librdkafka in case its caller ignores the error. Here none
/// does, and a partition that is gone before it is unassigned is not a problem.
fn logged_level(level: RDKafkaLogLevel, facility: &str) -> RDKafkaLogLevel {
    match facility {
        "ASSIGN" => RDKafkaLogLevel::Debug,
        _ => level,
    }
}

impl ClientContext for CallbackContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        let now = clock::monotonic();
        let Some(suppressed) = self.with_inbox(|inbox| inbox.admit_line(facility, now)) else {
            return;
        };
        let source = &*self.source;
        match logged_level(level, facility) {
            RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
                error!(source, facility, suppressed, "librdkafka: {line}");
            }
            RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
                warn!(source, facility, suppressed, "librdkafka: {line}");
            }
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                info!(source, facility, suppressed, "librdkafka: {line}");
            }
            RDKafkaLogLevel::Debug => {
                debug!(source, facility, suppressed, "librdkafka: {line}");
            }
        }
    }

    fn stats(&self, statistics: Statistics) {
        self.store(CallbackEvent::Statistics(Box::new(statistics)));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.store(CallbackEvent::Error {
            code: error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail),
            reason: reason.to_owned(),
        });
    }
}

impl ConsumerContext for CallbackContext {
    /// Stores the assignment as an event. The member of the group reads nothing itself, so its own
    /// assignment stays empty whatever the group assigns.
    fn rebalance(
        &self,
        member: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let outcome = if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let assigned = partitions
                .elements()
                .iter()
                .map(|element| TopicPartition::new(element.topic(), element.partition()))
                .collect();
            self.store(CallbackEvent::Assigned(assigned));
            member.assign(&TopicPartitionList::new())
        } else {
            self.store(CallbackEvent::Revoked);
            member.unassign()
        };
        if let Err(error) = outcome {
            let source = &*self.source;
            warn!(source, %error, "cannot answer the rebalance of the consumer group");
        }
    }
}

/// Polls a client until no callback is due; a poll serves one callback.
///
/// Records do not arrive this way while their partitions are forwarded; one that does is passed to
/// `stray`. Returns the last error.
pub(super) fn serve_callbacks(
    client: &BaseConsumer<CallbackContext>,
    stray: &mut dyn FnMut(&BorrowedMessage<'_>),
) -> Option<RDKafkaErrorCode> {
    let mut code = None;
    for _ in 0..MAX_CALLBACKS {
        let calls_before = client.context().calls();
        match client.poll(Duration::ZERO) {
            Some(Ok(message)) => stray(&message),
            Some(Err(error)) => code = error.rdkafka_error_code().or(code),
            None => {}
        }
        if client.context().calls() == calls_before {
            break;
        }
    }
    code
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "Can't subtract from empty assignment" was a warning each time a topic was deleted.
    #[test]
    fn a_failed_assignment_is_left_to_its_caller() {
        let warning = RDKafkaLogLevel::Warning;
        let is_debug =
            |facility: &str| matches!(logged_level(warning, facility), RDKafkaLogLevel::Debug);
        assert!(is_debug("ASSIGN"), "the caller has the error");
        assert!(!is_debug("FAIL"), "nobody else has this one");
    }

    #[test]
    fn of_a_flood_one_line_in_thirty_seconds_is_logged_with_the_number_of_the_rest() {
        let mut inbox = Inbox::default();
        let start = clock::monotonic();
        let check = |inbox: &mut Inbox, seconds: u64, expected: Option<u64>| {
            let suppressed = inbox.admit_line("FAIL", start + Duration::from_secs(seconds));
            assert_eq!(suppressed, expected, "a line at {seconds} s");
        };
        check(&mut inbox, 0, Some(0));
        check(&mut inbox, 1, None);
        check(&mut inbox, 29, None);
        check(&mut inbox, 30, Some(2));
        check(&mut inbox, 31, None);
        let suppressed = inbox.admit_line("CONFWARN", start);
        assert_eq!(suppressed, Some(0), "another kind has a limit of its own");
    }
}
