//! Numbers out: metrics for Prometheus, JSON, and a page for people.
//!
//! Everything is drawn from an immutable snapshot, never from long-lived label vectors: what is gone from the snapshot is gone from the next scrape. A scrape
//! is three blocks. The *drift block* (scores, lines, alerts, windows) is encoded once per evaluation, on the scorer's thread; the *counts block* once per
//! published snapshot; the *live block* (Kafka, process) per scrape and small. A scrape waits for nobody.

mod explain;
mod exporter;
mod http;
mod metrics;

pub use explain::{Subject, bin, describe_shift, explain, grouped, percent, short_number};
pub use exporter::Exporter;
pub use http::{ReloadRequest, calibration_json, serve};
pub use metrics::{CATALOG, Metric, OpenMetrics, Type, estimate_series, markdown};
