//! Metrics in the text format of Prometheus and as OpenMetrics.

pub(in crate::export) mod catalog;
pub(in crate::export) mod counters;
pub(in crate::export) mod drift;
pub(in crate::export) mod families;
pub(in crate::export) mod live;
mod openmetrics;

pub use catalog::{CATALOG, Metric, Type, markdown};
pub use drift::estimate_series;
pub use openmetrics::OpenMetrics;
