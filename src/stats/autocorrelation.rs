//! What a score does over the reference's own stretches, each against the rest.
//!
//! Streams are not independent draws: neighbours resemble each other, and windows of a clean stream differ by more than a clean sample does. A stretch as long as
//! the window tells by how much. BlockStatistics overlap, one per step, so what they tell is worth only as many as fit side by side.

use super::EmpiricalDistribution;
use super::empirical::moments;

/// Fewer whole stretches than this have no tail to speak of.
pub const TAIL_FROM: f64 = 20.0;
/// Fewer whole stretches than this say nothing about the window's length.
pub const LEAST: f64 = 2.0;

/// The law of a series of scores over stretches, one per step; `per_window` steps make a stretch. `None` without a score.
///
/// The tail is taken from the most extreme tenth of twenty whole stretches, or 2 % of many, and exceedances close to each other count once.
#[must_use]
pub fn block_law(series: &[f64], per_window: f64) -> Option<EmpiricalDistribution> {
    let effective = series.len() as f64 / per_window;
    let zeta = (10.0 / effective).clamp(0.02, 0.5);
    let k = |u: f64| {
        let is_above: Vec<f64> = series.iter().map(|x| f64::from(u8::from(*x > u))).collect();
        let exceeding: f64 = is_above.iter().sum();
        exceeding / per_window.max(autocorrelation_time(&is_above, effective))
    };
    EmpiricalDistribution::of(&mut series.to_vec(), zeta, k)
}

/// Steps after which a series has forgotten where it was: `1 + 2 sum of its correlations`, up to the first that is no more than chance.
///
/// Of `effective` independent values, correlations of up to `2 / sqrt(effective)` are chance; summing them on would make a few dozen stretches look like two.
fn autocorrelation_time(series: &[f64], effective: f64) -> f64 {
    let (mean, variance) = moments(series);
    if variance <= 0.0 {
        return 1.0;
    }
    let n = series.len();
    let chance = 2.0 / effective.sqrt();
    let mut time = 1.0;
    for lag in 1..n {
        let pairs = series.iter().zip(&series[lag..]);
        let covariance = pairs.map(|(a, b)| (a - mean) * (b - mean)).sum::<f64>() / n as f64;
        if covariance <= chance * variance {
            break;
        }
        time += 2.0 * covariance / variance;
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_equal_values_counts_once() {
        // Ten steps up, ninety down: the sum of the triangle's correlations is about the length of the run.
        let series: Vec<f64> = (0..2000)
            .map(|i| f64::from(u8::from(i % 100 < 10)))
            .collect();
        let time = autocorrelation_time(&series, 2000.0);
        assert!((8.0..11.0).contains(&time), "{time}");
    }

    #[test]
    fn independent_values_forget_at_once() {
        let series: Vec<f64> = (0..1000_u32)
            .map(|i| f64::from(i.wrapping_mul(2_654_435_761) >> 16))
            .collect();
        let time = autocorrelation_time(&series, 1000.0);
        assert!(time < 1.3, "{time}");
    }

    #[test]
    fn many_stretches_give_a_far_tail_and_few_a_near_one() {
        let series: Vec<f64> = (0..3000_u32)
            .map(|i| f64::from(i.wrapping_mul(2_654_435_761) >> 16))
            .collect();
        let zeta = |per_window| block_law(&series, per_window).unwrap().tail.zeta;
        assert!((zeta(1.0) - 0.02).abs() < 1e-12, "many");
        assert!((zeta(100.0) - 1.0 / 3.0).abs() < 1e-12, "thirty");
        assert!((zeta(1000.0) - 0.5).abs() < 1e-12, "three");
    }
}
