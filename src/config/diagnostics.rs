//! Collects problems and locations while a configuration is read to its end.

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use super::problems::{Location, Problem};
use super::source_map::{OptionSubject, SourceMap};

/// A reference file, and the option that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NamedFile {
    /// Path of the file.
    pub(super) file: PathBuf,
    /// Location of the option.
    pub(super) location: Location,
    /// Path of the option.
    pub(super) path: String,
}

/// The problems and locations of one configuration. Readers share it, so it is mutable inside.
#[derive(Debug, Default)]
pub(super) struct Diagnostics {
    problems: RefCell<Vec<Problem>>,
    source_map: RefCell<SourceMap>,
    files: RefCell<Vec<NamedFile>>,
    /// Paths of all options that the readers asked for.
    #[cfg(test)]
    pub(super) asked: RefCell<std::collections::BTreeSet<String>>,
}

impl Diagnostics {
    /// Adds a problem, once.
    pub(super) fn error(&self, location: &Location, path: &str, message: impl Into<String>) {
        let problem = Problem {
            location: location.clone(),
            path: path.to_owned(),
            message: message.into(),
        };
        let mut problems = self.problems.borrow_mut();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    /// Records the location of a subject; the first one counts.
    pub(super) fn record_location(&self, subject: OptionSubject, location: &Location, path: &str) {
        self.source_map.borrow_mut().record(subject, location, path);
    }

    /// Records a reference file that an option names.
    pub(super) fn record_file(&self, file: &Path, location: &Location, path: &str) {
        self.files.borrow_mut().push(NamedFile {
            file: file.to_owned(),
            location: location.clone(),
            path: path.to_owned(),
        });
    }

    /// Takes the recorded reference files.
    pub(super) fn take_files(&self) -> Vec<NamedFile> {
        self.files.take()
    }

    /// Records that a reader asked for an option, for the test that compares readers and manual.
    #[cfg(test)]
    pub(super) fn record_option(&self, path: &str) {
        self.asked.borrow_mut().insert(path.to_owned());
    }

    /// Returns the problems, sorted by location, and the locations.
    pub(super) fn into_result(self) -> (Vec<Problem>, SourceMap) {
        let mut problems = self.problems.into_inner();
        problems.sort();
        (problems, self.source_map.into_inner())
    }
}
