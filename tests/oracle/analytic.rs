//! Closed forms: scores far outside of the reference, and small tables with empty bins.

use pegel::score::Scorer;
use pegel::stats::{Open, divergences};
use serde_json::Value;

use crate::data::{numeric_reference, numeric_window, open_edges};

fn expected(family: &str) -> Value {
    let text = include_str!("../fixtures/analytic.json");
    let mut total: Value = serde_json::from_str(text).unwrap();
    total[family].take()
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array()
        .unwrap()
        .iter()
        .map(|x| x.as_f64().unwrap())
        .collect()
}

/// A number, or the text `inf`.
fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::INFINITY)
}

fn close(actual: f64, expected: f64, what: &str) {
    let same = (actual.is_infinite() && expected.is_infinite())
        || (actual - expected).abs() <= 1e-9 * (1.0 + expected.abs());
    assert!(same, "{what}: {actual}, expected {expected}");
}

/// Computes `Phi(x)` by its series, accurate to 1e-12 within 6 standard deviations.
fn normal_cdf(x: f64) -> f64 {
    let (mut term, mut sum) = (x, x);
    for k in 1..200 {
        term *= x * x / f64::from(2 * k + 1);
        sum += term;
    }
    0.5 + sum * (-x * x / 2.0).exp() / std::f64::consts::TAU.sqrt()
}

fn normal_quantile(share: f64) -> f64 {
    let (mut low, mut high) = (-6.0, 6.0);
    for _ in 0..50 {
        let middle = f64::midpoint(low, high);
        if normal_cdf(middle) < share {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

#[test]
fn far_shifts_saturate_js_while_wasserstein_keeps_growing() {
    let family = expected("far_shift");
    let inner = numbers(&family["inner_edges"]);
    let n = 4000;
    let share = |i: u32| (f64::from(i) + 0.5) / f64::from(n);
    let sample: Vec<f64> = (0..n).map(|i| normal_quantile(share(i))).collect();
    let reference = numeric_reference(Some(open_edges(&inner)), &sample);
    let scorer = Scorer::new(reference.clone(), 0.5);
    let mut before = -1.0;
    for row in family["rows"].as_array().unwrap() {
        let d = number(&row["d"]);
        let moved: Vec<f64> = sample.iter().map(|x| x + d).collect();
        let scores = scorer
            .evaluate(&numeric_window(&reference, &moved), 1)
            .unwrap();
        let w1 = scores.distances.unwrap().wasserstein;
        assert!((w1 - d).abs() <= 1e-3 * d, "W1 of a shift by {d}: {w1}");
        assert!(w1 > before, "W1 grows: {w1} after {before}");
        before = w1;
        let js = number(&row["binned_q20_population"]["js_div_base2"]);
        let slack = 0.01 * js + 1e-3;
        assert!(
            (scores.divergences.js - js).abs() <= slack,
            "JS at {d}: {} vs {js}",
            scores.divergences.js
        );
        if d >= 10.0 {
            let js = scores.divergences.js;
            assert!((js - 0.854_997).abs() < 1e-3, "flat at {d}: {js}");
        }
    }
}

#[test]
fn tables_with_empty_bins_agree_with_scipy() {
    for table in expected("count_tables").as_array().unwrap() {
        let counts = |side: &str| -> Vec<u64> {
            let list = table[side].as_array().unwrap();
            list.iter().map(|n| n.as_u64().unwrap()).collect()
        };
        let (p, q) = (counts("win"), counts("ref"));
        let actual = divergences(&p, &q, &vec![Open::Always; p.len()], 0.0).unwrap();
        let check = |actual: f64, key: &str| {
            close(
                actual,
                number(&table[key]),
                &format!("{} {key}", table["name"]),
            );
        };
        check(actual.js, "js_div_base2");
        check(actual.kl * std::f64::consts::LN_2, "kl_win_ref");
        check(actual.kl_reverse * std::f64::consts::LN_2, "kl_ref_win");
        check(actual.hellinger, "hellinger");
        check(actual.total_variation, "tv");
    }
}

#[test]
fn nearly_equal_counts_in_the_billions_stay_at_or_above_zero() {
    let (p, delta) = (1_000_000_000_000_000_u64, 10_000_000);
    let actual = divergences(&[p, p], &[p + delta, p - delta], &[Open::Always; 2], 0.0).unwrap();
    let expected = expected("big_counts_exact");
    let js = number(&expected["js_div_nat"]) / std::f64::consts::LN_2;
    assert!(
        actual.js >= 0.0 && actual.js <= 2.0 * js,
        "js {} vs {js}",
        actual.js
    );
    assert!(actual.kl >= 0.0 && actual.kl < 1e-15, "kl {}", actual.kl);
}

#[test]
fn a_constant_that_moves_jumps_in_js_and_is_measured_in_wasserstein() {
    let reference = numeric_reference(None, &[0.0; 100]);
    let scorer = Scorer::new(reference.clone(), 0.5);
    for row in expected("wgan_parallel_segments")["rows"]
        .as_array()
        .unwrap()
    {
        let theta = number(&row["theta"]);
        let window = numeric_window(&reference, &[theta; 100]);
        let scores = scorer.evaluate(&window, 1).unwrap();
        let w1 = scores.distances.unwrap().wasserstein;
        let expected = number(&row["feature_x"]["w1"]);
        assert!(
            (w1 - expected).abs() <= 1e-3 * expected + 1e-8,
            "W1 of {theta}: {w1}"
        );
        let js = number(&row["feature_x"]["js_div_nat"]) / std::f64::consts::LN_2;
        close(scores.divergences.js, js, &format!("JS of {theta}"));
    }
}

#[test]
fn small_samples_have_the_distance_scipy_gives() {
    for row in expected("w1_small_samples").as_array().unwrap() {
        let (reference, window) = (numbers(&row["ref"]), numbers(&row["win"]));
        let expected = number(&row["w1"]);
        // Cells do not cover values beyond 2^24 scales or below the smallest scale.
        if !(1e-200..1e200).contains(&expected) && expected > 0.0 {
            continue;
        }
        let reference = numeric_reference(None, &reference);
        let counts = numeric_window(&reference, &window);
        let scores = Scorer::new(reference.clone(), 0.5)
            .evaluate(&counts, 1)
            .unwrap();
        let actual = scores.distances.unwrap().wasserstein;
        assert!(actual <= expected * (1.0 + 1e-6) + 1e-6, "{row}: {actual}");
        assert!(actual >= expected * 0.99 - 1e-6, "{row}: {actual}");
    }
}
