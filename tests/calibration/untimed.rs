//! References without time: thirty days of minutes, from the first window on, keep their budget
//! with the stream's own history.
//!
//! The reference is a sample of the stream without order. Windows have 15 minutes at 60 values a
//! minute, thresholds are for one exceedance in 30 days per statistic: of scores without tolerance
//! once the history is long enough, of rates with the default one.

use std::sync::Arc;
use std::time::Duration;

use pegel::calibration::{HistoryKey, NullModel, StreamHistory, WindowContext};
use pegel::model::{EventTime, Kind, Statistic, Tolerance, WindowSpec};
use pegel::reference::{Column, FeatureReference, FitOptions, fit};
use pegel::stats::{FeatureCounts, Tallies};
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;

use crate::source::{DAY, DAYS, PER_MINUTE, Source, Stream, WINDOW, add};
use crate::support::{calibration, is_full, numeric, parallel, rng};

const STATISTICS: [Statistic; 6] = [
    Statistic::Js,
    Statistic::Kl,
    Statistic::Psi,
    Statistic::Ks,
    Statistic::WassersteinBody,
    Statistic::OutOfRangeRatio,
];
const ALPHA: f64 = 1.0 / (DAYS * DAY) as f64;
/// Days of the stream from which the reference is drawn.
const REFERENCE_DAYS: usize = 7;

/// A window that slides over a stream, and what pegel would make of it.
struct Judge {
    model: NullModel,
    history: StreamHistory,
    spec: WindowSpec,
    ring: Vec<FeatureCounts>,
    window: FeatureCounts,
    minute: usize,
    lines: Option<(Option<EventTime>, [f64; STATISTICS.len()])>,
    is_firing: bool,
}

impl Judge {
    fn new(reference_values: Vec<f64>, seed: u64) -> Self {
        Self::of(numeric(reference_values, 20), seed)
    }

    fn of(reference: Arc<FeatureReference>, seed: u64) -> Self {
        let size = Duration::from_secs(WINDOW as u64 * 60);
        Judge {
            model: calibration(&reference, seed),
            history: StreamHistory::new(HistoryKey::default(), Duration::ZERO),
            spec: WindowSpec {
                name: "15m".to_owned(),
                size,
                slide: Duration::from_secs(60),
                min_samples: 500,
            },
            ring: vec![FeatureCounts::new(&reference.layout); WINDOW],
            window: FeatureCounts::new(&reference.layout),
            minute: 0,
            lines: None,
            is_firing: false,
        }
    }

    /// Moves the window on by a minute; returns true if it is full.
    fn slide(&mut self, values: &[f64], nulls: u64) -> bool {
        let end = EventTime::from_millis((self.minute as i64) * 60_000);
        let scorer = self.model.scorer();
        if self.minute >= WINDOW {
            self.history
                .add(&self.window, end, &self.spec, scorer, self.is_firing);
        }
        let pane = &mut self.ring[self.minute % WINDOW];
        self.window.subtract(pane);
        pane.clear();
        add(scorer.reference().layout.numeric().unwrap(), values, pane);
        pane.tallies.missing[0] = nulls;
        self.window.merge(pane);
        self.minute += 1;
        self.minute >= WINDOW
    }

    /// Takes the values of a minute; returns which statistics exceed their thresholds, once the
    /// window is full.
    fn take(&mut self, values: &[f64]) -> Option<[bool; STATISTICS.len()]> {
        if !self.slide(values, 0) {
            return None;
        }
        let lines = self.lines();
        let scores = self.model.scorer().evaluate(&self.window, 1).unwrap();
        let layout = &self.model.scorer().reference().layout;
        let rates = pegel::score::Rates::of(&self.window, layout);
        let mut exceeded = [false; STATISTICS.len()];
        for ((exceeded, statistic), line) in exceeded.iter_mut().zip(STATISTICS).zip(lines) {
            let value = scores.get(statistic).or(rates.get(statistic));
            *exceeded = value.unwrap() > line;
        }
        self.is_firing = exceeded.contains(&true);
        Some(exceeded)
    }

    /// Takes a minute of events of which so many are null; returns true if the missing ratio
    /// exceeds its threshold.
    fn takes_nulls(&mut self, nulls: u64) -> bool {
        let values = (0..PER_MINUTE as u64 - nulls).map(|i| (i * 617 % 1000) as f64 * 10.0);
        if !self.slide(&values.collect::<Vec<f64>>(), nulls) {
            return false;
        }
        let statistic = Statistic::MissingRatio;
        let context = WindowContext {
            window: Some(self.spec.size),
            history: Some(self.history.summary()),
            ..WindowContext::default()
        };
        let tolerance = self
            .model
            .tolerance_on(statistic, Tolerance::Default)
            .max(self.model.least_tolerance(statistic, &context));
        let null = self
            .model
            .null_distribution(statistic, &self.window, &context);
        let range = null.unwrap().threshold(ALPHA, tolerance);
        let rate = self.window.tallies.missing_ratio().unwrap();
        self.is_firing = rate > range.upper || range.lower.is_some_and(|lower| rate < lower);
        self.is_firing
    }

    /// The thresholds; they change with the summary of the history.
    fn lines(&mut self) -> [f64; STATISTICS.len()] {
        if let Some((at, lines)) = self.lines
            && at == self.history.summarised_at()
        {
            return lines;
        }
        let context = WindowContext {
            window: Some(self.spec.size),
            history: Some(self.history.summary()),
            ..WindowContext::default()
        };
        let lines = STATISTICS.map(|statistic| {
            let least = self.model.least_tolerance(statistic, &context);
            let usual = if statistic.is_rate() {
                self.model.tolerance_on(statistic, Tolerance::Default)
            } else {
                0.0
            };
            let tolerance = least.max(usual);
            self.model
                .null_distribution(statistic, &self.window, &context)
                .unwrap()
                .threshold(ALPHA, tolerance)
                .upper
        });
        self.lines = Some((self.history.summarised_at(), lines));
        lines
    }
}

/// A judge with a reference of the stream, and the stream from there on.
fn start(stream: Stream, seed: u64) -> (Judge, Source) {
    let mut source = Source::new(stream, seed);
    let (mut minute, mut values) = (Vec::new(), Vec::new());
    for _ in 0..REFERENCE_DAYS * DAY {
        source.minute(&mut minute);
        values.extend_from_slice(&minute);
    }
    (Judge::new(values, seed), source)
}

/// Exceedances in 30 days, by statistic; the first day is counted as well.
fn exceedances(stream: Stream, seed: u64) -> [u32; STATISTICS.len()] {
    let (mut judge, mut source) = start(stream, seed);
    let mut minute = Vec::new();
    let mut exceeded = [0; STATISTICS.len()];
    for _ in 0..DAYS * DAY {
        source.minute(&mut minute);
        for (count, exceeded) in exceeded
            .iter_mut()
            .zip(judge.take(&minute).unwrap_or_default())
        {
            *count += u32::from(exceeded);
        }
    }
    exceeded
}

/// The number of features that the environment asks for.
fn number_of_features() -> Option<usize> {
    std::env::var("PEGEL_TEST_FEATURES").ok()?.parse().ok()
}

#[test]
fn a_stream_without_a_timed_reference_keeps_its_budget_from_the_first_window_on() {
    println!(
        "| stream | features | {} |",
        STATISTICS.map(|s| s.name()).join(" | ")
    );
    let streams = [
        Stream::Independent,
        Stream::Clustered(5),
        Stream::Clustered(50),
        Stream::Autoregressive(0.8),
        Stream::Autoregressive(0.95),
        Stream::Wandering,
        Stream::Daily(0.3),
    ];
    let features = match number_of_features() {
        Some(features) => features,
        None if is_full() => 120,
        None => 4,
    };
    let mut totals = [0.0; STATISTICS.len()];
    for stream in streams {
        let runs = parallel(features, |i| exceedances(stream, 9000 + i as u64));
        let ratios: [f64; STATISTICS.len()] = std::array::from_fn(|s| {
            runs.iter().map(|run| f64::from(run[s])).sum::<f64>() / features as f64
        });
        let shown: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
        println!("| {stream:?} | {features} | {} |", shown.join(" | "));
        for ((total, ratio), statistic) in totals.iter_mut().zip(ratios).zip(STATISTICS) {
            *total += ratio / streams.len() as f64;
            assert!(
                !is_full() || ratio <= 1.2,
                "{stream:?} {statistic}: {ratio:.2}"
            );
        }
    }
    for (total, statistic) in totals.iter().zip(STATISTICS) {
        assert!(*total <= 1.2, "{statistic}: {total:.2} times the budget");
    }
}

#[test]
fn a_drift_from_the_first_window_on_is_found_within_a_day_after_the_first() {
    let features = if is_full() { 40 } else { 4 };
    let missed = parallel(features, |i| {
        let (mut judge, mut source) = start(Stream::Independent, 500 + i as u64);
        let mut minute = Vec::new();
        (0..2 * DAY).position(|_| {
            source.minute(&mut minute);
            minute.iter_mut().for_each(|x| *x += 0.3);
            judge.take(&minute).unwrap_or_default()[4]
        })
    });
    println!("a shift of 0.3 std is found after minutes {missed:?}");
    assert!(
        missed
            .iter()
            .all(|minute| minute.is_some_and(|minute| minute < DAY + 120)),
        "{missed:?}"
    );
}

/// Nulls of a stream of 60 events a minute.
#[derive(Debug, Clone, Copy)]
enum Nulls {
    /// 2 % of the events, in bursts of five.
    Bursts,
    /// A rate that changes from day to day, 1 % to 4 %.
    Days,
}

impl Nulls {
    fn of_minute(self, minute: usize, random: &mut ChaCha8Rng) -> u64 {
        let day = minute / DAY;
        let (probability, size) = match self {
            Nulls::Bursts => (0.02 / 5.0, 5),
            Nulls::Days => (0.01 + 0.03 * (day * 7 % 10) as f64 / 9.0, 1),
        };
        let hits = (0..PER_MINUTE).filter(|_| random.random_bool(probability));
        hits.count() as u64 * size
    }
}

/// Exceedances of the missing ratio in thirty days, and whether a week of 16 % nulls after them is
/// found.
fn missing(nulls: Nulls, seed: u64) -> (u32, bool) {
    let mut random = rng(seed);
    let minutes = REFERENCE_DAYS * DAY;
    let total: u64 = (0..minutes)
        .map(|minute| nulls.of_minute(minute, &mut random))
        .sum();
    let column = Column {
        numbers: (0..10_000).map(f64::from).collect(),
        tallies: Tallies {
            // As many nulls per value as the stream has.
            missing: [
                total * 10_000 / ((minutes * PER_MINUTE) as u64 - total),
                0,
                0,
            ],
            ..Tallies::default()
        },
        ..Column::default()
    };
    let reference = fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap();
    let mut judge = Judge::of(Arc::new(reference), seed);
    let mut exceeded = 0;
    for minute in minutes..minutes + DAYS * DAY {
        exceeded += u32::from(judge.takes_nulls(nulls.of_minute(minute, &mut random)));
    }
    let is_found = (0..7 * DAY).any(|_| {
        let broken = (0..PER_MINUTE).filter(|_| random.random_bool(0.16));
        judge.takes_nulls(broken.count() as u64)
    });
    (exceeded, is_found)
}

#[test]
fn nulls_in_bursts_and_by_day_keep_their_budget_and_a_week_of_many_is_found() {
    let features = number_of_features().unwrap_or(if is_full() { 120 } else { 4 });
    for nulls in [Nulls::Bursts, Nulls::Days] {
        let runs = parallel(features, |i| missing(nulls, 100 + i as u64));
        let exceeded: u32 = runs.iter().map(|(exceeded, _)| exceeded).sum();
        let ratio = f64::from(exceeded) / features as f64;
        println!("| {nulls:?} | {features} | {ratio:.2} |");
        assert!(ratio <= 1.2, "{nulls:?}: {ratio:.2} times the budget");
        assert!(runs.iter().all(|(_, is_found)| *is_found), "{nulls:?}");
    }
}
