//! Wasserstein from cells compared with the exact distance of the same samples.
//!
//! Shifts far outside of the reference, an offset of a million standard deviations, heavy tails,
//! two humps and integers: in these cases quantile sketches and equal-mass bins are off by a tenth
//! up to a factor of two hundred.

use pegel::score::Scorer;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rand_distr::{Distribution, LogNormal, Normal};

use crate::data::{numeric_reference, numeric_window};

const N: usize = 100_000;

fn drawn(seed: u64, from: impl Distribution<f64>) -> Vec<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    (0..N).map(|_| from.sample(&mut rng)).collect()
}

fn normal(seed: u64, mean: f64, std: f64) -> Vec<f64> {
    drawn(seed, Normal::new(mean, std).unwrap())
}

fn log_normal(seed: u64, mu: f64, sigma: f64) -> Vec<f64> {
    drawn(seed, LogNormal::new(mu, sigma).unwrap())
}

/// For samples of one size, the exact distance is the mean distance of values of equal rank.
fn exact(a: &[f64], b: &[f64]) -> f64 {
    let sorted = |xs: &[f64]| {
        let mut xs = xs.to_vec();
        xs.sort_by(f64::total_cmp);
        xs
    };
    let sorted_pairs = sorted(a).into_iter().zip(sorted(b));
    sorted_pairs.map(|(x, y)| (x - y).abs()).sum::<f64>() / a.len() as f64
}

fn check(case: &str, reference: &[f64], window: &[f64]) {
    let fitted = numeric_reference(None, reference);
    let counts = numeric_window(&fitted, window);
    let scores = Scorer::new(fitted, 0.5).evaluate(&counts, 1).unwrap();
    let actual = scores.distances.unwrap();
    let expected = exact(reference, window);
    let error = actual.wasserstein / expected - 1.0;
    println!("{case}: exact {expected:.6}, relative error {error:.1e}");
    assert!(!actual.is_lower_bound, "{case}: saturated");
    assert!(
        error <= 1e-6,
        "{case}: {} above {expected}",
        actual.wasserstein
    );
    assert!(
        error >= -1e-3,
        "{case}: {} below {expected}",
        actual.wasserstein
    );
}

#[test]
fn wasserstein_of_moved_and_widened_normals_is_within_a_thousandth() {
    let reference = normal(1, 10.0, 3.0);
    check("a1 mean + 0.1 std", &reference, &normal(2, 10.3, 3.0));
    check("a2 std 3 -> 3.5", &reference, &normal(3, 10.0, 3.5));
}

#[test]
fn wasserstein_far_outside_of_the_reference_is_within_a_thousandth() {
    let reference = normal(1, 10.0, 3.0);
    check("b1 mean x10", &reference, &normal(4, 100.0, 3.0));
    check("b2 mean x100", &reference, &normal(5, 1000.0, 3.0));
    check("b3 mean x1000", &reference, &normal(6, 10_000.0, 3.0));
    let scaled: Vec<f64> = normal(7, 10.0, 3.0).iter().map(|x| x * 1000.0).collect();
    check("b4 values x1000", &reference, &scaled);
}

#[test]
fn wasserstein_at_an_offset_of_a_million_is_within_a_thousandth() {
    let reference = normal(8, 1e6, 1.0);
    check("c1 + 0.3", &reference, &normal(9, 1e6 + 0.3, 1.0));
    check("c2 + 10", &reference, &normal(10, 1e6 + 10.0, 1.0));
}

#[test]
fn wasserstein_of_heavy_tails_is_within_a_thousandth() {
    let reference = log_normal(11, 3.0, 1.0);
    check(
        "d1 LN(3,1) -> LN(3.2,1)",
        &reference,
        &log_normal(12, 3.2, 1.0),
    );
    let reference = log_normal(13, 3.0, 2.0);
    check(
        "d2 LN(3,2) -> LN(3,2.2)",
        &reference,
        &log_normal(14, 3.0, 2.2),
    );
}

#[test]
fn wasserstein_of_two_humps_and_of_integers_is_within_a_thousandth() {
    let noise = normal(15, 0.0, 1.0);
    let side = |i: usize| if i.is_multiple_of(2) { 5.0 } else { -5.0 };
    let humps: Vec<f64> = noise.iter().enumerate().map(|(i, x)| x + side(i)).collect();
    check("e1 two humps", &normal(16, 0.0, 1.0), &humps);
    let integers = |seed| -> Vec<f64> {
        let uniform = rand_distr::Uniform::new(0.0, 21.0).unwrap();
        drawn(seed, uniform).iter().map(|x| x.floor()).collect()
    };
    let moved: Vec<f64> = integers(18).iter().map(|x| x + 1.0).collect();
    check("e2 integers + 1", &integers(17), &moved);
}
