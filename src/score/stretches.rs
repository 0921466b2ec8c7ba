//! The reference's own stretches, each scored against the rest of it.
//!
//! The reference is cut into panes in order of time; a stretch is as many as make a window, and there is one per pane. Each is taken out of the reference before
//! it is compared with it, or it would resemble itself.

use std::time::Duration;

use super::Calibration;
use super::clean::{SIMULATED, noise, quadratic};
use crate::reference::Stretches;
use crate::stats::{FeatureCounts, block_law, moments};

/// More stretches than this say nothing new; longer references are stepped through faster.
const MOST: usize = 20_000;

/// A reference in panes, in order of time.
#[expect(missing_debug_implementations, reason = "holds a function")]
pub struct Panes<'a> {
    /// How many.
    pub count: usize,
    /// Adds the counts of one.
    pub add: &'a dyn Fn(usize, &mut FeatureCounts),
}

/// The stretches of one length.
#[derive(Debug, Clone, Copy)]
pub struct StretchSpec {
    /// Their length.
    pub window: Duration,
    /// Panes in one; at least 1.
    pub panes: usize,
    /// Stretches with fewer values are left out, as such windows are.
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
pub fn stretches(
    calibration: &Calibration,
    panes: &Panes<'_>,
    spec: &StretchSpec,
) -> Option<Stretches> {
    let all = (panes.count + 1).checked_sub(spec.panes)?;
    let step = all.div_ceil(MOST).max(1);
    let series = series(calibration, panes, spec, step);
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
    Some(Stretches {
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

fn series(calibration: &Calibration, panes: &Panes<'_>, spec: &StretchSpec, step: usize) -> Series {
    let reference = calibration.scorer().reference();
    let mut series = Series {
        scores: vec![Vec::new(); SIMULATED.len()],
        ..Series::default()
    };
    let mut window = FeatureCounts::new(&reference.layout);
    let mut pane = FeatureCounts::new(&reference.layout);
    for index in 0..panes.count {
        (panes.add)(index, &mut window);
        if let Some(left) = index.checked_sub(spec.panes) {
            pane.clear();
            (panes.add)(left, &mut pane);
            window.subtract(&pane);
        }
        let is_whole = index + 1 >= spec.panes;
        if is_whole && (index + 1 - spec.panes).is_multiple_of(step) {
            series.take(calibration, &window, spec.min_samples);
        }
    }
    series
}

impl Series {
    /// Scores one stretch against the rest of the reference.
    fn take(&mut self, calibration: &Calibration, stretch: &FeatureCounts, min_samples: u64) {
        let mut rest = calibration.scorer().reference().counts.clone();
        let n = stretch.tallies.values;
        if n < min_samples.max(1) || n >= rest.tallies.values {
            return;
        }
        rest.subtract(stretch);
        let Some(scores) = calibration.scorer().against(stretch, &rest) else {
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
        let rates = [stretch, &rest].map(|counts| counts.tallies.missing_ratio().unwrap_or(0.0));
        self.missing.push((rates[0] - rates[1]).powi(2) / missing_v);
        self.missing_v.push(missing_v);
        self.v.push(v);
        self.samples.push(n as f64);
    }
}
