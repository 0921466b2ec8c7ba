//! Work on a whole history at once: replay, fit and backtest.

pub mod backtest;
pub mod dataset;
pub mod fit;
pub mod merge;
pub mod progress;
pub mod replay;
pub mod report;
