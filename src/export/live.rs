//! The live block: what is asked at the moment of a scrape; small.

use prometheus::core::Collector as _;
use prometheus::process_collector::ProcessCollector;

use super::catalog as m;
use super::families::{Families, encode};
use crate::model::KafkaReport;

/// The state of every Kafka source, by name.
pub(super) fn block<'a>(reports: impl Iterator<Item = (&'a str, &'a KafkaReport)>) -> Families {
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

/// What the Prometheus library says about the process.
pub(super) fn process(collector: &ProcessCollector) -> Vec<u8> {
    encode(&collector.collect())
}
