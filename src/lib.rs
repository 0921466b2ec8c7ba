//! pegel: a gauge post in a stream of predictions.
//!
//! ```text
//!  source --> decode --> observe --> pane log --> window --> score --> alert --> export
//!  bytes      typed      counts in   the only     sum of     p vs q    state     /metrics,
//!  + offset   values     a pane      state        panes                machine   API, web page
//! ```

pub mod alert;
pub mod app;
pub mod batch;
pub mod calibration;
pub mod cli;
pub mod clock;
pub mod config;
pub mod decode;
pub mod demo;
pub mod engine;
pub mod export;
pub mod ingest;
pub mod model;
pub mod observe;
pub mod pane_log;
pub mod panes;
pub mod reference;
pub mod score;
pub mod source;
pub mod stats;
pub mod window;
