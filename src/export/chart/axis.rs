//! The horizontal axis of a picture of numbers.

use super::cumulative::Cumulative;
use super::path::rounded;
use crate::export::numbers::number_text;
use crate::stats::{CELLS, CellScale};

/// The share of a side's values that may lie beyond each end of the axis.
const BEYOND: f64 = 0.002;
/// The length of the axis, in ranges of the reference, from which it is compressed.
const MAX_RANGES: f64 = 20.0;
/// Whole numbers up to this many have a bar each.
const MAX_WHOLE_BARS: f64 = 60.0;
/// Bars where numbers have none each.
const BARS: usize = 48;
/// Numbers on the axis.
const TICKS: usize = 5;

/// A number on the axis.
#[derive(Debug, PartialEq)]
pub(super) struct Tick {
    /// Position from the left end, in SVG units.
    pub(super) x: f64,
    /// The number at this place.
    pub(super) text: String,
    /// The side of the text that is at the position: `start`, `middle` or `end`.
    pub(super) anchor: &'static str,
}

/// The range of numbers in a picture.
#[derive(Debug)]
pub(super) struct Axis<'a> {
    /// Left and right end, on the axis' own scale.
    ends: (f64, f64),
    /// The cells by which the axis is compressed; `None` on a linear axis.
    compression: Option<&'a CellScale>,
    /// Number of bars.
    pub(super) bars: usize,
    is_whole: bool,
}

impl<'a> Axis<'a> {
    /// The axis that shows both sides, but for their outermost values.
    ///
    /// It is linear unless the window lies so far away that the reference would be one bar. Then
    /// its unit is the cell, which widens with the distance from the reference's median.
    pub(super) fn new(
        reference: &Cumulative,
        window: Option<&Cumulative>,
        scale: &'a CellScale,
        is_whole: bool,
    ) -> Self {
        let range = |side: &Cumulative| (side.quantile(BEYOND), side.quantile(1.0 - BEYOND));
        let (first, last) = range(reference);
        let (mut lower, mut upper) = (first, last);
        if let Some(window) = window {
            let (first, last) = range(window);
            (lower, upper) = (lower.min(first), upper.max(last));
        }
        let span = upper - lower;
        if span > MAX_RANGES * (last - first).max(scale.scale()) {
            let ends = (cell_position(scale, lower), cell_position(scale, upper));
            return Axis {
                ends,
                compression: Some(scale),
                bars: BARS,
                is_whole,
            };
        }
        if is_whole && span <= MAX_WHOLE_BARS {
            return Axis {
                ends: (lower.round() - 0.5, upper.round() + 0.5),
                compression: None,
                bars: whole(upper.round() - lower.round()) + 1,
                is_whole,
            };
        }
        let margin = if span > 0.0 {
            0.02 * span
        } else {
            scale.scale()
        };
        Axis {
            ends: (lower - margin, upper + margin),
            compression: None,
            bars: BARS,
            is_whole,
        }
    }

    /// True if distances on the axis are not proportional to differences of numbers.
    pub(super) const fn is_compressed(&self) -> bool {
        self.compression.is_some()
    }

    /// The place of a number: 0 at the left end, 1 at the right one.
    pub(super) fn position(&self, x: f64) -> f64 {
        let x = match self.compression {
            Some(scale) => cell_position(scale, x),
            None => x,
        };
        ((x - self.ends.0) / (self.ends.1 - self.ends.0)).clamp(0.0, 1.0)
    }

    /// The number at a place.
    pub(super) fn number(&self, position: f64) -> f64 {
        let x = self.ends.0 + position * (self.ends.1 - self.ends.0);
        match self.compression {
            Some(scale) => at_cell_position(scale, x),
            None => x,
        }
    }

    /// Numbers at even distances, on an axis of this width.
    pub(super) fn ticks(&self, width: f64) -> Vec<Tick> {
        let last = TICKS - 1;
        (0..TICKS)
            .map(|tick| {
                let position = tick as f64 / last as f64;
                let number = self.number(position);
                Tick {
                    x: rounded(position * width),
                    text: number_text(
                        number,
                        self.is_whole && self.is_exact_without_decimals(number),
                    ),
                    anchor: match tick {
                        0 => "start",
                        tick if tick == last => "end",
                        _ => "middle",
                    },
                }
            })
            .collect()
    }

    /// True if a number without decimals is exact enough on this axis.
    fn is_exact_without_decimals(&self, number: f64) -> bool {
        let span = self.number(1.0) - self.number(0.0);
        span >= 10.0 || number.abs() >= 1e4
    }
}

/// The index of the cell of a number and the position inside it.
fn cell_position(scale: &CellScale, x: f64) -> f64 {
    let cell = scale.locate(x).cell;
    let inside = (x - scale.edge(cell)) / scale.width(cell);
    cell as f64 + inside.clamp(0.0, 1.0)
}

/// The number at an index of a cell and a position inside it.
fn at_cell_position(scale: &CellScale, position: f64) -> f64 {
    let cell = whole(position).min(CELLS - 1);
    scale.edge(cell) + (position - cell as f64) * scale.width(cell)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a position on the axis is not negative"
)]
fn whole(position: f64) -> usize {
    position.max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::CellCounts;

    fn axis(
        scale: &CellScale,
        reference: impl Iterator<Item = f64>,
        window: impl Iterator<Item = f64>,
        is_whole: bool,
    ) -> Axis<'_> {
        let [reference, window] = [Vec::from_iter(reference), Vec::from_iter(window)].map(|side| {
            let mut cells = CellCounts::default();
            side.iter().for_each(|x| cells.record(scale.locate(*x)));
            Cumulative::of(&cells, scale)
        });
        Axis::new(&reference.unwrap(), window.as_ref(), scale, is_whole)
    }

    #[test]
    fn a_window_a_hundred_times_away_compresses_the_axis() {
        let scale = CellScale::try_new(50.0, 20.0).unwrap();
        let values = || (0..1000).map(|i| f64::from(i) / 10.0);
        let near = axis(&scale, values(), values().map(|x| x * 1.5), false);
        assert!(!near.is_compressed(), "half as much again");
        let far = axis(&scale, values(), values().map(|x| x * 100.0), false);
        assert!(far.is_compressed(), "a hundred times");
        let width_of_reference = far.position(100.0) - far.position(0.0);
        assert!(width_of_reference > 0.2, "{width_of_reference}");
        for position in [0.1, 0.5, 0.9] {
            let back = far.position(far.number(position));
            assert!((back - position).abs() < 1e-9, "{position}: {back}");
        }
    }

    #[test]
    fn a_few_whole_numbers_have_a_bar_each() {
        let scale = CellScale::try_new(3.0, 1.5).unwrap();
        let axis = axis(
            &scale,
            (0..700).map(|i| f64::from(i % 7)),
            [].into_iter(),
            true,
        );
        assert_eq!(axis.bars, 7, "0 to 6");
        assert!((axis.number(0.0) + 0.5).abs() < 1e-9, "half a bar before 0");
    }
}
