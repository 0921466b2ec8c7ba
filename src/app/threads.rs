//! The worker threads of a running process and their common stop flag.
//!
//! Threads end by themselves only on failure, so a finished thread means that the process is
//! broken. Dropping `Threads` neither stops nor joins them: call [`Threads::stop`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context as _;
use tracing::{error, warn};

use crate::clock;
use crate::model::duration;

/// The interval at which a stopping process checks whether a thread has ended.
const JOIN_POLL: Duration = Duration::from_millis(5);

/// The body of a thread; it returns soon after the flag is set.
pub(super) type Work = Box<dyn FnOnce(&AtomicBool) + Send>;

/// Running threads, in the order in which they are joined.
#[derive(Debug, Default)]
pub(super) struct Threads {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Threads {
    /// Starts a thread. Threads are joined in the order of their start.
    ///
    /// # Errors
    /// The operating system refuses the thread.
    pub(super) fn start(&mut self, name: String, work: Work) -> anyhow::Result<()> {
        let stop = Arc::clone(&self.stop);
        let thread = std::thread::Builder::new()
            .name(name.clone())
            .spawn(move || work(&stop))
            .with_context(|| format!("cannot start the thread {name}"))?;
        self.threads.push(thread);
        Ok(())
    }

    /// True when a thread has ended before it was asked to.
    #[must_use]
    pub(super) fn is_broken(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Asks all threads to drain and joins them; `false` when one still ran after `grace`.
    #[must_use]
    pub(super) fn stop(self, grace: Duration) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        let deadline = clock::monotonic() + grace;
        for thread in self.threads {
            while !thread.is_finished() {
                if clock::monotonic() >= deadline {
                    warn!(
                        thread = thread.thread().name(),
                        grace = %duration::format(grace),
                        "thread did not stop within the shutdown grace period"
                    );
                    return false;
                }
                std::thread::sleep(JOIN_POLL);
            }
            if thread.join().is_err() {
                error!("a thread panicked");
            }
        }
        true
    }
}
