//! Results for others: metrics for Prometheus, JSON for scripts, and a page for people.
//!
//! Everything is rendered from an immutable view that the scorer publishes, and never from label
//! vectors that last as long as the process. A series whose score has left the view is absent from
//! the next scrape.
//!
//! A scrape is three blocks. The *drift block* (scores, thresholds, alerts, windows) is encoded
//! once per evaluation, the *counters block* once per published view, both on the scorer's thread.
//! The *live block* (Kafka, pane log, process) is small and encoded per scrape. So a scrape
//! neither waits for an evaluation nor costs one.

mod chart;
mod explain;
mod explanations;
mod exporter;
mod gzip;
mod http;
mod metrics;
mod numbers;
mod shift;
mod unexpected;
mod unit_error;

pub use explain::{AlertContext, explain, explain_volume};
pub use exporter::Exporter;
pub use http::{ReloadRequest, calibration_json, names_json, serve};
pub use metrics::{CATALOG, Metric, MetricType, OpenMetrics, estimate_series, markdown};
pub use numbers::{grouped, number_text, percent, short_number};
pub use shift::{
    describe_beyond, describe_rate, describe_shift, is_whole, median_text, share_beyond,
};
pub use unexpected::{invalid_values, unseen_categories};
