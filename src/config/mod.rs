//! What the user typed, checked and turned into the parameters of the stages.

use std::path::PathBuf;
use std::time::Duration;

use crate::model::{MonitorSpec, SourceSpec};

/// A valid configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The HTTP side.
    pub web: Web,
    /// The pane log.
    pub state: State,
    /// Bounds.
    pub limits: Limits,
    /// Streams, by name; at least one.
    pub sources: Vec<SourceSpec>,
    /// At least one.
    pub monitors: Vec<MonitorSpec>,
}

/// The HTTP side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Web {
    /// `host:port`.
    pub listen_address: String,
    /// Whether `POST /-/reload` exists.
    pub enable_reload: bool,
}

/// The pane log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Where a log on disk would live.
    pub path: PathBuf,
    /// How often counts are handed on.
    pub flush_interval: Duration,
}

/// Bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// More series than this are refused at start.
    pub max_series: usize,
    /// A larger record is an error of its own.
    pub max_message_bytes: usize,
    /// How long a shutdown may take.
    pub shutdown_grace: Duration,
}

/// Loads a configuration file.
///
/// # Errors
/// The file cannot be read, or something in it is wrong.
pub fn load_file(_path: &std::path::Path) -> anyhow::Result<Config> {
    anyhow::bail!("no loader yet")
}
