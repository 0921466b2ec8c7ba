//! What librdkafka tells us outside the stream of records: errors, statistics and log lines.
//!
//! librdkafka runs these callbacks inside the poll of the thread that owns the source. They only leave a note, which that thread picks up right after
//! the poll: no decision is taken inside a callback. librdkafka can log the same line every 0.3 s for ever (a wrong password does), so of each kind the
//! first one in 30 s is passed on and says how many it stands for.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use tracing::{debug, error, info, warn};

use super::list_offsets::Key;
use crate::clock;

const LOG_EVERY: Duration = Duration::from_secs(30);

/// A note left by a callback.
#[derive(Debug)]
pub(super) enum Event {
    /// An error of the client as a whole.
    Error {
        code: RDKafkaErrorCode,
        reason: String,
    },
    /// The periodic statistics.
    Statistics(Box<Statistics>),
    /// The group gave us these partitions, and no others.
    Assigned(Vec<Key>),
    /// The group takes all partitions away, to give them out anew.
    Revoked,
}

/// The callbacks of one consumer.
#[derive(Debug)]
pub(super) struct CallbackContext {
    source: String,
    inbox: Mutex<Inbox>,
}

#[derive(Debug, Default)]
struct Inbox {
    events: Vec<Event>,
    /// Callbacks so far, log lines included.
    calls: u64,
    /// Per kind of log line: when it was last passed on, and how many were not since.
    lines: BTreeMap<String, (Instant, u64)>,
}

impl CallbackContext {
    pub(super) fn new(source: &str) -> Self {
        CallbackContext {
            source: source.to_owned(),
            inbox: Mutex::default(),
        }
    }

    /// How many callbacks ran so far: a poll that does not raise it found nothing.
    pub(super) fn calls(&self) -> u64 {
        self.with(|inbox| inbox.calls)
    }

    /// Takes the notes.
    pub(super) fn take(&self) -> Vec<Event> {
        self.with(|inbox| std::mem::take(&mut inbox.events))
    }

    fn note(&self, event: Event) {
        self.with(|inbox| {
            inbox.calls += 1;
            inbox.events.push(event);
        });
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inbox) -> T) -> T {
        let mut inbox = self
            .inbox
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        work(&mut inbox)
    }
}

impl Inbox {
    /// Whether a log line of this kind may be passed on, and how many it stands for.
    fn admit(&mut self, kind: &str, now: Instant) -> Option<u64> {
        self.calls += 1;
        match self.lines.get_mut(kind) {
            Some((last, skipped)) if now.duration_since(*last) < LOG_EVERY => {
                *skipped += 1;
                None
            }
            Some(entry) => {
                let skipped = entry.1;
                *entry = (now, 0);
                Some(skipped)
            }
            None => {
                self.lines.insert(kind.to_owned(), (now, 0));
                Some(0)
            }
        }
    }
}

impl ClientContext for CallbackContext {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        let Some(suppressed) = self.with(|inbox| inbox.admit(facility, clock::monotonic())) else {
            return;
        };
        let source = &*self.source;
        match level {
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
        self.note(Event::Statistics(Box::new(statistics)));
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        let reason = reason.to_owned();
        self.note(Event::Error { code, reason });
    }
}

impl ConsumerContext for CallbackContext {
    /// The member of the group reads nothing itself: whatever the group assigns, its own assignment is empty, and the note tells what to read.
    fn rebalance(
        &self,
        member: &BaseConsumer<Self>,
        code: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let answered = if code == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            let elements = partitions.elements();
            let keys = elements
                .iter()
                .map(|element| (element.topic().to_owned(), element.partition()));
            self.note(Event::Assigned(keys.collect()));
            member.assign(&TopicPartitionList::new())
        } else {
            self.note(Event::Revoked);
            member.unassign()
        };
        if let Err(error) = answered {
            let source = &*self.source;
            warn!(source, %error, "the group's assignment was not taken");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_flood_one_line_in_thirty_seconds_passes_and_counts_the_rest() {
        let mut inbox = Inbox::default();
        let start = clock::monotonic();
        let check = |inbox: &mut Inbox, seconds: u64, expected: Option<u64>| {
            let found = inbox.admit("FAIL", start + Duration::from_secs(seconds));
            assert_eq!(found, expected, "a line at {seconds} s");
        };
        check(&mut inbox, 0, Some(0));
        check(&mut inbox, 1, None);
        check(&mut inbox, 29, None);
        check(&mut inbox, 30, Some(2));
        check(&mut inbox, 31, None);
        let other = inbox.admit("CONFWARN", start);
        assert_eq!(other, Some(0), "another kind has its own turn");
    }
}
