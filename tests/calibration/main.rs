//! Calibrated thresholds checked against simulation and published data: a clean stream stays quiet,
//! and a real shift is found.
//!
//! The grids are thinned so that the suite takes about two minutes on two cores;
//! `PEGEL_TEST_FULL=1` runs all of them. Each test prints its table (`--nocapture`). The data sets
//! are outside of the repository, as in `tests/oracle`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "tests fail by panicking, find their data through the environment, and count in small numbers"
)]

mod cost;
mod data;
mod history;
mod iid;
mod outliers;
mod power;
#[path = "../oracle/published.rs"]
mod published;
mod seasonal;
mod skewed;
mod source;
mod stream;
mod support;
mod time;
mod untimed;
