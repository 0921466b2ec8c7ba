//! Divergences and distances between two sets of counts over the same bins, and their entropies.
//!
//! Information is measured in bits; PSI uses the natural logarithm, by the convention behind its
//! 0.1 / 0.25 rules. Only the scores that would be infinite on an empty bin are smoothed: KL in
//! both directions, PSI and cross entropy. `pseudo_count` is added to the *count* of every bin of
//! both sides, so that smoothing fades as counts grow. A constant added to shares would not: one
//! empty decile under a floor of 1e-10 adds 2.07 to a PSI.
//!
//! In the formulas, `p` is the share of a bin in the current counts, `q` in the reference, and sums
//! run over bins. A term whose factor is zero is zero. Source: Cover and Thomas, Elements of
//! Information Theory, chapter 2; Lin, Divergence Measures Based on the Shannon Entropy (1991).

use std::f64::consts::LN_2;

/// The part that a bin plays in smoothing when it is empty on both sides.
///
/// Bins of the layout are always smoothed; guards, `other` and `unseen` only when they are occupied
/// on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// A bin of the layout.
    Always,
    /// A guard, `other` or `unseen`.
    WhenOccupied,
}

/// Every score that needs no order between the bins.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Divergences {
    /// Jensen-Shannon divergence in bits, 0..=1; symmetric, not smoothed.
    ///
    /// `sum (p log2(p / m) + q log2(q / m)) / 2` with `m = (p + q) / 2`.
    pub js: f64,
    /// Kullback-Leibler divergence of the current from the reference, in bits; at least 0.
    ///
    /// `sum p log2(p / q)` of smoothed shares. Without smoothing it is infinite where a bin of the
    /// reference is empty and the same bin of the current is not.
    pub kl: f64,
    /// Kullback-Leibler divergence of the reference from the current, in bits; at least 0.
    ///
    /// `sum q log2(q / p)` of smoothed shares; infinite as `kl`, with the sides exchanged.
    pub kl_reverse: f64,
    /// Population stability index in nats; at least 0.
    ///
    /// `sum (p - q) ln(p / q)` of smoothed shares, which is `(kl + kl_reverse) ln 2` up to
    /// rounding.
    pub psi: f64,
    /// Hellinger distance, 0..=1: `sqrt(1 - sum sqrt(p q))`.
    pub hellinger: f64,
    /// Total variation distance, 0..=1: `sum |p - q| / 2`.
    pub total_variation: f64,
    /// Entropy of the current counts in bits, `0..=log2(bins)`: `-sum p log2 p`.
    pub entropy: f64,
    /// Mean surprisal of the current counts under the reference, in bits per event; at least 0.
    ///
    /// `-sum p log2 q` where only `q` is smoothed.
    pub cross_entropy: f64,
    /// Overlap of the two distributions, 0..=1: `sum min(p, q)`.
    ///
    /// Below 0.05, `js` and `kl` are close to their largest values and say no more how far apart
    /// the two distributions are.
    pub support_overlap: f64,
}

/// Scores of `current` against `reference`, which are counts over the same bins.
///
/// `open` has the rule for each bin that is empty on both sides; the three slices have one length.
/// `pseudo_count` is not negative. `None` when either side has no counts: there is no distribution
/// to compare.
#[must_use]
pub fn divergences(
    current: &[u64],
    reference: &[u64],
    open: &[Open],
    pseudo_count: f64,
) -> Option<Divergences> {
    debug_assert!(
        current.len() == reference.len() && current.len() == open.len(),
        "same bins"
    );
    let (n, m) = (current.iter().sum::<u64>(), reference.iter().sum::<u64>());
    if n == 0 || m == 0 {
        return None;
    }
    let bins = || {
        current
            .iter()
            .zip(reference)
            .zip(open)
            .filter(|((p, q), open)| **p > 0 || **q > 0 || **open == Open::Always)
    };
    let added = pseudo_count * bins().count() as f64;
    let shares = Shares {
        n: n as f64,
        m: m as f64,
        n_smooth: n as f64 + added,
        m_smooth: m as f64 + added,
        pseudo_count,
    };
    let mut sums = Divergences::default();
    let mut affinity_gap = 0.0;
    for ((&p, &q), _) in bins() {
        shares.add(p as f64, q as f64, &mut sums, &mut affinity_gap);
    }
    Some(finish(sums, affinity_gap))
}

/// Totals of both sides, plain and smoothed, which turn counts into shares.
struct Shares {
    n: f64,
    m: f64,
    n_smooth: f64,
    m_smooth: f64,
    pseudo_count: f64,
}

impl Shares {
    /// Adds the terms of one bin, in nats.
    #[inline]
    fn add(&self, p_count: f64, q_count: f64, sums: &mut Divergences, affinity_gap: &mut f64) {
        let (p, q) = (p_count / self.n, q_count / self.m);
        let middle = (p + q) / 2.0;
        sums.js += (times_ln(p, p / middle) + times_ln(q, q / middle)) / 2.0;
        sums.entropy -= times_ln(p, p);
        sums.total_variation += (p - q).abs() / 2.0;
        sums.support_overlap += p.min(q);
        // 1 - sum sqrt(p q) = sum (sqrt p - sqrt q)^2 / 2, but without cancellation.
        *affinity_gap += (p.sqrt() - q.sqrt()).powi(2) / 2.0;
        let smooth_p = (p_count + self.pseudo_count) / self.n_smooth;
        let smooth_q = (q_count + self.pseudo_count) / self.m_smooth;
        let ratio = ln_ratio(smooth_p, smooth_q);
        sums.kl += times(smooth_p, ratio);
        sums.kl_reverse -= times(smooth_q, ratio);
        sums.psi += times(smooth_p - smooth_q, ratio);
        sums.cross_entropy -= times(p, smooth_q.ln());
    }
}

/// Turns sums in nats into scores, inside their ranges whatever the rounding.
fn finish(sums: Divergences, affinity_gap: f64) -> Divergences {
    Divergences {
        js: (sums.js / LN_2).clamp(0.0, 1.0),
        kl: (sums.kl / LN_2).max(0.0),
        kl_reverse: (sums.kl_reverse / LN_2).max(0.0),
        psi: sums.psi.max(0.0),
        hellinger: affinity_gap.clamp(0.0, 1.0).sqrt(),
        total_variation: sums.total_variation.clamp(0.0, 1.0),
        entropy: (sums.entropy / LN_2).max(0.0),
        cross_entropy: (sums.cross_entropy / LN_2).max(0.0),
        support_overlap: sums.support_overlap.clamp(0.0, 1.0),
    }
}

/// `factor * ln(x)`, zero where the factor is zero whatever `x` is.
#[inline]
fn times_ln(factor: f64, x: f64) -> f64 {
    if factor > 0.0 { factor * x.ln() } else { 0.0 }
}

/// `factor * x`, zero where the factor is zero although `x` may be infinite.
#[inline]
fn times(factor: f64, x: f64) -> f64 {
    if factor != 0.0 { factor * x } else { 0.0 }
}

/// `ln(p / q)`, zero where both are zero.
#[inline]
fn ln_ratio(p: f64, q: f64) -> f64 {
    if p <= 0.0 && q <= 0.0 {
        0.0
    } else {
        (p / q).ln()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn plain(p: &[u64], q: &[u64], pseudo_count: f64) -> Divergences {
        divergences(p, q, &vec![Open::Always; p.len()], pseudo_count).unwrap()
    }

    fn close(score: f64, expected: f64, name: &str) {
        assert!(
            (score - expected).abs() <= 1e-12 * (1.0 + expected.abs()),
            "{name}: {score} vs {expected}"
        );
    }

    #[test]
    fn agrees_with_scipy_on_two_coins() {
        // scipy 1.17: scipy.spatial.distance.jensenshannon([.5, .5], [.9, .1], base=2) ** 2,
        // scipy.stats.entropy([.5, .5], [.9, .1], base=2), and the same with the sides exchanged
        let scores = plain(&[5, 5], &[9, 1], 0.0);
        close(scores.js, 0.146_793_102_436_052_15, "js");
        close(scores.kl, 0.736_965_594_166_206_2, "kl");
        close(scores.kl_reverse, 0.531_004_406_410_719_6, "kl_reverse");
        close(scores.psi, (scores.kl + scores.kl_reverse) * LN_2, "psi");
        close(scores.total_variation, 0.4, "total variation");
        close(scores.support_overlap, 0.6, "overlap");
    }

    #[test]
    fn smoothed_scores_agree_with_scipy() {
        // p = [3, 5, 2, 0] / 10 and q = [40, 40, 10, 10] / 100; sp and sq are the same counts with
        // 0.5 added to each bin, normalised.
        let scores = plain(&[3, 5, 2, 0], &[40, 40, 10, 10], 0.5);
        // scipy 1.17: scipy.spatial.distance.jensenshannon(p, q, 2) ** 2
        close(scores.js, 0.071_441_550_352_638_59, "js");
        // scipy 1.17: scipy.stats.entropy(sp, sq, base=2) and (sq, sp, base=2)
        close(scores.kl, 0.122_615_680_635_943_61, "kl");
        close(scores.kl_reverse, 0.124_119_670_686_406_46, "kl_reverse");
        // numpy 2.1: ((sp - sq) * numpy.log(sp / sq)).sum()
        close(scores.psi, 0.171_023_913_113_552_44, "psi");
        // numpy 2.1: numpy.linalg.norm(numpy.sqrt(p) - numpy.sqrt(q)) / numpy.sqrt(2)
        close(scores.hellinger, 0.254_862_485_958_520_57, "hellinger");
        // scipy 1.17: scipy.stats.entropy(p, base=2); -(p * numpy.log2(sq)).sum()
        close(scores.entropy, 1.485_475_297_227_334_6, "entropy");
        close(
            scores.cross_entropy,
            1.722_081_855_108_043_7,
            "cross entropy",
        );
    }

    #[test]
    fn entropy_of_a_coin_is_the_binary_entropy() {
        for heads in 1..10_u64 {
            let p = heads as f64 / 10.0;
            let expected = -(p * p.log2() + (1.0 - p) * (1.0 - p).log2());
            close(
                plain(&[heads, 10 - heads], &[1, 1], 0.0).entropy,
                expected,
                "H(p)",
            );
        }
        close(
            plain(&[5, 5], &[5, 5], 0.0).entropy,
            1.0,
            "a fair coin is one bit",
        );
    }

    #[test]
    fn cross_entropy_less_entropy_is_kl() {
        let scores = plain(&[3, 5, 2], &[4, 4, 2], 0.0);
        close(
            scores.cross_entropy - scores.entropy,
            scores.kl,
            "H(p, q) - H(p)",
        );
    }

    #[test]
    fn kl_is_infinite_without_smoothing_where_the_reference_has_no_mass() {
        let bare = plain(&[5, 5], &[10, 0], 0.0);
        assert!(
            bare.kl.is_infinite() && bare.psi.is_infinite(),
            "kl and psi {bare:?}"
        );
        assert!(bare.cross_entropy.is_infinite(), "unbounded surprisal");
        assert!(
            bare.kl_reverse.is_finite() && bare.js.is_finite(),
            "the other scores stay finite"
        );
        let smooth = plain(&[5, 5], &[10, 0], 0.5);
        assert!(
            smooth.kl.is_finite() && smooth.kl > 0.0,
            "smoothed {smooth:?}"
        );
    }

    #[test]
    fn js_is_one_bit_on_disjoint_supports() {
        let scores = plain(&[7, 0], &[0, 9], 0.5);
        close(scores.js, 1.0, "js");
        close(scores.hellinger, 1.0, "hellinger");
        close(scores.support_overlap, 0.0, "overlap");
    }

    #[test]
    fn empty_guards_do_not_change_a_score() {
        let open = [
            Open::WhenOccupied,
            Open::Always,
            Open::Always,
            Open::WhenOccupied,
        ];
        let guarded = divergences(&[0, 6, 4, 0], &[0, 5, 5, 0], &open, 0.5).unwrap();
        assert_eq!(
            guarded,
            plain(&[6, 4], &[5, 5], 0.5),
            "as if the guards were not there"
        );
    }

    #[test]
    fn an_empty_side_has_no_score() {
        assert!(
            divergences(&[0, 0], &[1, 1], &[Open::Always; 2], 0.5).is_none(),
            "empty window"
        );
        assert!(
            divergences(&[1, 1], &[0, 0], &[Open::Always; 2], 0.5).is_none(),
            "empty reference"
        );
    }

    fn two_histograms() -> impl Strategy<Value = (Vec<u64>, Vec<u64>)> {
        (1..40usize).prop_flat_map(|bins| {
            let counts = || proptest::collection::vec(prop_oneof![Just(0_u64), 1..5000_u64], bins);
            (counts(), counts())
        })
    }

    proptest! {
        #[test]
        fn scores_stay_in_their_ranges_and_symmetric_scores_are_symmetric(
            (p, q) in two_histograms(), alpha in prop_oneof![Just(0.0), Just(0.5)]
        ) {
            prop_assume!(p.iter().sum::<u64>() > 0 && q.iter().sum::<u64>() > 0);
            let (a, b) = (plain(&p, &q, alpha), plain(&q, &p, alpha));
            prop_assert!((0.0..=1.0).contains(&a.js) && a.kl >= 0.0);
            prop_assert!(a.kl_reverse >= 0.0 && a.psi >= 0.0);
            prop_assert!((a.js - b.js).abs() < 1e-12 && (a.hellinger - b.hellinger).abs() < 1e-12);
            let both_infinite = a.kl.is_infinite() && b.kl_reverse.is_infinite();
            prop_assert!(both_infinite || (a.kl - b.kl_reverse).abs() < 1e-9 * a.kl.max(1.0));
            prop_assert!((a.support_overlap + a.total_variation - 1.0).abs() < 1e-9);
            let same = plain(&p, &p, alpha);
            prop_assert!(same.js < 1e-15 && same.kl < 1e-12 && same.hellinger == 0.0);
        }
    }
}
