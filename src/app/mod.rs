//! The composition root: threads, clocks, signals, and a shutdown that drains.

mod pipeline;

pub use pipeline::{Ingester, Pipeline};
