//! Metrics in the text format of Prometheus, and evaluations of the past as OpenMetrics.
//!
//! `catalog` lists every metric. `drift`, `counters` and `live` turn views and reports into
//! `families`, one block each; a scrape is the three blocks in a row.

mod alerts;
mod bins;
pub(in crate::export) mod catalog;
pub(in crate::export) mod counters;
pub(in crate::export) mod drift;
mod estimate;
pub(in crate::export) mod families;
pub(in crate::export) mod labels;
pub(in crate::export) mod live;
mod openmetrics;

pub use catalog::{CATALOG, Metric, MetricType, markdown};
pub use estimate::estimate_series;
pub use openmetrics::OpenMetrics;
