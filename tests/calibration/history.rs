//! The reference's own blocks: incidents among them, memory longer than a window, and volumes that
//! vary by hour.
//!
//! Streams are drawn minute by minute. Each reference is fitted and its blocks are scored as
//! `pegel fit` does, and thresholds have no tolerance. Unless a test states otherwise, windows have
//! 15 minutes of 60 values.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use pegel::calibration::{
    BlockSpec, CalibrationStatus, NullModel, Panes, WindowContext, block_statistics,
};
use pegel::model::{EventTime, Statistic};
use pegel::reference::{BlockStatistics, FeatureReference};
use pegel::stats::FeatureCounts;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, Poisson, StandardNormal};

use crate::stream::{FIT, MINUTE_MS, START_MS};
use crate::support::{calibration, is_full, numeric, parallel, rng};

const DAY: usize = 1440;
const WINDOW: usize = 15;
const PER_MINUTE: f64 = 60.0;
const STATISTICS: [Statistic; 3] = [Statistic::Js, Statistic::Ks, Statistic::WassersteinBody];
/// One exceedance in 30 days of minutes.
const MONTHLY: f64 = 1.0 / 43_200.0;

/// A stream of minutes.
#[derive(Debug, Clone, Copy)]
enum Stream {
    Independent,
    /// Every value occurs this many times.
    Clustered(usize),
    /// Correlation 0.9 between neighbouring values.
    Autoregressive,
    /// A mean with this standard deviation and exponential memory of so many minutes.
    Wandering(f64, f64),
    /// Half an hour at night has another mean.
    Nightly,
    /// Volume between 4 and 400 a minute by the hour of the day.
    PeakHours,
}

/// An incident: minutes and the shift of their mean.
type Shift = (Range<usize>, f64);

struct Source {
    stream: Stream,
    rng: ChaCha8Rng,
    last: f64,
    minute: usize,
}

impl Source {
    fn new(stream: Stream, seed: u64) -> Self {
        let mut source = Source {
            stream,
            rng: rng(seed),
            last: 0.0,
            minute: 0,
        };
        if let Stream::Wandering(deviation, _) = stream {
            source.last = deviation * source.normal();
        }
        source
    }

    fn normal(&mut self) -> f64 {
        StandardNormal.sample(&mut self.rng)
    }

    /// The values of the next minute, moved by the shifts that hold it.
    fn minute(&mut self, shifts: &[Shift], values: &mut Vec<f64>) {
        let minute = self.minute;
        self.minute += 1;
        values.clear();
        let mut mean: f64 = shifts
            .iter()
            .filter(|(minutes, _)| minutes.contains(&minute))
            .map(|(_, shift)| shift)
            .sum();
        let mut volume = PER_MINUTE as usize;
        let mut copies = 1;
        match self.stream {
            Stream::Independent | Stream::Autoregressive => {}
            Stream::Clustered(size) => copies = size,
            Stream::Wandering(deviation, memory) => {
                let keep = (-1.0 / memory).exp();
                let noise = deviation * (1.0 - keep * keep).sqrt() * self.normal();
                self.last = keep * self.last + noise;
                mean += self.last;
            }
            Stream::Nightly => {
                if (120..150).contains(&(minute % DAY)) {
                    mean += 1.0;
                }
            }
            Stream::PeakHours => {
                let phase = (minute % DAY) as f64 / DAY as f64 * std::f64::consts::TAU;
                let rate = 40.0 * 10.0_f64.powf(-phase.cos());
                let draw: f64 = Poisson::new(rate).unwrap().sample(&mut self.rng);
                volume = draw as usize;
            }
        }
        while values.len() < volume {
            let mut x = self.normal();
            if matches!(self.stream, Stream::Autoregressive) {
                self.last = 0.9 * self.last + 0.19_f64.sqrt() * x;
                x = self.last;
            }
            let room = volume - values.len();
            values.extend(std::iter::repeat_n(x + mean, copies.min(room)));
        }
    }
}

/// A reference with its blocks, and the stream that continues it.
struct History {
    reference: Arc<FeatureReference>,
    model: NullModel,
    blocks: BlockStatistics,
    source: Source,
    window: usize,
}

impl History {
    fn new(stream: Stream, days: usize, shifts: &[Shift], window: usize, seed: u64) -> Self {
        let mut source = Source::new(stream, seed);
        let mut minute = Vec::new();
        let mut minutes = vec![0];
        let mut values = Vec::new();
        for _ in 0..days * DAY {
            source.minute(shifts, &mut minute);
            values.extend_from_slice(&minute);
            minutes.push(values.len());
        }
        let reference = numeric(values.clone(), 20);
        let layout = reference.layout.numeric().unwrap();
        let mut model = calibration(&reference, seed);
        let panes = Panes {
            count: days * DAY,
            origin: EventTime::from_millis(0),
            add: &|pane, counts| {
                for x in &values[minutes[pane]..minutes[pane + 1]] {
                    counts.record_number(layout, *x);
                }
            },
            hour: &|_| 0,
        };
        let blocks = |panes_per_block: usize| {
            let spec = BlockSpec {
                window: Duration::from_secs(60 * panes_per_block as u64),
                panes: panes_per_block,
                min_samples: 1,
            };
            block_statistics(&model, &panes, &spec)
        };
        let stand_in = blocks((days * DAY + 1) / 9);
        let blocks = blocks(window).unwrap();
        model.set_blocks(stand_in.into_iter().chain([blocks.clone()]).collect());
        History {
            reference,
            model,
            blocks,
            source,
            window,
        }
    }

    fn context(&self) -> WindowContext<'static> {
        WindowContext {
            window: Some(Duration::from_secs(60 * self.window as u64)),
            ..WindowContext::default()
        }
    }

    /// The thresholds of a window with so many values.
    fn thresholds(&self, values: u64, alpha: f64) -> [f64; STATISTICS.len()] {
        let mut counts = FeatureCounts::default();
        counts.tallies.values = values;
        STATISTICS.map(|statistic| {
            let null = self
                .model
                .null_distribution(statistic, &counts, &self.context());
            null.unwrap().threshold(alpha, 0.0).upper
        })
    }

    fn has_status(&self, status: CalibrationStatus) -> bool {
        let statuses = self.model.statuses(900, 0.01, &self.context());
        statuses.contains(&status)
    }

    /// Exceedances over the expected number in the next `days`, every `step` minutes.
    ///
    /// `is_judged` chooses windows by the minute of their end.
    fn exceedances(
        &mut self,
        days: usize,
        step: usize,
        alpha: f64,
        is_judged: impl Fn(usize) -> bool,
    ) -> [f64; STATISTICS.len()] {
        let layout = self.reference.layout.numeric().unwrap();
        let empty = FeatureCounts::new(&self.reference.layout);
        let mut ring = vec![empty.clone(); self.window];
        let mut window = empty;
        let mut minute = Vec::new();
        let (mut exceeded, mut windows) = ([0.0; STATISTICS.len()], 0.0);
        for at in 0..days * DAY {
            self.source.minute(&[], &mut minute);
            let pane = &mut ring[at % self.window];
            window.subtract(pane);
            pane.clear();
            minute.iter().for_each(|x| pane.record_number(layout, *x));
            window.merge(pane);
            if at + 1 < self.window || at % step != 0 || !is_judged(at) {
                continue;
            }
            windows += 1.0;
            let scores = self.model.scorer().evaluate(&window, 1).unwrap();
            for (count, statistic) in exceeded.iter_mut().zip(STATISTICS) {
                let null = self
                    .model
                    .null_distribution(statistic, &window, &self.context())
                    .unwrap();
                let line = null.threshold(alpha, 0.0).upper;
                *count += f64::from(u8::from(scores.get(statistic).unwrap() > line));
            }
        }
        exceeded.map(|count| count / (windows * alpha))
    }
}

fn row(name: &str, numbers: impl IntoIterator<Item = f64>) {
    let shown: Vec<String> = numbers
        .into_iter()
        .map(|number| format!("{number:.3}"))
        .collect();
    println!("| {name} | {} |", shown.join(" | "));
}

fn mean<const N: usize>(runs: &[[f64; N]]) -> [f64; N] {
    std::array::from_fn(|index| runs.iter().map(|run| run[index]).sum::<f64>() / runs.len() as f64)
}

/// Incidents of one length and shift, on different days and at different hours.
fn shifts(count: usize, minutes: usize, shift: f64) -> Vec<Shift> {
    [2_005, 5_423, 8_710][..count]
        .iter()
        .map(|start| (*start..start + minutes, shift))
        .collect()
}

#[test]
fn incidents_in_the_reference_do_not_move_its_thresholds() {
    let mut cases = vec![(1, 30, 2.0), (2, 30, 1.0), (3, 5, 2.0), (1, 180, 0.5)];
    let seeds = if is_full() { 10 } else { 1 };
    if is_full() {
        cases = [1, 2, 3]
            .into_iter()
            .flat_map(|count| [5, 30, 180].map(|minutes| (count, minutes)))
            .flat_map(|(count, minutes)| [0.5, 1.0, 2.0].map(|by| (count, minutes, by)))
            .collect();
    }
    let clean = parallel(seeds, |seed| {
        History::new(Stream::Independent, 7, &[], WINDOW, seed as u64).thresholds(900, MONTHLY)
    });
    println!("| incidents | js | ks | wasserstein_body | (threshold over the clean one) |");
    let mut failed = Vec::new();
    for (count, minutes, by) in cases {
        let shifts = shifts(count, minutes, by);
        let ratios: Vec<[f64; STATISTICS.len()]> = parallel(seeds, |seed| {
            let history = History::new(Stream::Independent, 7, &shifts, WINDOW, seed as u64);
            let thresholds = history.thresholds(900, MONTHLY);
            std::array::from_fn(|s| thresholds[s] / clean[seed][s])
        });
        let name = format!("{count} of {minutes} min, {by} std");
        let ratios = mean(&ratios);
        row(&name, ratios);
        // More than 2 % of the reference moves every score, because the counts keep them.
        let is_small = count as f64 * minutes as f64 * by <= 400.0;
        if is_small && ratios.iter().any(|ratio| *ratio > 1.3) {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn a_shift_is_found_after_an_incident_in_the_reference() {
    let features = if is_full() { 10 } else { 2 };
    for (minutes, by) in [(30, 2.0), (180, 2.0)] {
        let outcomes = parallel(features, |seed| {
            let shifts = shifts(1, minutes, by);
            let history = History::new(Stream::Independent, 7, &shifts, WINDOW, 40 + seed as u64);
            let range = history.blocks.incidents.first().unwrap();
            let start = range.from().as_millis() / 60_000;
            assert!((start - 2_005).abs() <= 15, "{range}");
            let mut random = rng(90 + seed as u64);
            let moved = (0..900).map(|_| {
                let x: f64 = StandardNormal.sample(&mut random);
                x + 2.0
            });
            let window = crate::support::count_numbers(&history.reference, moved);
            let scores = history.model.scorer().evaluate(&window, 1).unwrap();
            let thresholds = history.thresholds(900, MONTHLY);
            STATISTICS
                .iter()
                .zip(thresholds)
                .all(|(statistic, line)| scores.get(*statistic).unwrap() > line)
        });
        let count = outcomes.iter().filter(|is_found| **is_found).count();
        println!("incident of {minutes} min, {by} std: found in {count} of {features}");
        assert_eq!(count, features, "a later shift of two deviations");
    }
}

#[test]
fn what_recurs_and_what_clusters_is_no_incident() {
    let streams = [
        Stream::Independent,
        Stream::Clustered(5),
        Stream::Autoregressive,
        Stream::Wandering(0.2, 60.0),
    ];
    let features = if is_full() { 40 } else { 2 };
    println!("| stream | js | ks | wasserstein_body | (exceedances over the budget) | left out |");
    for stream in streams {
        let runs = parallel(features, |seed| {
            let mut history = History::new(stream, 7, &[], WINDOW, 700 + seed as u64);
            let left_out = history.blocks.incidents.len();
            let days = if is_full() { 30 } else { 2 };
            (history.exceedances(days, 1, MONTHLY, |_| true), left_out)
        });
        let ratios: Vec<_> = runs.iter().map(|(ratios, _)| *ratios).collect();
        let left_out = runs.iter().filter(|(_, left_out)| *left_out > 0).count();
        row(&format!("{stream:?}"), mean(&ratios));
        println!("  left out in {left_out} of {features}");
        assert!(left_out * 4 <= features + 4, "{stream:?}: {left_out}");
    }
    for days in [2, 3, 7] {
        let history = History::new(Stream::Nightly, days, &[], WINDOW, 5);
        let left_out = &history.blocks.incidents;
        assert!(left_out.is_empty(), "{days} nights: {left_out:?}");
    }
}

/// Runs `pegel`; returns what it prints on standard error.
fn messages(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_pegel"))
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap();
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {messages}");
    messages
}

#[test]
fn fit_and_check_name_the_incidents_of_the_reference() {
    let directory = tempfile::tempdir().unwrap();
    let mut random = rng(21);
    let mut rows = String::from("ts,x,y\n");
    for minute in 0..2 * DAY {
        for i in 0..20 {
            let at = START_MS + minute as u64 * MINUTE_MS + i * 3_000;
            let [x, y]: [f64; 2] = std::array::from_fn(|_| StandardNormal.sample(&mut random));
            // 2026-11-01 from 10:00 to 10:30, and from 20:00 to 20:30.
            let x = if (600..630).contains(&minute) {
                x + 2.0
            } else {
                x
            };
            if (1200..1230).contains(&minute) {
                writeln!(rows, "{at},{x},").unwrap();
            } else {
                writeln!(rows, "{at},{x},{y}").unwrap();
            }
        }
    }
    let config = "version: 1
sources: {s: {kafka: {brokers: [\"localhost:1\"], topics: [t]}}}
monitors:
  - name: m
    source: s
    timestamp: {path: /ts}
    windows: [{size: 15m, slide: 1m, min_samples: 100}]
    reference: {file: ref.json}
    features: [{name: x, kind: numeric}, {name: y, kind: numeric}]
";
    std::fs::write(directory.path().join("days.csv"), rows).unwrap();
    std::fs::write(directory.path().join("pegel.yaml"), config).unwrap();
    let of_fit = messages(directory.path(), &FIT);
    let of_check = messages(directory.path(), &["check", "-c", "pegel.yaml"]);
    for text in [of_fit, of_check] {
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.contains("differs from the rest of the reference"))
            .collect();
        // A range ends within the incident's first and last minutes, or where too few values are
        // left for a block.
        for start in ["2026-11-01 10:0", "2026-11-01 20:0"] {
            let is_named = |line: &&&str| {
                line.contains(start)
                    && line.ends_with("left out of the thresholds (1 of 2 features)")
            };
            assert_eq!(lines.iter().filter(is_named).count(), 1, "{start}: {text}");
        }
    }
}

#[test]
fn a_memory_of_days_keeps_the_budget_or_has_a_status() {
    let runs_per_stream = if is_full() { 60 } else { 4 };
    println!("| memory, days | js | ks | wasserstein_body | (over 1 %) | without a status |");
    let memories: &[f64] = if is_full() {
        &[1440.0, 360.0, 60.0]
    } else {
        &[1440.0]
    };
    let days = 7;
    for memory in memories.iter().copied() {
        let runs = parallel(runs_per_stream, |seed| {
            let stream = Stream::Wandering(0.5, memory);
            let mut history = History::new(stream, days, &[], WINDOW, 900 + seed as u64);
            let future = if is_full() { 30 } else { 5 };
            let ratios = history.exceedances(future, 15, 0.01, |_| true);
            (ratios, history.has_status(CalibrationStatus::BlocksFew))
        });
        let ratios: Vec<_> = runs.iter().map(|(ratios, _)| *ratios).collect();
        let silent: Vec<_> = runs
            .iter()
            .filter(|(_, has_status)| !has_status)
            .map(|(ratios, _)| ratios[0])
            .collect();
        row(&format!("{memory} min, {days} d"), mean(&ratios));
        let bad = silent.iter().filter(|ratio| **ratio > 2.0).count();
        println!(
            "  {} without a status, {bad} of them above twice",
            silent.len()
        );
        if memory > 1000.0 {
            assert!(bad * 5 <= runs_per_stream, "{bad} of {runs_per_stream}");
        }
        if memory < 100.0 {
            assert_eq!(silent.len(), runs_per_stream, "an hour is no reason");
        }
    }
}

#[test]
fn peak_hours_have_thresholds_of_their_own_size() {
    let features = if is_full() { 24 } else { 2 };
    let days = if is_full() { 20 } else { 2 };
    let runs = parallel(features, |seed| {
        let mut history = History::new(Stream::PeakHours, 7, &[], WINDOW, 300 + seed as u64);
        let mut counts = FeatureCounts::default();
        counts.tallies.values = 15 * 400;
        let null = history
            .model
            .null_distribution(Statistic::Js, &counts, &history.context())
            .unwrap();
        let by_day = null.threshold(MONTHLY, 0.0).upper / null.noise_floor();
        let is_day = |minute: usize| (540..900).contains(&(minute % DAY));
        let mut ratios = history.exceedances(days, 5, 0.01, is_day);
        ratios[2] = by_day;
        ratios
    });
    let ratios = mean(&runs);
    println!("| features | js | ks (over 1 % by day) | threshold over floor at 400 a minute |");
    row(&format!("{features}"), ratios);
    assert!(ratios[2] <= 6.0, "blind by day: {ratios:?}");
    assert!(ratios[0] <= 1.2 && ratios[1] <= 1.2, "budget: {ratios:?}");
}

#[test]
fn more_history_gives_no_higher_threshold() {
    let window = DAY;
    println!("| weeks | js at 1 % |");
    let weeks: &[usize] = if is_full() {
        &[1, 2, 3, 4, 6, 8, 12]
    } else {
        &[1, 2, 4]
    };
    let thresholds = parallel(weeks.len(), |index| {
        rhythm_threshold(weeks[index] * 7, window)
    });
    for (weeks, threshold) in weeks.iter().zip(&thresholds) {
        println!("| {weeks} | {threshold:.5} |");
    }
    let few_days = rhythm_threshold(3, window);
    println!("| 3 days | {few_days:.5} |");
    for pair in thresholds.windows(2) {
        assert!(pair[1] <= 1.4 * pair[0], "{thresholds:?}");
    }
    assert!(few_days >= 0.5 * thresholds[0], "{few_days} {thresholds:?}");
}

/// The threshold of JS at 1 % for a window of so many minutes on a daily and weekly rhythm, with
/// panes of an hour.
fn rhythm_threshold(days: usize, window: usize) -> f64 {
    let mut random = rng(12);
    let hours: Vec<Vec<f64>> = (0..days * 24)
        .map(|hour| {
            let phase = hour as f64 / 24.0 * std::f64::consts::TAU;
            let weekend = if hour / 24 % 7 >= 5 { 0.4 } else { 0.0 };
            let mean = 0.5 * phase.sin() + weekend;
            (0..300)
                .map(|_| {
                    let x: f64 = StandardNormal.sample(&mut random);
                    x + mean
                })
                .collect()
        })
        .collect();
    let reference = numeric(hours.concat(), 20);
    let layout = reference.layout.numeric().unwrap();
    let mut model = calibration(&reference, 1);
    let panes = Panes {
        count: hours.len(),
        origin: EventTime::from_millis(0),
        add: &|pane, counts| {
            hours[pane]
                .iter()
                .for_each(|x| counts.record_number(layout, *x));
        },
        hour: &|_| 0,
    };
    let blocks = [(hours.len() + 1) / 9, window / 60]
        .into_iter()
        .filter_map(|panes_per_block| {
            let spec = BlockSpec {
                window: Duration::from_secs(3600 * panes_per_block as u64),
                panes: panes_per_block,
                min_samples: 1,
            };
            block_statistics(&model, &panes, &spec)
        })
        .collect();
    model.set_blocks(blocks);
    let mut counts = FeatureCounts::default();
    counts.tallies.values = 300 * window as u64 / 60;
    let context = WindowContext {
        window: Some(Duration::from_secs(60 * window as u64)),
        ..WindowContext::default()
    };
    let null = model
        .null_distribution(Statistic::Js, &counts, &context)
        .unwrap();
    null.threshold(0.01, 0.0).upper
}
