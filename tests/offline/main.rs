//! All tests that need no network: the engine on synthetic events, files through the whole path,
//! the documents, and the guards of the code's style.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod alert_series;
mod architecture;
mod blind_spots;
mod calibrate;
mod columns;
mod commands;
mod conservation;
mod dashboards;
mod documents;
mod formats;
mod inputs;
mod lost_columns;
mod many_features;
mod moving;
mod nested;
mod reconfiguration;
mod restart;
mod source_tree;
mod style;
mod support;
mod torn;
mod verdicts;
mod windows;
