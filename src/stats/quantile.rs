//! Quantiles, mean and standard deviation of a sorted sample, as NumPy computes them.

use std::cmp::Ordering;

/// The quantile of `sorted` (ascending, finite) at `share`, which is clamped to 0..=1.
///
/// Linear interpolation at position `share (n - 1)`, as `numpy.quantile` does by default. It starts
/// from the nearer neighbour, so that a quantile between two equal values is that value exactly.
/// NaN for an empty sample.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the position is inside the sample"
)]
pub fn quantile_sorted(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    let position = share.clamp(0.0, 1.0) * last as f64;
    let below = (position.floor() as usize).min(last);
    let above = (below + 1).min(last);
    let (low, high) = (sorted[below], sorted[above]);
    let part = position - below as f64;
    if part >= 0.5 {
        high - (high - low) * (1.0 - part)
    } else {
        low + (high - low) * part
    }
}

/// Mean and standard deviation (divisor `n`) of finite values in ascending order.
///
/// Two passes, so that an offset of 1e6 costs no digits. The deviation is exactly zero when the
/// smallest and largest value are equal: a rounding residue would become the scale of the cells.
/// Where the distance from the mean overflows, the largest magnitude stands for the deviation.
/// `None` for an empty sample.
#[must_use]
pub fn spread(sorted: &[f64]) -> Option<(f64, f64)> {
    let (first, last) = (sorted.first()?, sorted.last()?);
    if first.total_cmp(last) == Ordering::Equal {
        return Some((*first, 0.0));
    }
    let n = sorted.len() as f64;
    // The sum is taken in units of the largest magnitude, so that huge values do not overflow it.
    let largest = first.abs().max(last.abs());
    let mean = sorted.iter().map(|x| x / largest).sum::<f64>() / n * largest;
    let widest = (last - mean).abs().max((mean - first).abs());
    if !widest.is_finite() || widest <= 0.0 {
        return Some((mean, largest));
    }
    let variance = sorted
        .iter()
        .map(|x| ((x - mean) / widest).powi(2))
        .sum::<f64>()
        / n;
    Some((mean, variance.sqrt() * widest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_agree_with_numpy() {
        // numpy 2.1: numpy.quantile([1, 2, 4, 8, 16], [0, 0.1, 0.25, 0.5, 0.9, 1])
        let sorted = [1.0, 2.0, 4.0, 8.0, 16.0];
        let check = |share: f64, expected: f64| {
            let quantile = quantile_sorted(&sorted, share);
            assert!(
                (quantile - expected).abs() < 1e-12,
                "quantile {share}: {quantile}"
            );
        };
        check(0.0, 1.0);
        check(0.1, 1.4);
        check(0.25, 2.0);
        check(0.5, 4.0);
        check(0.9, 12.8);
        check(1.0, 16.0);
    }

    #[test]
    fn the_deviation_of_a_constant_is_exactly_zero() {
        let (mean, std) = spread(&[0.1; 1000]).unwrap();
        assert_eq!(
            (mean.to_bits(), std.to_bits()),
            (0.1_f64.to_bits(), 0.0_f64.to_bits()),
            "exact"
        );
    }

    #[test]
    fn spread_agrees_with_numpy_at_an_offset_of_a_million() {
        // numpy 2.1: numpy.std([1e6 + 1, 1e6 + 2, 1e6 + 4]) = 1.247219128924647
        let (mean, std) = spread(&[1e6 + 1.0, 1e6 + 2.0, 1e6 + 4.0]).unwrap();
        assert!((mean - (1e6 + 7.0 / 3.0)).abs() < 1e-9, "mean {mean}");
        assert!((std - 1.247_219_128_924_647).abs() < 1e-9, "std {std}");
    }
}
