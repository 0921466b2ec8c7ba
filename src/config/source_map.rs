//! Locations of options that are checked later, against files, brokers and client libraries.

use std::collections::BTreeMap;

use super::problems::{Location, Problem, Problems};

/// A thing of the configuration that can only be checked against something else: a reference file,
/// a client library.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum OptionSubject {
    /// A Kafka client.
    ClientUser(ClientUser),
    /// A property of a Kafka client.
    Property {
        /// The client that has the property.
        client: ClientUser,
        /// Name of the property.
        property: String,
    },
    /// A monitor, by name.
    Monitor(String),
    /// A reference of a monitor.
    Reference {
        /// Name of the monitor.
        monitor: String,
        /// Name of the reference.
        reference: String,
    },
    /// A listed feature of a monitor.
    Feature {
        /// Name of the monitor.
        monitor: String,
        /// Name of the feature.
        feature: String,
    },
    /// An alert rule of a monitor.
    Alert {
        /// Name of the monitor.
        monitor: String,
        /// Index of the rule in the monitor's list.
        index: usize,
    },
}

impl OptionSubject {
    /// The monitor that a subject belongs to, for subjects that are not in the file themselves.
    fn monitor(&self) -> Option<OptionSubject> {
        match self {
            OptionSubject::Reference { monitor, .. }
            | OptionSubject::Feature { monitor, .. }
            | OptionSubject::Alert { monitor, .. } => Some(OptionSubject::Monitor(monitor.clone())),
            _ => None,
        }
    }
}

/// The user of a Kafka client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum ClientUser {
    /// A source, by name.
    Source(String),
    /// The pane log.
    PaneLog,
}

/// Locations and paths of subjects in the configuration.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SourceMap {
    pub(super) file: String,
    by_subject: BTreeMap<OptionSubject, (Location, String)>,
}

impl SourceMap {
    /// Records the location of a subject; the first one counts.
    pub(super) fn record(&mut self, subject: OptionSubject, location: &Location, path: &str) {
        self.by_subject
            .entry(subject)
            .or_insert_with(|| (location.clone(), path.to_owned()));
    }

    /// Turns problems into an error, sorted by location.
    ///
    /// # Errors
    /// There is at least one problem.
    pub fn ensure_none(&self, mut problems: Vec<Problem>) -> Result<(), Problems> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort();
        // Several monitors can take the same option from `defaults`.
        problems.dedup();
        Err(Problems {
            file: self.file.clone(),
            problems,
        })
    }

    /// A problem at the location of a subject, else of its monitor, else at the start of the file.
    #[must_use]
    pub fn problem(&self, subject: &OptionSubject, message: String) -> Problem {
        let (location, path) = self
            .by_subject
            .get(subject)
            .or_else(|| self.by_subject.get(&subject.monitor()?))
            .cloned()
            .unwrap_or((Location::File(1, 1), String::new()));
        Problem {
            location,
            path,
            message,
        }
    }
}
