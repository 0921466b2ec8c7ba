//! Everything that needs no network: the engine on synthetic events, files through the whole path, and the rules of the house.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod architecture;
mod calibrate;
mod commands;
mod conservation;
mod documents;
mod formats;
mod moving;
mod reconfiguration;
mod restart;
mod source_tree;
mod style;
mod support;
mod torn;
mod windows;
