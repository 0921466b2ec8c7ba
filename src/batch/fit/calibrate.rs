//! What `fit` adds to a reference: laws of clean windows, and of its own stretches where its rows carry a time.
//!
//! Rows are read a second time for the block_statistics, because their counts need the layout that the first reading made. One feature is one piece of work; all cores
//! share them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;

use crate::batch::{dataset, progress};
use crate::calibration::{
    BlockSpec, NullModel, Panes, block_statistics, hour_of_week_block_statistics,
};
use crate::engine::MonitorPlan;
use crate::model::{MonitorSpec, ReferenceSpec, WindowSpec};
use crate::panes::PaneCounts;
use crate::reference::HourMixture;
use crate::reference::{FeatureCalibration, FeatureReference, HourOfWeek, Profiles, Reference};
use crate::score::Scorer;
use crate::source::{Rows, RowsError};
use crate::stats::FeatureCounts;

/// Windows hold at least this many values unless a configuration says otherwise; tables are made for twice as many.
const USUAL_SAMPLES: u64 = 500;
/// Panes a reference is cut into when no window says how wide they are.
const PANES: i64 = 900;
/// Beyond this many panes a reference's clock is not to be trusted.
const MOST_PANES: i64 = 4_000_000;
/// BlockStatistics are compared by the hour only where their panes are no wider.
const HOUR: Duration = Duration::from_secs(3600);

/// The reference's rows in panes of one width.
#[derive(Debug, Default)]
pub struct TimedRows {
    /// Panes of every feature, by number since the epoch.
    pub panes: BTreeMap<i64, Vec<PaneCounts>>,
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
    let timed = timed_rows(reference, rows, spec)?;
    let lengths = lengths(spec, &timed);
    let bar = progress::over_items("calibrating", reference.features.len());
    let hash = reference.hash.as_str();
    let profiles = reference.profiles.as_ref();
    let clock = profiles.and_then(|own| HourOfWeek::try_new(&own.timezone).ok());
    let hours = clock.as_ref().zip(profiles);
    let calibrated = reference
        .features
        .par_iter()
        .enumerate()
        .map(|(index, feature)| {
            let own = one(index, feature, hash, &timed, &lengths, hours);
            bar.inc(1);
            own
        });
    let calibrated: Vec<FeatureCalibration> = calibrated.collect();
    bar.finish_and_clear();
    reference.calibration = calibrated;
    Ok(())
}

fn one(
    index: usize,
    feature: &FeatureReference,
    hash: &str,
    timed: &[(Duration, TimedRows)],
    lengths: &[Length],
    hours: Option<(&HourOfWeek, &Profiles)>,
) -> FeatureCalibration {
    let scorer = Scorer::new(Arc::new(feature.clone()), 0.5);
    let mut calibration = NullModel::new(scorer, hash, None);
    let found: Vec<_> = lengths
        .iter()
        .filter_map(|length| {
            let rows = &timed.iter().find(|(width, _)| *width == length.pane)?.1;
            stretches_of(&calibration, index, rows, length, None)
        })
        .collect();
    let by_hour = hours.map(|(clock, profiles)| {
        let hours = profiles.features[index].as_slice().into();
        let seasonal = HourMixture::new(Arc::clone(calibration.scorer().reference()), hours);
        let found = lengths.iter().filter(|length| length.pane <= HOUR);
        let found = found.filter_map(|length| {
            let rows = &timed.iter().find(|(width, _)| *width == length.pane)?.1;
            let by_hour = Some((&seasonal, clock));
            stretches_of(&calibration, index, rows, length, by_hour)
        });
        found.collect()
    });
    if found.is_empty() {
        let least = lengths.iter().map(|length| length.min_samples).min();
        calibration.prepare(2 * least.unwrap_or(USUAL_SAMPLES));
    }
    calibration.set_stretches(found);
    FeatureCalibration {
        hour_of_week: by_hour.unwrap_or_default(),
        ..calibration.to_stored()
    }
}

fn stretches_of(
    calibration: &NullModel,
    feature: usize,
    rows: &TimedRows,
    length: &Length,
    by_hour: Option<(&HourMixture, &HourOfWeek)>,
) -> Option<crate::reference::BlockStatistics> {
    let first = *rows.panes.first_key_value()?.0;
    let last = *rows.panes.last_key_value()?.0;
    let add = |pane: usize, window: &mut FeatureCounts| {
        let at = i64::try_from(pane)
            .ok()
            .and_then(|pane| rows.panes.get(&(first + pane)));
        if let Some(pane) = at {
            pane[feature].add_to(window);
        }
    };
    let hour = |pane: usize| {
        let pane = first.saturating_add(i64::try_from(pane).unwrap_or(i64::MAX));
        by_hour.map_or(0, |(_, clock)| {
            clock.of(dataset::pane_start(pane, length.pane))
        })
    };
    let panes = Panes {
        count: usize::try_from(last - first + 1).ok()?,
        add: &add,
        hour: &hour,
    };
    let spec = BlockSpec {
        window: length.pane * u32::try_from(length.panes).ok()?,
        panes: length.panes,
        min_samples: length.min_samples,
    };
    match by_hour {
        Some((seasonal, _)) => hour_of_week_block_statistics(calibration, seasonal, &panes, &spec),
        None => block_statistics(calibration, &panes, &spec),
    }
}

/// A length of stretches.
#[derive(Debug, Clone, Copy)]
struct Length {
    pane: Duration,
    panes: usize,
    min_samples: u64,
}

/// The configured windows, and a longest stretch that still fits eight times: what stands in for windows the reference is too short for.
fn lengths(spec: &MonitorSpec, timed: &[(Duration, TimedRows)]) -> Vec<Length> {
    let per_window = |window: &WindowSpec| {
        let panes = window.size.as_millis() / window.slide.as_millis().max(1);
        Length {
            pane: window.slide,
            panes: usize::try_from(panes).unwrap_or(usize::MAX),
            min_samples: window.min_samples,
        }
    };
    let mut lengths: Vec<Length> = spec.windows.iter().map(per_window).collect();
    let min_samples = lengths.iter().map(|length| length.min_samples).min();
    for (pane, rows) in timed {
        let (Some((first, _)), Some((last, _))) =
            (rows.panes.first_key_value(), rows.panes.last_key_value())
        else {
            continue;
        };
        let count = usize::try_from(last - first + 1).unwrap_or(0);
        let parts: &[usize] = if spec.windows.is_empty() {
            &[9, 30, 100, 300]
        } else {
            &[9]
        };
        lengths.extend(
            parts
                .iter()
                .map(|part| (count + 1) / part)
                .filter(|panes| *panes > 0)
                .map(|panes| Length {
                    pane: *pane,
                    panes,
                    min_samples: min_samples.unwrap_or(1),
                }),
        );
    }
    lengths.sort_by_key(|length| {
        (
            length.pane * u32::try_from(length.panes).unwrap_or(u32::MAX),
            length.pane,
        )
    });
    lengths.dedup_by_key(|length| length.pane * u32::try_from(length.panes).unwrap_or(u32::MAX));
    lengths
}

/// The rows in panes as wide as each slide; nothing where they carry no time.
fn timed_rows(
    reference: &Reference,
    rows: &dyn Rows,
    spec: &MonitorSpec,
) -> Result<Vec<(Duration, TimedRows)>, RowsError> {
    if spec.timestamp.path.is_none() && !rows.are_timed() {
        return Ok(Vec::new());
    }
    let mut widths: Vec<Duration> = spec.windows.iter().map(|window| window.slide).collect();
    if widths.is_empty() {
        widths.extend(width_of_span(rows, spec)?);
    }
    widths.sort_unstable();
    widths.dedup();
    let plan = plan_of(reference, spec);
    let timed = widths.into_iter().map(|width| {
        let panes = dataset::count_panes(rows, &plan, width)?;
        let span = panes.last_key_value().zip(panes.first_key_value());
        let count = span.map_or(0, |((last, _), (first, _))| last - first);
        let panes = if count < MOST_PANES {
            panes
        } else {
            BTreeMap::new()
        };
        Ok((width, TimedRows { panes }))
    });
    timed.collect()
}

/// The monitor joined with the reference being made; its features are in the reference's order.
#[must_use]
pub fn plan_of(reference: &Reference, spec: &MonitorSpec) -> MonitorPlan {
    let mut spec = spec.clone();
    spec.features_from_reference = true;
    spec.features
        .retain(|feature| reference.feature(&feature.name).is_some());
    let place = |name: &str| reference.features.iter().position(|own| own.name == name);
    spec.features.sort_by_key(|feature| place(&feature.name));
    spec.references = vec![ReferenceSpec::fitted("", "")];
    MonitorPlan::new(spec, vec![Ok(Arc::new(reference.clone()))])
}

/// A width that cuts the rows' span into some hundred panes.
fn width_of_span(rows: &dyn Rows, spec: &MonitorSpec) -> Result<Option<Duration>, RowsError> {
    let span = dataset::span(rows, spec)?;
    Ok(span.map(|(first, last)| {
        let millis = (last.as_millis() - first.as_millis()) / PANES + 1;
        Duration::from_millis(millis.unsigned_abs())
    }))
}
