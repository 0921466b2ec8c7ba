//! The state of the connection to Kafka, and its problems in one line an operator can act on.
//!
//! librdkafka repeats an error for as long as it lasts. Here errors become states that begin and
//! end, so that the report shows what is wrong now and the log shows only changes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use tracing::{info, warn};

use super::error_code::{code_name, error_words, is_unanswered};
use crate::kafka::{PRINCIPAL, TopicPartition};

/// The time after the start in which a missing connection is not a problem yet.
///
/// A client tries the addresses of a name one after the other, and reports that all brokers are
/// down when the first one is refused: `localhost` is `::1` before it is `127.0.0.1`. A connection
/// may also take longer than the first statistics.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// The thing a problem concerns. Of several problems, the report shows the one whose scope comes
/// first in this order.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ProblemScope {
    Cluster,
    Topic(String),
    /// The records of a topic, which may be denied although the topic is described.
    Records(String),
    Leader(i32),
    Group(String),
    Heads,
    Partition(TopicPartition),
    /// The commits of the group.
    Commit(String),
}

impl ProblemScope {
    /// Describes an error code of `rd_kafka_resp_err_t` in this scope.
    pub(super) fn describe(&self, code: i32) -> String {
        use RDKafkaErrorCode as Code;
        let is = |candidate: Code| candidate as i32 == code;
        let words = error_words(code);
        match self {
            ProblemScope::Topic(topic) if is(Code::UnknownTopicOrPartition) => {
                format!("topic {topic} does not exist yet")
            }
            ProblemScope::Topic(topic) if is(Code::TopicAuthorizationFailed) => {
                format!(
                    "not authorized to describe the topic {topic}: grant Describe and Read on topic {topic} to {PRINCIPAL}"
                )
            }
            ProblemScope::Records(topic) => {
                format!(
                    "not authorized to read the topic {topic}: grant Read on topic {topic} to {PRINCIPAL}"
                )
            }
            ProblemScope::Topic(topic) if is(Code::InvalidTopic) => {
                format!("{topic} is not a legal topic name")
            }
            ProblemScope::Topic(topic) => format!("topic {topic}: {words}"),
            ProblemScope::Leader(leader) => format!("broker {leader}: {words}"),
            ProblemScope::Group(group) | ProblemScope::Commit(group)
                if is(Code::GroupAuthorizationFailed) =>
            {
                format!(
                    "not authorized to use the consumer group {group}: grant Read on group {group} to {PRINCIPAL}"
                )
            }
            ProblemScope::Group(group) => {
                format!("the offsets of the consumer group {group} cannot be read: {words}")
            }
            ProblemScope::Commit(group) => {
                format!("offsets cannot be committed to the consumer group {group}: {words}")
            }
            ProblemScope::Cluster => {
                "the brokers report no cluster id, Kafka 0.10.1 or newer is needed".to_owned()
            }
            ProblemScope::Heads => format!("the pane log cannot be read: {words}"),
            ProblemScope::Partition(partition) => format!("{partition}: {words}"),
        }
    }
}

/// A failed request to a broker, with the thing it was about.
#[derive(Debug)]
pub(super) struct RequestError {
    pub(super) scope: ProblemScope,
    pub(super) error: KafkaError,
}

impl RequestError {
    /// Adds a scope to an error, for `map_err`.
    pub(super) fn in_scope(scope: ProblemScope) -> impl FnOnce(KafkaError) -> RequestError {
        move |error| RequestError { scope, error }
    }

    /// Adds the topic of these partitions as the scope; a request names only one of its topics.
    pub(super) fn in_topic_of(
        partitions: &[TopicPartition],
    ) -> impl FnOnce(KafkaError) -> RequestError {
        Self::in_scope(ProblemScope::Topic(partitions[0].topic.clone()))
    }

    /// An error about a topic that a broker reported inside of an answer.
    pub(super) fn of_topic(topic: &str, code: RDKafkaErrorCode) -> Self {
        RequestError {
            scope: ProblemScope::Topic(topic.to_owned()),
            error: KafkaError::MetadataFetch(code),
        }
    }
}

/// The state of the connection.
#[derive(Debug)]
pub(super) struct Health {
    source: String,
    brokers: String,
    started_at: Instant,
    /// True once a broker answered, or sent records.
    has_answered: bool,
    /// Requests are answered, or records arrive.
    up: bool,
    /// A connection is open, whether or not a broker answers on it.
    connected: bool,
    /// The number of consecutive requests without an answer.
    unanswered: u32,
    /// The last error of the client while there is no connection.
    reason: Option<(RDKafkaErrorCode, String)>,
    problems: BTreeMap<ProblemScope, String>,
    /// The number of consecutive requests that each leader left without an answer.
    silent_leaders: BTreeMap<i32, u32>,
    errors: BTreeMap<String, u64>,
    /// The problem that was logged last.
    logged: Option<String>,
}

impl Health {
    pub(super) fn new(source: &str, brokers: &[String], now: Instant) -> Self {
        Health {
            source: source.to_owned(),
            brokers: brokers.join(","),
            started_at: now,
            has_answered: false,
            up: false,
            connected: false,
            unanswered: 0,
            reason: None,
            problems: BTreeMap::new(),
            silent_leaders: BTreeMap::new(),
            errors: BTreeMap::new(),
            logged: None,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.up
    }

    pub(super) fn is_connected(&self) -> bool {
        self.connected
    }

    /// The number of errors by the name of their code.
    pub(super) fn errors(&self) -> &BTreeMap<String, u64> {
        &self.errors
    }

    pub(super) fn count_error(&mut self, code: i32) {
        *self.errors.entry(code_name(code)).or_default() += 1;
    }

    /// A broker answered, or sent records.
    pub(super) fn answered(&mut self) {
        self.up = true;
        self.has_answered = true;
        self.connected = true;
        self.unanswered = 0;
        self.reason = None;
    }

    /// A connection is open; returns `true` if there was none before.
    ///
    /// The source is not up yet: a broker may accept connections and answer nothing.
    pub(super) fn connected(&mut self) -> bool {
        self.reason = None;
        !std::mem::replace(&mut self.connected, true)
    }

    /// The last connection was lost.
    pub(super) fn disconnected(&mut self) {
        self.up = false;
        self.connected = false;
        self.unanswered = self.unanswered.max(1);
    }

    /// Records an error of the client as a whole; returns `true` if the last connection was lost.
    pub(super) fn client_error(&mut self, code: RDKafkaErrorCode, reason: &str) -> bool {
        self.count_error(code as i32);
        if code == RDKafkaErrorCode::AllBrokersDown {
            self.disconnected();
            return true;
        }
        self.reason = Some((code, short_reason(reason).to_owned()));
        false
    }

    /// Records a failed request; returns `true` if no broker answered it.
    pub(super) fn request_failed(&mut self, RequestError { scope, error }: RequestError) -> bool {
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        self.count_error(code as i32);
        if !is_unanswered(code as i32) {
            let problem = scope.describe(code as i32);
            self.set_problem(scope, Some(problem));
            return false;
        }
        self.unanswered += 1;
        // One late answer is not an outage.
        if self.unanswered > 1 {
            self.up = false;
        }
        true
    }

    /// A leader answered. Without a connection, the answer waited since before its loss.
    pub(super) fn leader_answered(&mut self, leader: i32) {
        if self.connected {
            self.answered();
        }
        self.silent_leaders.remove(&leader);
        self.problems.remove(&ProblemScope::Leader(leader));
    }

    /// A leader did not answer a request about these partitions; the second time in a row is a
    /// problem.
    pub(super) fn leader_silent(&mut self, leader: i32, partitions: &[TopicPartition]) {
        let count = self.silent_leaders.entry(leader).or_default();
        *count += 1;
        let Some(first) = partitions.first().filter(|_| *count > 1) else {
            return;
        };
        let others = match partitions.len() - 1 {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let problem = format!("broker {leader} does not answer, it leads {first}{others}");
        self.set_problem(ProblemScope::Leader(leader), Some(problem));
    }

    /// Ends the problems of leaders that are not asked any more.
    pub(super) fn retain_leaders(&mut self, is_asked: impl Fn(i32) -> bool) {
        self.silent_leaders.retain(|leader, _| is_asked(*leader));
        self.problems.retain(
            |scope, _| !matches!(scope, ProblemScope::Leader(leader) if !is_asked(*leader)),
        );
    }

    /// True while a scope has a problem.
    pub(super) fn has_problem(&self, scope: &ProblemScope) -> bool {
        self.problems.contains_key(scope)
    }

    /// Begins or changes the problem of a scope; `None` ends it.
    pub(super) fn set_problem(&mut self, scope: ProblemScope, problem: Option<String>) {
        match problem {
            Some(problem) => {
                self.problems.insert(scope, problem);
            }
            None => {
                self.problems.remove(&scope);
            }
        }
    }

    /// The current problem in one line; `None` if the source works, or was not tried yet.
    pub(super) fn problem(&self) -> Option<String> {
        if !self.up {
            return (self.unanswered > 0).then(|| self.outage());
        }
        let first = self.problems.values().next()?;
        Some(match self.problems.len() - 1 {
            0 => first.clone(),
            more => format!("{first} (and {more} more)"),
        })
    }

    /// The problem to report at `now`: a connection that is not there yet right after the start is
    /// none, unless the broker refuses it.
    pub(super) fn reportable_problem(&self, now: Instant) -> Option<String> {
        let is_refused = matches!(
            self.reason,
            Some((RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SSL, _))
        );
        let is_starting =
            !self.has_answered && !is_refused && now < self.started_at + START_PATIENCE;
        self.problem().filter(|_| !is_starting)
    }

    fn outage(&self) -> String {
        let brokers = &self.brokers;
        match &self.reason {
            None => format!("no broker answers at {brokers}"),
            Some((RDKafkaErrorCode::Authentication, reason)) => {
                format!("the broker at {brokers} refuses the login: {reason}")
            }
            Some((RDKafkaErrorCode::SSL, reason)) => {
                format!("no TLS connection to {brokers}: {reason}")
            }
            Some((_, reason)) => format!("no broker answers at {brokers}: {reason}"),
        }
    }

    /// Logs the problem, or its end, if it changed since the last call.
    pub(super) fn log_changes(&mut self, now: Instant) {
        let problem = self.reportable_problem(now);
        if problem == self.logged {
            return;
        }
        let source = &*self.source;
        match &problem {
            Some(problem) => warn!(source, problem, "kafka source has a problem"),
            None => info!(source, "kafka source has recovered"),
        }
        self.logged = problem;
    }
}

/// The cause in a message of librdkafka, without the name of the broker and the state of the
/// connection.
fn short_reason(reason: &str) -> &str {
    let without_broker = reason.split_once(": ").map_or(reason, |(_, rest)| rest);
    let cause = without_broker
        .split_once("failed: ")
        .map_or(without_broker, |(_, rest)| rest);
    cause
        .split_once(" (after ")
        .map_or(cause, |(before, _)| before)
        .trim()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock;

    fn health() -> Health {
        Health::new("fraud", &["localhost:9092".to_owned()], clock::monotonic())
    }

    /// Each start with `localhost` logged a problem and its end, because nothing listens at `::1`.
    #[test]
    fn a_missing_connection_is_reported_some_seconds_after_the_start_and_at_once_later() {
        let mut health = health();
        let (start, down) = (health.started_at, RDKafkaErrorCode::AllBrokersDown);
        let patience = Duration::from_secs(5);
        health.client_error(
            RDKafkaErrorCode::BrokerTransportFailure,
            "localhost:9092/bootstrap: Connect to ipv6#[::1]:9092 failed: Connection refused",
        );
        health.client_error(down, "1/1 brokers are down");
        assert_eq!(health.reportable_problem(start), None, "at once");
        let expected = "no broker answers at localhost:9092: Connection refused";
        let later = health.reportable_problem(start + patience);
        assert_eq!(later.as_deref(), Some(expected), "after five seconds");
        health.answered();
        health.client_error(down, "1/1 brokers are down");
        let lost = health.reportable_problem(start);
        assert_eq!(lost.as_deref(), Some("no broker answers at localhost:9092"));
    }

    #[test]
    fn a_refused_login_is_reported_at_once() {
        let mut health = health();
        health.client_error(
            RDKafkaErrorCode::Authentication,
            "b: failed: wrong password",
        );
        health.client_error(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down");
        let problem = health.reportable_problem(health.started_at);
        let expected = "the broker at localhost:9092 refuses the login: wrong password";
        assert_eq!(problem.as_deref(), Some(expected));
    }

    #[test]
    fn the_reason_of_an_outage_is_reported_in_few_words() {
        let check = |code: RDKafkaErrorCode, reason: &str, expected: &str| {
            let mut health = health();
            health.client_error(code, reason);
            health.client_error(RDKafkaErrorCode::AllBrokersDown, "1/1 brokers are down");
            assert_eq!(health.problem().as_deref(), Some(expected), "of {reason}");
        };
        check(
            RDKafkaErrorCode::BrokerTransportFailure,
            "localhost:9092/bootstrap: Connect to ipv4#127.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)",
            "no broker answers at localhost:9092: Connection refused",
        );
        check(
            RDKafkaErrorCode::Resolve,
            "kafka:9092/bootstrap: Failed to resolve 'kafka:9092': Name or service not known (after 3ms in state CONNECT)",
            "no broker answers at localhost:9092: Failed to resolve 'kafka:9092': Name or service not known",
        );
        check(
            RDKafkaErrorCode::Authentication,
            "sasl_plaintext://localhost:9092/bootstrap: SASL authentication error: invalid credentials (after 301ms in state AUTH_REQ)",
            "the broker at localhost:9092 refuses the login: SASL authentication error: invalid credentials",
        );
    }

    #[test]
    fn one_late_answer_is_not_an_outage_and_two_are() {
        let late = || RequestError::of_topic("t", RDKafkaErrorCode::OperationTimedOut);
        let mut health = health();
        health.answered();
        assert!(health.request_failed(late()), "no broker answered");
        assert_eq!(health.problem(), None, "after one");
        health.request_failed(late());
        let expected = "no broker answers at localhost:9092";
        assert_eq!(health.problem().as_deref(), Some(expected), "after two");
    }

    #[test]
    fn the_first_of_several_problems_is_reported_with_the_number_of_the_rest() {
        let mut health = health();
        health.answered();
        for topic in ["b", "a"] {
            let scope = ProblemScope::Topic(topic.to_owned());
            let problem = scope.describe(3);
            health.set_problem(scope, Some(problem));
        }
        let expected = "topic a does not exist yet (and 1 more)";
        assert_eq!(health.problem().as_deref(), Some(expected), "of two");
        health.set_problem(ProblemScope::Topic("a".to_owned()), None);
        health.set_problem(ProblemScope::Topic("b".to_owned()), None);
        assert_eq!(health.problem(), None, "when both are over");
    }
}
