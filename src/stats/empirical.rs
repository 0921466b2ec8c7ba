//! The distribution of a score that is not negative, given by draws: mean, quantiles and tail.
//!
//! A threshold lies far out (one exceedance in 30 days of minutes is 2.3e-5), where ten thousand
//! draws hold no information. So quantiles are read from the draws as far as they can be read, and
//! the tail beyond is taken as exponential. The uncertainty of its fitted mean is part of the
//! formula: the predictive form, a power of the number of exceedances. Pearson III or normal tails
//! on the same draws were off by a factor of 2 to 280.
//!
//! The fields are stored in reference files under their old, short keys.

use serde::{Deserialize, Serialize};

use super::quantile::quantile_sorted;

/// The tail of a distribution: predictive exponential, which is a Lomax (Pareto II) distribution.
///
/// `P(X > x) = tail_share (1 + (x - start) / (mean_excess exceedances))^-exceedances` for
/// `x >= start`. With more exceedances it approaches `tail_share exp(-(x - start) / mean_excess)`.
/// Source: the predictive distribution of an exponential variable whose mean is estimated from
/// `exceedances` values (Geisser, Predictive Inference, 1993), on excesses over a high quantile
/// (Pickands 1975 with a shape of zero).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ExponentialTail {
    /// The share of the distribution that exceeds `start`, in 0..=1.
    #[serde(rename = "zeta")]
    pub tail_share: f64,
    /// The quantile at which the tail begins, on the scale of the draws.
    #[serde(rename = "u")]
    pub start: f64,
    /// Mean of `x - start` over the draws above `start`; 0 where there are none.
    #[serde(rename = "s")]
    pub mean_excess: f64,
    /// Independent draws above `start`; at least 2.
    #[serde(rename = "k")]
    pub exceedances: f64,
}

impl ExponentialTail {
    /// The value that a share `alpha` in `0..=tail_share` exceeds; infinite for 0.
    ///
    /// `start + mean_excess exceedances ((tail_share / alpha)^(1 / exceedances) - 1)`.
    #[must_use]
    pub fn quantile_above(&self, alpha: f64) -> f64 {
        self.start
            + self.mean_excess
                * self.exceedances
                * ((self.tail_share / alpha).powf(1.0 / self.exceedances) - 1.0)
    }

    /// The share that exceeds `x >= start`, in `0..=tail_share`: the inverse of `quantile_above`.
    ///
    /// Without excess all mass lies at `start`, so the share is 0 beyond it.
    #[must_use]
    pub fn survival(&self, x: f64) -> f64 {
        if self.mean_excess <= 0.0 {
            return if x > self.start { 0.0 } else { self.tail_share };
        }
        self.tail_share
            * (1.0 + (x - self.start).max(0.0) / (self.mean_excess * self.exceedances))
                .powf(-self.exceedances)
    }
}

/// The shares at which quantiles are kept, from the common to the rare.
const SHARES: [f64; 18] = [
    0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.035, 0.025, 0.017,
    0.01,
];

/// Quantiles as a list with its length, as files and snapshots hold them.
mod quantile_list {
    use serde::{Deserialize as _, Deserializer, Serialize as _, Serializer, de::Error as _};

    use super::SHARES;

    pub(super) fn serialize<S: Serializer>(
        quantiles: &[f64; SHARES.len()],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        quantiles.as_slice().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<[f64; SHARES.len()], D::Error> {
        let list = Vec::<f64>::deserialize(deserializer)?;
        let length = list.len();
        list.try_into()
            .map_err(|_| D::Error::invalid_length(length, &"18 quantiles"))
    }
}

/// The distribution of a score that is not negative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmpiricalDistribution {
    /// Mean of the draws.
    pub mean: f64,
    /// `2 mean^2 / variance`: the degrees of freedom of the scaled chi-square distribution with
    /// this mean and variance; `None` without variance.
    #[serde(rename = "freedom")]
    pub degrees_of_freedom: Option<f64>,
    /// The quantiles that each of `SHARES` exceeds, ascending; those inside the tail are not used.
    #[serde(with = "quantile_list")]
    pub quantiles: [f64; SHARES.len()],
    /// The distribution beyond its start.
    pub tail: ExponentialTail,
}

impl EmpiricalDistribution {
    /// The distribution of finite draws, which are sorted in place; `None` without draws.
    ///
    /// The tail is fitted to the largest `tail_share` (in 0..=1) of the draws. `exceedances` maps
    /// the start of the tail to the number of independent draws above it. Quantiles interpolate
    /// linearly. All numbers are rounded to six significant digits.
    #[must_use]
    pub fn of(
        draws: &mut [f64],
        tail_share: f64,
        exceedances: impl FnOnce(f64) -> f64,
    ) -> Option<Self> {
        if draws.is_empty() {
            return None;
        }
        let (mean, variance) = moments(draws);
        draws.sort_unstable_by(f64::total_cmp);
        let quantile = |share: f64| quantile_sorted(draws, 1.0 - share);
        let start = quantile(tail_share);
        let (count, excess) = draws
            .iter()
            .filter(|x| **x > start)
            .fold((0.0, 0.0), |(count, sum), x| {
                (count + 1.0, sum + (x - start))
            });
        let mean_excess = if count > 0.0 { excess / count } else { 0.0 };
        let tail = ExponentialTail {
            tail_share,
            start: round(start),
            mean_excess: round(mean_excess),
            exceedances: round(exceedances(start).max(2.0)),
        };
        Some(EmpiricalDistribution {
            mean: round(mean),
            degrees_of_freedom: (variance > 0.0).then(|| round(2.0 * mean * mean / variance)),
            quantiles: SHARES.map(|share| round(quantile(share))),
            tail,
        })
    }

    /// The value that a share `alpha` in 0..=1 exceeds.
    ///
    /// From the tail where `alpha` is at most its share. Otherwise between two stored quantiles,
    /// linear in `ln alpha`; above 0.99 the lowest stored quantile.
    #[must_use]
    pub fn quantile_above(&self, alpha: f64) -> f64 {
        if alpha <= self.tail.tail_share {
            return self.tail.quantile_above(alpha);
        }
        match SHARES.iter().position(|share| *share <= alpha) {
            None => self.tail.start,
            Some(0) => self.quantiles[0],
            Some(index) => {
                let part = fraction(SHARES[index - 1].ln(), SHARES[index].ln(), alpha.ln());
                mix(self.quantiles[index - 1], self.quantiles[index], part)
            }
        }
    }

    /// The share that exceeds `x`, in 0..=1: the inverse of `quantile_above`.
    ///
    /// 1 below the lowest stored quantile.
    #[must_use]
    pub fn survival(&self, x: f64) -> f64 {
        if x >= self.tail.start {
            return self.tail.survival(x);
        }
        let Some(index) = self.quantiles.iter().position(|quantile| *quantile > x) else {
            return self.tail.tail_share;
        };
        if index == 0 {
            return 1.0;
        }
        let part = fraction(self.quantiles[index - 1], self.quantiles[index], x);
        mix(SHARES[index - 1].ln(), SHARES[index].ln(), part)
            .exp()
            .max(self.tail.tail_share)
    }

    /// The distribution between this one (`part` = 0) and `upper` (`part` = 1).
    ///
    /// Interpolates mean, degrees of freedom, quantiles and tail linearly. Both tails have the same
    /// share and number of exceedances; those of this one are kept.
    #[must_use]
    pub fn interpolate(&self, upper: &EmpiricalDistribution, part: f64) -> EmpiricalDistribution {
        EmpiricalDistribution {
            mean: mix(self.mean, upper.mean, part),
            degrees_of_freedom: self
                .degrees_of_freedom
                .zip(upper.degrees_of_freedom)
                .map(|(a, b)| mix(a, b, part)),
            quantiles: std::array::from_fn(|index| {
                mix(self.quantiles[index], upper.quantiles[index], part)
            }),
            tail: ExponentialTail {
                tail_share: self.tail.tail_share,
                start: mix(self.tail.start, upper.tail.start, part),
                mean_excess: mix(self.tail.mean_excess, upper.tail.mean_excess, part),
                exceedances: self.tail.exceedances,
            },
        }
    }
}

/// The part of the way from `a` to `b` at which `x` lies, clamped to 0..=1; 0 where `a` is `b`.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    if (b - a).abs() > 0.0 {
        ((x - a) / (b - a)).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

/// The value that lies `part` of the way from `a` to `b`.
fn mix(a: f64, b: f64, part: f64) -> f64 {
    a + (b - a) * part
}

/// Mean and variance (divisor `n`); both 0 for an empty slice.
///
/// Two passes, so that a mean far from zero costs no digits.
#[must_use]
pub fn moments(xs: &[f64]) -> (f64, f64) {
    let n = xs.len().max(1) as f64;
    let mean = xs.iter().sum::<f64>() / n;
    let variance = xs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    (mean, variance)
}

/// Rounds to six significant digits.
///
/// A stored distribution then equals the same distribution computed again, and the file stays
/// readable.
fn round(x: f64) -> f64 {
    format!("{x:.5e}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles of an exponential distribution of mean 1, at the middles of `count` equal shares.
    fn exponential(count: u32) -> Vec<f64> {
        (0..count)
            .map(|i| -(1.0 - (f64::from(i) + 0.5) / f64::from(count)).ln())
            .collect()
    }

    fn fitted() -> EmpiricalDistribution {
        EmpiricalDistribution::of(&mut exponential(10_000), 0.01, |_| 100.0).unwrap()
    }

    #[test]
    fn the_tail_agrees_with_scipy() {
        let tail = ExponentialTail {
            tail_share: 0.01,
            start: 5.0,
            mean_excess: 2.0,
            exceedances: 100.0,
        };
        // scipy 1.17: 5 + scipy.stats.lomax.isf(1e-4 / 1e-2, 100, scale=2 * 100)
        let far = tail.quantile_above(1e-4);
        assert!((far - 14.425_709_610_179_922).abs() < 1e-10, "{far}");
        // scipy 1.17: 0.01 * scipy.stats.lomax.sf(12 - 5, 100, scale=2 * 100)
        let share = tail.survival(12.0);
        assert!(
            (share - 0.000_320_601_109_299_556_5).abs() < 1e-15,
            "{share}"
        );
    }

    #[test]
    fn an_exponential_sample_has_an_exponential_tail() {
        let fitted = fitted();
        assert!((fitted.mean - 1.0).abs() < 1e-3, "mean {}", fitted.mean);
        assert!(
            (fitted.tail.mean_excess - 1.0).abs() < 0.02,
            "mean excess {:?}",
            fitted.tail
        );
        let read = fitted.quantile_above(0.01);
        assert!((read - 100.0_f64.ln()).abs() < 0.01, "read: {read}");
        // -ln(1e-4) = 9.21; the predictive form adds the uncertainty of 100 exceedances.
        let far = fitted.quantile_above(1e-4);
        assert!((9.2..9.6).contains(&far), "extrapolated: {far}");
    }

    #[test]
    fn quantiles_and_shares_are_inverse_to_each_other() {
        let fitted = fitted();
        for alpha in [0.9, 0.5, 0.1, 0.03, 0.01, 1e-3, 1e-5] {
            let back = fitted.survival(fitted.quantile_above(alpha));
            assert!((back / alpha - 1.0).abs() < 0.02, "{alpha}: {back}");
        }
        assert!(
            (fitted.survival(0.0) - 1.0).abs() < 1e-12,
            "all draws exceed zero"
        );
    }

    #[test]
    fn a_constant_score_has_no_degrees_of_freedom_and_no_tail() {
        let constant = EmpiricalDistribution::of(&mut [0.0; 100], 0.01, |_| 1.0).unwrap();
        assert_eq!(constant.degrees_of_freedom, None, "no chi-square fits");
        assert!(constant.survival(0.1) <= 0.0, "never that far");
    }

    #[test]
    fn reference_files_keep_their_keys() {
        let text = |quantiles: &[f64]| {
            format!(
                r#"{{"mean":1.0,"freedom":2.0,"quantiles":{quantiles:?},{}}}"#,
                r#""tail":{"zeta":0.01,"u":4.6,"s":1.0,"k":100.0}"#
            )
            .replace(' ', "")
        };
        let whole = text(&SHARES);
        let read: EmpiricalDistribution = serde_json::from_str(&whole).unwrap();
        assert_eq!(serde_json::to_string(&read).unwrap(), whole, "round trip");
        let error = serde_json::from_str::<EmpiricalDistribution>(&text(&[0.5])).unwrap_err();
        assert!(error.to_string().contains("18 quantiles"), "{error}");
    }
}
