//! Shifts of a known size are found within a known number of panes.
//!
//! Windows of 60 panes of 100 values, a budget of one false alarm in 30 days of one-minute steps,
//! no tolerance, a reference of 14 days with its blocks. A shift starts and fills the window pane
//! by pane. The result is the pane at which the score first exceeds its threshold.

use std::sync::Arc;
use std::time::Duration;

use pegel::calibration::{BlockSpec, NullModel, Panes, WindowContext, block_statistics};
use pegel::model::Statistic;
use pegel::reference::FeatureReference;
use pegel::stats::FeatureCounts;
use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};
use statrs::distribution::{ContinuousCDF, Normal};

use crate::support::{calibration, numeric, parallel, rng};

const PANES: usize = 60;
const PER_PANE: usize = 100;
const BINS: usize = 20;
const REFERENCES: usize = 8;
const ALPHA: f64 = 1.0 / 43_200.0;

#[derive(Debug, Clone, Copy)]
enum Shift {
    Mean(f64),
    /// Draws this share of values from the eleventh bin instead.
    OneBin(f64),
}

impl Shift {
    fn draw(self, rng: &mut ChaCha8Rng) -> f64 {
        let x: f64 = StandardNormal.sample(rng);
        match self {
            Shift::Mean(by) => x + by,
            Shift::OneBin(share) if rng.random_bool(share) => {
                let u: f64 = rng.random();
                standard().inverse_cdf((10.0 + u) / BINS as f64)
            }
            Shift::OneBin(_) => x,
        }
    }

    /// PSI over equal-mass bins.
    fn psi(self) -> f64 {
        let edges: Vec<f64> = (0..=BINS)
            .map(|i| standard().inverse_cdf(i as f64 / BINS as f64))
            .collect();
        let q = 1.0 / BINS as f64;
        let shares = (0..BINS).map(|bin| match self {
            Shift::Mean(by) => {
                standard().cdf(edges[bin + 1] - by) - standard().cdf(edges[bin] - by)
            }
            Shift::OneBin(share) => q * (1.0 - share) + if bin == 10 { share } else { 0.0 },
        });
        shares.map(|p| (p - q) * (p / q).ln()).sum()
    }

    /// The shift of this kind that has a given PSI.
    fn with_psi(kind: impl Fn(f64) -> Shift, psi: f64) -> Self {
        let (mut low, mut high) = (0.0, 1.0);
        for _ in 0..60 {
            let middle = f64::midpoint(low, high);
            if kind(middle).psi() < psi {
                low = middle;
            } else {
                high = middle;
            }
        }
        kind(low)
    }
}

fn standard() -> Normal {
    Normal::new(0.0, 1.0).unwrap()
}

/// Two million values in 14 days of minutes.
fn calibrated(seed: u64) -> (Arc<FeatureReference>, NullModel) {
    let count = 14 * 1440;
    let mut rng = rng(seed);
    let values: Vec<f64> = (0..count * PER_PANE)
        .map(|_| StandardNormal.sample(&mut rng))
        .collect();
    let reference = numeric(values.clone(), BINS);
    let layout = reference.layout.numeric().unwrap();
    let mut calibration = calibration(&reference, seed);
    let add = |pane: usize, window: &mut FeatureCounts| {
        for x in &values[pane * PER_PANE..(pane + 1) * PER_PANE] {
            window.record_number(layout, *x);
        }
    };
    let spec = BlockSpec {
        window: Duration::from_secs(3600),
        panes: PANES,
        min_samples: 1,
    };
    let actual = block_statistics(
        &calibration,
        &Panes {
            count,
            add: &add,
            origin: pegel::model::EventTime::from_millis(0),
            hour: &|_| 0,
        },
        &spec,
    )
    .unwrap();
    calibration.set_blocks(vec![actual]);
    (reference, calibration)
}

/// Panes until a shift is found, by JS and by Wasserstein; the length of the window plus one where
/// it is not found.
fn panes_until_found(
    calibration: &NullModel,
    reference: &FeatureReference,
    shift: Shift,
    seed: u64,
) -> [usize; 2] {
    let statistics = [Statistic::Js, Statistic::WassersteinBody];
    let layout = reference.layout.numeric().unwrap();
    let mut rng = rng(seed);
    let mut clean = || {
        (0..PER_PANE)
            .map(|_| StandardNormal.sample(&mut rng))
            .collect::<Vec<f64>>()
    };
    let mut panes: Vec<Vec<f64>> = (0..PANES).map(|_| clean()).collect();
    let mut shifted = crate::support::rng(seed + 1_000_000);
    let mut actual = [PANES + 1; 2];
    let context = WindowContext {
        window: Some(Duration::from_secs(3600)),
        history: None,
        ..WindowContext::default()
    };
    for at in 0..PANES {
        panes[at] = (0..PER_PANE).map(|_| shift.draw(&mut shifted)).collect();
        let mut window = FeatureCounts::new(&reference.layout);
        panes
            .iter()
            .flatten()
            .for_each(|x| window.record_number(layout, *x));
        let scores = calibration.scorer().evaluate(&window, 1).unwrap();
        for (actual, statistic) in actual.iter_mut().zip(statistics) {
            let line = calibration
                .null_distribution(statistic, &window, &context)
                .unwrap()
                .threshold(ALPHA, 0.0);
            if scores.get(statistic).unwrap() > line.upper {
                *actual = (*actual).min(at + 1);
            }
        }
    }
    actual
}

#[test]
fn shifts_are_found_within_the_promised_panes() {
    // A threshold depends on the extreme blocks of its reference: several references, so that
    // chance does not decide.
    let calibrated = parallel(REFERENCES, |i| calibrated(500 + i as u64));
    let cases = [
        (
            "mean, PSI 0.1",
            Shift::with_psi(Shift::Mean, 0.1),
            21,
            Some(17),
        ),
        (
            "mean, PSI 0.05",
            Shift::with_psi(Shift::Mean, 0.05),
            30,
            Some(25),
        ),
        (
            "one bin, PSI 0.1",
            Shift::with_psi(Shift::OneBin, 0.1),
            18,
            None,
        ),
        (
            "one bin, PSI 0.05",
            Shift::with_psi(Shift::OneBin, 0.05),
            28,
            None,
        ),
    ];
    println!("| shift | js p90 | wasserstein_body p90 |");
    let mut failed = Vec::new();
    for (name, shift, by_js, by_wasserstein) in cases {
        let runs = parallel(240, |i| {
            let (reference, calibration) = &calibrated[i % REFERENCES];
            panes_until_found(calibration, reference, shift, i as u64)
        });
        let p90 = |s: usize| {
            let mut panes: Vec<usize> = runs.iter().map(|run| run[s]).collect();
            panes.sort_unstable();
            panes[panes.len() * 9 / 10 - 1]
        };
        println!("| {name} ({shift:?}) | {} | {} |", p90(0), p90(1));
        if p90(0) > by_js || by_wasserstein.is_some_and(|most| p90(1) > most) {
            failed.push(name);
        }
    }
    assert!(failed.is_empty(), "found too late: {failed:?}");
}
