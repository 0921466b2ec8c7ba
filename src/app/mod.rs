//! The composition root: threads, clocks, signals, and a shutdown that drains.

mod commit_log;
mod daemon;
mod ingesting;
mod local;
mod outlets;
mod pipeline;
mod references;
mod roles;
mod scoring;
mod tail;

pub use daemon::{Daemon, Duty};
pub use references::{client_problems, load_monitor, monitor_problems};
pub use roles::{Role, Split};
