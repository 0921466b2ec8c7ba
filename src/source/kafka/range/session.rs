//! A client for the duration of a command, whose requests are repeated until they are answered or
//! the time is up.

use std::time::Duration;

use rdkafka::config::FromClientConfigAndContext as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};

use super::error::RangeError;
use crate::clock;
use crate::model::SourceSpec;
use crate::source::kafka::callbacks::{CallbackContext, CallbackEvent, serve_callbacks};
use crate::source::kafka::health::{Health, RequestError};
use crate::source::kafka::librdkafka::Client;
use crate::source::kafka::settings::{SourceError, Timing, range_config};

/// The timeout of one request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// The delay before a request is repeated.
const RETRY_DELAY: Duration = Duration::from_millis(100);

/// A client, and the state of its connection.
pub(super) struct Session {
    pub(super) client: Client,
    pub(super) health: Health,
    /// The longest time without an answer.
    pub(super) patience: Duration,
    source: String,
}

impl Session {
    /// Creates a client that reads this many partitions.
    pub(super) fn try_new(
        spec: &SourceSpec,
        partitions: usize,
        patience: Duration,
    ) -> Result<Self, SourceError> {
        let config = range_config(&spec.kafka, partitions);
        let consumer =
            BaseConsumer::from_config_and_context(&config, CallbackContext::new(&spec.name))?;
        let client = Client::new(consumer, None, Timing::default().close);
        Ok(Session {
            client: client.ok_or(SourceError::Queue)?,
            health: Health::new(&spec.name, &spec.kafka.brokers, clock::monotonic()),
            patience,
            source: spec.name.clone(),
        })
    }

    /// Repeats a request until it is answered, refused, or out of time.
    pub(super) fn request<T>(
        &mut self,
        send: impl Fn(&BaseConsumer<CallbackContext>, Duration) -> Result<T, RequestError>,
    ) -> Result<T, RangeError> {
        let deadline = clock::monotonic() + self.patience;
        loop {
            let remaining = deadline.saturating_duration_since(clock::monotonic());
            let failure = match send(self.client.consumer(), remaining.min(REQUEST_TIMEOUT)) {
                Ok(answer) => return Ok(answer),
                Err(failure) => failure,
            };
            if self.is_final(failure) || remaining < RETRY_DELAY {
                return Err(self.broker_error());
            }
            self.client.consumer().poll(RETRY_DELAY);
        }
    }

    /// Records a failed request; returns `true` if repeating it cannot help.
    fn is_final(&mut self, failure: RequestError) -> bool {
        self.handle_callback_events();
        let code = failure.error.rdkafka_error_code();
        let was_unanswered = self.health.request_failed(failure);
        if !was_unanswered {
            self.health.answered();
        }
        matches!(
            code,
            Some(
                RDKafkaErrorCode::UnknownTopicOrPartition
                    | RDKafkaErrorCode::TopicAuthorizationFailed
                    | RDKafkaErrorCode::InvalidTopic
            )
        )
    }

    /// Serves the callbacks that are due, and records the errors of the client.
    pub(super) fn handle_callback_events(&mut self) {
        let consumer = self.client.consumer();
        serve_callbacks(consumer, &mut |_| ());
        for event in consumer.context().take_events() {
            if let CallbackEvent::Error { code, reason } = event {
                self.health.client_error(code, &reason);
            }
        }
    }

    fn broker_error(&self) -> RangeError {
        RangeError::Broker {
            source_name: self.source.clone(),
            problem: self
                .health
                .problem()
                .unwrap_or_else(|| "no broker answers".to_owned()),
        }
    }

    /// The error for partitions that the client rejects.
    pub(super) fn client_rejection(&self, error: &KafkaError) -> RangeError {
        RangeError::Broker {
            source_name: self.source.clone(),
            problem: error.to_string(),
        }
    }
}
