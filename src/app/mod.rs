//! The running process: its lifecycle, its threads, and the checks before they start.
//!
//! This is the only room that imports both halves, the exporter and the configuration, and connects
//! them. Records are handled on dedicated threads; tokio serves only HTTP and signals. Read
//! `lifecycle` first: it runs the process from start to exit.

mod builder;
#[cfg(test)]
mod captured_log;
mod ingest;
mod lifecycle;
mod log_bounds;
mod log_problem;
mod observer_plan;
mod preflight;
mod reload;
mod roles;
mod score;
mod threads;

pub use lifecycle::{Daemon, ProcessOutcome, run};
pub use observer_plan::observer_plan;
pub use preflight::{
    client_problems, lateness_warning, load_monitor, load_monitors, monitor_problems,
    reference_problem,
};
pub use roles::{MonitorSplit, ProcessRole, Role};
