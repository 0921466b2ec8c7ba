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

pub use blocks::{BlockSpec, Panes, block_statistics, hour_of_week_block_statistics};
pub use null_distribution::{NullDistribution, ThresholdRange};
pub use null_model::{CalibrationStatus, NullModel, WindowContext};
pub use null_window::{NullAtom, NullWindows};
pub use online::OnlineDispersion;
pub use tolerance::{detectable_shift, tolerance_on};
