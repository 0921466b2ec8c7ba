//! A thread that writes loan applications to the demo's topic, faster than the wall clock if asked.
//!
//! The generator's clock is the time since the start times the speed. Every 10 ms the thread sends
//! all applications that are due by then, each with its own event time.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::loans::LoanService;
use super::producer::{ProducerError, TopicProducer};
use super::scenario::{APPLICATIONS_PER_SECOND, TOPIC, phase_at};
use crate::clock;

/// A generator that could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GeneratorError {
    /// The producer could not be created.
    #[error(transparent)]
    Producer(#[from] ProducerError),
    /// The operating system refused the thread.
    #[error("generator thread cannot be started")]
    Thread(#[source] io::Error),
}

/// A running generator.
#[derive(Debug)]
pub(crate) struct Generator {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Generator {
    /// Starts the thread; `began` is the time at which the generator's clock is 0.
    ///
    /// # Errors
    /// The producer or the thread cannot be created.
    pub(crate) fn start(
        brokers: &str,
        seed: u64,
        speed: f64,
        began: Instant,
    ) -> Result<Self, GeneratorError> {
        let producer = TopicProducer::try_new(brokers, TOPIC)?;
        let stop = Arc::new(AtomicBool::new(false));
        let is_stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("loans".to_owned())
            .spawn(move || generate(&producer, seed, speed, began, &is_stopped))
            .map_err(GeneratorError::Thread)?;
        Ok(Generator { stop, thread })
    }

    /// Asks the thread to stop and does not wait for it.
    pub(crate) fn request_stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// Waits until the thread has ended.
    pub(crate) fn join(self) {
        drop(self.thread.join());
    }
}

/// Sends applications until `stop` is set.
fn generate(producer: &TopicProducer, seed: u64, speed: f64, began: Instant, stop: &AtomicBool) {
    let mut service = LoanService::new(seed);
    let start = clock::now();
    let mut at = Duration::ZERO;
    while !stop.load(Ordering::Relaxed) {
        let due = began.elapsed().mul_f64(speed);
        while at < due {
            let time = start.plus(at);
            let application = service.next(time, phase_at(at));
            let payload = serde_json::to_string(&application).unwrap_or_default();
            if let Err(error) = producer.send(application.country, &payload, time.as_millis()) {
                tracing::debug!(%error, "application not sent");
            }
            let rate = LoanService::rate(time, APPLICATIONS_PER_SECOND);
            at += Duration::from_secs_f64(service.pause_secs(rate));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    drop(producer.flush(Duration::from_secs(1)));
}
