//! Atoms: the joint counts of cells and score bins.
//!
//! Cells and score bins divide the same line, so counts per pair of cell and bin give both. The
//! reference file stores atoms only, and simulated windows are drawn from them.

use crate::stats::{FeatureCounts, Layout, NumericLayout, Tallies};

/// The values of one cell that lie in one score bin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Atom {
    /// Index of the cell, in `0..CELLS`.
    pub cell: usize,
    /// Index of the score bin, in `0..layout.len()`.
    pub bin: usize,
    /// Number of values; at least 1.
    pub count: u64,
    /// Sum of their positions in the cell, in fixed point.
    pub sum: i64,
}

/// The atoms of values in ascending order; ascending in cell and bin.
pub(super) fn atoms_of_values(sorted: &[f64], layout: &NumericLayout) -> Vec<Atom> {
    let mut atoms: Vec<Atom> = Vec::new();
    for &x in sorted {
        let (position, bin) = layout.locate(x);
        let cell = position.cell;
        match atoms
            .last_mut()
            .filter(|atom| atom.cell == cell && atom.bin == bin)
        {
            Some(atom) => {
                atom.count += 1;
                atom.sum += position.outward;
            }
            None => atoms.push(Atom {
                cell,
                bin,
                count: 1,
                sum: position.outward,
            }),
        }
    }
    atoms
}

/// The atoms of values that are known only as counts per bin and per cell.
///
/// Both kinds of counts ascend with the value, so they determine the count of each pair: the first
/// values of the cells are the first values of the bins. Only the positions inside a cell that a
/// bin edge divides are unknown; each value then has the mean of its cell, rounded down.
pub(super) fn atoms_of_counts(counts: &FeatureCounts) -> Vec<Atom> {
    let mut atoms = Vec::new();
    let mut bins = counts.bins.iter().copied().enumerate();
    let mut bin = bins.next();
    for cell in counts.cells.touched() {
        let (mut left, mut sum) = (counts.cells.count(cell), counts.cells.sum(cell));
        while let (1.., Some((index, room))) = (left, bin) {
            let count = left.min(room);
            if count > 0 {
                let part = part(sum, count, left);
                atoms.push(Atom {
                    cell,
                    bin: index,
                    count,
                    sum: part,
                });
                (left, sum) = (left - count, sum - part);
            }
            bin = if room > count {
                Some((index, room - count))
            } else {
                bins.next()
            };
        }
    }
    atoms
}

/// `sum * count / of`, rounded down.
#[expect(
    clippy::cast_possible_truncation,
    reason = "count is at most of, so the result is at most sum"
)]
fn part(sum: i64, count: u64, of: u64) -> i64 {
    (i128::from(sum) * i128::from(count) / i128::from(of.max(1))) as i64
}

/// The counts per bin and per cell that follow from atoms; `tallies` gives all but the values.
pub(super) fn counts_of_atoms(atoms: &[Atom], layout: &Layout, tallies: Tallies) -> FeatureCounts {
    let mut counts = FeatureCounts::new(layout);
    for atom in atoms {
        counts.bins[atom.bin] += atom.count;
        counts.cells.add(atom.cell, atom.count, atom.sum);
    }
    counts.tallies = Tallies {
        values: atoms.iter().map(|atom| atom.count).sum(),
        ..tallies
    };
    counts
}
