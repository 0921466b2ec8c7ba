//! Null distributions of scores and rates, and the thresholds that follow from them.

mod blocks;
mod null_distribution;
mod null_grid;
mod null_model;
mod null_table;
mod null_window;
mod online;
mod polya_urn;
mod tolerance;

pub use blocks::{Panes, StretchSpec, seasonal_stretches, stretches};
pub use null_distribution::{Gauge, GaugeLine};
pub use null_model::{Calibration, Context, Status};
pub use null_window::{CleanAtom, CleanWindows};
pub use online::Learned;
pub use tolerance::{detectable_shift, tolerance_on};
