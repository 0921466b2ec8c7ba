//! The asynchronous runtime of commands that serve HTTP and wait for signals.

use anyhow::Context as _;
use tokio::runtime::{Builder, Runtime};

/// Creates the runtime.
///
/// Two threads are enough: ingest and scoring run on dedicated threads outside the runtime.
///
/// # Errors
/// The operating system refuses the threads.
pub(super) fn runtime() -> anyhow::Result<Runtime> {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("HTTP runtime cannot be started")
}
