//! Loads a configuration: reads the file, merges the layers, reads the merged value.

use std::ffi::OsString;
use std::path::Path;

use super::diagnostics::{Diagnostics, NamedFile};
use super::effective::Config;
use super::problems::{Problem, Problems};
use super::reader::Item;
use super::{layers, top_level};

/// The reason why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The operating system cannot read the file.
    #[error("{path}: cannot be read")]
    Io {
        /// Path of the file.
        path: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The configuration is invalid.
    #[error(transparent)]
    Problems(#[from] Problems),
}

/// The layers above the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// Environment variables. Those that begin with `PEGEL__` are options.
    pub environment: Vec<(String, String)>,
    /// Settings of the form `option=value`; later ones win.
    pub set: Vec<String>,
}

impl Overrides {
    /// Takes the environment of the process, and these settings.
    #[must_use]
    pub fn from_process(set: &[String]) -> Self {
        Overrides {
            environment: std::env::vars_os()
                .filter_map(|(name, value): (OsString, OsString)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
            set: set.to_vec(),
        }
    }
}

/// Loads a configuration file with the environment of the process.
///
/// # Errors
/// The file cannot be read, or the configuration is invalid.
pub fn load_file(path: &Path) -> Result<Config, ConfigError> {
    load(path, &Overrides::from_process(&[]))
}

/// Loads a configuration file with overrides.
///
/// # Errors
/// The file cannot be read, or the configuration is invalid.
pub fn load(path: &Path, overrides: &Overrides) -> Result<Config, ConfigError> {
    Ok(parse(path, &read(path)?, overrides)?)
}

/// Loads a configuration file with overrides. If it has problems, those of its reference files are
/// reported with them, not in a second round.
///
/// `reference_problem` returns the reason why a file cannot be used.
///
/// # Errors
/// The file cannot be read, or the configuration is invalid.
pub fn load_with_references(
    path: &Path,
    overrides: &Overrides,
    reference_problem: &dyn Fn(&Path) -> Option<String>,
) -> Result<Config, ConfigError> {
    let text = read(path)?;
    let (config, files) = parse_with_files(path, &text, overrides);
    config.map_err(|mut problems| {
        problems
            .problems
            .extend(files.into_iter().filter_map(|file| {
                Some(Problem {
                    message: reference_problem(&file.file)?,
                    location: file.location,
                    path: file.path,
                })
            }));
        problems.problems.sort();
        problems.problems.dedup();
        ConfigError::Problems(problems)
    })
}

fn read(path: &Path) -> Result<String, ConfigError> {
    std::fs::read_to_string(path).map_err(|source| ConfigError::Io {
        path: path.display().to_string(),
        source,
    })
}

/// Reads a configuration from text. The extension of `path` decides the format, and its directory
/// is where relative paths begin.
///
/// # Errors
/// The configuration is invalid; the error holds all problems.
pub fn parse(path: &Path, text: &str, overrides: &Overrides) -> Result<Config, Problems> {
    parse_with_files(path, text, overrides).0
}

/// Reads a configuration from text, and the reference files that it names.
fn parse_with_files(
    path: &Path,
    text: &str,
    overrides: &Overrides,
) -> (Result<Config, Problems>, Vec<NamedFile>) {
    let file = path.display().to_string();
    let merged = match layers::merge(path, text, &overrides.environment, &overrides.set) {
        Ok(merged) => merged,
        Err(problems) => return (Err(Problems { file, problems }), Vec::new()),
    };
    let diagnostics = Diagnostics::default();
    let directory = path.parent().unwrap_or(Path::new(""));
    let config = top_level::read(&Item::root(&merged, &diagnostics), directory);
    let files = diagnostics.take_files();
    let (problems, mut source_map) = diagnostics.into_result();
    source_map.file.clone_from(&file);
    let config = match config {
        Some(config) if problems.is_empty() => Ok(Config {
            source_map,
            ..config
        }),
        _ => Err(Problems { file, problems }),
    };
    (config, files)
}
