//! Pictures of distributions: SVG without script or style, for pages and reports.
//!
//! A picture shows a reference and a window in the same frame. Shapes have classes, and the style
//! sheet gives them their colours, so one picture fits light and dark pages and paper. Coordinates
//! have one decimal, which keeps a picture at a few kilobytes however many values were counted.
//!
//! Pictures are templates, so a page writes them as it writes its own text.

mod axis;
mod bars;
mod categories;
mod cumulative;
mod distance;
mod histogram;
mod path;
mod sides;

pub(super) use bars::{Bars, bars};
pub(super) use categories::{CategoryRow, categories};
pub(super) use distance::{Distance, distance};
pub(super) use histogram::{Histogram, histogram};
pub(super) use sides::Sides;
