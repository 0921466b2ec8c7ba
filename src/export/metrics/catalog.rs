//! Every metric, once: name, type, labels and help.
//!
//! Rules, dashboards, the README and the golden scrape are checked against this list; nothing else may be exported.

/// The type of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Type {
    /// Goes up and down.
    Gauge,
    /// Goes up.
    Counter,
    /// Counts by upper bound.
    Histogram,
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Metric {
    /// Full name.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// Label names, in order.
    pub labels: &'static [&'static str],
    /// What it says, in one sentence.
    pub help: &'static str,
}

const K: &[&str] = &[
    "monitor",
    "feature",
    "segment",
    "window",
    "reference",
    "statistic",
];
const K_SEVERITY: &[&str] = &[
    "monitor",
    "feature",
    "segment",
    "window",
    "reference",
    "statistic",
    "severity",
];
const S: &[&str] = &["monitor", "feature", "segment", "window"];
const S_REFERENCE: &[&str] = &["monitor", "feature", "segment", "window", "reference"];
const S_REASON: &[&str] = &[
    "monitor",
    "feature",
    "segment",
    "window",
    "reference",
    "reason",
];
const S_STATUS: &[&str] = &[
    "monitor",
    "feature",
    "segment",
    "window",
    "reference",
    "status",
];
const WINDOW_REFERENCE: &[&str] = &["monitor", "window", "reference"];
const WINDOW: &[&str] = &["monitor", "window"];
const MONITOR: &[&str] = &["monitor"];
const FEATURE: &[&str] = &["monitor", "feature"];
const PARTITION: &[&str] = &["partition"];
const TOPIC: &[&str] = &["source", "topic"];

macro_rules! catalog {
    ($($(#[$doc:meta])* $id:ident: $kind:ident $name:literal $labels:expr, $help:literal;)+) => {
        $($(#[$doc])* pub(in crate::export) const $id: Metric = Metric { name: concat!("pegel_", $name), kind: Type::$kind, labels: $labels, help: $help };)+
        /// Every metric of pegel's own; `process_*` come from the process collector of the Prometheus library.
        pub const CATALOG: &[Metric] = &[$($id,)+];
    };
}

catalog! {
    DRIFT_SCORE: Gauge "drift_score" K, "How far the window is from the reference; absent while not ready. statistic = js, js_distance, kl, kl_reverse, wasserstein, wasserstein_normalized, wasserstein_body, psi, hellinger, total_variation, ks, missing_ratio, unseen_ratio, out_of_range_ratio.";
    DRIFT_NOISE_FLOOR: Gauge "drift_noise_floor" K, "What a score is on average when nothing has drifted, on its own scale; only where alerts are calibrated.";
    DRIFT_P_VALUE: Gauge "drift_p_value" K, "Share of windows without drift that would score as high, 0 to 1; only where alerts are calibrated.";
    DRIFT_DESIGN_EFFECT: Gauge "drift_design_effect" K, "By how much clean windows of this stream differ more than independent samples do, at least 1; samples divided by it are the effective ones.";
    DRIFT_DETECTABLE_SHIFT: Gauge "drift_minimum_detectable_shift" K, "Shift of a normal feature's mean, in standard deviations, that reaches the lowest line at the window's size.";
    CALIBRATION_STATUS: Gauge "calibration_status" S_STATUS, "1 for what limits the trust in calibrated lines. status = reference_small, budget_extrapolated, phi_learning, blocks_short, too_few_effective.";
    DRIFT_THRESHOLD: Gauge "drift_threshold" K_SEVERITY, "The alarm line of a score, on its own scale. severity = warning, critical.";
    ALERT_ACTIVE: Gauge "alert_active" K_SEVERITY, "1 while an alert fires, 0 while it does not; absent while its score is not ready.";
    WASSERSTEIN_DISTANCE: Gauge "wasserstein_distance" S_REFERENCE, "Wasserstein-1 distance in the feature's own unit.";
    SUPPORT_OVERLAP: Gauge "support_overlap" S_REFERENCE, "Sum over bins of the smaller share, 0 to 1; below 0.05 js and kl are saturated.";
    SCORE_READY: Gauge "score_ready" S_REFERENCE, "1 when scores exist, 0 when not.";
    SCORE_NOT_READY: Gauge "score_not_ready" S_REASON, "1 for the reason why there are no scores. reason = no_reference, stale, warming, partial, empty, too_few_samples.";
    WINDOW_SAMPLES: Gauge "window_samples" S, "Values of the feature in the latest evaluated window.";
    WINDOW_MISSING_RATIO: Gauge "window_missing_ratio" S, "Share of the window's events without a value.";
    WINDOW_ENTROPY_BITS: Gauge "window_entropy_bits" S_REFERENCE, "Entropy of the window's bins, in bits.";
    WINDOW_CROSS_ENTROPY_BITS: Gauge "window_cross_entropy_bits" S_REFERENCE, "Mean surprisal of the window under the reference, in bits per event.";
    WINDOW_MIN_SAMPLES: Gauge "window_min_samples" WINDOW, "Values a window needs before it is scored.";
    FEATURES_DRIFTING: Gauge "features_drifting_ratio" WINDOW_REFERENCE, "Share of the features that could be judged for which an alert fires.";
    FEATURES_SIGNIFICANT: Gauge "features_significant" WINDOW_REFERENCE, "Features whose p-values are more than luck by Benjamini and Hochberg at 5 %; only where alerts are calibrated.";
    WINDOW_COVERAGE_RATIO: Gauge "window_coverage_ratio" WINDOW, "Share of the window's panes and partitions that were counted.";
    WINDOW_END: Gauge "window_end_timestamp_seconds" WINDOW, "End of the latest evaluated window, event time.";
    REFERENCE_INFO: Gauge "reference_info" &["monitor", "reference", "hash"], "1; hash = content hash of the loaded reference.";
    REFERENCE_LOADED: Gauge "reference_loaded" &["monitor", "reference"], "1 when the reference is loaded, 0 when it could not be.";
    REFERENCE_CREATED: Gauge "reference_created_timestamp_seconds" &["monitor", "reference"], "When the reference was fitted.";
    REFERENCE_SAMPLES: Gauge "reference_samples" &["monitor", "reference", "feature"], "Values of the feature in the reference.";
    REFERENCE_MISSING_RATIO: Gauge "reference_missing_ratio" &["monitor", "reference", "feature"], "Share of the reference's rows without a value.";
    FEATURE_INFO: Gauge "feature_info" &["monitor", "feature", "role", "kind"], "1. role = feature, prediction; kind = numeric, categorical, boolean.";
    FEATURE_VALUES: Counter "feature_values_total" FEATURE, "Values counted.";
    FEATURE_UNSEEN: Counter "feature_unseen_category_total" FEATURE, "Values of categories the reference never saw.";
    FEATURE_MISSING: Counter "feature_missing_total" &["monitor", "feature", "kind"], "Events without a value. kind = null, absent, nan.";
    FEATURE_INVALID: Counter "feature_invalid_total" &["monitor", "feature", "reason"], "Values that cannot be counted. reason = wrong_kind, infinite.";
    FEATURE_OUT_OF_RANGE: Counter "feature_out_of_range_total" &["monitor", "feature", "bound"], "Values outside the outer bin edges. bound = below, above.";
    EVENTS: Counter "events_total" MONITOR, "Events counted.";
    EVENTS_LATE: Counter "events_late_total" MONITOR, "Events counted although behind the watermark; a subset of events.";
    EVENTS_DROPPED: Counter "events_dropped_total" &["monitor", "reason"], "Records that are no event of the monitor. reason = filtered, no_timestamp, future, late, expired.";
    ALERT_TRANSITIONS: Counter "alert_transitions_total" &["monitor", "severity", "to"], "Alerts that began or stopped firing. to = firing, resolved.";
    EVALUATIONS: Counter "evaluations_total" MONITOR, "Windows evaluated.";
    EVALUATIONS_SKIPPED: Counter "evaluations_skipped_total" &["monitor", "reason"], "Windows passed over. reason = empty.";
    EVALUATION_DURATION: Histogram "evaluation_duration_seconds" MONITOR, "Time one evaluation took.";
    EVENT_DELAY: Histogram "event_delay_seconds" &["source", "monitor"], "Arrival less event time; negative counts as 0.";
    WATERMARK: Gauge "watermark_timestamp_seconds" &["source", "monitor"], "Event time up to which no earlier record is expected.";
    DECODE_ERRORS: Counter "decode_errors_total" &["source", "reason"], "Records that could not be decoded. reason = json, utf8, depth, too_large, duplicate_key, non_finite_literal, not_an_object.";
    PANE_LOG_COMMITS: Counter "pane_log_commits_total" &["source"], "Commits accepted.";
    PANE_LOG_BYTES: Gauge "pane_log_bytes" &["source"], "Bytes of the commits accepted.";
    PANE_LOG_REJECTED: Counter "pane_log_rejected_total" &["source", "reason"], "Commits rejected. reason = overlap, gap, backwards, no_head, wrong_partition, unreadable.";
    PANE_LOG_POSITION: Gauge "pane_log_position" PARTITION, "The record of the pane log that is read next; a file is partition 0.";
    PANE_LOG_LAG: Gauge "pane_log_lag_records" PARTITION, "Records of the pane log not read yet.";
    PANE_LOG_HASH: Gauge "pane_log_state_hash" PARTITION, "Hash of all counts accepted before pane_log_state_hash_position: equal for two readers at the same position.";
    PANE_LOG_HASHED_AT: Gauge "pane_log_state_hash_position" PARTITION, "The position of pane_log_state_hash, a multiple of 64.";
    PANE_LOG_RECOVERY: Gauge "pane_log_recovery_seconds" &[], "How long it took to read the pane log at the start.";
    KAFKA_UP: Gauge "kafka_up" &["source"], "1 while a broker answers.";
    KAFKA_RECORDS: Counter "kafka_records_consumed_total" TOPIC, "Records read.";
    KAFKA_BYTES: Counter "kafka_bytes_consumed_total" TOPIC, "Bytes of payload read.";
    KAFKA_TOMBSTONES: Counter "kafka_tombstones_total" TOPIC, "Records without a payload.";
    KAFKA_OFFSETS_LOST: Counter "kafka_offsets_lost_total" TOPIC, "Offsets that retention took before they were read; an upper bound on records.";
    KAFKA_PARTITIONS: Gauge "kafka_partitions_assigned" TOPIC, "Partitions being read.";
    KAFKA_LAG: Gauge "kafka_consumer_lag_records" &["source", "topic", "partition"], "Records not yet read.";
    KAFKA_REBALANCES: Counter "kafka_rebalances_total" &["source", "kind"], "Changes of the assignment. kind = assigned, revoked.";
    KAFKA_ERRORS: Counter "kafka_errors_total" &["source", "code"], "Errors of the Kafka client by its code.";
    SERIES: Gauge "series" &[], "Series in this scrape, process_* aside.";
    SERIES_LIMIT: Gauge "series_limit" &[], "Series the configuration may produce at most.";
    BUILD_INFO: Gauge "build_info" &["version"], "1; version of this program.";
    MONITOR_INFO: Gauge "monitor_info" &["monitor", "source"], "1; which source a monitor reads.";
    CONFIG_RELOAD: Gauge "config_last_reload_successful" &[], "1 when the configuration in force is the one on disk when it was last read.";
}

/// The catalogue as a table of the documentation.
#[must_use]
pub fn markdown() -> String {
    let mut table = "| metric | type | labels | |\n|---|---|---|---|\n".to_owned();
    for metric in CATALOG {
        let kind = match metric.kind {
            Type::Gauge => "gauge",
            Type::Counter => "counter",
            Type::Histogram => "histogram",
        };
        table += &format!(
            "| `{}` | {kind} | {} | {} |\n",
            metric.name,
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
    fn names_are_unique_and_counters_say_so() {
        let mut names: Vec<&str> = CATALOG.iter().map(|metric| metric.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CATALOG.len(), "each name once");
        for metric in CATALOG {
            assert_eq!(
                metric.kind == Type::Counter,
                metric.name.ends_with("_total"),
                "{}",
                metric.name
            );
            assert!(
                metric.help.ends_with('.'),
                "{}: help is a sentence",
                metric.name
            );
        }
    }
}
