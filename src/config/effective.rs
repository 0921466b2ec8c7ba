//! The effective configuration: valid, with all defaults filled in.

use std::path::PathBuf;
use std::time::Duration;

use super::source_map::SourceMap;
use crate::model::{MonitorSpec, PanesTopicSpec, SourceSpec};

/// A valid configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Options of the HTTP server.
    pub web: Web,
    /// Options of the pane log.
    pub state: State,
    /// Limits of memory and time.
    pub limits: Limits,
    /// Sources, in the order of the file; at least one.
    pub sources: Vec<SourceSpec>,
    /// Monitors, in the order of the file; at least one.
    pub monitors: Vec<MonitorSpec>,
    /// Locations of options that are checked later.
    pub source_map: SourceMap,
}

/// Options of the HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// Address to listen on, as `host:port`.
    pub listen_address: String,
    /// True if `POST /-/reload` is served.
    pub enable_reload: bool,
}

/// Options of the pane log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Directory of the log; `None` = in memory, as in the demo.
    pub path: Option<PathBuf>,
    /// The Kafka topic that holds the log instead of the directory.
    pub panes: Option<PanesTopicSpec>,
    /// Time between two commits of a source.
    pub flush_interval: Duration,
}

/// Limits of memory and time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Largest number of series; a configuration that may export more is rejected.
    pub max_series: usize,
    /// Largest record in bytes; a larger one is a decode error.
    pub max_message_bytes: usize,
    /// Longest time that a shutdown may take.
    pub shutdown_grace: Duration,
}
