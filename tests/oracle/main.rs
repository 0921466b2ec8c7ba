//! Scores compared with numbers computed by others: SciPy on published data, closed forms, and
//! exact distances by sorting.
//!
//! The data sets are outside of the repository (`PEGEL_SHARED`, else `../shared`). Where they are
//! absent their tests print so and pass, unless `PEGEL_TEST_REQUIRE=1` requires them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "tests fail by panicking and find their data through the environment"
)]

mod accuracy;
mod analytic;
mod data;
mod datasets;
mod published;
