//! The composition root: threads, clocks, signals, and a shutdown that drains.

mod pipeline;
mod references;

pub use pipeline::{Ingester, Pipeline};
pub use references::load_monitor;
