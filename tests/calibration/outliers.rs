//! One outlier raises no distribution alert; a wrong unit raises all of them.

use std::sync::Arc;

use pegel::calibration::{NullModel, WindowContext};
use pegel::model::Statistic;
use pegel::reference::FeatureReference;
use pegel::score::Rates;
use rand_distr::{Distribution, LogNormal, StandardNormal};

use crate::support::{calibration, count_numbers, numeric, rng};

const M: usize = 100_000;
const N: usize = 10_000;

fn sample(is_heavy: bool, seed: u64, count: usize) -> Vec<f64> {
    let mut rng = rng(seed);
    if is_heavy {
        let distribution = LogNormal::new(3.0, 2.0).unwrap();
        (0..count).map(|_| distribution.sample(&mut rng)).collect()
    } else {
        let normal = (0..count).map(|_| StandardNormal.sample(&mut rng));
        normal.map(|x: f64| 10.0 + 3.0 * x).collect()
    }
}

struct Feature {
    reference: Arc<FeatureReference>,
    calibration: NullModel,
}

impl Feature {
    fn new(values: Vec<f64>) -> Self {
        let reference = numeric(values, 20);
        let calibration = calibration(&reference, 3);
        Feature {
            reference,
            calibration,
        }
    }

    /// Score and threshold at one false alarm in 30 days of minutes and the default tolerance.
    fn judge(&self, statistic: Statistic, values: &[f64]) -> (f64, f64) {
        let window = count_numbers(&self.reference, values.iter().copied());
        let rates = Rates::of(&window, &self.reference.layout);
        let scores = self.calibration.scorer().evaluate(&window, 1).unwrap();
        let score = scores.get(statistic).or(rates.get(statistic)).unwrap();
        let tolerance = self
            .calibration
            .tolerance_on(statistic, pegel::model::Tolerance::Default);
        let distribution = self
            .calibration
            .null_distribution(statistic, &window, &WindowContext::default())
            .unwrap();
        (
            score,
            distribution.threshold(1.0 / 43_200.0, tolerance).upper,
        )
    }
}

#[test]
fn one_outlier_in_a_window_raises_only_the_out_of_range_rate() {
    for is_heavy in [false, true] {
        let feature = Feature::new(sample(is_heavy, 1, M));
        let mut window = sample(is_heavy, 2, N);
        let before = feature.judge(Statistic::Js, &window).0;
        window[0] = 1e9;
        let (after, _) = feature.judge(Statistic::Js, &window);
        assert!((after - before).abs() < 1e-3, "JS {before} -> {after}");
        let (body, line) = feature.judge(Statistic::WassersteinBody, &window);
        assert!(body < line, "heavy {is_heavy}: body {body}, line {line}");
        let (rate, _) = feature.judge(Statistic::OutOfRangeRatio, &window);
        assert!(rate >= 1.0 / N as f64, "shows in the rate: {rate}");
        println!("heavy {is_heavy}: body {body:.4}, line {line:.4}, out of range {rate:.5}");
    }
}

#[test]
fn one_outlier_in_the_reference_hides_no_drift() {
    for is_heavy in [false, true] {
        let mut values = sample(is_heavy, 1, M);
        values[0] = 1e9;
        let feature = Feature::new(values);
        let clean = sample(is_heavy, 2, N);
        let (body, line) = feature.judge(Statistic::WassersteinBody, &clean);
        assert!(
            body < line,
            "heavy {is_heavy}: a clean window is quiet, {body} and {line}"
        );
        let wrong: Vec<f64> = clean.iter().map(|x| x * 10.0).collect();
        let (body, line) = feature.judge(Statistic::WassersteinBody, &wrong);
        assert!(
            body > line,
            "heavy {is_heavy}: x10 is not, {body} and {line}"
        );
    }
}

#[test]
fn unit_errors_and_a_shift_of_a_third_of_a_deviation_alert() {
    for is_heavy in [false, true] {
        let feature = Feature::new(sample(is_heavy, 1, M));
        let clean = sample(is_heavy, 2, N);
        let third = 0.3 * feature.calibration.scorer().body().unwrap().std;
        let cases = [
            ("x10", 10.0, 0.0),
            ("x100", 100.0, 0.0),
            ("x1000", 1000.0, 0.0),
            ("/1000", 0.001, 0.0),
            ("+0.3 std", 1.0, third),
        ];
        for (name, factor, offset) in cases {
            let window: Vec<f64> = clean.iter().map(|x| x * factor + offset).collect();
            let (body, line) = feature.judge(Statistic::WassersteinBody, &window);
            println!("heavy {is_heavy} {name}: {body:.3}, line {line:.3}");
            assert!(body > line, "heavy {is_heavy} {name}: {body}, line {line}");
        }
    }
}

#[test]
fn the_same_reference_has_the_same_thresholds_bit_for_bit() {
    let stored = || {
        let feature = Feature::new(sample(true, 9, 20_000));
        feature.calibration.prepare(700);
        feature.calibration.to_stored()
    };
    let (first, second) = (stored(), stored());
    assert_eq!(first, second, "made twice");
    let feature = Feature::new(sample(true, 9, 20_000));
    let loaded = NullModel::new(feature.calibration.scorer().clone(), "3", Some(&first));
    let window = count_numbers(&feature.reference, sample(true, 10, 700));
    for statistic in [Statistic::Js, Statistic::Psi, Statistic::WassersteinBody] {
        let line = |model: &NullModel| {
            let distribution = model
                .null_distribution(statistic, &window, &WindowContext::default())
                .unwrap();
            distribution.threshold(1e-4, 0.0).upper.to_bits()
        };
        assert_eq!(
            line(&loaded),
            line(&feature.calibration),
            "stored or made again: {statistic}"
        );
    }
}
