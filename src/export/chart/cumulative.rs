//! The cumulative shares of counted numbers.

use crate::stats::{CellCounts, CellScale};

/// The share of values at or below a number, as a line between points.
///
/// The values of a cell are taken as spread evenly around their mean, as far as the nearer edge, as
/// quantiles are read: a wide cell reports no values that nobody sent.
#[derive(Debug)]
pub(super) struct Cumulative {
    /// Number and share, both ascending.
    points: Vec<(f64, f64)>,
}

impl Cumulative {
    /// The cumulative shares of these cells; `None` without values.
    pub(super) fn of(cells: &CellCounts, scale: &CellScale) -> Option<Self> {
        let total = cells.total();
        if total == 0 {
            return None;
        }
        let mut points: Vec<(f64, f64)> = Vec::new();
        let mut below = 0;
        for cell in cells.touched() {
            let count = cells.count(cell);
            if count == 0 {
                continue;
            }
            let mean = scale.mean_in(cell, count, cells.sum(cell));
            let reach = (mean - scale.edge(cell))
                .min(scale.edge(cell + 1) - mean)
                .max(0.0);
            points.push((mean - reach, below as f64 / total as f64));
            below += count;
            points.push((mean + reach, below as f64 / total as f64));
        }
        Some(Cumulative { points })
    }

    /// Number and share at each bend, both ascending.
    pub(super) fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// The share of values at or below `x`, in 0..=1.
    pub(super) fn share(&self, x: f64) -> f64 {
        let next = self.points.partition_point(|(point, _)| *point <= x);
        match (next.checked_sub(1), self.points.get(next)) {
            (None, _) => 0.0,
            (Some(last), None) => self.points[last].1,
            (Some(last), Some((upper, upper_share))) => {
                let (lower, lower_share) = self.points[last];
                let part = (x - lower) / (upper - lower);
                lower_share + part * (upper_share - lower_share)
            }
        }
    }

    /// The number below which `share` (0..=1) of the values lie.
    pub(super) fn quantile(&self, share: f64) -> f64 {
        let next = self
            .points
            .partition_point(|(_, reached)| *reached < share)
            .min(self.points.len() - 1);
        let (upper, upper_share) = self.points[next];
        match next.checked_sub(1).map(|last| self.points[last]) {
            Some((lower, lower_share)) if upper_share > lower_share => {
                let part = (share - lower_share) / (upper_share - lower_share);
                lower + part.clamp(0.0, 1.0) * (upper - lower)
            }
            _ => upper,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(values: impl Iterator<Item = f64>) -> Cumulative {
        let scale = CellScale::try_new(50.0, 20.0).unwrap();
        let mut cells = CellCounts::default();
        values.for_each(|x| cells.record(scale.locate(x)));
        Cumulative::of(&cells, &scale).unwrap()
    }

    #[test]
    fn shares_of_evenly_spread_values_are_their_ranks() {
        let cumulative = counted((0..1000).map(|i| f64::from(i) / 10.0));
        for x in [10.0, 25.0, 50.0, 77.0] {
            let share = cumulative.share(x);
            assert!((share - x / 100.0).abs() < 0.02, "{x}: {share}");
            let back = cumulative.quantile(share);
            assert!((back - x).abs() < 2.0, "{x}: {back}");
        }
        assert!(cumulative.share(-1.0) <= 0.0, "below all values");
        assert!(cumulative.share(101.0) >= 1.0, "above all values");
    }

    #[test]
    fn equal_values_are_spread_over_their_cell_at_most() {
        let cumulative = counted(std::iter::repeat_n(7.0, 10));
        let scale = CellScale::try_new(50.0, 20.0).unwrap();
        let width = scale.width(scale.locate(7.0).cell);
        assert!(cumulative.share(7.0 - width) <= 0.0, "below");
        assert!(cumulative.share(7.0 + width) >= 1.0, "above");
        let median = cumulative.quantile(0.5);
        assert!((median - 7.0).abs() < 1e-3, "{median}");
    }

    #[test]
    fn no_values_have_no_shares() {
        let scale = CellScale::try_new(0.0, 1.0).unwrap();
        assert!(Cumulative::of(&CellCounts::default(), &scale).is_none());
    }
}
