//! The list of all metrics: name, type, labels and help, each written once.
//!
//! Alert rules, dashboards, `docs/metrics.md` and the golden scrape are tested against this list,
//! and the encoder accepts only its entries, so nothing else can be exported. A help text lists the
//! values of a label whose set is fixed.

/// The type of a metric, as Prometheus has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricType {
    /// A value that goes up and down.
    Gauge,
    /// A count that only goes up.
    Counter,
    /// Counts of observations by upper bound.
    Histogram,
}

impl MetricType {
    /// The word in the documentation and in the text format.
    const fn name(self) -> &'static str {
        match self {
            MetricType::Gauge => "gauge",
            MetricType::Counter => "counter",
            MetricType::Histogram => "histogram",
        }
    }
}

/// The description of one metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// The full name.
    pub name: &'static str,
    /// The type of its samples.
    pub kind: MetricType,
    /// The label names, in the order of the samples.
    pub labels: &'static [&'static str],
    /// The meaning, in one sentence, and the values of its fixed labels.
    pub help: &'static str,
}

const WINDOW: &[&str] = &["monitor", "window"];
const WINDOW_REFERENCE: &[&str] = &["monitor", "window", "reference"];
const WINDOW_FEATURE: &[&str] = &["monitor", "feature", "segment", "window"];
const COMPARISON: &[&str] = &["monitor", "feature", "segment", "window", "reference"];
const COMPARISON_REASON: &[&str] = &[
    "monitor",
    "feature",
    "segment",
    "window",
    "reference",
    "reason",
];
const COMPARISON_STATUS: &[&str] = &[
    "monitor",
    "feature",
    "segment",
    "window",
    "reference",
    "status",
];
const COMPARISON_STATISTIC: &[&str] = &[
    "monitor",
    "feature",
    "segment",
    "window",
    "reference",
    "statistic",
];
const ALERT: &[&str] = &[
    "monitor",
    "feature",
    "segment",
    "window",
    "reference",
    "statistic",
    "severity",
];
const ALERT_TEXT: &[&str] = &[
    "monitor",
    "feature",
    "segment",
    "window",
    "reference",
    "statistic",
    "severity",
    "text",
];
const COMPARISON_BIN: &[&str] = &[
    "monitor",
    "feature",
    "segment",
    "window",
    "reference",
    "bin",
    "bound",
];
const REFERENCE: &[&str] = &["monitor", "reference"];
const REFERENCE_FEATURE: &[&str] = &["monitor", "reference", "feature"];
const MONITOR: &[&str] = &["monitor"];
const MONITOR_REASON: &[&str] = &["monitor", "reason"];
const FEATURE: &[&str] = &["monitor", "feature"];
const SOURCE: &[&str] = &["source"];
const SOURCE_MONITOR: &[&str] = &["source", "monitor"];
const SOURCE_REASON: &[&str] = &["source", "reason"];
const TOPIC: &[&str] = &["source", "topic"];
const PARTITION: &[&str] = &["partition"];
const PROCESS: &[&str] = &[];

macro_rules! catalog {
    ($($(#[$doc:meta])* $id:ident: $kind:ident $name:literal $labels:expr, $help:literal;)+) => {
        $($(#[$doc])* pub(in crate::export) const $id: Metric = Metric { name: concat!("pegel_", $name), kind: MetricType::$kind, labels: $labels, help: $help };)+
        /// All metrics of pegel. `process_*` come from the Prometheus library.
        pub const CATALOG: &[Metric] = &[$($id,)+];
    };
}

catalog! {
    DRIFT_SCORE: Gauge "drift_score" COMPARISON_STATISTIC, "Score of the window against the reference; absent while not ready. statistic = js, js_distance, kl, kl_reverse, wasserstein, wasserstein_normalized, wasserstein_body, psi, hellinger, total_variation, ks, missing_ratio, invalid_ratio, unseen_ratio, out_of_range_ratio.";
    DRIFT_NOISE_FLOOR: Gauge "drift_noise_floor" COMPARISON_STATISTIC, "Mean of the score over windows without drift, on its own scale; only where alerts are calibrated.";
    DRIFT_P_VALUE: Gauge "drift_p_value" COMPARISON_STATISTIC, "Share of windows without drift that score as high, 0 to 1; only where alerts are calibrated.";
    DRIFT_DESIGN_EFFECT: Gauge "drift_design_effect" COMPARISON_STATISTIC, "Factor by which windows without drift vary more than independent samples, at least 1; samples divided by it are the effective samples.";
    DRIFT_DETECTABLE_SHIFT: Gauge "drift_minimum_detectable_shift" COMPARISON_STATISTIC, "Shift of a normal feature's mean, in standard deviations, that reaches the lowest threshold at the window's size.";
    CALIBRATION_STATUS: Gauge "calibration_status" COMPARISON_STATUS, "1 for each limit of thresholds and scores. status = reference_small, budget_extrapolated, phi_learning, blocks_short, blocks_few, too_few_effective, line_unreachable, wasserstein_lower_bound, wasserstein_unscaled.";
    DRIFT_THRESHOLD: Gauge "drift_threshold" ALERT, "Threshold above which the score alarms, on its own scale. severity = warning, critical.";
    DRIFT_THRESHOLD_LOWER: Gauge "drift_threshold_lower" ALERT, "Threshold below which a two-sided rate or a volume alarms.";
    DRIFT_THRESHOLD_RATIO: Gauge "drift_threshold_ratio" ALERT, "Score divided by its threshold, or a lower threshold divided by the value, whichever is larger; above 1 is beyond the threshold.";
    ALERT_ACTIVE: Gauge "alert_active" ALERT, "1 while the alert fires, 0 while it does not; absent while its score is not ready.";
    ALERT_SINCE: Gauge "alert_since_timestamp_seconds" ALERT, "End of the window since which the alert is pending or firing, in event time.";
    ALERT_EXPLANATION: Gauge "alert_explanation" ALERT_TEXT, "1 while the alert fires; text explains it in at most 300 characters. It is made when the alert begins to fire and renewed at most once per window length.";
    WASSERSTEIN_DISTANCE: Gauge "wasserstein_distance" COMPARISON, "Wasserstein-1 distance in the feature's own unit.";
    SUPPORT_OVERLAP: Gauge "support_overlap" COMPARISON, "Sum over bins of the smaller share, 0 to 1; below 0.05, js and kl are saturated.";
    WINDOW_BIN_RATIO: Gauge "window_bin_ratio" COMPARISON_BIN, "Share of the window's values in a score bin; by default only of features with a firing alert (export_bins).";
    REFERENCE_BIN_RATIO: Gauge "reference_bin_ratio" COMPARISON_BIN, "Share of the reference's values in a score bin, for the same features.";
    SCORE_READY: Gauge "score_ready" COMPARISON, "1 when the scores exist, 0 when they do not.";
    SCORE_NOT_READY: Gauge "score_not_ready" COMPARISON_REASON, "1 for the reason why a feature has no score, or why its budgeted alerts cannot be judged (warming, with pegel_score_ready 1). reason = no_reference, stale, warming, partial, empty, too_few_samples, silent.";
    WINDOW_SAMPLES: Gauge "window_samples" WINDOW_FEATURE, "Values of the feature in the latest evaluated window.";
    WINDOW_MISSING_RATIO: Gauge "window_missing_ratio" WINDOW_FEATURE, "Share of the window's events without a value.";
    WINDOW_ENTROPY_BITS: Gauge "window_entropy_bits" COMPARISON, "Entropy of the window's bins, in bits.";
    WINDOW_CROSS_ENTROPY_BITS: Gauge "window_cross_entropy_bits" COMPARISON, "Mean surprisal of the window under the reference, in bits per event.";
    WINDOW_MIN_SAMPLES: Gauge "window_min_samples" WINDOW, "Values of a feature that a window needs before it is scored.";
    WINDOW_SIZE: Gauge "window_size_seconds" WINDOW, "Length of the window, in event time.";
    WINDOW_SLIDE: Gauge "window_slide_seconds" WINDOW, "Event time between two evaluations of the window.";
    FEATURES_DRIFTING: Gauge "features_drifting_ratio" WINDOW_REFERENCE, "Share of features with a firing alert, among those with an alert that is judged.";
    FEATURES_SIGNIFICANT: Gauge "features_significant" WINDOW_REFERENCE, "Features with significant drift by Benjamini and Hochberg at a false discovery rate of 5 %; only where alerts are calibrated.";
    WINDOW_COVERAGE_RATIO: Gauge "window_coverage_ratio" WINDOW, "Share of the window's panes and partitions that were counted, 0 to 1.";
    WINDOW_END: Gauge "window_end_timestamp_seconds" WINDOW, "End of the latest evaluated window, in event time.";
    REFERENCE_INFO: Gauge "reference_info" &["monitor", "reference", "hash"], "Always 1; hash is the content hash of the loaded reference.";
    REFERENCE_LOADED: Gauge "reference_loaded" REFERENCE, "1 when the reference is loaded, 0 when it could not be loaded.";
    REFERENCE_CREATED: Gauge "reference_created_timestamp_seconds" REFERENCE, "Time when the reference was fitted.";
    REFERENCE_SAMPLES: Gauge "reference_samples" REFERENCE_FEATURE, "Values of the feature in the reference.";
    REFERENCE_MISSING_RATIO: Gauge "reference_missing_ratio" REFERENCE_FEATURE, "Share of the reference's rows without a value.";
    FEATURE_INFO: Gauge "feature_info" &["monitor", "feature", "role", "kind"], "Always 1. role = feature, prediction; kind = numeric, categorical, boolean.";
    FEATURE_VALUES: Counter "feature_values_total" FEATURE, "Values of the feature that were counted.";
    FEATURE_UNSEEN: Counter "feature_unseen_category_total" FEATURE, "Values of categories that are not in the reference.";
    FEATURE_MISSING: Counter "feature_missing_total" &["monitor", "feature", "kind"], "Events without a value. kind = null, absent, nan.";
    FEATURE_INVALID: Counter "feature_invalid_total" &["monitor", "feature", "reason"], "Values that cannot be counted. reason = wrong_kind, infinite.";
    FEATURE_OUT_OF_RANGE: Counter "feature_out_of_range_total" &["monitor", "feature", "bound"], "Values outside the outermost bin edges. bound = below, above.";
    EVENTS: Counter "events_total" MONITOR, "Events counted.";
    EVENTS_LATE: Counter "events_late_total" MONITOR, "Events counted although they arrived behind the watermark; a subset of pegel_events_total.";
    EVENTS_DROPPED: Counter "events_dropped_total" MONITOR_REASON, "Records that the monitor did not count, and events that no window holds any more (expired). reason = filtered, no_timestamp, bad_timestamp, future, late, expired.";
    MONITOR_SILENT: Gauge "monitor_silent" MONITOR, "1 while no event was counted for `silence`, else 0; alerts that fire are held meanwhile.";
    NEWEST_EVENT: Gauge "newest_event_timestamp_seconds" MONITOR, "Event time of the newest event counted.";
    ALERT_TRANSITIONS: Counter "alert_transitions_total" &["monitor", "severity", "to"], "Alerts that started or stopped firing. to = firing, resolved.";
    EVALUATIONS: Counter "evaluations_total" MONITOR, "Windows evaluated.";
    EVALUATIONS_SKIPPED: Counter "evaluations_skipped_total" MONITOR_REASON, "Windows that were not evaluated. reason = empty.";
    EVALUATION_DURATION: Histogram "evaluation_duration_seconds" MONITOR, "Duration of one evaluation.";
    EVENT_DELAY: Histogram "event_delay_seconds" SOURCE_MONITOR, "Arrival time minus event time; a negative delay counts as 0.";
    WATERMARK: Gauge "watermark_timestamp_seconds" SOURCE_MONITOR, "Event time before which no more events are expected.";
    DECODE_ERRORS: Counter "decode_errors_total" SOURCE_REASON, "Records that could not be decoded. reason = json, utf8, depth, too_large, duplicate_key, non_finite_literal, not_an_object.";
    PANE_LOG_COMMITS: Counter "pane_log_commits_total" SOURCE, "Commits (batches of counts) accepted into the pane log.";
    PANE_LOG_BYTES: Gauge "pane_log_bytes" SOURCE, "Bytes of the accepted commits.";
    PANE_LOG_REJECTED: Counter "pane_log_rejected_total" SOURCE_REASON, "Commits rejected. reason = overlap, gap, backwards, no_head, wrong_partition, reopened, unreadable.";
    PANE_LOG_POSITION: Gauge "pane_log_position" PARTITION, "Position of the next record to read from the pane log; a log in files is partition 0.";
    PANE_LOG_LAG: Gauge "pane_log_lag_records" PARTITION, "Records of the pane log that are not read yet.";
    PANE_LOG_HASH: Gauge "pane_log_state_hash" PARTITION, "Hash of all counts accepted before pegel_pane_log_state_hash_position; equal for all readers at the same position.";
    PANE_LOG_HASHED_AT: Gauge "pane_log_state_hash_position" PARTITION, "Position of pegel_pane_log_state_hash, a multiple of 64.";
    RECOVERING: Gauge "recovering" PROCESS, "1 while a scorer reads the pane log at its start, else 0; until then, series of monitors are absent.";
    PANE_LOG_RECOVERY: Gauge "pane_log_recovery_seconds" PROCESS, "Time it took to read the pane log at the start.";
    PANE_LOG_SNAPSHOTS: Counter "pane_log_snapshots_total" PROCESS, "Snapshots written to a pane log in Kafka and acknowledged.";
    PANE_LOG_SNAPSHOTS_FAILED: Counter "pane_log_snapshots_failed_total" PROCESS, "Snapshots that the broker refused or did not acknowledge in time; they are written again.";
    KAFKA_UP: Gauge "kafka_up" SOURCE, "1 while a broker answers, else 0.";
    KAFKA_RECORDS: Counter "kafka_records_consumed_total" TOPIC, "Records read.";
    KAFKA_BYTES: Counter "kafka_bytes_consumed_total" TOPIC, "Bytes of payload read.";
    KAFKA_TOMBSTONES: Counter "kafka_tombstones_total" TOPIC, "Records without a payload.";
    KAFKA_OFFSETS_LOST: Counter "kafka_offsets_lost_total" TOPIC, "Offsets that retention removed before they were read; an upper bound on records.";
    KAFKA_PARTITIONS: Gauge "kafka_partitions_assigned" TOPIC, "Partitions that are read now.";
    KAFKA_LAG: Gauge "kafka_consumer_lag_records" &["source", "topic", "partition"], "Records that are not read yet.";
    KAFKA_REBALANCES: Counter "kafka_rebalances_total" &["source", "kind"], "Changes of the assigned partitions. kind = assigned, revoked.";
    KAFKA_ERRORS: Counter "kafka_errors_total" &["source", "code"], "Errors of the Kafka client by librdkafka's code.";
    SERIES: Gauge "series" PROCESS, "Series in this scrape, without process_*.";
    SERIES_LIMIT: Gauge "series_limit" PROCESS, "Limit of the series that the configuration may produce (limits.max_series).";
    BUILD_INFO: Gauge "build_info" &["version"], "Always 1; version is the version of pegel.";
    MONITOR_INFO: Gauge "monitor_info" &["monitor", "source"], "Always 1; source is the source that the monitor reads.";
    CONFIG_RELOAD: Gauge "config_last_reload_successful" PROCESS, "1 when the configuration that was loaded last is in force, 0 when the last reload failed.";
}

/// The table of all metrics in `docs/metrics.md`.
#[must_use]
pub fn markdown() -> String {
    let mut table = "| metric | type | labels | meaning |\n|---|---|---|---|\n".to_owned();
    for metric in CATALOG {
        table += &format!(
            "| `{}` | {} | {} | {} |\n",
            metric.name,
            metric.kind.name(),
            metric.labels.join(", "),
            metric.help
        );
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<&str> = CATALOG.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CATALOG.len(), "each name once");
    }

    #[test]
    fn counters_end_in_total_and_help_texts_are_sentences() {
        for metric in CATALOG {
            let (name, is_counter) = (metric.name, metric.kind == MetricType::Counter);
            assert_eq!(is_counter, name.ends_with("_total"), "{name}");
            assert!(metric.help.ends_with('.'), "{name}: help is a sentence");
        }
    }
}
