//! Everything that is wrong with a configuration, told at once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Location {
    /// Line and column of the file, from 1.
    File(u64, u64),
    /// The environment or the command line, and what was said there.
    Layer(String),
}

/// One mistake.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where.
    pub place: Location,
    /// Which option, as `monitors[0].windows[0].size`.
    pub path: String,
    /// What is wrong and what would be accepted.
    pub message: String,
}

/// What can only be judged when it meets something else: a reference file, a client library.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Subject {
    /// A Kafka client.
    Client(Client),
    /// A property of a Kafka client.
    Property {
        /// Whose.
        client: Client,
        /// Which.
        property: String,
    },
    /// A monitor, by name.
    Monitor(String),
    /// A reference of a monitor.
    Reference {
        /// Whose.
        monitor: String,
        /// Which.
        reference: String,
    },
}

/// Whose Kafka client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// That of a source, by name.
    Source(String),
    /// That of the pane log.
    PaneLog,
}

/// Where such things were written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SourceMap {
    pub(super) file: String,
    by_subject: BTreeMap<Subject, (Location, String)>,
}

impl SourceMap {
    /// # Errors
    /// There are problems: all of them.
    pub fn refuse(&self, mut problems: Vec<Problem>) -> Result<(), Problems> {
        if problems.is_empty() {
            return Ok(());
        }
        problems.sort();
        // Defaults are one place for many monitors.
        problems.dedup();
        Err(Problems {
            file: self.file.clone(),
            problems,
        })
    }

    /// A mistake in one of them.
    #[must_use]
    pub fn problem(&self, subject: &Subject, message: String) -> Problem {
        let found = self.by_subject.get(subject).cloned();
        let (place, path) = found.unwrap_or((Location::File(1, 1), String::new()));
        Problem {
            place,
            path,
            message,
        }
    }
}

/// All mistakes of one configuration; not empty.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// The file, as it was named.
    pub file: String,
    /// By place.
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
        for Problem {
            place,
            path,
            message,
        } in &self.problems
        {
            match place {
                Location::File(line, column) => write!(f, "\n  {line}:{column} ")?,
                Location::Layer(layer) => write!(f, "\n  {layer}: ")?,
            }
            match path.as_str() {
                "" => write!(f, "{message}")?,
                path => write!(f, "{path}: {message}")?,
            }
        }
        Ok(())
    }
}

/// Collects problems while a configuration is read to its end.
#[derive(Debug, Default)]
pub(super) struct Collector {
    problems: RefCell<Vec<Problem>>,
    places: RefCell<SourceMap>,
}

impl Collector {
    pub(super) fn add(&self, place: &Location, path: &str, message: impl Into<String>) {
        let problem = Problem {
            place: place.clone(),
            path: path.to_owned(),
            message: message.into(),
        };
        let mut problems = self.problems.borrow_mut();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    /// Remembers where something is written; the first place counts.
    pub(super) fn mark(&self, subject: Subject, place: &Location, path: &str) {
        let mut places = self.places.borrow_mut();
        let entry = places.by_subject.entry(subject);
        entry.or_insert_with(|| (place.clone(), path.to_owned()));
    }

    pub(super) fn into_parts(self) -> (Vec<Problem>, SourceMap) {
        let mut problems = self.problems.into_inner();
        problems.sort();
        (problems, self.places.into_inner())
    }
}

/// `found` is unknown: the nearest of `known`, or all of them.
pub(super) fn suggest(found: &str, known: &[&str]) -> String {
    let found = found.to_lowercase();
    let distance = |name: &&&str| strsim::damerau_levenshtein(&found, name);
    let is_near = |name: &&&str| distance(name) <= 1 + name.len() / 4;
    let is_start = |name: &&&str| found.len() >= 3 && name.starts_with(&found);
    let nearest = known
        .iter()
        .min_by_key(distance)
        .filter(is_near)
        .or_else(|| known.iter().find(is_start));
    match nearest {
        Some(name) => format!("did you mean {name:?}?"),
        None if known.is_empty() => "nothing is accepted here".to_owned(),
        None => format!("accepted: {}", known.join(", ")),
    }
}
