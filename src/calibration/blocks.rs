//! The reference's own stretches, each scored against the rest of it.
//!
//! The reference is cut into panes in order of time; a stretch is as many as make a window, and there is one per pane. Each is taken out of the reference before
//! it is compared with it, or it would resemble itself.

use std::sync::Arc;
use std::time::Duration;

use super::NullModel;
use super::null_table::{SIMULATED, noise, quadratic};
use crate::reference::BlockStatistics;
use crate::reference::{HourCounts, HourMixture};
use crate::score::Scorer;
use crate::stats::{FeatureCounts, block_law, moments};

/// More stretches than this say nothing new; longer references are stepped through faster.
const MOST: usize = 20_000;
/// The same where each stretch has a reference of its own.
const MOST_SEASONAL: usize = 4_000;

/// A reference in panes, in order of time.
#[expect(missing_debug_implementations, reason = "holds a function")]
pub struct Panes<'a> {
    /// How many.
    pub count: usize,
    /// Adds the counts of one.
    pub add: &'a dyn Fn(usize, &mut FeatureCounts),
    /// The hour of the week that one begins in.
    pub hour: &'a dyn Fn(usize) -> u16,
}

/// The stretches of one length.
#[derive(Debug, Clone, Copy)]
pub struct BlockSpec {
    /// Their length.
    pub window: Duration,
    /// Panes in one; at least 1.
    pub panes: usize,
    /// BlockStatistics with fewer values are left out, as such windows are.
    pub min_samples: u64,
}

/// The scores of every stretch, over `v`.
#[derive(Default)]
struct Series {
    scores: Vec<Vec<f64>>,
    missing: Vec<f64>,
    v: Vec<f64>,
    missing_v: Vec<f64>,
    samples: Vec<f64>,
}

/// What the stretches of one length say; `None` where fewer than two fit side by side.
#[must_use]
pub fn block_statistics(
    calibration: &NullModel,
    panes: &Panes<'_>,
    spec: &BlockSpec,
) -> Option<BlockStatistics> {
    let step = step(panes, spec, MOST)?;
    let reference = calibration.scorer().reference();
    let mut window = FeatureCounts::new(&reference.layout);
    let mut scratch = window.clone();
    let mut series = Series::new();
    walk(panes, spec, step, &mut |change, is_due| {
        change.apply(panes, &mut window, &mut scratch);
        if is_due {
            let rest = remainder(&reference.counts, &window);
            series.take(&window, rest.as_ref(), calibration.scorer(), spec);
        }
    });
    summed_up(&series, calibration, spec, step)
}

/// The same, each stretch against the rest of the reference in the same hours of the week.
#[must_use]
pub fn hour_of_week_block_statistics(
    calibration: &NullModel,
    seasonal: &HourMixture,
    panes: &Panes<'_>,
    spec: &BlockSpec,
) -> Option<BlockStatistics> {
    let step = step(panes, spec, MOST_SEASONAL)?;
    let pseudo_count = calibration.scorer().pseudo_count();
    let empty = || FeatureCounts::new(&seasonal.week().layout);
    let (mut window, mut scratch, mut hours) = (empty(), empty(), HourCounts::new());
    let mut series = Series::new();
    walk(panes, spec, step, &mut |change, is_due| {
        change.apply(panes, &mut window, &mut scratch);
        let own = of_hour(&mut hours, (panes.hour)(change.pane()), empty);
        change.apply(panes, own, &mut scratch);
        if is_due {
            let events: Vec<(u16, u64)> = hours
                .iter()
                .map(|(hour, part)| (*hour, part.tallies.events()))
                .collect();
            let rest = seasonal.mixed(&events, &hours);
            let rest = rest.map(|rest| Scorer::new(Arc::new(rest), pseudo_count));
            if let Some(scorer) = rest {
                series.take(&window, Some(&scorer.reference().counts), &scorer, spec);
            }
        }
    });
    summed_up(&series, calibration, spec, step)
}

/// Every how many panes a stretch is looked at; `None` where none fits.
fn step(panes: &Panes<'_>, spec: &BlockSpec, most: usize) -> Option<usize> {
    let all = (panes.count + 1).checked_sub(spec.panes)?;
    Some(all.div_ceil(most).max(1))
}

/// The counts of an hour among those of a stretch.
fn of_hour(
    hours: &mut HourCounts,
    hour: u16,
    empty: impl Fn() -> FeatureCounts,
) -> &mut FeatureCounts {
    let place = hours.iter().position(|(known, _)| *known == hour);
    let place = place.unwrap_or_else(|| {
        hours.push((hour, empty()));
        hours.len() - 1
    });
    &mut hours[place].1
}

/// What is left of a reference without a stretch of it; `None` where that is nothing.
fn remainder(whole: &FeatureCounts, stretch: &FeatureCounts) -> Option<FeatureCounts> {
    let mut rest = whole.clone();
    (stretch.tallies.values < rest.tallies.values).then(|| rest.subtract(stretch))?;
    Some(rest)
}

fn summed_up(
    series: &Series,
    calibration: &NullModel,
    spec: &BlockSpec,
    step: usize,
) -> Option<BlockStatistics> {
    let per_window = spec.panes as f64 / step as f64;
    let effective = series.v.len() as f64 / per_window;
    if effective < crate::stats::LEAST {
        return None;
    }
    let samples = moments(&series.samples).0;
    let laws: Vec<_> = series
        .scores
        .iter()
        .map(|scores| block_law(scores, per_window).filter(|law| law.mean > 0.0))
        .collect();
    let design_effect = laws.iter().enumerate().map(|(place, law)| {
        let null = calibration.null(place, whole(samples))?;
        Some((law.as_ref()?.mean / null.mean).max(1.0))
    });
    Some(BlockStatistics {
        window_ms: u64::try_from(spec.window.as_millis()).unwrap_or(u64::MAX),
        effective,
        samples,
        v: moments(&series.v).0,
        design_effect: design_effect.map(|effect| effect.unwrap_or(1.0)).collect(),
        missing: block_law(&series.missing, per_window).filter(|law| law.mean > 0.0),
        missing_v: moments(&series.missing_v).0,
        laws,
    })
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of values"
)]
fn whole(samples: f64) -> u64 {
    samples.round() as u64
}

/// A pane that comes into the stretch, or leaves it.
#[derive(Clone, Copy)]
enum Change {
    Comes(usize),
    Leaves(usize),
}

impl Change {
    const fn pane(self) -> usize {
        match self {
            Change::Comes(pane) | Change::Leaves(pane) => pane,
        }
    }

    /// Makes it happen to `counts`; `scratch` is what the pane is counted in on its way out.
    fn apply(self, panes: &Panes<'_>, counts: &mut FeatureCounts, scratch: &mut FeatureCounts) {
        match self {
            Change::Comes(pane) => (panes.add)(pane, counts),
            Change::Leaves(pane) => {
                scratch.clear();
                (panes.add)(pane, scratch);
                counts.subtract(scratch);
            }
        }
    }
}

/// Walks a stretch through all panes; `each` is told every change, and whether the stretch is then one to look at.
fn walk(panes: &Panes<'_>, spec: &BlockSpec, step: usize, each: &mut dyn FnMut(Change, bool)) {
    for index in 0..panes.count {
        if let Some(left) = index.checked_sub(spec.panes) {
            each(Change::Leaves(left), false);
        }
        let is_whole = index + 1 >= spec.panes;
        let is_due = is_whole && (index + 1 - spec.panes).is_multiple_of(step);
        each(Change::Comes(index), is_due);
    }
}

impl Series {
    fn new() -> Self {
        Series {
            scores: vec![Vec::new(); SIMULATED.len()],
            ..Series::default()
        }
    }

    /// Scores one stretch against the rest of the reference.
    fn take(
        &mut self,
        stretch: &FeatureCounts,
        rest: Option<&FeatureCounts>,
        scorer: &Scorer,
        spec: &BlockSpec,
    ) {
        let n = stretch.tallies.values;
        let is_enough = n >= spec.min_samples.max(1);
        let Some(rest) = rest.filter(|_| is_enough) else {
            return;
        };
        let Some(scores) = scorer.against(stretch, rest) else {
            return;
        };
        let v = noise(n as f64, rest.tallies.values as f64);
        let all = self.scores.iter_mut().zip(quadratic(&scores));
        all.filter(|(_, score)| score.is_finite())
            .for_each(|(series, score)| series.push(score / v));
        let missing_v = noise(
            stretch.tallies.events() as f64,
            rest.tallies.events() as f64,
        );
        let rates = [stretch, rest].map(|counts| counts.tallies.missing_ratio().unwrap_or(0.0));
        self.missing.push((rates[0] - rates[1]).powi(2) / missing_v);
        self.missing_v.push(missing_v);
        self.v.push(v);
        self.samples.push(n as f64);
    }
}
