//! Problems of a configuration, reported together.

use std::fmt;

/// The origin of a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// Line and column of the file, from 1.
    File(u64, u64),
    /// The environment variable or the command line option.
    Layer(String),
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Location::File(line, column) => write!(f, "{line}:{column}"),
            Location::Layer(layer) => write!(f, "{layer}:"),
        }
    }
}

/// One problem of a configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Origin of the rejected value.
    pub location: Location,
    /// Path of the option, such as `monitors[0].windows[0].size`; empty for the whole file.
    pub path: String,
    /// The problem, the rejected value and what would be accepted.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "{} {}", self.location, self.message),
            path => write!(f, "{} {path}: {}", self.location, self.message),
        }
    }
}

/// All problems of one configuration; not empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// The file, as it was given.
    pub file: String,
    /// Problems, sorted by location.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let noun = if self.problems.len() == 1 {
            "problem"
        } else {
            "problems"
        };
        write!(f, "{}: {} {noun}", self.file, self.problems.len())?;
        self.problems
            .iter()
            .try_for_each(|problem| write!(f, "\n  {problem}"))
    }
}
