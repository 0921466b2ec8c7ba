//! The live block: what is asked at the moment of a scrape; small.

use prometheus::core::Collector as _;
use prometheus::process_collector::ProcessCollector;

use super::catalog as m;
use super::families::{Families, encode};
use crate::model::{KafkaReport, LogReport};

/// The state of every Kafka source, by name.
pub(in crate::export) fn block<'a>(
    reports: impl Iterator<Item = (&'a str, &'a KafkaReport)>,
) -> Families {
    let mut families = Families::default();
    for (source, report) in reports {
        add_source(&mut families, source, report);
    }
    families
}

fn add_source(families: &mut Families, source: &str, report: &KafkaReport) {
    families.count(m::KAFKA_UP, &[source], u64::from(report.up));
    for (topic, read) in &report.topics {
        let labels = [source, topic.as_str()];
        families.count(m::KAFKA_RECORDS, &labels, read.records);
        families.count(m::KAFKA_BYTES, &labels, read.bytes);
        families.count(m::KAFKA_TOMBSTONES, &labels, read.tombstones);
        families.count(m::KAFKA_OFFSETS_LOST, &labels, read.offsets_lost);
        families.count(m::KAFKA_PARTITIONS, &labels, read.lags.len() as u64);
        for (partition, lag) in &read.lags {
            if let Some(lag) = lag {
                families.count(m::KAFKA_LAG, &[source, topic, &partition.to_string()], *lag);
            }
        }
    }
    for (kind, count) in &report.rebalances {
        families.count(m::KAFKA_REBALANCES, &[source, kind], *count);
    }
    for (code, count) in &report.errors {
        families.count(m::KAFKA_ERRORS, &[source, code], *count);
    }
}

/// How the pane log is read.
pub(in crate::export) fn add_log(families: &mut Families, report: &LogReport) {
    for (partition, read) in &report.partitions {
        let labels = [partition.to_string()];
        let labels = [labels[0].as_str()];
        families.add(m::PANE_LOG_POSITION, &labels, read.next as f64);
        if let Some(lag) = read.lag {
            families.count(m::PANE_LOG_LAG, &labels, lag);
        }
        if read.hashed_at > 0 {
            // A sample holds 53 bits exactly.
            families.count(m::PANE_LOG_HASH, &labels, read.hash >> 12);
            families.add(m::PANE_LOG_HASHED_AT, &labels, read.hashed_at as f64);
        }
    }
    if let Some(seconds) = report.recovery_seconds {
        families.add(m::PANE_LOG_RECOVERY, &[], seconds);
    }
}

/// What the Prometheus library says about the process.
pub(in crate::export) fn process(collector: &ProcessCollector) -> Vec<u8> {
    encode(&collector.collect())
}
