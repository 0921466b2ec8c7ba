//! The live block: state that is read at the moment of a scrape.
//!
//! It is small, because it is encoded for every scrape: Kafka sources, the pane log, and the
//! process.

use prometheus::core::Collector as _;
use prometheus::process_collector::ProcessCollector;

use super::catalog;
use super::families::{Families, encode};
use crate::model::{KafkaReport, LogReport};

/// Adds the state of a Kafka source.
pub(in crate::export) fn add_source(families: &mut Families, source: &str, report: &KafkaReport) {
    families.count(catalog::KAFKA_UP, &[source], u64::from(report.up));
    for (topic, topic_report) in &report.topics {
        let labels = [source, topic.as_str()];
        families.count(catalog::KAFKA_RECORDS, &labels, topic_report.records);
        families.count(catalog::KAFKA_BYTES, &labels, topic_report.bytes);
        families.count(catalog::KAFKA_TOMBSTONES, &labels, topic_report.tombstones);
        families.count(
            catalog::KAFKA_OFFSETS_LOST,
            &labels,
            topic_report.offsets_lost,
        );
        families.count(
            catalog::KAFKA_PARTITIONS,
            &labels,
            topic_report.lags.len() as u64,
        );
        for (partition, lag) in &topic_report.lags {
            if let Some(lag) = lag {
                let partition_labels = [source, topic, &partition.to_string()];
                families.count(catalog::KAFKA_LAG, &partition_labels, *lag);
            }
        }
    }
    for (kind, count) in &report.rebalances {
        families.count(catalog::KAFKA_REBALANCES, &[source, kind], *count);
    }
    for (code, count) in &report.errors {
        families.count(catalog::KAFKA_ERRORS, &[source, code], *count);
    }
}

/// Adds the state of the pane log's reader.
pub(in crate::export) fn add_log(families: &mut Families, report: &LogReport) {
    for (partition, partition_report) in &report.partitions {
        let partition_label = partition.to_string();
        let labels = [partition_label.as_str()];
        families.add(
            catalog::PANE_LOG_POSITION,
            &labels,
            partition_report.next as f64,
        );
        if let Some(lag) = partition_report.lag {
            families.count(catalog::PANE_LOG_LAG, &labels, lag);
        }
        if partition_report.hashed_at > 0 {
            // A sample is a double and holds integers exactly up to 53 bits.
            families.count(catalog::PANE_LOG_HASH, &labels, partition_report.hash >> 12);
            families.add(
                catalog::PANE_LOG_HASHED_AT,
                &labels,
                partition_report.hashed_at as f64,
            );
        }
    }
    let is_recovering = u64::from(report.is_recovering);
    families.count(catalog::RECOVERING, &[], is_recovering);
    if let Some(seconds) = report.recovery_seconds {
        families.add(catalog::PANE_LOG_RECOVERY, &[], seconds);
    }
    let snapshots = report.snapshots;
    families.count(catalog::PANE_LOG_SNAPSHOTS, &[], snapshots.written);
    families.count(catalog::PANE_LOG_SNAPSHOTS_FAILED, &[], snapshots.failed);
}

/// The `process_*` metrics, which the Prometheus library collects.
#[derive(Debug)]
pub(in crate::export) struct ProcessMetrics {
    collector: ProcessCollector,
}

impl ProcessMetrics {
    /// Metrics of this process.
    pub(in crate::export) fn for_self() -> Self {
        ProcessMetrics {
            collector: ProcessCollector::for_self(),
        }
    }

    /// Collects and encodes them in the text format.
    pub(in crate::export) fn encode(&self) -> Vec<u8> {
        encode(&self.collector.collect())
    }
}
