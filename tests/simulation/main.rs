//! The protocol of the pane log against everything that can happen to it: every interleaving of a small world, many seeded ones of a larger world.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod every_interleaving;
mod explore;
mod simulator;
mod small_fold;
#[path = "../offline/support.rs"]
#[allow(dead_code, reason = "the offline suite uses the rest")]
mod support;
mod world;
