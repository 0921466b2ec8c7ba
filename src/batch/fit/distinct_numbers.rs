//! The different numbers of a column, counted in bounded memory, and if one of them comes back.
//!
//! Numbers are kept by the zeros at the end of a hash: all of them first, then every second one,
//! every fourth one and so on. A number is either kept at every occurrence or at none, so one that
//! comes back is noticed if it is kept.

use rustc_hash::FxHashSet;

/// Most numbers that are kept.
const CAPACITY: usize = 4096;

/// The different numbers of a column, thinned out.
#[derive(Debug, Default)]
pub(super) struct DistinctNumbers {
    /// Bits of the kept numbers.
    kept: FxHashSet<u64>,
    /// Number of zero bits that the hash of a kept number ends with.
    zeros: u32,
    has_repeated: bool,
}

impl DistinctNumbers {
    /// Adds a number.
    pub(super) fn insert(&mut self, x: f64) {
        // Adding zero turns -0 into 0.
        let bits = (x + 0.0).to_bits();
        if mixed(bits).trailing_zeros() < self.zeros {
            return;
        }
        self.has_repeated |= !self.kept.insert(bits);
        while self.kept.len() > CAPACITY {
            self.zeros += 1;
            let zeros = self.zeros;
            self.kept
                .retain(|bits| mixed(*bits).trailing_zeros() >= zeros);
        }
    }

    /// Removes all numbers and releases their memory.
    pub(super) fn clear(&mut self) {
        *self = DistinctNumbers::default();
    }

    /// The number of different numbers: exact up to [`CAPACITY`], an estimate beyond.
    pub(super) fn count(&self) -> usize {
        self.kept.len() << self.zeros
    }

    /// True if a number was added twice; beyond [`CAPACITY`] numbers, one that comes back rarely
    /// may be overlooked.
    pub(super) const fn has_repeated(&self) -> bool {
        self.has_repeated
    }
}

/// A hash of which every bit depends on all bits of `x`.
///
/// Source: the finalizer of `SplitMix64` (Steele, Lea and Flood 2014).
const fn mixed(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(numbers: impl Iterator<Item = u32>) -> DistinctNumbers {
        let mut distinct = DistinctNumbers::default();
        numbers.for_each(|x| distinct.insert(f64::from(x)));
        assert!(distinct.kept.len() <= CAPACITY, "bounded");
        distinct
    }

    #[test]
    fn few_numbers_are_counted_exactly() {
        let distinct = of((0..1000).map(|i| i % 17));
        assert_eq!((distinct.count(), distinct.has_repeated()), (17, true));
        let distinct = of(0..4000);
        assert_eq!((distinct.count(), distinct.has_repeated()), (4000, false));
    }

    #[test]
    fn many_numbers_are_estimated_in_bounded_memory() {
        let distinct = of(0..1_000_000);
        assert!(!distinct.has_repeated(), "all different");
        let error = (distinct.count() as f64 / 1e6 - 1.0).abs();
        assert!(error < 0.1, "{}", distinct.count());
        let twice = of((0..200_000).chain(0..200_000));
        assert!(twice.has_repeated(), "each one twice");
    }
}
