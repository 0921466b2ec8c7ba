//! The composition root: threads, clocks, signals, and a shutdown that drains.

mod daemon;
mod ingesting;
mod local;
mod pipeline;
mod references;
mod scoring;

pub use daemon::Daemon;
pub use references::load_monitor;
