//! The composition root: threads, clocks, signals, and a shutdown that drains.

mod daemon;
mod ingest;
mod preflight;
mod reload;
mod roles;
mod score;
mod threads;

pub use daemon::{Daemon, ProcessRole};
pub use preflight::{client_problems, load_monitor, monitor_problems};
pub use roles::{MonitorSplit, Role};
