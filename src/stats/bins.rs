//! Score bins: the frozen intervals in which shares are compared.
//!
//! Edges come from the reference (or the user) once and never move with the data: edges derived
//! from reference and window together let one outlier hide a true shift. Bins are half-open
//! `[lo, hi)`. Two guards, present where the outer edge is finite, count the values below and
//! above. The last finite bin includes its upper edge, as in `numpy.histogram`, unless it is a
//! point mass: the bin `[v, next_up(v))`, one value wide.
//!
//! The bin of a value is the number of breaks at or below it. A branchless binary search over a
//! padded table counts them, so the cost does not depend on the value.

use std::cmp::Ordering;
use std::hint::select_unpredictable;

use super::quantile::quantile_sorted;

/// A list of edges that does not bound bins.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum BinsError {
    /// Fewer than two edges bound no bin.
    #[error("needs at least 2 edges, found {count}")]
    TooFew {
        /// Number of edges in the list.
        count: usize,
    },
    /// More edges than [`Bins::MAX_EDGES`].
    #[error("at most {max} edges, found {count}", max = Bins::MAX_EDGES)]
    TooMany {
        /// Number of edges in the list.
        count: usize,
    },
    /// NaN is not an edge.
    #[error("not a number at index {index}")]
    NotANumber {
        /// Index in the list, from 0.
        index: usize,
    },
    /// Each edge must be above the edge before it.
    #[error("not increasing at index {index} ({edge} after {previous})")]
    NotIncreasing {
        /// Index in the list, from 0.
        index: usize,
        /// The edge at this index.
        edge: f64,
        /// The edge before it.
        previous: f64,
    },
    /// Only the outer edges may be infinite.
    #[error("infinite at index {index}, only the outer edges may be")]
    InnerInfinite {
        /// Index in the list, from 0.
        index: usize,
    },
}

/// The values of a bin: `lower <= x < upper`, unbounded where `None`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The smallest value inside; `None` = no lower bound.
    pub lower: Option<f64>,
    /// The first value outside, or the last value inside where the bin is closed; `None` = no upper
    /// bound. Equal to `lower` for a point mass.
    pub upper: Option<f64>,
}

/// A frozen set of score bins over the real line.
#[derive(Debug, Clone, PartialEq)]
pub struct Bins {
    /// Strictly increasing; the outer ones may be infinite.
    edges: Vec<f64>,
    /// The finite limits between neighbouring bins, padded with at least one infinity to a power of
    /// two.
    breaks: Vec<f64>,
    /// Number of bins, guards included.
    len: usize,
}

impl Bins {
    /// The most edges a set of bins may have.
    pub const MAX_EDGES: usize = 4096;

    /// Creates bins between `edges`.
    ///
    /// # Errors
    /// Fewer than two or too many edges, NaN, an inner infinity, or edges that do not increase
    /// strictly.
    pub fn try_new(edges: Vec<f64>) -> Result<Self, BinsError> {
        check(&edges)?;
        let mut breaks: Vec<f64> = edges
            .iter()
            .copied()
            .filter(|edge| edge.is_finite())
            .collect();
        if let [.., before, last] = edges[..]
            && last.is_finite()
            && before.next_up().total_cmp(&last) != Ordering::Equal
            && let Some(closed) = breaks.last_mut()
        {
            *closed = last.next_up();
        }
        let len = breaks.len() + 1;
        let padded = (breaks.len() + 1).next_power_of_two();
        breaks.resize(padded, f64::INFINITY);
        Ok(Bins { edges, breaks, len })
    }

    /// The edges as they were given.
    #[must_use]
    pub fn edges(&self) -> &[f64] {
        &self.edges
    }

    /// The limits between neighbouring bins, ascending: bin `i` begins at limit `i - 1`.
    #[must_use]
    pub(super) fn limits(&self) -> &[f64] {
        &self.breaks[..self.boundaries()]
    }

    /// Number of bins, guards included; at least 1.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "bins are never empty")]
    pub fn len(&self) -> usize {
        self.len
    }

    /// The bin of a finite value, in `0..len()`.
    #[must_use]
    #[inline]
    pub fn index(&self, x: f64) -> usize {
        // The usual number of bins has a search of known length, without bounds checks.
        match <&[f64; 32]>::try_from(self.breaks.as_slice()) {
            Ok(breaks) => search(breaks, x),
            Err(_) => search(&self.breaks, x),
        }
    }

    /// Returns true if a guard bin counts the values below the first edge.
    #[must_use]
    pub fn has_lower_guard(&self) -> bool {
        self.edges.first().is_some_and(|edge| edge.is_finite())
    }

    /// Returns true if a guard bin counts the values above the last edge.
    #[must_use]
    pub fn has_upper_guard(&self) -> bool {
        self.edges.last().is_some_and(|edge| edge.is_finite())
    }

    /// Returns true if bin `index` is a guard.
    #[must_use]
    pub fn is_guard(&self, index: usize) -> bool {
        (index == 0 && self.has_lower_guard()) || (index + 1 == self.len && self.has_upper_guard())
    }

    /// The values of bin `index`, in `0..len()`.
    #[must_use]
    pub fn interval(&self, index: usize) -> Interval {
        let finite = |edge: &f64| edge.is_finite().then_some(*edge);
        let guards_below = usize::from(self.has_lower_guard());
        // A lower guard has no edge below it.
        let lower = index
            .checked_sub(guards_below)
            .and_then(|lower| self.edges.get(lower))
            .and_then(finite);
        let upper = self.edges.get(index + 1 - guards_below).and_then(finite);
        match (lower, upper) {
            (Some(low), Some(high)) if low.next_up().total_cmp(&high) == Ordering::Equal => {
                Interval {
                    lower,
                    upper: lower,
                }
            }
            _ => Interval { lower, upper },
        }
    }

    /// Number of limits between neighbouring bins, where a cumulative share can be read:
    /// `len() - 1`.
    #[must_use]
    pub fn boundaries(&self) -> usize {
        self.len - 1
    }
}

/// The number of `breaks` at or below a finite `x`.
///
/// `breaks` ascend, are a power of two long, and end with infinity. Each step selects instead of
/// branching, because the processor would mispredict half of the branches.
#[inline(always)]
fn search<B: AsRef<[f64]> + ?Sized>(breaks: &B, x: f64) -> usize {
    let breaks = breaks.as_ref();
    let mask = breaks.len() - 1;
    let mut half = breaks.len() / 2;
    let mut below = 0;
    while half > 0 {
        let is_above = breaks[(below + half - 1) & mask] <= x;
        below = select_unpredictable(is_above, below + half, below);
        half /= 2;
    }
    below
}

fn check(edges: &[f64]) -> Result<(), BinsError> {
    let count = edges.len();
    if count < 2 {
        return Err(BinsError::TooFew { count });
    }
    if count > Bins::MAX_EDGES {
        return Err(BinsError::TooMany { count });
    }
    if let Some(index) = edges.iter().position(|edge| edge.is_nan()) {
        return Err(BinsError::NotANumber { index });
    }
    if let Some(index) = (1..count - 1).find(|&index| edges[index].is_infinite()) {
        return Err(BinsError::InnerInfinite { index });
    }
    match (1..count).find(|&index| edges[index - 1] >= edges[index]) {
        Some(index) => Err(BinsError::NotIncreasing {
            index,
            edge: edges[index],
            previous: edges[index - 1],
        }),
        None => Ok(()),
    }
}

/// Score edges for a reference: `count` bins (at least 2) of equal mass.
///
/// `sorted` has the reference's values in ascending order, all finite. Edges are the quantiles
/// `0, 1/count, ..., 1` by linear interpolation (`numpy.quantile`), without duplicates; the outer
/// edges are the smallest and largest value. A value that holds at least one bin's share of the
/// reference gets a bin of its own: without it, a constant column that starts to vary is invisible.
///
/// At most 20 distinct values get one bin each, with edges halfway between. A single value is a
/// point mass. Without values there are no edges.
#[must_use]
pub fn histogram_edges(sorted: &[f64], count: usize) -> Vec<f64> {
    const DISCRETE: usize = 20;
    let distinct = distinct_up_to(sorted, DISCRETE + 1);
    match distinct[..] {
        [] => Vec::new(),
        [only] => vec![only, only.next_up()],
        _ if distinct.len() <= DISCRETE => halfway_edges(&distinct),
        _ => quantile_edges(sorted, count.max(2)),
    }
}

/// The first `limit` distinct values.
fn distinct_up_to(sorted: &[f64], limit: usize) -> Vec<f64> {
    let mut distinct: Vec<f64> = Vec::new();
    for &x in sorted {
        // Adding zero turns -0.0 into 0.0, so that the two share a bin.
        let x = x + 0.0;
        if distinct.last().is_none_or(|last| *last < x) {
            distinct.push(x);
            if distinct.len() == limit {
                break;
            }
        }
    }
    distinct
}

/// Edges halfway between neighbours; the outer edges as far beyond the end values as the nearest
/// inner edge is inside.
fn halfway_edges(distinct: &[f64]) -> Vec<f64> {
    let inner: Vec<f64> = distinct
        .windows(2)
        .map(|pair| midpoint(pair[0], pair[1]))
        .collect();
    let (Some(first), Some(last)) = (distinct.first(), distinct.last()) else {
        return Vec::new();
    };
    let (Some(lowest), Some(highest)) = (inner.first(), inner.last()) else {
        return vec![*first, first.next_up()];
    };
    let low = (first - (lowest - first)).max(f64::MIN);
    let high = (last + (last - highest)).min(f64::MAX);
    let mut edges = vec![low];
    edges.extend(&inner);
    edges.push(high);
    strictly_increasing(edges)
}

/// A value above `low` and at most `high`, halfway where doubles allow.
fn midpoint(low: f64, high: f64) -> f64 {
    let middle = f64::midpoint(low, high);
    if middle > low { middle } else { high }
}

/// Edges at quantiles, and a point mass for each value that holds at least one bin's share.
fn quantile_edges(sorted: &[f64], count: usize) -> Vec<f64> {
    let mut edges: Vec<f64> = (0..=count)
        .map(|i| quantile_sorted(sorted, i as f64 / count as f64) + 0.0)
        .collect();
    for run in sorted.chunk_by(|a, b| a.total_cmp(b) == Ordering::Equal) {
        if run.len().saturating_mul(count) >= sorted.len() {
            edges.push(run[0] + 0.0);
            edges.push((run[0] + 0.0).next_up());
        }
    }
    edges.sort_by(f64::total_cmp);
    strictly_increasing(edges)
}

fn strictly_increasing(mut edges: Vec<f64>) -> Vec<f64> {
    edges.dedup_by(|next, kept| *next <= *kept);
    edges
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bins(edges: &[f64]) -> Bins {
        Bins::try_new(edges.to_vec()).unwrap()
    }

    #[test]
    fn values_fall_where_numpy_histogram_puts_them() {
        let bins = bins(&[0.0, 1.0, 2.0]);
        let check = |x: f64, bin: usize| assert_eq!(bins.index(x), bin, "bin of {x}");
        check(-0.1, 0);
        check(0.0, 1);
        check(-0.0, 1);
        check(0.999, 1);
        check(1.0, 2);
        check(2.0, 2);
        check(2.0_f64.next_up(), 3);
        check(f64::MAX, 3);
        check(f64::MIN, 0);
    }

    #[test]
    fn bins_with_infinite_outer_edges_have_no_guards() {
        let bins = bins(&[f64::NEG_INFINITY, 0.0, 1.0, f64::INFINITY]);
        assert_eq!(bins.len(), 3, "bins");
        assert!((0..3).all(|bin| !bins.is_guard(bin)), "no guard");
        assert_eq!(bins.index(1.0), 2, "half-open throughout");
        assert_eq!(
            bins.interval(0),
            Interval {
                lower: None,
                upper: Some(0.0)
            },
            "first"
        );
        assert_eq!(
            bins.interval(2),
            Interval {
                lower: Some(1.0),
                upper: None
            },
            "last"
        );
    }

    #[test]
    fn a_constant_is_one_point_mass_and_two_guards() {
        let bins = bins(&histogram_edges(&[7.0; 30], 20));
        assert_eq!(bins.len(), 3, "bins");
        assert_eq!(bins.index(7.0), 1, "the constant");
        assert_eq!(bins.index(7.0_f64.next_down()), 0, "just below");
        assert_eq!(bins.index(7.0_f64.next_up()), 2, "just above");
        assert_eq!(
            bins.interval(1),
            Interval {
                lower: Some(7.0),
                upper: Some(7.0)
            },
            "point"
        );
    }

    #[test]
    fn a_heavy_value_gets_a_bin_of_its_own() {
        let mut sample: Vec<f64> = (0..900).map(f64::from).collect();
        sample.extend([450.25; 100]);
        sample.sort_by(f64::total_cmp);
        let bins = bins(&histogram_edges(&sample, 20));
        let heavy = bins.index(450.25);
        assert_eq!(
            bins.interval(heavy).lower,
            bins.interval(heavy).upper,
            "point mass"
        );
        assert_ne!(bins.index(450.0), heavy, "neighbour below");
        assert_ne!(bins.index(451.0), heavy, "neighbour above");
    }

    #[test]
    fn few_distinct_values_get_one_bin_each() {
        let edges = histogram_edges(&[1.0, 1.0, 2.0, 5.0, 5.0], 20);
        assert_eq!(
            edges,
            vec![0.5, 1.5, 3.5, 6.5],
            "halfway, mirrored at the ends"
        );
    }

    #[test]
    fn errors_in_edges_report_the_index() {
        let check = |edges: &[f64], message: &str| {
            let error = Bins::try_new(edges.to_vec()).unwrap_err();
            assert_eq!(error.to_string(), message, "edges {edges:?}");
        };
        check(&[1.0], "needs at least 2 edges, found 1");
        check(
            &[0.0, 0.7, 0.5],
            "not increasing at index 2 (0.5 after 0.7)",
        );
        check(&[0.0, f64::NAN], "not a number at index 1");
        check(
            &[0.0, f64::INFINITY, 3.0],
            "infinite at index 1, only the outer edges may be",
        );
    }

    proptest! {
        #[test]
        fn the_search_agrees_with_a_linear_count(
            mut edges in proptest::collection::vec(-50.0..50.0f64, 2..70),
            xs in proptest::collection::vec(-60.0..60.0f64, 1..50),
        ) {
            edges.sort_by(f64::total_cmp);
            edges.dedup_by(|a, b| a <= b);
            prop_assume!(edges.len() >= 2);
            let bins = bins(&edges);
            let last = edges.len() - 1;
            for x in xs.into_iter().chain(edges.iter().copied()) {
                let is_last = x.total_cmp(&edges[last]).is_eq();
                let closed = is_last && edges[last - 1].next_up() < edges[last];
                let at_or_below = edges.iter().filter(|edge| **edge <= x).count();
                let expected = at_or_below - usize::from(closed);
                prop_assert_eq!(bins.index(x), expected, "x = {}", x);
            }
        }

        #[test]
        fn every_reference_value_lies_inside_the_edges(
            mut sample in proptest::collection::vec(-1e6..1e6f64, 1..300), count in 2..40usize,
        ) {
            sample.sort_by(f64::total_cmp);
            let bins = bins(&histogram_edges(&sample, count));
            prop_assert!(sample.iter().all(|x| !bins.is_guard(bins.index(*x))));
        }
    }
}
