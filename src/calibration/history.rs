//! The stream's own history, where the reference has no blocks.
//!
//! A reference without time cannot show how much windows vary without drift, so the stream does.
//! Each window is compared with everything that the stream counted before the window began. A
//! constant difference from the reference cancels, so a stream that drifted before its first window
//! is still found. Windows of an alarm that goes on for longer than a window are left out, with
//! those before it that overlap it: drift is not a measure of the noise. A shorter alarm stays,
//! because it may be a false one, and leaving out what is large makes the rest look small.
//!
//! A few numbers are kept of each window, for fourteen days, and the thresholds follow from them by
//! the rules for blocks. They are made again every hour, and of a history that is still short
//! whenever it has grown by a quarter.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::deviations::{Deviations, RATES, design_effect_of_rare};
use super::null_table::SIMULATED;
use crate::model::{EventTime, WindowSpec};
use crate::reference::{BlockStatistics, RateBlocks};
use crate::score::Scorer;
use crate::stats::{
    BlockDistribution, FeatureCounts, MIN_BLOCKS, block_distribution, quantile_sorted,
};

/// Time for which a window is kept.
const KEPT: Duration = Duration::from_secs(14 * 86_400);
/// Time between two summaries.
const RENEWAL: Duration = Duration::from_secs(3_600);
/// Number of kept windows from which every other one is dropped.
const MOST_WINDOWS: usize = 1_024;
/// Number of windows that are kept of the time of one.
const PER_WINDOW: u32 = 4;
/// Windows side by side, and length in time, of a history that is long enough.
const LEARNED: (f64, Duration) = (20.0, Duration::from_secs(86_400));

/// Numbers kept of a window: its scores, its rates, its rare values, and four noise variances.
const SERIES: usize = SIMULATED.len() + 2 * RATES.len() + 2;
const RATES_FROM: usize = SIMULATED.len();
const RATE_NOISE_FROM: usize = RATES_FROM + RATES.len();
const RARE: usize = SERIES - 2;
const NOISE: usize = SERIES - 1;

/// Stands for a number that a window does not have; all others are at least 0. NaN would not equal
/// itself after a restart.
const ABSENT: f32 = -1.0;

/// The windows of a stream without drift, each against what was counted before it; saved with the
/// engine.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct StreamHistory {
    /// The reference and the length of the window that the history is about.
    key: HistoryKey,
    /// Everything counted in windows side by side, except for those in which an alert fired.
    total: FeatureCounts,
    /// The latest of these windows and its end; part of `total` once later windows begin.
    latest: Option<(EventTime, FeatureCounts)>,
    /// Ends of the kept windows, ascending.
    ends: VecDeque<EventTime>,
    /// By series, one entry per kept window; [`ABSENT`] where it has no such number.
    series: Vec<VecDeque<f32>>,
    /// One window in this many is kept, of those that could be.
    stride: u32,
    /// End of the first window of the alarm that goes on; `None` without one.
    firing_since: Option<EventTime>,
    /// End of the latest window that was left out: later ones that begin before it hold a part of
    /// the same drift.
    usable_from: Option<EventTime>,
    /// End of the latest window when the summary was made, and of the latest one in it.
    summarised_at: Option<EventTime>,
    settled_until: Option<EventTime>,
    /// Time after the full hour at which the summary is made.
    #[serde(skip)]
    summary_offset: Duration,
    /// Made again from the rest when it is restored.
    #[serde(skip)]
    summary: Arc<HistorySummary>,
}

impl HistoryKey {
    /// The key of a reference with this hash, empty for one that changes from window to window.
    #[must_use]
    pub fn new(reference: &str, window: &WindowSpec) -> Self {
        HistoryKey {
            reference: reference.to_owned(),
            window_ms: millis(window.size),
        }
    }
}

/// Whole milliseconds of a duration.
fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// The reference and the window of a history; it says nothing about others.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HistoryKey {
    /// Hash of the reference; empty for one that changes from window to window.
    pub reference: String,
    /// Length of the window in milliseconds.
    pub window_ms: u64,
}

/// The statistics of a history, in the form of a reference's blocks.
#[derive(Debug, Clone, PartialEq)]
pub struct HistorySummary {
    /// `None` before there are two windows side by side.
    pub blocks: Option<BlockStatistics>,
    /// True while the history holds fewer than 20 windows side by side, or less than a day.
    pub is_learning: bool,
}

impl Default for HistorySummary {
    fn default() -> Self {
        HistorySummary {
            blocks: None,
            is_learning: true,
        }
    }
}

impl StreamHistory {
    /// The history before the first window, summarised every hour at `summary_offset` past it.
    #[must_use]
    pub fn new(key: HistoryKey, summary_offset: Duration) -> Self {
        StreamHistory {
            key,
            summary_offset,
            series: vec![VecDeque::new(); SERIES],
            stride: 1,
            ..StreamHistory::default()
        }
    }

    /// Continues with a saved history of this window; `None` if it is about another one.
    #[must_use]
    pub fn restored(saved: Self, window: &WindowSpec, summary_offset: Duration) -> Option<Self> {
        let is_usable = saved.key.window_ms == millis(window.size) && saved.series.len() == SERIES;
        is_usable.then(|| {
            let mut history = saved;
            history.summary_offset = summary_offset;
            history.summarise(window);
            history
        })
    }

    /// True if the history is about this reference and window.
    #[must_use]
    pub fn is_about(&self, key: &HistoryKey) -> bool {
        self.key == *key
    }

    /// The statistics of the latest summary.
    #[must_use]
    pub const fn summary(&self) -> &Arc<HistorySummary> {
        &self.summary
    }

    /// End of the latest window when the summary was made.
    #[must_use]
    pub const fn summarised_at(&self) -> Option<EventTime> {
        self.summarised_at
    }

    /// The number of windows that are kept.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns true before the first window.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.latest.is_none() && self.total.tallies.events() == 0
    }

    /// Adds a window with enough values that ended at `end`.
    ///
    /// `is_firing` is true if an alert of the comparison fires in it.
    pub fn add(
        &mut self,
        counts: &FeatureCounts,
        end: EventTime,
        window: &WindowSpec,
        scorer: &Scorer,
        is_firing: bool,
    ) {
        let start = end.minus(window.size);
        let is_left_out = self.note_alarm(end, window, is_firing);
        if !is_firing && let Some((_, counts)) = self.latest.take_if(|(end, _)| *end <= start) {
            self.total.merge(&counts);
        }
        if !is_left_out && self.usable_from <= Some(start) {
            if self.is_due(end, window)
                && let Some(deviations) = Deviations::of(counts, &self.total, scorer)
            {
                self.keep(end, &deviations);
            }
            if self.latest.is_none() {
                self.latest = Some((end, counts.clone()));
            }
        }
        if self.is_summary_due(end, window) {
            self.forget(end, window);
            self.summarised_at = Some(end);
            self.settled_until = Some(self.settled(end, window));
            self.summarise(window);
        }
    }

    /// Notes whether an alert fires in the window that ended at `end`; true if the window is left
    /// out, because the alert fires for longer than a window.
    ///
    /// The windows since the drift may have begun are dropped then. A shorter alarm stays in the
    /// history: it may be a false one, and a history without its highest scores makes more of them.
    fn note_alarm(&mut self, end: EventTime, window: &WindowSpec, is_firing: bool) -> bool {
        if !is_firing || self.summary.blocks.is_none() {
            self.firing_since = None;
            return false;
        }
        let since = *self.firing_since.get_or_insert(end);
        if end.since(since) < window.size {
            return false;
        }
        let begin = since.minus(window.size);
        self.usable_from = Some(end);
        self.latest.take_if(|(end, _)| *end > begin);
        let kept = self.ends.partition_point(|end| *end <= begin);
        self.ends.truncate(kept);
        self.series
            .iter_mut()
            .for_each(|series| series.truncate(kept));
        true
    }

    /// The end of the latest window that a summary may use: had a drift begun in it, an alert would
    /// have fired for longer than a window by now.
    fn settled(&self, end: EventTime, window: &WindowSpec) -> EventTime {
        let settled = end.minus(window.size * 2);
        let before_alarm = self.firing_since.map(|since| since.minus(window.size));
        before_alarm.map_or(settled, |before| before.min(settled))
    }

    /// True in the first window of an hour, and while the history is short, once it has a quarter
    /// more windows than the summary.
    fn is_summary_due(&self, end: EventTime, window: &WindowSpec) -> bool {
        let hour = |time: EventTime| time.minus(self.summary_offset).align_down(RENEWAL);
        let until = |end: EventTime| self.ends.partition_point(|kept| *kept <= end);
        let is_longer = || {
            let summarised = self.settled_until.map_or(0, until);
            until(self.settled(end, window)) * 4 > summarised * 5
        };
        self.summarised_at.map(hour) != Some(hour(end)) || (self.summary.is_learning && is_longer())
    }

    /// The time between two kept windows: a multiple of the slide.
    fn spacing(&self, window: &WindowSpec) -> Duration {
        let slides = (window.size / PER_WINDOW)
            .as_millis()
            .div_ceil(window.slide.as_millis().max(1));
        let slides = u32::try_from(slides.max(1)).unwrap_or(u32::MAX);
        window
            .slide
            .saturating_mul(slides)
            .saturating_mul(self.stride)
    }

    fn is_due(&self, end: EventTime, window: &WindowSpec) -> bool {
        let spacing = self.spacing(window);
        let has_values = self.total.tallies.values > 0;
        has_values
            && self
                .ends
                .back()
                .is_none_or(|last| last.plus(spacing) <= end)
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "seven digits of a score are enough"
    )]
    fn keep(&mut self, end: EventTime, deviations: &Deviations) {
        self.ends.push_back(end);
        let rate = |part: fn(&super::deviations::RateDeviation) -> f64| {
            deviations
                .rates
                .map(|rate| rate.as_ref().map_or(f64::NAN, part))
        };
        let numbers = deviations
            .scores
            .into_iter()
            .chain(rate(|rate| rate.squared))
            .chain(rate(|rate| rate.noise_variance))
            .chain([
                deviations.rare.unwrap_or(f64::NAN),
                deviations.noise_variance,
            ]);
        for (series, number) in self.series.iter_mut().zip(numbers) {
            let number = number as f32;
            series.push_back(if number.is_finite() { number } else { ABSENT });
        }
    }

    /// Drops windows that are too old, and every other one where there are too many.
    fn forget(&mut self, end: EventTime, window: &WindowSpec) {
        let oldest = end.minus(KEPT.max(window.size * 2));
        let old = self.ends.partition_point(|kept| *kept <= oldest);
        self.ends.drain(..old);
        for series in &mut self.series {
            series.drain(..old);
        }
        if self.ends.len() > MOST_WINDOWS {
            self.stride *= 2;
            halve(&mut self.ends);
            self.series.iter_mut().for_each(halve);
        }
    }

    /// Makes the summary of the windows up to `settled_until`.
    fn summarise(&mut self, window: &WindowSpec) {
        let Some(settled_until) = self.settled_until else {
            return;
        };
        let count = self.ends.partition_point(|end| *end <= settled_until);
        let times = self.ends.front().zip(self.ends.get(count.wrapping_sub(1)));
        let length = times.map_or(Duration::ZERO, |(first, last)| last.since(*first));
        let spacing = self.spacing(window).as_secs_f64();
        let steps_per_window = (window.size.as_secs_f64() / spacing).max(1.0);
        let effective = count as f64 / steps_per_window;
        self.summary = Arc::new(HistorySummary {
            blocks: (effective >= MIN_BLOCKS).then(|| self.blocks(count, steps_per_window)),
            is_learning: effective < LEARNED.0 || length < LEARNED.1,
        });
    }

    /// The numbers of a series in the first `count` windows, without those that do not exist.
    fn numbers(&self, index: usize, count: usize) -> Vec<f64> {
        let numbers = self.series[index].iter().take(count);
        numbers
            .map(|number| f64::from(*number))
            .filter(|number| *number >= 0.0)
            .collect()
    }

    /// The statistics of the first `count` windows.
    fn blocks(&self, count: usize, steps_per_window: f64) -> BlockStatistics {
        let series = |index: usize| self.numbers(index, count);
        let distribution = |index: usize| {
            block_distribution(&series(index), steps_per_window)
                .filter(|windows| windows.scores.mean > 0.0)
        };
        let scores: Vec<Option<BlockDistribution>> =
            (0..SIMULATED.len()).map(distribution).collect();
        let side_by_side = count as f64 / steps_per_window;
        let effective = scores.iter().flatten().map(|windows| windows.effective);
        let rate = |index: usize| {
            Some(RateBlocks {
                distribution: distribution(RATES_FROM + index)?.scores,
                noise_variance: of_the_largest(series(RATE_NOISE_FROM + index)),
            })
        };
        let [missing, invalid, unseen, out_of_range] = std::array::from_fn(rate);
        BlockStatistics {
            window_ms: self.key.window_ms,
            effective: effective.fold(side_by_side, f64::min).max(MIN_BLOCKS),
            independent: None,
            samples: 0.0,
            noise_variance: of_the_largest(series(NOISE)),
            design_effect: Vec::new(),
            distributions: scores
                .into_iter()
                .map(|windows| Some(windows?.scores))
                .collect(),
            missing_noise_variance: missing
                .as_ref()
                .map_or(0.0, |missing| missing.noise_variance),
            missing: missing.map(|missing| missing.distribution),
            invalid,
            unseen,
            out_of_range,
            incidents: Vec::new(),
            rare_design_effect: design_effect_of_rare(&series(RARE)),
        }
    }
}

/// The noise variance that a tenth of the windows falls below: that of the largest ones.
///
/// Larger windows get no credit for averaging that the history does not show. With the mean, the
/// nights would decide where the volume varies.
fn of_the_largest(mut noise_variances: Vec<f64>) -> f64 {
    if noise_variances.is_empty() {
        return 0.0;
    }
    noise_variances.sort_by(f64::total_cmp);
    quantile_sorted(&noise_variances, 0.1)
}

/// Drops every other entry, from the second on.
fn halve<T>(entries: &mut VecDeque<T>) {
    let mut index = 0;
    entries.retain(|_| {
        index += 1;
        index % 2 == 1
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::reference::{Column, FeatureReference, FitOptions, fit};

    const MINUTE: Duration = Duration::from_secs(60);

    fn reference() -> Arc<FeatureReference> {
        let column = Column {
            numbers: (0..1000).map(f64::from).collect(),
            ..Column::default()
        };
        Arc::new(fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap())
    }

    fn window() -> WindowSpec {
        WindowSpec {
            name: "10m".to_owned(),
            size: MINUTE * 10,
            slide: MINUTE,
            min_samples: 1,
        }
    }

    /// A stream of windows whose values are spread over the reference, shifted by `shift`.
    struct Stream {
        scorer: Scorer,
        history: StreamHistory,
        minute: u32,
    }

    impl Stream {
        fn new() -> Self {
            Stream {
                scorer: Scorer::new(reference(), 0.5),
                history: StreamHistory::new(HistoryKey::new("", &window()), Duration::ZERO),
                minute: 0,
            }
        }

        fn run(&mut self, minutes: u32, shift: f64, is_firing: bool) {
            let layout = Arc::clone(&self.scorer.reference().layout);
            for _ in 0..minutes {
                self.minute += 1;
                let mut counts = FeatureCounts::new(&layout);
                for i in 0..200 {
                    // A different sample in each window.
                    let x = f64::from((i * 617 + self.minute * 7919) % 1000) + shift;
                    counts.record_number(layout.numeric().unwrap(), x);
                }
                let end = EventTime::from_millis(i64::from(self.minute) * 60_000);
                let scorer = &self.scorer;
                self.history.add(&counts, end, &window(), scorer, is_firing);
            }
        }

        fn design(&self) -> f64 {
            let blocks = self.history.summary().blocks.as_ref();
            let js = blocks.and_then(|blocks| blocks.distributions[0].as_ref());
            js.map_or(0.0, |js| js.mean)
        }
    }

    #[test]
    fn a_history_is_short_until_it_has_a_day() {
        let mut stream = Stream::new();
        stream.run(20, 0.0, false);
        assert!(
            stream.history.summary().blocks.is_none(),
            "one window of it"
        );
        stream.run(40, 0.0, false);
        let summary = Arc::clone(stream.history.summary());
        assert!(summary.blocks.is_some() && summary.is_learning, "an hour");
        stream.run(1480, 0.0, false);
        assert!(!stream.history.summary().is_learning, "a day");
    }

    #[test]
    fn a_constant_difference_from_the_reference_is_no_noise() {
        let (mut clean, mut shifted) = (Stream::new(), Stream::new());
        clean.run(600, 0.0, false);
        shifted.run(600, 100.0, false);
        assert!(clean.design() > 0.0, "some noise");
        assert!(
            shifted.design() < 1.5 * clean.design(),
            "{}",
            shifted.design()
        );
    }

    #[test]
    fn windows_of_an_alarm_are_left_out_of_a_long_history() {
        let mut stream = Stream::new();
        stream.run(1500, 0.0, false);
        let before = (stream.history.len(), stream.design());
        stream.run(120, 300.0, true);
        let overlapping = PER_WINDOW as usize;
        assert!(stream.history.len() >= before.0 - overlapping, "left out");
        assert!(stream.history.len() < before.0, "with those before");
        assert!((stream.design() / before.1 - 1.0).abs() < 0.2, "no noise");
        stream.run(120, 300.0, false);
        assert!(
            stream.design() > 2.0 * before.1,
            "an unnoticed drift is noise"
        );
    }

    #[test]
    fn a_history_is_bounded_and_comes_back_as_it_was() {
        let mut stream = Stream::new();
        stream.run(15 * 1440, 0.0, false);
        let history = &stream.history;
        assert!(history.len() <= MOST_WINDOWS, "{}", history.len());
        let bytes = postcard::to_allocvec(history).unwrap();
        assert!(bytes.len() < 100_000, "{}", bytes.len());
        let read = || postcard::from_bytes::<StreamHistory>(&bytes).unwrap();
        let restored = StreamHistory::restored(read(), &window(), Duration::ZERO).unwrap();
        assert_eq!(restored, *history, "summary and all");
        let mut longer = window();
        longer.size *= 2;
        assert!(StreamHistory::restored(read(), &longer, Duration::ZERO).is_none());
    }
}
