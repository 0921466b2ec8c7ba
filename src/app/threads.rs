//! The threads of a running process.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tracing::{error, warn};

use crate::clock;

/// What a thread does until it is asked to stop.
pub(super) type Work = Box<dyn FnOnce(&AtomicBool) + Send>;

/// Running threads.
#[derive(Debug, Default)]
pub(super) struct Pipeline {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Pipeline {
    /// Starts a thread. Threads are waited for in the order they were started.
    ///
    /// # Errors
    /// The operating system refuses it.
    pub(super) fn start(&mut self, name: String, work: Work) -> std::io::Result<()> {
        let stop = Arc::clone(&self.stop);
        let thread = std::thread::Builder::new().name(name);
        self.threads.push(thread.spawn(move || work(&stop))?);
        Ok(())
    }

    /// Whether a thread has ended although nobody asked it to.
    #[must_use]
    pub(super) fn is_broken(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Asks all threads to drain and end; `false` when some had not after `grace`.
    #[must_use]
    pub(super) fn stop(self, grace: Duration) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        let deadline = clock::monotonic() + grace;
        for thread in self.threads {
            while !thread.is_finished() {
                if clock::monotonic() >= deadline {
                    warn!(thread = thread.thread().name(), "did not end in time");
                    return false;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            if thread.join().is_err() {
                error!("a thread panicked");
            }
        }
        true
    }
}
