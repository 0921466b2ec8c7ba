//! Thirty days of minutes: a clean stream keeps its budget whether its values are independent,
//! clustered or autocorrelated.
//!
//! Each feature has a reference of its own (3 to 14 days), windows of 15 minutes at 60 values a
//! minute, and a threshold for one exceedance in 30 days per statistic, before any division between
//! statistics. Overlapping windows exceed together, so a few runs show little: the assertion is on
//! all of them.

use std::time::Duration;

use pegel::calibration::{BlockSpec, NullModel, Panes, WindowContext, block_statistics};
use pegel::model::Statistic;
use pegel::stats::{FeatureCounts, NumericLayout};
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, LogNormal, StandardNormal};

use crate::support::{calibration, is_full, numeric, parallel, rng};

const PER_MINUTE: usize = 60;
const DAY: usize = 1440;
const DAYS: usize = 30;
const WINDOW: usize = 15;
const STATISTICS: [Statistic; 7] = [
    Statistic::Js,
    Statistic::Kl,
    Statistic::Psi,
    Statistic::Hellinger,
    Statistic::TotalVariation,
    Statistic::Ks,
    Statistic::WassersteinBody,
];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Stream {
    Independent,
    /// Every value occurs this many times.
    Clustered(usize),
    /// Correlation between neighbouring records.
    Autoregressive,
    /// A mean that wanders with a time constant of an hour: memory longer than the window.
    Wandering,
    /// The size of clusters changes from hour to hour.
    Bursty,
}

/// A stream, minute by minute.
struct Source {
    stream: Stream,
    rng: ChaCha8Rng,
    last: f64,
    minute: usize,
    cluster: usize,
}

impl Source {
    fn new(stream: Stream, seed: u64) -> Self {
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

    fn minute(&mut self, values: &mut Vec<f64>) {
        values.clear();
        self.minute += 1;
        match self.stream {
            Stream::Independent => values.extend((0..PER_MINUTE).map(|_| self.normal())),
            Stream::Clustered(size) => self.clustered(size, values),
            Stream::Autoregressive => {
                for _ in 0..PER_MINUTE {
                    self.last = 0.9 * self.last + 0.19_f64.sqrt() * self.normal();
                    values.push(self.last);
                }
            }
            Stream::Wandering => {
                let keep = (-1.0_f64 / 60.0).exp();
                self.last = keep * self.last + (1.0 - keep * keep).sqrt() * self.normal();
                let mean = 0.2 * self.last;
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

fn add(layout: &NumericLayout, values: &[f64], window: &mut FeatureCounts) {
    values.iter().for_each(|x| window.record_number(layout, *x));
}

/// The threshold of each statistic for one exceedance in 30 days.
fn lines_of(
    calibration: &NullModel,
    window: &FeatureCounts,
    size: Duration,
) -> [f64; STATISTICS.len()] {
    let alpha = 1.0 / (DAYS * DAY) as f64;
    let context = WindowContext {
        window: Some(size),
        ..WindowContext::default()
    };
    STATISTICS.map(|statistic| {
        let distribution = calibration
            .null_distribution(statistic, window, &context)
            .unwrap();
        distribution.threshold(alpha, 0.0).upper
    })
}

/// Exceedances in 30 days, by statistic.
fn exceedances(stream: Stream, reference_days: usize, seed: u64) -> [u32; STATISTICS.len()] {
    let mut source = Source::new(stream, seed);
    let mut minute = Vec::new();
    let mut values = Vec::with_capacity(reference_days * DAY * PER_MINUTE);
    for _ in 0..reference_days * DAY {
        source.minute(&mut minute);
        values.extend_from_slice(&minute);
    }
    let reference = numeric(values.clone(), 20);
    let layout = reference.layout.numeric().unwrap();
    let mut calibration = calibration(&reference, seed);
    let pane = |at: usize, window: &mut FeatureCounts| {
        add(
            layout,
            &values[at * PER_MINUTE..(at + 1) * PER_MINUTE],
            window,
        );
    };
    let panes = Panes {
        count: reference_days * DAY,
        add: &pane,
        hour: &|_| 0,
    };
    let size = Duration::from_secs(15 * 60);
    let spec = BlockSpec {
        window: size,
        panes: WINDOW,
        min_samples: 1,
    };
    let actual = block_statistics(&calibration, &panes, &spec).unwrap();
    calibration.set_blocks(vec![actual]);
    let mut ring: Vec<FeatureCounts> = vec![FeatureCounts::new(&reference.layout); WINDOW];
    let mut window = FeatureCounts::new(&reference.layout);
    let mut lines = None;
    let mut exceeded = [0; STATISTICS.len()];
    for step in 0..DAYS * DAY + WINDOW - 1 {
        source.minute(&mut minute);
        let pane = &mut ring[step % WINDOW];
        window.subtract(pane);
        pane.clear();
        add(layout, &minute, pane);
        window.merge(pane);
        if step + 1 < WINDOW {
            continue;
        }
        // Every window has as many values, so its thresholds are the same.
        let lines = lines.get_or_insert_with(|| lines_of(&calibration, &window, size));
        let scores = calibration.scorer().evaluate(&window, 1).unwrap();
        for ((count, statistic), line) in exceeded.iter_mut().zip(STATISTICS).zip(*lines) {
            *count += u32::from(scores.get(statistic).unwrap() > line);
        }
    }
    exceeded
}

/// Exceedances over the budget, by statistic, over features with references of 3, 7 and 14 days.
fn ratios(stream: Stream, features: usize) -> [f64; STATISTICS.len()] {
    let days = [3, 7, 14];
    let runs = parallel(features, |i| {
        exceedances(stream, days[i % 3], 7000 + i as u64)
    });
    let total = |s: usize| runs.iter().map(|run| f64::from(run[s])).sum::<f64>();
    let ratios = std::array::from_fn(|s| total(s) / features as f64);
    let shown: Vec<String> = ratios
        .iter()
        .map(|ratio: &f64| format!("{ratio:.2}"))
        .collect();
    println!("| {stream:?} | {features} | {} |", shown.join(" | "));
    ratios
}

#[test]
fn thirty_clean_days_keep_the_budget() {
    println!(
        "| stream | features | {} |",
        STATISTICS.map(|s| s.name()).join(" | ")
    );
    let streams = [
        Stream::Independent,
        Stream::Clustered(2),
        Stream::Clustered(5),
        Stream::Autoregressive,
    ];
    let features = if is_full() { 270 } else { 18 };
    let actual = streams.map(|stream| ratios(stream, features));
    for (s, statistic) in STATISTICS.iter().enumerate() {
        let total = actual.iter().map(|ratios| ratios[s]).sum::<f64>() / actual.len() as f64;
        assert!(total <= 1.2, "{statistic}: {total:.2} times the budget");
        for (stream, ratios) in streams.iter().zip(&actual).filter(|_| is_full()) {
            assert!(
                ratios[s] <= 1.2,
                "{stream:?} {statistic}: {:.2} times the budget",
                ratios[s]
            );
        }
    }
}

#[test]
#[ignore = "reports what the rule does not promise"]
fn correlation_longer_than_the_window_costs_a_few_times_the_budget() {
    println!(
        "| stream | features | {} |",
        STATISTICS.map(|s| s.name()).join(" | ")
    );
    for stream in [Stream::Wandering, Stream::Bursty] {
        ratios(stream, if is_full() { 100 } else { 18 });
    }
}
