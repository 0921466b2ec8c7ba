//! Metric families that are built for one scrape and encoded by the Prometheus library.
//!
//! The library's own gauges and counters last as long as the process and keep the series of a
//! feature that was removed. These families hold only what the current view has.

use std::time::Duration;

use prometheus::proto::{self, LabelPair, MetricFamily};
use prometheus::{Encoder as _, TextEncoder};

use super::catalog::{Metric, MetricType};
use crate::stats::DurationHistogram;

/// Label names and values of one sample.
pub(in crate::export) type Labels = Vec<(String, String)>;

/// Families with their samples, in the order of their first samples.
#[derive(Debug, Default)]
pub(in crate::export) struct Families {
    families: Vec<(Metric, Vec<proto::Metric>)>,
}

impl Families {
    /// Adds a sample of a gauge or a counter. NaN is skipped: no number means no series.
    pub(in crate::export) fn add(&mut self, metric: Metric, labels: &[&str], value: f64) {
        if value.is_nan() {
            return;
        }
        let mut sample = labelled(metric, labels);
        match metric.kind {
            MetricType::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                sample.set_counter(counter);
            }
            MetricType::Gauge | MetricType::Histogram => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                sample.set_gauge(gauge);
            }
        }
        self.push(metric, sample);
    }

    /// Adds a sample that is a count; exact below 2^53.
    pub(in crate::export) fn count(&mut self, metric: Metric, labels: &[&str], count: u64) {
        self.add(metric, labels, count as f64);
    }

    /// Adds a histogram of durations in seconds with these upper bounds of its buckets.
    pub(in crate::export) fn histogram(
        &mut self,
        metric: Metric,
        labels: &[&str],
        recorded: &DurationHistogram,
        bounds: &[Duration],
    ) {
        let buckets: Vec<proto::Bucket> = bounds
            .iter()
            .zip(recorded.cumulative(bounds))
            .map(|(bound, count)| {
                let mut bucket = proto::Bucket::default();
                bucket.set_upper_bound(bound.as_secs_f64());
                bucket.set_cumulative_count(count);
                bucket
            })
            .collect();
        let mut histogram = proto::Histogram::default();
        histogram.set_sample_count(recorded.count());
        histogram.set_sample_sum(recorded.sum_seconds());
        histogram.set_bucket(buckets);
        let mut sample = labelled(metric, labels);
        sample.set_histogram(histogram);
        self.push(metric, sample);
    }

    fn push(&mut self, metric: Metric, sample: proto::Metric) {
        match self
            .families
            .iter_mut()
            .find(|(known, _)| known.name == metric.name)
        {
            Some((_, samples)) => samples.push(sample),
            None => self.families.push((metric, vec![sample])),
        }
    }

    /// The number of series. A histogram has one per bucket, and three more for `+Inf`, the sum and
    /// the count.
    pub(in crate::export) fn series(&self) -> usize {
        self.families
            .iter()
            .map(|(metric, samples)| match metric.kind {
                MetricType::Histogram => samples
                    .iter()
                    .map(|sample| sample.get_histogram().get_bucket().len() + 3)
                    .sum(),
                MetricType::Counter | MetricType::Gauge => samples.len(),
            })
            .sum()
    }

    /// The samples of gauges and counters with their labels, by family.
    pub(in crate::export) fn samples(self) -> impl Iterator<Item = (Metric, Vec<(Labels, f64)>)> {
        self.families.into_iter().map(|(metric, samples)| {
            let values = samples
                .iter()
                .map(|sample| {
                    let labels = sample
                        .get_label()
                        .iter()
                        .map(|pair| (pair.name().to_owned(), pair.value().to_owned()))
                        .collect();
                    let value = sample.get_gauge().get_value() + sample.get_counter().get_value();
                    (labels, value)
                })
                .collect();
            (metric, values)
        })
    }

    /// Encodes the families in the text format.
    pub(in crate::export) fn encode(self) -> Vec<u8> {
        let families: Vec<MetricFamily> = self
            .families
            .into_iter()
            .map(|(metric, samples)| family(metric, samples))
            .collect();
        encode(&families)
    }
}

/// Encodes families in the text format, also those that the Prometheus library collects itself.
pub(super) fn encode(families: &[MetricFamily]) -> Vec<u8> {
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(families, &mut text)
        .expect("no family is empty, and writing to memory does not fail");
    text
}

fn family(metric: Metric, samples: Vec<proto::Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    family.set_field_type(match metric.kind {
        MetricType::Gauge => proto::MetricType::GAUGE,
        MetricType::Counter => proto::MetricType::COUNTER,
        MetricType::Histogram => proto::MetricType::HISTOGRAM,
    });
    family.set_metric(samples);
    family
}

fn labelled(metric: Metric, values: &[&str]) -> proto::Metric {
    debug_assert_eq!(
        metric.labels.len(),
        values.len(),
        "labels of {}",
        metric.name
    );
    let labels = metric
        .labels
        .iter()
        .zip(values)
        .map(|(name, value)| {
            let mut pair = LabelPair::default();
            pair.set_name((*name).to_owned());
            pair.set_value((*value).to_owned());
            pair
        })
        .collect();
    proto::Metric::from_label(labels)
}
