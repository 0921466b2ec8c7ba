//! Streams without drift, minute by minute.

use pegel::stats::{FeatureCounts, NumericLayout};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal, StandardNormal};

use crate::support::rng;

pub(crate) const PER_MINUTE: usize = 60;
pub(crate) const DAY: usize = 1440;
pub(crate) const DAYS: usize = 30;
pub(crate) const WINDOW: usize = 15;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stream {
    Independent,
    /// Every value occurs this many times.
    Clustered(usize),
    /// This correlation between neighbouring records.
    Autoregressive(f64),
    /// A mean that wanders with a time constant of an hour: memory longer than the window.
    Wandering,
    /// The size of clusters changes from hour to hour.
    Bursty,
    /// A mean that follows the time of day, with this standard deviation.
    Daily(f64),
}

/// A stream, minute by minute.
pub(crate) struct Source {
    stream: Stream,
    rng: ChaCha8Rng,
    last: f64,
    minute: usize,
    cluster: usize,
}

impl Source {
    pub(crate) fn new(stream: Stream, seed: u64) -> Self {
        Source {
            stream,
            rng: rng(seed),
            last: 0.0,
            minute: 0,
            cluster: 1,
        }
    }

    fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.rng)
    }

    pub(crate) fn minute(&mut self, values: &mut Vec<f64>) {
        values.clear();
        self.minute += 1;
        match self.stream {
            Stream::Independent => values.extend((0..PER_MINUTE).map(|_| self.normal())),
            Stream::Clustered(size) => self.clustered(size, values),
            Stream::Autoregressive(keep) => {
                for _ in 0..PER_MINUTE {
                    self.last = keep * self.last + (1.0 - keep * keep).sqrt() * self.normal();
                    values.push(self.last);
                }
            }
            Stream::Wandering => {
                let keep = (-1.0_f64 / 60.0).exp();
                self.last = keep * self.last + (1.0 - keep * keep).sqrt() * self.normal();
                let mean = 0.2 * self.last;
                values.extend((0..PER_MINUTE).map(|_| self.normal() + mean));
            }
            Stream::Daily(std) => {
                let phase = self.minute as f64 / DAY as f64 * std::f64::consts::TAU;
                let mean = std * std::f64::consts::SQRT_2 * phase.sin();
                values.extend((0..PER_MINUTE).map(|_| self.normal() + mean));
            }
            Stream::Bursty => {
                if self.minute % 60 == 1 {
                    let size: f64 = LogNormal::new(1.0, 0.7).unwrap().sample(&mut self.rng);
                    self.cluster = (size.round() as usize).clamp(1, PER_MINUTE);
                }
                self.clustered(self.cluster, values);
            }
        }
    }

    fn clustered(&mut self, size: usize, values: &mut Vec<f64>) {
        while values.len() < PER_MINUTE {
            let x = self.normal();
            let room = PER_MINUTE - values.len();
            values.extend(std::iter::repeat_n(x, size.min(room)));
        }
    }
}

pub(crate) fn add(layout: &NumericLayout, values: &[f64], window: &mut FeatureCounts) {
    values.iter().for_each(|x| window.record_number(layout, *x));
}
