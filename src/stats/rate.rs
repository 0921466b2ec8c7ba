//! How often something rare happens in a clean window, given how often it happened in the reference.
//!
//! The reference's rate is a sample too: `x` of `m` says the rate is about Beta distributed, so the count in a window of `n` is beta-binomial. Its probabilities
//! follow from each other by a ratio, so the whole law is one walk from its middle outwards; no special function is needed, and nothing is approximated.

/// Windows larger than this are judged like windows of this size: their own noise is then overstated by less than a thousandth of the rate's.
const LARGEST: u64 = 1 << 20;
/// Below this share of what was summed a probability no longer counts.
const NEGLIGIBLE: f64 = 1e-18;

/// What is known of a rate: Beta(a, b).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateDistribution {
    a: f64,
    b: f64,
}

impl RateDistribution {
    /// Beta(a, b); both positive.
    #[must_use]
    pub fn try_new(a: f64, b: f64) -> Option<Self> {
        (a > 0.0 && b > 0.0 && (a + b).is_finite()).then_some(RateDistribution { a, b })
    }

    /// A rate that was `x` of `m` in the reference (Jeffreys).
    #[must_use]
    pub fn seen(x: f64, m: f64) -> Option<Self> {
        Self::try_new(x + 0.5, (m - x).max(0.0) + 0.5)
    }

    /// The expected rate.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.a / (self.a + self.b)
    }

    /// The law of the count in a window of `n`, as shares of `n`.
    #[must_use]
    pub fn window(&self, n: u64) -> WindowRateDistribution {
        let n = n.clamp(1, LARGEST);
        let start = whole(self.mean() * n as f64).min(n);
        let mut up = vec![1.0];
        let mut sum = 1.0;
        for k in start..n {
            let next = up.last().copied().unwrap_or(0.0) * self.ratio(k, n);
            sum += next;
            up.push(next);
            if next < sum * NEGLIGIBLE {
                break;
            }
        }
        let mut down = Vec::new();
        let mut last = 1.0;
        for k in (0..start).rev() {
            last /= self.ratio(k, n);
            sum += last;
            down.push(last);
            if last < sum * NEGLIGIBLE {
                break;
            }
        }
        let first = start - down.len() as u64;
        let probabilities = down.into_iter().rev().chain(up).map(|p| p / sum);
        WindowRateDistribution {
            n,
            first,
            probabilities: probabilities.collect(),
        }
    }

    /// `P(k + 1) / P(k)`.
    fn ratio(&self, k: u64, n: u64) -> f64 {
        let (k, n) = (k as f64, n as f64);
        (n - k) / (k + 1.0) * (k + self.a) / (n - k - 1.0 + self.b)
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a count of a window"
)]
fn whole(x: f64) -> u64 {
    x as u64
}

/// The law of a rate in clean windows of one size.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowRateDistribution {
    n: u64,
    /// The count of the first probability.
    first: u64,
    probabilities: Vec<f64>,
}

impl WindowRateDistribution {
    /// The smallest rate that at most a share `alpha` of clean windows exceeds.
    #[must_use]
    pub fn upper(&self, alpha: f64) -> f64 {
        let mut beyond = 0.0;
        for (at, p) in self.probabilities.iter().enumerate().rev() {
            beyond += p;
            if beyond > alpha {
                return self.share(at);
            }
        }
        self.share(0)
    }

    /// The largest rate that at most a share `alpha` of clean windows stays below.
    #[must_use]
    pub fn lower(&self, alpha: f64) -> f64 {
        let mut below = 0.0;
        for (at, p) in self.probabilities.iter().enumerate() {
            below += p;
            if below > alpha {
                return self.share(at);
            }
        }
        self.share(self.probabilities.len() - 1)
    }

    /// The share of clean windows with at least this rate.
    #[must_use]
    pub fn at_least(&self, rate: f64) -> f64 {
        self.sum_where(|share| share >= rate - self.slack())
    }

    /// The share of clean windows with at most this rate.
    #[must_use]
    pub fn at_most(&self, rate: f64) -> f64 {
        self.sum_where(|share| share <= rate + self.slack())
    }

    /// Mean and variance of a function of the rate.
    #[must_use]
    pub fn moments(&self, of: impl Fn(f64) -> f64) -> (f64, f64) {
        let weighted = || {
            let numbered = self.probabilities.iter().enumerate();
            numbered.map(|(at, p)| (*p, of(self.share(at))))
        };
        let mean: f64 = weighted().map(|(p, x)| p * x).sum();
        let variance = weighted().map(|(p, x)| p * (x - mean).powi(2)).sum();
        (mean, variance)
    }

    fn sum_where(&self, is_in: impl Fn(f64) -> bool) -> f64 {
        let numbered = self.probabilities.iter().enumerate();
        numbered
            .filter(|(at, _)| is_in(self.share(*at)))
            .map(|(_, p)| p)
            .sum::<f64>()
            .clamp(0.0, 1.0)
    }

    fn share(&self, at: usize) -> f64 {
        (self.first + at as u64) as f64 / self.n as f64
    }

    /// Less than half a count: rates of one size are told apart, rounding is not.
    fn slack(&self) -> f64 {
        1e-3 / self.n as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_reference_has_the_moments_of_its_beta_binomial() {
        let law = RateDistribution::seen(2500.0, 25_000.0)
            .unwrap()
            .window(5000);
        let (mean, variance) = law.moments(|rate| rate * 5000.0);
        assert!((mean - 500.08).abs() < 0.01, "mean {mean}");
        // n p q (a + b + n) / (a + b + 1) with a + b = 25001
        assert!(
            (variance / 540.05 - 1.0).abs() < 1e-3,
            "variance {variance}"
        );
        let upper = law.upper(1e-3) * 5000.0;
        assert!((571.0..576.0).contains(&upper), "3.1 deviations: {upper}");
        let lower = law.lower(1e-3) * 5000.0;
        assert!((426.0..432.0).contains(&lower), "and below: {lower}");
    }

    #[test]
    fn lines_hold_what_they_say() {
        for (x, m, n) in [
            (0.0, 1000.0, 50),
            (0.0, 1e6, 100_000),
            (300.0, 1000.0, 7),
            (1e5, 1e6, 1 << 21),
        ] {
            let law = RateDistribution::seen(x, m).unwrap().window(n);
            for alpha in [0.01, 1e-4] {
                let step = 1.0 / n.min(LARGEST) as f64;
                let line = law.upper(alpha);
                assert!(
                    law.at_least(line + step) <= alpha,
                    "above the line {x} {m} {n}"
                );
                assert!(law.at_least(line) > alpha, "and no lower {x} {m} {n}");
            }
            assert!((law.at_least(0.0) - 1.0).abs() < 1e-9, "all of it");
        }
    }

    #[test]
    fn a_rate_never_seen_may_come_as_often_as_once() {
        // Beta(2, m) on n = m values: P(K = k) = (k + 1) / 2^(k + 2), nearly.
        let law = RateDistribution::try_new(2.0, 1e5).unwrap().window(100_000);
        let none = law.at_most(0.0);
        assert!((none - 0.25).abs() < 1e-4, "{none}");
    }
}
