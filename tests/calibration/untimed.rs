//! References without time: thirty days of minutes, from the first window on, keep their budget
//! with the stream's own history.
//!
//! The reference is a sample of the stream without order. Windows have 15 minutes at 60 values a
//! minute, thresholds are for one exceedance in 30 days per statistic: of scores without tolerance
//! once the history is long enough, of rates with the default one.

use std::time::Duration;

use pegel::calibration::{HistoryKey, NullModel, StreamHistory, WindowContext, tolerance_on};
use pegel::model::{EventTime, Statistic, Tolerance, WindowSpec};
use pegel::stats::FeatureCounts;

use crate::source::{DAY, DAYS, Source, Stream, WINDOW, add};
use crate::support::{calibration, is_full, numeric, parallel};

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
        let reference = numeric(reference_values, 20);
        let size = Duration::from_secs(WINDOW as u64 * 60);
        Judge {
            model: calibration(&reference, seed),
            history: StreamHistory::new(HistoryKey::default()),
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

    /// Takes the values of a minute; returns which statistics exceed their thresholds, once the
    /// window is full.
    fn take(&mut self, values: &[f64]) -> Option<[bool; STATISTICS.len()]> {
        let reference = self.model.scorer().reference().clone();
        let end = EventTime::from_millis((self.minute as i64) * 60_000);
        if self.minute >= WINDOW {
            let scorer = self.model.scorer();
            self.history
                .add(&self.window, end, &self.spec, scorer, self.is_firing);
        }
        let pane = &mut self.ring[self.minute % WINDOW];
        self.window.subtract(pane);
        pane.clear();
        add(reference.layout.numeric().unwrap(), values, pane);
        self.window.merge(pane);
        self.minute += 1;
        if self.minute < WINDOW {
            return None;
        }
        let lines = self.lines();
        let scores = self.model.scorer().evaluate(&self.window, 1).unwrap();
        let rates = pegel::score::Rates::of(&self.window, &reference.layout);
        let mut exceeded = [false; STATISTICS.len()];
        for ((exceeded, statistic), line) in exceeded.iter_mut().zip(STATISTICS).zip(lines) {
            let value = scores.get(statistic).or(rates.get(statistic));
            *exceeded = value.unwrap() > line;
        }
        self.is_firing = exceeded.contains(&true);
        Some(exceeded)
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
            let own = if statistic.is_rate() {
                tolerance_on(statistic, Tolerance::Default, &self.model)
            } else {
                0.0
            };
            let tolerance = least.max(own);
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
    let features = if is_full() { 120 } else { 4 };
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
