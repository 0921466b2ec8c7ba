//! The two sides of a picture of numbers, and the axis that both share.

use super::axis::Axis;
use super::cumulative::Cumulative;
use crate::stats::{FeatureCounts, NumericLayout, ReadableQuantiles};

/// Width and height of the frame of a picture, in SVG units.
pub(super) const FRAME: (f64, f64) = (600.0, 170.0);

/// A numeric feature in its reference and in a window.
#[derive(Debug)]
pub(in crate::export) struct Sides<'a> {
    pub(super) before: Cumulative,
    /// `None` where the window has no values.
    pub(super) after: Option<Cumulative>,
    pub(super) axis: Axis<'a>,
}

impl<'a> Sides<'a> {
    /// Both sides, counted in `layout`; `None` where the reference has no values.
    pub(in crate::export) fn of(
        layout: &'a NumericLayout,
        reference: &FeatureCounts,
        window: &FeatureCounts,
    ) -> Option<Self> {
        let scale = &layout.cells;
        let before = Cumulative::of(&reference.cells, scale)?;
        let after = Cumulative::of(&window.cells, scale);
        let is_whole = ReadableQuantiles::new(&reference.cells, scale).is_whole();
        let axis = Axis::new(&before, after.as_ref(), scale, is_whole);
        Some(Sides {
            before,
            after,
            axis,
        })
    }
}
