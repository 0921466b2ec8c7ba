//! The rate of rare events in a window without drift, given their rate in the reference.
//!
//! The reference's rate is a sample as well: `x` of `m` events make the rate Beta distributed, so
//! the count in a window of `n` is beta-binomial. Its probabilities follow from each other by a
//! ratio. So the whole distribution is one walk from its middle outwards, without special functions
//! and without approximation. A normal approximation fails where counts are small, which is where
//! rates matter.

/// Larger windows are treated like windows of this size.
///
/// Their own noise is then overstated by less than a thousandth of the rate's.
const MAX_WINDOW: u64 = 1 << 20;
/// The share of the sum so far below which a probability is left out.
const NEGLIGIBLE: f64 = 1e-18;

/// The posterior distribution of a rate: Beta(`hits`, `misses`).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RateDistribution {
    /// Events that count, with the prior's share; positive.
    hits: f64,
    /// Events that do not count, with the prior's share; positive.
    misses: f64,
}

impl RateDistribution {
    /// Beta(`hits`, `misses`); `None` unless both are positive and their sum is finite.
    #[must_use]
    pub fn try_new(hits: f64, misses: f64) -> Option<Self> {
        (hits > 0.0 && misses > 0.0 && (hits + misses).is_finite())
            .then_some(RateDistribution { hits, misses })
    }

    /// The posterior of a rate of `x` in `m` events: Beta(x + 1/2, m - x + 1/2), Jeffreys' prior.
    #[must_use]
    pub fn seen(x: f64, m: f64) -> Option<Self> {
        Self::try_new(x + 0.5, (m - x).max(0.0) + 0.5)
    }

    /// The expected rate, in 0..=1.
    #[must_use]
    pub fn mean(&self) -> f64 {
        self.hits / (self.hits + self.misses)
    }

    /// The distribution of the rate in a window of `n` events: beta-binomial, over `n`.
    ///
    /// `P(k) = C(n, k) B(k + hits, n - k + misses) / B(hits, misses)`. `n` is at least 1 and at
    /// most 2^20. Equals `scipy.stats.betabinom(n, hits, misses)` up to probabilities below 1e-18.
    #[must_use]
    pub fn window(&self, n: u64) -> WindowRateDistribution {
        let n = n.clamp(1, MAX_WINDOW);
        let start = whole(self.mean() * n as f64).min(n);
        WindowRateDistribution::walk(n, start, |k| self.ratio(k, n))
    }

    /// `P(k + 1) / P(k)` of the beta-binomial distribution.
    fn ratio(&self, k: u64, n: u64) -> f64 {
        let (k, n) = (k as f64, n as f64);
        (n - k) / (k + 1.0) * (k + self.hits) / (n - k - 1.0 + self.misses)
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

/// The distribution of a rate in windows of one size without drift.
#[derive(Debug, Clone, PartialEq)]
pub struct WindowRateDistribution {
    /// Events of a window.
    n: u64,
    /// The count of the first probability.
    first: u64,
    /// Probabilities of the counts from `first` on; their sum is 1.
    probabilities: Vec<f64>,
}

impl WindowRateDistribution {
    /// The distribution of a known rate in a window of `n` events: binomial, over `n`.
    ///
    /// `P(k) = C(n, k) rate^k (1 - rate)^(n - k)`. `None` unless `rate` is between 0 and 1, both
    /// excluded, and where the variance `n rate (1 - rate)` is above 10,000: the walk would be
    /// longer than an approximation is worth. Equals `scipy.stats.binom(n, rate)` up to
    /// probabilities below 1e-18.
    #[must_use]
    pub fn binomial(n: u64, rate: f64) -> Option<Self> {
        const MAX_VARIANCE: f64 = 10_000.0;
        let is_inside = rate > 0.0 && rate < 1.0;
        if n == 0 || !is_inside || n as f64 * rate * (1.0 - rate) > MAX_VARIANCE {
            return None;
        }
        let odds = rate / (1.0 - rate);
        let start = whole(rate * n as f64).min(n);
        Some(Self::walk(n, start, |k| {
            (n - k) as f64 / (k as f64 + 1.0) * odds
        }))
    }

    /// Walks from the count `start` outwards; `ratio` returns `P(k + 1) / P(k)`.
    fn walk(n: u64, start: u64, ratio: impl Fn(u64) -> f64) -> Self {
        const USUAL_LENGTH: usize = 128;
        let mut probabilities = Vec::with_capacity(USUAL_LENGTH);
        probabilities.push(1.0);
        let (mut last, mut sum) = (1.0, 1.0);
        for k in start..n {
            last *= ratio(k);
            sum += last;
            probabilities.push(last);
            if last < sum * NEGLIGIBLE {
                break;
            }
        }
        // Those below the start come behind the others first, and then before them.
        let above = probabilities.len();
        last = 1.0;
        for k in (0..start).rev() {
            last /= ratio(k);
            sum += last;
            probabilities.push(last);
            if last < sum * NEGLIGIBLE {
                break;
            }
        }
        let below = probabilities.len() - above;
        probabilities[above..].reverse();
        probabilities.rotate_right(below);
        probabilities.iter_mut().for_each(|p| *p /= sum);
        WindowRateDistribution {
            n,
            first: start - below as u64,
            probabilities,
        }
    }

    /// The smallest rate that at most a share `alpha` of windows exceeds.
    #[must_use]
    pub fn upper(&self, alpha: f64) -> f64 {
        let mut beyond = 0.0;
        for (index, p) in self.probabilities.iter().enumerate().rev() {
            beyond += p;
            if beyond > alpha {
                return self.rate(index);
            }
        }
        self.rate(0)
    }

    /// The largest rate that at most a share `alpha` of windows stays below.
    #[must_use]
    pub fn lower(&self, alpha: f64) -> f64 {
        let mut below = 0.0;
        for (index, p) in self.probabilities.iter().enumerate() {
            below += p;
            if below > alpha {
                return self.rate(index);
            }
        }
        self.rate(self.probabilities.len() - 1)
    }

    /// The share of windows with at least this rate, in 0..=1.
    #[must_use]
    pub fn at_least(&self, rate: f64) -> f64 {
        let bound = rate - self.slack();
        let first = self.first_index(|share| share >= bound);
        sum(&self.probabilities[first..])
    }

    /// The share of windows with at most this rate, in 0..=1.
    #[must_use]
    pub fn at_most(&self, rate: f64) -> f64 {
        let bound = rate + self.slack();
        let end = self.first_index(|share| share > bound);
        sum(&self.probabilities[..end])
    }

    /// Mean and variance of a function of the rate.
    #[must_use]
    pub fn moments(&self, function: impl Fn(f64) -> f64) -> (f64, f64) {
        let weighted = || {
            self.probabilities
                .iter()
                .enumerate()
                .map(|(index, p)| (*p, function(self.rate(index))))
        };
        let mean: f64 = weighted().map(|(p, x)| p * x).sum();
        let variance = weighted().map(|(p, x)| p * (x - mean).powi(2)).sum();
        (mean, variance)
    }

    /// The index of the first rate that is `reached`, which all later ones are as well; the number
    /// of probabilities where none is.
    fn first_index(&self, is_reached: impl Fn(f64) -> bool) -> usize {
        let (mut low, mut high) = (0, self.probabilities.len());
        while low < high {
            let middle = usize::midpoint(low, high);
            if is_reached(self.rate(middle)) {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        low
    }

    /// The rate of the count at `index`.
    fn rate(&self, index: usize) -> f64 {
        (self.first + index as u64) as f64 / self.n as f64
    }

    /// A thousandth of a count: more than rounding, less than the distance of two rates.
    fn slack(&self) -> f64 {
        1e-3 / self.n as f64
    }
}

/// The sum of probabilities, in 0..=1 whatever the rounding.
fn sum(probabilities: &[f64]) -> f64 {
    probabilities.iter().sum::<f64>().clamp(0.0, 1.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use statrs::distribution::{Binomial, DiscreteCDF as _};

    #[test]
    fn a_rate_of_a_tenth_agrees_with_scipy() {
        // scipy 1.17: scipy.stats.betabinom(5000, 2500.5, 22500.5), its mean, var, isf(1e-3),
        // ppf(1e-3), sf(549) and cdf(450)
        let window = RateDistribution::seen(2500.0, 25_000.0)
            .unwrap()
            .window(5000);
        let (mean, variance) = window.moments(|rate| rate * 5000.0);
        assert!((mean - 500.079_996_800_128).abs() < 1e-6, "mean {mean}");
        assert!(
            (variance - 540.051_593_824_586_1).abs() < 1e-5,
            "variance {variance}"
        );
        let upper = window.upper(1e-3) * 5000.0;
        assert!((upper - 573.0).abs() < 1e-9, "isf {upper}");
        let lower = window.lower(1e-3) * 5000.0;
        assert!((lower - 430.0).abs() < 1e-9, "ppf {lower}");
        let at_least = window.at_least(550.0 / 5000.0);
        assert!((at_least - 0.017_881_729_26).abs() < 1e-9, "sf {at_least}");
        let at_most = window.at_most(450.0 / 5000.0);
        assert!((at_most - 0.015_252_226_39).abs() < 1e-9, "cdf {at_most}");
    }

    #[test]
    fn a_share_of_at_most_alpha_exceeds_the_upper_rate() {
        for (x, m, n) in [
            (0.0, 1000.0, 50),
            (0.0, 1e6, 100_000),
            (300.0, 1000.0, 7),
            (1e5, 1e6, 1 << 21),
        ] {
            let window = RateDistribution::seen(x, m).unwrap().window(n);
            for alpha in [0.01, 1e-4] {
                let step = 1.0 / n.min(MAX_WINDOW) as f64;
                let upper = window.upper(alpha);
                assert!(
                    window.at_least(upper + step) <= alpha,
                    "above the rate {x} {m} {n}"
                );
                assert!(
                    window.at_least(upper) > alpha,
                    "no lower rate will do {x} {m} {n}"
                );
            }
            assert!((window.at_least(0.0) - 1.0).abs() < 1e-9, "the sum is 1");
        }
    }

    proptest! {
        /// The quantile was that of statrs: a bisection with some fifty incomplete beta functions.
        #[test]
        fn quantiles_of_a_known_rate_are_those_of_statrs(
            n in 1..200_000_u64,
            rate in prop_oneof![Just(0.001), Just(0.005), 1e-6..0.04_f64],
            alpha in prop_oneof![Just(0.01), Just(1e-4), 1e-6..0.01_f64],
        ) {
            let window = WindowRateDistribution::binomial(n, rate).unwrap();
            let expected = Binomial::new(rate, n).unwrap().inverse_cdf(1.0 - alpha);
            let upper = window.upper(alpha);
            prop_assert_eq!(upper.to_bits(), (expected as f64 / n as f64).to_bits());
        }
    }

    #[test]
    fn a_rate_that_needs_no_walk_or_a_long_one_has_no_distribution() {
        let exists = |n, rate| WindowRateDistribution::binomial(n, rate).is_some();
        assert!(exists(10_000_000, 0.001), "a variance of 9,990");
        assert!(!exists(11_000_000, 0.001), "a variance above 10,000");
        assert!(!exists(100, 0.0) && !exists(100, 1.0), "no variance");
        assert!(!exists(0, 0.1), "no events");
    }

    #[test]
    fn fitted_guards_that_are_empty_may_hold_a_few_values() {
        // scipy 1.17: scipy.stats.betabinom(100_000, 2, 1e5).pmf(0) and sf(9)
        let window = RateDistribution::try_new(2.0, 1e5).unwrap().window(100_000);
        let none = window.at_most(0.0);
        assert!((none - 0.250_001_250_062_015_46).abs() < 1e-9, "{none}");
        let ten = window.at_least(1e-4);
        assert!((ten - 0.005_858_032_249_676_626).abs() < 1e-9, "{ten}");
    }
}
