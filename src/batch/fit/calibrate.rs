//! Calibrates a fitted reference: null distributions, and block statistics where its rows have
//! times.
//!
//! The rows are read again for the blocks, because their counts need the layout that the first pass
//! chose. Features are calibrated in parallel on all cores.
//!
//! The null tables that are stored are those of the windows that the stream will have: as many
//! values as the configured windows of the reference itself hold, from low to high load. Tables of
//! other sizes are simulated by the running process, which is blind meanwhile.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;

use crate::batch::{dataset, progress, row_times};
use crate::calibration::{
    BlockSpec, NullModel, Panes, block_statistics, hour_of_week_block_statistics,
};
use crate::engine::MonitorPlan;
use crate::model::{MonitorSpec, ReferenceSpec, WindowSpec, pane_width as common_pane_width};
use crate::panes::PaneCounts;
use crate::reference::{
    BlockStatistics, FeatureCalibration, FeatureReference, HourMixture, HourOfWeek, Profiles,
    QUARTER, Reference,
};
use crate::score::Scorer;
use crate::source::{Rows, RowsError};
use crate::stats::FeatureCounts;

/// Number of panes that the rows are cut into where no window gives a pane width.
const PANES_OF_SPAN: i64 = 900;
/// Number of panes beyond which the times of the rows are implausible and ignored.
const MAX_PANES: usize = 4_000_000;
/// Shares of the reference's windows below and above which a load is too rare to store tables for.
const LOADS: [f64; 2] = [0.05, 0.95];
/// Widest pane for which blocks are compared by hour of the week.
const HOUR: Duration = Duration::from_secs(3600);

/// The rows of a reference in panes of one width; empty if their times are implausible.
#[derive(Debug)]
struct PaneSeries {
    width: Duration,
    /// Counts of every feature by pane number since the epoch.
    panes: BTreeMap<i64, Vec<PaneCounts>>,
}

impl PaneSeries {
    /// Number of panes from the first to the last, gaps included; `None` without panes.
    fn span(&self) -> Option<usize> {
        let (first, _) = self.panes.first_key_value()?;
        let (last, _) = self.panes.last_key_value()?;
        usize::try_from(last - first + 1).ok()
    }

    /// Numbers of values of a feature in every window of `panes` panes that ends with a counted
    /// pane.
    fn values_of_windows(&self, feature: usize, panes: usize) -> Vec<u64> {
        let panes = i64::try_from(panes).unwrap_or(i64::MAX);
        let Some(first) = self.panes.first_key_value().map(|(number, _)| *number) else {
            return Vec::new();
        };
        let values: Vec<(i64, u64)> = self
            .panes
            .iter()
            .map(|(number, features)| (*number, features[feature].values()))
            .collect();
        let (mut oldest, mut sum) = (0, 0);
        let mut windows = Vec::new();
        for (number, in_pane) in &values {
            sum += in_pane;
            while number.saturating_sub(values[oldest].0) >= panes {
                sum -= values[oldest].1;
                oldest += 1;
            }
            let is_whole = number.saturating_sub(first) + 1 >= panes;
            windows.extend(is_whole.then_some(sum));
        }
        windows
    }
}

/// The length of a block: a number of panes of one width.
#[derive(Debug, Clone, Copy)]
struct BlockLength {
    pane_width: Duration,
    panes: usize,
    min_samples: u64,
}

impl BlockLength {
    fn of_window(window: &WindowSpec) -> Self {
        let panes = window.size.as_millis() / window.slide.as_millis().max(1);
        BlockLength {
            pane_width: window.slide,
            panes: usize::try_from(panes).unwrap_or(usize::MAX),
            min_samples: window.min_samples,
        }
    }

    fn duration(&self) -> Duration {
        self.pane_width * u32::try_from(self.panes).unwrap_or(u32::MAX)
    }

    /// The same length in panes that do not span two hours of the week.
    fn within_hours(&self) -> Self {
        let pane_width = within_hours(self.pane_width);
        let panes_per_pane = self.pane_width.as_millis() / pane_width.as_millis().max(1);
        BlockLength {
            pane_width,
            panes: self.panes * usize::try_from(panes_per_pane).unwrap_or(1),
            min_samples: self.min_samples,
        }
    }
}

/// The widest panes that divide panes of this width and do not span two hours of the week; the
/// width itself where they would be shorter than a minute.
fn within_hours(pane_width: Duration) -> Duration {
    const SHORTEST: Duration = Duration::from_secs(60);
    let common = common_pane_width([pane_width, QUARTER].into_iter());
    if common < SHORTEST {
        pane_width
    } else {
        common
    }
}

/// Calibrates every feature of a fitted reference.
///
/// # Errors
/// The rows cannot be read again.
pub fn calibrate(
    reference: &mut Reference,
    rows: &dyn Rows,
    spec: &MonitorSpec,
) -> Result<(), RowsError> {
    let series = pane_series(reference, rows, spec)?;
    let lengths = block_lengths(spec, &series);
    let bar = progress::over_items("calibrating", reference.features.len());
    let profiles = reference.profiles.as_ref();
    let clock = profiles.and_then(|profiles| HourOfWeek::try_new(&profiles.timezone).ok());
    let hours = clock.as_ref().zip(profiles);
    let calibrations = reference
        .features
        .par_iter()
        .enumerate()
        .map(|(index, feature)| {
            let hash = &reference.hash;
            let calibration =
                calibrate_feature(index, feature, hash, &series, &lengths, hours, spec);
            bar.inc(1);
            calibration
        })
        .collect();
    bar.finish_and_clear();
    reference.calibration = calibrations;
    Ok(())
}

fn calibrate_feature(
    index: usize,
    feature: &FeatureReference,
    hash: &str,
    series: &[PaneSeries],
    lengths: &[BlockLength],
    hours: Option<(&HourOfWeek, &Profiles)>,
    spec: &MonitorSpec,
) -> FeatureCalibration {
    let scorer = Scorer::new(Arc::new(feature.clone()), MonitorSpec::DEFAULT_PSEUDO_COUNT);
    let mut null_model = NullModel::new(scorer, hash, None);
    let blocks: Vec<BlockStatistics> = lengths
        .iter()
        .filter_map(|length| feature_blocks(&null_model, index, series, length, None))
        .collect();
    let hour_of_week = hours.map(|(clock, profiles)| {
        let counts = Arc::clone(&profiles.features[index]);
        let mixture = HourMixture::new(Arc::clone(null_model.scorer().reference()), counts);
        lengths
            .iter()
            .map(|length| match spec.windows.is_empty() {
                true => *length,
                false => length.within_hours(),
            })
            .filter(|length| length.pane_width <= HOUR)
            .filter_map(|length| {
                let by_hour = Some((&mixture, clock));
                feature_blocks(&null_model, index, series, &length, by_hour)
            })
            .collect()
    });
    if blocks.is_empty() && spec.windows.is_empty() {
        null_model.prepare(2 * WindowSpec::DEFAULT_MIN_SAMPLES);
    }
    for window in &spec.windows {
        let [low, high] = window_values(index, series, window);
        null_model.prepare_range(low, high);
    }
    null_model.set_blocks(blocks);
    FeatureCalibration {
        hour_of_week: hour_of_week.unwrap_or_default(),
        ..null_model.to_stored()
    }
}

/// The numbers of values that a window of the stream holds at low and at high load.
///
/// They are those of the reference's own windows that hold `min_samples` values. Without such
/// windows, or without times, it is twice `min_samples`.
fn window_values(feature: usize, series: &[PaneSeries], window: &WindowSpec) -> [u64; 2] {
    let length = BlockLength::of_window(window);
    let mut values: Vec<u64> = series
        .iter()
        .find(|series| series.width == length.pane_width)
        .map(|series| series.values_of_windows(feature, length.panes))
        .unwrap_or_default();
    values.retain(|values| *values >= window.min_samples.max(1));
    values.sort_unstable();
    match values.len().checked_sub(1) {
        Some(last) => LOADS.map(|share| values[nearest_index(share, last)]),
        None => [2 * window.min_samples; 2],
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share of an index"
)]
fn nearest_index(share: f64, last: usize) -> usize {
    (share * last as f64).round() as usize
}

/// Scores every block of one length against the rest of the reference.
///
/// With `by_hour`, each block is compared with the mixture of its own hours of the week. Returns
/// `None` if the reference has no times or is too short for blocks of this length.
fn feature_blocks(
    null_model: &NullModel,
    feature: usize,
    series: &[PaneSeries],
    length: &BlockLength,
    by_hour: Option<(&HourMixture, &HourOfWeek)>,
) -> Option<BlockStatistics> {
    let series = series
        .iter()
        .find(|series| series.width == length.pane_width)?;
    let first = *series.panes.first_key_value()?.0;
    let pane_number = |index: usize| first.saturating_add(i64::try_from(index).unwrap_or(i64::MAX));
    let panes = Panes {
        count: series.span()?,
        origin: dataset::pane_start(first, length.pane_width),
        add: &|index: usize, window: &mut FeatureCounts| {
            if let Some(pane) = series.panes.get(&pane_number(index)) {
                pane[feature].add_to(window);
            }
        },
        hour: &|index: usize| {
            by_hour.map_or(0, |(_, clock)| {
                clock.of(dataset::pane_start(pane_number(index), length.pane_width))
            })
        },
    };
    let spec = BlockSpec {
        window: length.pane_width * u32::try_from(length.panes).ok()?,
        panes: length.panes,
        min_samples: length.min_samples,
    };
    match by_hour {
        Some((mixture, _)) => hour_of_week_block_statistics(null_model, mixture, &panes, &spec),
        None => block_statistics(null_model, &panes, &spec),
    }
}

/// Returns the block lengths to calibrate, shortest first.
///
/// These are the lengths of the configured windows, and for each pane width a ninth of the
/// reference, the longest block that still fits eight times: it stands in for windows that the
/// reference is too short for. Without windows there are three shorter lengths as well.
fn block_lengths(spec: &MonitorSpec, series: &[PaneSeries]) -> Vec<BlockLength> {
    let divisors: &[usize] = if spec.windows.is_empty() {
        &[9, 30, 100, 300]
    } else {
        &[9]
    };
    let min_samples = spec.windows.iter().map(|window| window.min_samples).min();
    let mut lengths: Vec<BlockLength> = spec.windows.iter().map(BlockLength::of_window).collect();
    let is_in_use = |series: &&PaneSeries| {
        spec.windows.is_empty()
            || spec
                .windows
                .iter()
                .any(|window| window.slide == series.width)
    };
    for series in series.iter().filter(is_in_use) {
        let Some(span) = series.span() else {
            continue;
        };
        lengths.extend(
            divisors
                .iter()
                .map(|divisor| (span + 1) / divisor)
                .filter(|panes| *panes > 0)
                .map(|panes| BlockLength {
                    pane_width: series.width,
                    panes,
                    min_samples: min_samples.unwrap_or(1),
                }),
        );
    }
    lengths.sort_by_key(|length| (length.duration(), length.pane_width));
    lengths.dedup_by_key(|length| length.duration());
    lengths
}

/// Counts the rows in panes as wide as each slide; empty where the rows have no times.
fn pane_series(
    reference: &Reference,
    rows: &dyn Rows,
    spec: &MonitorSpec,
) -> Result<Vec<PaneSeries>, RowsError> {
    if spec.timestamp.path.is_none() && !rows.are_timed() {
        return Ok(Vec::new());
    }
    let mut widths: Vec<Duration> = spec.windows.iter().map(|window| window.slide).collect();
    if widths.is_empty() {
        widths.extend(width_for_span(rows, spec)?);
    }
    if reference.profiles.is_some() && !spec.windows.is_empty() {
        let within: Vec<Duration> = widths.iter().copied().map(within_hours).collect();
        widths.extend(within);
    }
    widths.sort_unstable();
    widths.dedup();
    let plan = plan_of(reference, spec);
    widths
        .into_iter()
        .map(|width| {
            let panes = dataset::count_panes(rows, &plan, width)?;
            let mut series = PaneSeries { width, panes };
            if series.span().is_some_and(|panes| panes > MAX_PANES) {
                series.panes.clear();
            }
            Ok(series)
        })
        .collect()
}

/// Joins a monitor with the reference that is being fitted; features in the reference's order.
#[must_use]
pub fn plan_of(reference: &Reference, spec: &MonitorSpec) -> MonitorPlan {
    let mut spec = spec.clone();
    spec.features_from_reference = true;
    spec.features
        .retain(|feature| reference.feature(&feature.name).is_some());
    spec.features.sort_by_key(|feature| {
        reference
            .features
            .iter()
            .position(|fitted| fitted.name == feature.name)
    });
    spec.references = vec![ReferenceSpec::fitted("", "")];
    MonitorPlan::new(spec, vec![Ok(Arc::new(reference.clone()))])
}

/// Returns the pane width that cuts the span of the rows into [`PANES_OF_SPAN`] panes.
fn width_for_span(rows: &dyn Rows, spec: &MonitorSpec) -> Result<Option<Duration>, RowsError> {
    let times = row_times::times(rows, spec)?;
    Ok(times.span.map(|(first, last)| {
        let millis = (last.as_millis() - first.as_millis()) / PANES_OF_SPAN + 1;
        Duration::from_millis(millis.unsigned_abs())
    }))
}
