//! Divergences and distances between two sets of counts over the same bins.
//!
//! Information is measured in bits; PSI uses the natural logarithm by the convention behind its 0.1 / 0.25 rules. Only the scores that would be infinite
//! on an empty bin are smoothed, by adding `pseudo_count` to the *count* of every bin of both sides, so that smoothing fades as counts grow.

use std::f64::consts::LN_2;

/// Which bins take part although both sides are empty.
///
/// Bins of the layout always do; guards, `other` and `unseen` only when occupied on either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Open {
    /// A bin of the layout.
    Always,
    /// A guard, `other` or `unseen`.
    WhenOccupied,
}

/// Every score that needs no order between bins.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Divergences {
    /// Jensen-Shannon divergence, bits, 0..=1; symmetric, not smoothed.
    pub js: f64,
    /// KL(current || reference), bits; infinite without smoothing where the reference is empty and the current is not.
    pub kl: f64,
    /// KL(reference || current), bits.
    pub kl_reverse: f64,
    /// Population stability index, natural logarithm; `(kl + kl_reverse) * ln 2` up to rounding.
    pub psi: f64,
    /// Hellinger distance, 0..=1.
    pub hellinger: f64,
    /// Total variation distance, 0..=1.
    pub total_variation: f64,
    /// Entropy of the current counts, bits.
    pub entropy: f64,
    /// Mean surprisal of the current counts under the smoothed reference, bits per event.
    pub cross_entropy: f64,
    /// `sum min(p, q)`, 0..=1; below 0.05 `js` and `kl` are saturated.
    pub support_overlap: f64,
}

/// Scores of `current` against `reference`, both counts over the same bins; `open` says which bins take part when empty on both sides.
///
/// `pseudo_count` is not negative. `None` when either side has no counts: there is no distribution to compare. The three slices have one length.
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

/// The two totals, plain and smoothed.
struct Shares {
    n: f64,
    m: f64,
    n_smooth: f64,
    m_smooth: f64,
    pseudo_count: f64,
}

impl Shares {
    /// Adds one bin's terms, in nats.
    #[inline]
    fn add(&self, p_count: f64, q_count: f64, sums: &mut Divergences, affinity_gap: &mut f64) {
        let (p, q) = (p_count / self.n, q_count / self.m);
        let middle = (p + q) / 2.0;
        sums.js += (times_ln(p, p / middle) + times_ln(q, q / middle)) / 2.0;
        sums.entropy -= times_ln(p, p);
        sums.total_variation += (p - q).abs() / 2.0;
        sums.support_overlap += p.min(q);
        // 1 - sum sqrt(pq) = sum (sqrt p - sqrt q)^2 / 2, without the cancellation.
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

/// `ln(p / q)`, zero where both are.
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

    fn close(found: f64, expected: f64, what: &str) {
        assert!(
            (found - expected).abs() <= 1e-12 * (1.0 + expected.abs()),
            "{what}: {found} vs {expected}"
        );
    }

    #[test]
    fn agrees_with_scipy_on_two_coins() {
        // scipy 1.17.1: jensenshannon([.5, .5], [.9, .1], base=2) ** 2, entropy([.5, .5], [.9, .1], base=2) and swapped
        let found = plain(&[5, 5], &[9, 1], 0.0);
        close(found.js, 0.146_793_102_436_052_15, "js");
        close(found.kl, 0.736_965_594_166_206_2, "kl");
        close(found.kl_reverse, 0.531_004_406_410_719_6, "kl_reverse");
        close(found.psi, (found.kl + found.kl_reverse) * LN_2, "psi");
        close(found.total_variation, 0.4, "total variation");
        close(found.support_overlap, 0.6, "overlap");
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
        let found = plain(&[3, 5, 2], &[4, 4, 2], 0.0);
        close(
            found.cross_entropy - found.entropy,
            found.kl,
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
        assert!(bare.cross_entropy.is_infinite(), "surprise without bound");
        assert!(
            bare.kl_reverse.is_finite() && bare.js.is_finite(),
            "the others stay finite"
        );
        let smooth = plain(&[5, 5], &[10, 0], 0.5);
        assert!(
            smooth.kl.is_finite() && smooth.kl > 0.0,
            "smoothed {smooth:?}"
        );
    }

    #[test]
    fn js_is_one_bit_on_disjoint_supports() {
        let found = plain(&[7, 0], &[0, 9], 0.5);
        close(found.js, 1.0, "js");
        close(found.hellinger, 1.0, "hellinger");
        close(found.support_overlap, 0.0, "overlap");
    }

    #[test]
    fn empty_guards_neither_smooth_nor_count() {
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
    fn nothing_to_compare_is_no_score() {
        assert!(
            divergences(&[0, 0], &[1, 1], &[Open::Always; 2], 0.5).is_none(),
            "no window"
        );
        assert!(
            divergences(&[1, 1], &[0, 0], &[Open::Always; 2], 0.5).is_none(),
            "no reference"
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
        fn scores_stay_in_their_ranges_and_symmetric_ones_are(
            (p, q) in two_histograms(), alpha in prop_oneof![Just(0.0), Just(0.5)]
        ) {
            prop_assume!(p.iter().sum::<u64>() > 0 && q.iter().sum::<u64>() > 0);
            let (a, b) = (plain(&p, &q, alpha), plain(&q, &p, alpha));
            prop_assert!((0.0..=1.0).contains(&a.js) && a.kl >= 0.0 && a.kl_reverse >= 0.0 && a.psi >= 0.0);
            prop_assert!((a.js - b.js).abs() < 1e-12 && (a.hellinger - b.hellinger).abs() < 1e-12);
            let both_infinite = a.kl.is_infinite() && b.kl_reverse.is_infinite();
            prop_assert!(both_infinite || (a.kl - b.kl_reverse).abs() < 1e-9 * a.kl.max(1.0));
            prop_assert!((a.support_overlap + a.total_variation - 1.0).abs() < 1e-9);
            let same = plain(&p, &p, alpha);
            prop_assert!(same.js < 1e-15 && same.kl < 1e-12 && same.hellinger == 0.0);
        }
    }
}
