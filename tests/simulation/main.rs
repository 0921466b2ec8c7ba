//! Checks the protocol of the pane log against every interleaving of a small world, and against
//! many seeded schedules of a larger one.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod every_interleaving;
mod explore;
mod guessed_heads;
mod simulator;
mod small_fold;
#[path = "../offline/support.rs"]
#[allow(dead_code, reason = "the offline suite uses the rest")]
mod support;
mod world;
