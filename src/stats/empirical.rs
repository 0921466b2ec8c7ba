//! What a score does when nothing happens: its mean, its spread, its quantiles and its tail.
//!
//! Alarm lines lie far out (one exceedance in 30 days of minutes is 2.3e-5), where ten thousand draws say nothing: beyond a quantile that can be read, the
//! tail is taken as exponential, with the uncertainty of its fitted mean put in (the predictive form, a power of the number of exceedances it was fitted on).
//! Pearson III or normal tails on the same draws were off by 2 up to 280 times.

use serde::{Deserialize, Serialize};

/// The tail beyond the `1 - zeta` quantile, from `k` independent exceedances of mean excess `s`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ExponentialTail {
    /// The share that exceeds `u`, in 0..=1.
    pub zeta: f64,
    /// Where the tail begins.
    pub u: f64,
    /// Mean excess over `u`.
    pub s: f64,
    /// Independent exceedances it is known from; at least 2.
    pub k: f64,
}

impl ExponentialTail {
    /// The line that a share `alpha <= zeta` exceeds.
    #[must_use]
    pub fn line(&self, alpha: f64) -> f64 {
        self.u + self.s * self.k * ((self.zeta / alpha).powf(1.0 / self.k) - 1.0)
    }

    /// The share that exceeds `x >= u`: the inverse of `line`.
    #[must_use]
    pub fn survival(&self, x: f64) -> f64 {
        if self.s <= 0.0 {
            return if x > self.u { 0.0 } else { self.zeta };
        }
        self.zeta * (1.0 + (x - self.u).max(0.0) / (self.s * self.k)).powf(-self.k)
    }
}

/// The shares at which quantiles are kept, from the common to the rare.
const SHARES: [f64; 18] = [
    0.99, 0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.15, 0.1, 0.07, 0.05, 0.035, 0.025, 0.017,
    0.01,
];

/// The law of a score that is not negative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EmpiricalDistribution {
    /// Mean.
    pub mean: f64,
    /// `2 mean^2 / variance`: the degrees of degrees_of_freedom of the chi-square with this mean and variance; `None` without variance.
    pub degrees_of_freedom: Option<f64>,
    /// The quantiles exceeded by `SHARES`, ascending; those above the tail are not used.
    pub quantiles: Vec<f64>,
    /// What lies beyond.
    pub tail: ExponentialTail,
}

impl EmpiricalDistribution {
    /// The law of a sample of independent draws, its tail from the most extreme `zeta` of them; `None` for an empty sample.
    ///
    /// The draws are put in order.
    #[must_use]
    pub fn of(draws: &mut [f64], zeta: f64, k: impl FnOnce(f64) -> f64) -> Option<Self> {
        if draws.is_empty() {
            return None;
        }
        let (mean, variance) = moments(draws);
        draws.sort_by(f64::total_cmp);
        let quantile = |share: f64| super::quantile_sorted(draws, 1.0 - share);
        let u = quantile(zeta);
        let beyond = draws.iter().filter(|x| **x > u);
        let (count, excess) = beyond.fold((0.0, 0.0), |(n, sum), x| (n + 1.0, sum + (x - u)));
        let s = if count > 0.0 { excess / count } else { 0.0 };
        let tail = ExponentialTail {
            zeta,
            u: round(u),
            s: round(s),
            k: round(k(u).max(2.0)),
        };
        Some(EmpiricalDistribution {
            mean: round(mean),
            degrees_of_freedom: (variance > 0.0).then(|| round(2.0 * mean * mean / variance)),
            quantiles: SHARES.map(|share| round(quantile(share))).to_vec(),
            tail,
        })
    }

    /// The line that a share `alpha` exceeds: read where it can be, from the tail beyond.
    #[must_use]
    pub fn line(&self, alpha: f64) -> f64 {
        if alpha <= self.tail.zeta {
            return self.tail.line(alpha);
        }
        let at = SHARES.iter().position(|share| *share <= alpha);
        match at {
            None => self.tail.u,
            Some(0) => self.quantiles[0],
            Some(at) => {
                let part = fraction(SHARES[at - 1].ln(), SHARES[at].ln(), alpha.ln());
                mix(self.quantiles[at - 1], self.quantiles[at], part)
            }
        }
    }

    /// The share that exceeds `x`, in 0..=1.
    #[must_use]
    pub fn survival(&self, x: f64) -> f64 {
        if x >= self.tail.u {
            return self.tail.survival(x);
        }
        let Some(at) = self.quantiles.iter().position(|quantile| *quantile > x) else {
            return self.tail.zeta;
        };
        if at == 0 {
            return 1.0;
        }
        let part = fraction(self.quantiles[at - 1], self.quantiles[at], x);
        mix(SHARES[at - 1].ln(), SHARES[at].ln(), part)
            .exp()
            .max(self.tail.zeta)
    }

    /// The law between two, `part` of the way from this one to `other`; both have tails of one share.
    #[must_use]
    pub fn interpolate(&self, other: &EmpiricalDistribution, part: f64) -> EmpiricalDistribution {
        let pairs = self.quantiles.iter().zip(&other.quantiles);
        EmpiricalDistribution {
            mean: mix(self.mean, other.mean, part),
            degrees_of_freedom: self
                .degrees_of_freedom
                .zip(other.degrees_of_freedom)
                .map(|(a, b)| mix(a, b, part)),
            quantiles: pairs.map(|(a, b)| mix(*a, *b, part)).collect(),
            tail: ExponentialTail {
                zeta: self.tail.zeta,
                u: mix(self.tail.u, other.tail.u, part),
                s: mix(self.tail.s, other.tail.s, part),
                k: self.tail.k,
            },
        }
    }
}

/// How far `x` lies on the way from `a` to `b`.
fn fraction(a: f64, b: f64, x: f64) -> f64 {
    if (b - a).abs() > 0.0 {
        ((x - a) / (b - a)).clamp(0.0, 1.0)
    } else {
        0.0
    }
}

fn mix(a: f64, b: f64, part: f64) -> f64 {
    a + (b - a) * part
}

/// Mean and variance (divisor `n`).
#[must_use]
pub fn moments(xs: &[f64]) -> (f64, f64) {
    let n = xs.len().max(1) as f64;
    let mean = xs.iter().sum::<f64>() / n;
    let variance = xs.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / n;
    (mean, variance)
}

/// Six significant digits: a law that was stored and one made again are the same, and a file of them stays readable.
fn round(x: f64) -> f64 {
    format!("{x:.5e}").parse().unwrap_or(x)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The quantiles of an exponential distribution of mean 1.
    fn exponential(count: u32) -> Vec<f64> {
        (0..count)
            .map(|i| -(1.0 - (f64::from(i) + 0.5) / f64::from(count)).ln())
            .collect()
    }

    fn law() -> EmpiricalDistribution {
        EmpiricalDistribution::of(&mut exponential(10_000), 0.01, |_| 100.0).unwrap()
    }

    #[test]
    fn an_exponential_sample_has_an_exponential_tail() {
        let law = law();
        assert!((law.mean - 1.0).abs() < 1e-3, "mean {}", law.mean);
        assert!(
            (law.tail.s - 1.0).abs() < 0.02,
            "mean excess {:?}",
            law.tail
        );
        assert!((law.line(0.01) - 100.0_f64.ln()).abs() < 0.01, "read");
        // -ln(1e-4) = 9.21; the predictive form adds what 100 exceedances do not know.
        let far = law.line(1e-4);
        assert!((9.2..9.6).contains(&far), "extrapolated {far}");
    }

    #[test]
    fn lines_and_shares_are_inverse_to_each_other() {
        let law = law();
        for alpha in [0.9, 0.5, 0.1, 0.03, 0.01, 1e-3, 1e-5] {
            let back = law.survival(law.line(alpha));
            assert!((back / alpha - 1.0).abs() < 0.02, "{alpha}: {back}");
        }
        assert!(
            (law.survival(0.0) - 1.0).abs() < 1e-12,
            "all exceed nothing"
        );
    }

    #[test]
    fn a_score_that_never_moves_has_no_variance() {
        let law = EmpiricalDistribution::of(&mut [0.0; 100], 0.01, |_| 1.0).unwrap();
        assert_eq!(law.degrees_of_freedom, None, "no chi-square fits");
        assert!(law.survival(0.1) <= 0.0, "never that far");
    }
}
