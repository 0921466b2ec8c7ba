//! The composition root: threads, clocks, signals, and a shutdown that drains.

mod daemon;
mod pipeline;
mod references;

pub use daemon::Daemon;
pub use pipeline::{Ingester, Pipeline};
pub use references::load_monitor;
