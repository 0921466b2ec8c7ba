//! Metric families built by hand from a snapshot and encoded by the Prometheus library.

use hdrhistogram::Histogram;
use prometheus::proto::{self, LabelPair, MetricFamily, MetricType};
use prometheus::{Encoder as _, TextEncoder};

use crate::export::{Metric, Type};

/// Names and values.
pub(in crate::export) type Labels = Vec<(String, String)>;

/// Families in the order they were begun.
#[derive(Debug, Default)]
pub(in crate::export) struct Families {
    families: Vec<(Metric, Vec<proto::Metric>)>,
}

impl Families {
    /// Adds a sample; one that is not a number is left out, because absence is a value.
    pub(in crate::export) fn add(&mut self, metric: Metric, labels: &[&str], value: f64) {
        if value.is_nan() {
            return;
        }
        let mut sample = labelled(metric, labels);
        match metric.kind {
            Type::Counter => {
                let mut counter = proto::Counter::default();
                counter.set_value(value);
                sample.set_counter(counter);
            }
            Type::Gauge | Type::Histogram => {
                let mut gauge = proto::Gauge::default();
                gauge.set_value(value);
                sample.set_gauge(gauge);
            }
        }
        self.push(metric, sample);
    }

    /// Adds a count.
    pub(in crate::export) fn count(&mut self, metric: Metric, labels: &[&str], count: u64) {
        self.add(metric, labels, count as f64);
    }

    /// Adds a histogram whose recorded values times `unit` are seconds, with fixed upper bounds in seconds.
    pub(in crate::export) fn histogram(
        &mut self,
        metric: Metric,
        labels: &[&str],
        recorded: &Histogram<u64>,
        unit: f64,
        bounds: &[f64],
    ) {
        let mut histogram = proto::Histogram::default();
        histogram.set_sample_count(recorded.len());
        histogram.set_sample_sum(recorded.mean() * recorded.len() as f64 * unit);
        let bucket = |bound: &f64| {
            let mut bucket = proto::Bucket::default();
            bucket.set_upper_bound(*bound);
            bucket.set_cumulative_count(recorded.count_between(0, whole(bound / unit)));
            bucket
        };
        histogram.set_bucket(bounds.iter().map(bucket).collect::<Vec<_>>());
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

    /// Number of series, a histogram's buckets counted one by one.
    pub(in crate::export) fn series(&self) -> usize {
        let of = |metric: &Metric, samples: &Vec<proto::Metric>| match metric.kind {
            Type::Histogram => samples
                .iter()
                .map(|sample| sample.get_histogram().get_bucket().len() + 3)
                .sum(),
            Type::Counter | Type::Gauge => samples.len(),
        };
        self.families
            .iter()
            .map(|(metric, samples)| of(metric, samples))
            .sum()
    }

    /// The samples of gauges and counters with their labels, by family.
    pub(in crate::export) fn samples(self) -> impl Iterator<Item = (Metric, Vec<(Labels, f64)>)> {
        let sample = |sample: &proto::Metric| {
            let pairs = sample.get_label().iter();
            let labels = pairs.map(|pair| (pair.name().to_owned(), pair.value().to_owned()));
            let value = sample.get_gauge().get_value() + sample.get_counter().get_value();
            (labels.collect(), value)
        };
        let families = self.families.into_iter();
        families.map(move |(metric, samples)| (metric, samples.iter().map(sample).collect()))
    }

    /// The families as the text format has them.
    pub(in crate::export) fn encode(self) -> Vec<u8> {
        let families: Vec<MetricFamily> = self
            .families
            .into_iter()
            .map(|(metric, samples)| family(metric, samples))
            .collect();
        encode(&families)
    }
}

/// Encodes families, some of which may come from elsewhere.
pub(in crate::export) fn encode(families: &[MetricFamily]) -> Vec<u8> {
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(families, &mut text)
        .expect("families are not empty and memory does not fail");
    text
}

fn family(metric: Metric, samples: Vec<proto::Metric>) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(metric.name.to_owned());
    family.set_help(metric.help.to_owned());
    family.set_field_type(match metric.kind {
        Type::Gauge => MetricType::GAUGE,
        Type::Counter => MetricType::COUNTER,
        Type::Histogram => MetricType::HISTOGRAM,
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
    let pair = |(name, value): (&&str, &&str)| {
        let mut pair = LabelPair::default();
        pair.set_name((*name).to_owned());
        pair.set_value((*value).to_owned());
        pair
    };
    proto::Metric::from_label(metric.labels.iter().zip(values).map(pair).collect())
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "bounds are small and positive"
)]
fn whole(value: f64) -> u64 {
    value.round() as u64
}
