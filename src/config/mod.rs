//! What the user typed, checked and turned into the parameters of the stages.
//!
//! A file (YAML, JSON or TOML), the environment and `--set` are layered, then read strictly: no value is coerced, and every mistake is told at once, with
//! its place, its path and what would be accepted. What is known but not built is refused, not ignored.

mod alert;
mod defaults;
mod feature;
mod layers;
mod monitor;
mod print;
mod problems;
mod reader;
mod reference;
#[cfg(test)]
mod tests;
mod top_level;

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::model::{MonitorSpec, PanesTopicSpec, SourceSpec};

pub use defaults::{Default, defaults};
pub use print::print;
pub use problems::{Client, Location, Problem, Problems, SourceMap, Subject};

/// A valid configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The HTTP side.
    pub web: Web,
    /// The pane log.
    pub state: State,
    /// Bounds.
    pub limits: Limits,
    /// Streams, in the order of the file; at least one.
    pub sources: Vec<SourceSpec>,
    /// At least one.
    pub monitors: Vec<MonitorSpec>,
    /// Where things are written that are judged later.
    pub places: SourceMap,
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
    /// The directory of the log; `None` = kept in memory, as in the demo.
    pub path: Option<PathBuf>,
    /// The Kafka topic that holds the log instead.
    pub panes: Option<PanesTopicSpec>,
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

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The operating system says no.
    #[error("{path}: cannot be read")]
    Io {
        /// Which file.
        path: String,
        /// What it says.
        source: std::io::Error,
    },
    /// Something in it is wrong.
    #[error(transparent)]
    Problems(#[from] Problems),
}

/// What is laid over the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Environment variables; those that begin with `PEGEL__` count.
    pub environment: Vec<(String, String)>,
    /// `option=value`, in the order given.
    pub set: Vec<String>,
}

impl Overrides {
    /// The process's environment and these settings.
    #[must_use]
    pub fn from_process(set: &[String]) -> Self {
        let decoded = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Overrides {
            environment: std::env::vars_os().filter_map(decoded).collect(),
            set: set.to_vec(),
        }
    }
}

/// Loads a configuration file under the process's environment.
///
/// # Errors
/// The file cannot be read, or something is wrong: all of it is told.
pub fn load_file(path: &Path) -> Result<Config, ConfigError> {
    load(path, &Overrides::from_process(&[]))
}

/// Loads a configuration file under overrides.
///
/// # Errors
/// The file cannot be read, or something is wrong: all of it is told.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Config, ConfigError> {
    let shown = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Io {
        path: shown,
        source,
    })?;
    Ok(parse(path, &text, overrides)?)
}

/// Reads a configuration from text; `path` says which format it has and where relative paths begin.
///
/// # Errors
/// Everything that is wrong.
pub fn parse(path: &Path, text: &str, overrides: &Overrides) -> Result<Config, Problems> {
    let file = path.display().to_string();
    let merged = layers::merge(path, text, &overrides.environment, &overrides.set);
    let merged = merged.map_err(|problems| Problems {
        file: file.clone(),
        problems,
    })?;
    let problems = problems::Collector::default();
    let directory = path.parent().unwrap_or(Path::new(""));
    let config = top_level::read(&reader::Item::root(&merged, &problems), directory);
    let (problems, mut places) = problems.into_parts();
    places.file = file;
    match config {
        Some(config) if problems.is_empty() => Ok(Config { places, ..config }),
        _ => Err(Problems {
            file: places.file,
            problems,
        }),
    }
}
