//! Numbers out: metrics for Prometheus, JSON, and a page for people.
//!
//! Everything is drawn from an immutable snapshot, never from long-lived label vectors: what is gone from the snapshot is gone from the next scrape. A scrape
//! is three blocks. The *drift block* (scores, lines, alerts, windows) is encoded once per evaluation, on the scorer's thread; the *counts block* once per
//! published snapshot; the *live block* (Kafka, process) per scrape and small. A scrape waits for nobody.

mod api;
mod catalog;
mod counts;
mod drift;
mod exporter;
mod families;
mod http;
mod live;
mod openmetrics;
mod page;
mod readiness;
mod words;

pub use api::calibration_json;
pub use catalog::{CATALOG, Metric, Type, markdown};
pub use drift::estimate_series;
pub use exporter::Exporter;
pub use http::{ReloadRequest, serve};
pub use openmetrics::OpenMetrics;
pub use words::{Subject, bin, explain, grouped, moved, percent, short};
