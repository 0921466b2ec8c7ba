//! The artefact: one readable, versioned JSON file per reference.
//!
//! Counts are stored as atoms, from which the counts per bin and per cell follow. A hash over the content is verified on loading, so that a damaged or edited
//! file is refused and not compared with; a version this program does not know is refused too. Numbers survive the round trip to the last bit.

use std::io::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::document::{Content, content};
use super::{FeatureCalibration, FeatureReference, Profiles, Reference};
use crate::model::EventTime;

/// The version written, and the only one read.
pub const VERSION: u32 = 1;

/// Why a reference cannot be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum ArtefactError {
    /// The operating system says no.
    #[error("{path}: {action}")]
    Io {
        /// Which file.
        path: String,
        /// What was tried.
        action: &'static str,
        /// What it says.
        source: std::io::Error,
    },
    /// Not an artefact at all.
    #[error("{path}: not a pegel reference (`pegel fit` makes one)")]
    Format {
        /// Which file.
        path: String,
        /// What the parser says.
        source: serde_json::Error,
    },
    /// Written by another version.
    #[error(
        "{path}: reference version {found} is not known, this program reads version {VERSION}; fit it again"
    )]
    Version {
        /// Which file.
        path: String,
        /// The version it says.
        found: u32,
    },
    /// The hash does not match.
    #[error("{path}: the content does not match its hash: edited or damaged; fit it again")]
    Hash {
        /// Which file.
        path: String,
    },
    /// Matches its hash but makes no sense.
    #[error("{path}: feature {feature}: {what}")]
    Content {
        /// Which file.
        path: String,
        /// Which feature.
        feature: String,
        /// What is wrong.
        what: &'static str,
    },
}

#[derive(Deserialize)]
struct VersionOnly {
    pegel_reference: u32,
}

#[derive(Serialize, Deserialize)]
struct File {
    pegel_reference: u32,
    created: String,
    hash: String,
    #[serde(flatten)]
    content: Content,
    /// Hash of `calibration`, which is no part of the content: it follows from it and from rows that are gone.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    calibration_hash: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    calibration: Vec<FeatureCalibration>,
}

impl Reference {
    /// Loads and verifies an artefact.
    ///
    /// # Errors
    /// The file cannot be read, is no reference, is of an unknown version, or was edited.
    pub fn load(path: &Path) -> Result<Self, ArtefactError> {
        let shown = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| ArtefactError::Io {
            path: shown.clone(),
            action: "cannot be read",
            source,
        })?;
        parse(&bytes, &shown)
    }

    /// Writes the artefact whole or not at all.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ArtefactError> {
        let error = |source| ArtefactError::Io {
            path: path.display().to_string(),
            action: "cannot be written",
            source,
        };
        let directory = path
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let mut file = tempfile::NamedTempFile::new_in(directory).map_err(error)?;
        let text =
            serde_json::to_vec_pretty(&self.to_file()).map_err(|source| error(source.into()))?;
        file.write_all(&compact_atoms(&text)).map_err(error)?;
        make_readable(file.as_file()).map_err(error)?;
        file.persist(path).map_err(|persist| error(persist.error))?;
        Ok(())
    }

    fn to_file(&self) -> File {
        File {
            pegel_reference: VERSION,
            created: self.created.to_string(),
            hash: self.hash.clone(),
            content: content(self.rows, &self.features, self.profiles.as_ref()),
            calibration_hash: if self.calibration.is_empty() {
                String::new()
            } else {
                hash(&self.calibration)
            },
            calibration: self.calibration.clone(),
        }
    }
}

/// A temporary file is private to its owner; a reference is for everybody the directory is for.
#[cfg(unix)]
fn make_readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

/// Puts each list of numbers on one line: a list of atoms is read by eye as a table.
fn compact_atoms(pretty: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(pretty);
    let mut out = String::with_capacity(text.len());
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        out.push_str(line);
        if !begins_numbers(line.trim_start()) {
            out.push('\n');
            continue;
        }
        for inner in lines.by_ref() {
            out.push_str(inner.trim());
            if inner.trim_start().starts_with(']') {
                break;
            }
            if inner.ends_with(',') {
                out.push(' ');
            }
        }
        out.push('\n');
    }
    out.into_bytes()
}

/// Whether a line opens a list of numbers.
fn begins_numbers(line: &str) -> bool {
    let named = ["quantiles", "design_effect", "missing", "invalid", "counts"];
    let is_named = |name: &str| {
        line.strip_prefix('"')
            .and_then(|line| line.strip_prefix(name))
            == Some("\": [")
    };
    line == "[" || named.into_iter().any(is_named)
}

fn parse(bytes: &[u8], path: &str) -> Result<Reference, ArtefactError> {
    let format = |source| ArtefactError::Format {
        path: path.to_owned(),
        source,
    };
    let found = serde_json::from_slice::<VersionOnly>(bytes)
        .map_err(format)?
        .pegel_reference;
    if found != VERSION {
        return Err(ArtefactError::Version {
            path: path.to_owned(),
            found,
        });
    }
    let file: File = serde_json::from_slice(bytes).map_err(format)?;
    let is_calibration_whole =
        file.calibration.is_empty() || hash(&file.calibration) == file.calibration_hash;
    if hash(&file.content) != file.hash || !is_calibration_whole {
        return Err(ArtefactError::Hash {
            path: path.to_owned(),
        });
    }
    let created: jiff::Timestamp = file.created.parse().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let hour_of_week = file.content.hour_of_week;
    let features = file.content.features.into_iter().map(|feature| {
        let name = feature.name.clone();
        feature.load().map_err(|what| ArtefactError::Content {
            path: path.to_owned(),
            feature: name,
            what,
        })
    });
    let features: Vec<FeatureReference> = features.collect::<Result<_, _>>()?;
    let profiles = hour_of_week.map(|hours| hours.load(&features)).transpose();
    let profiles = profiles.map_err(|feature| ArtefactError::Content {
        path: path.to_owned(),
        feature,
        what: "an hour of the week outside the layout",
    })?;
    Ok(Reference {
        created: EventTime::from_millis(created.as_millisecond()),
        rows: file.content.rows,
        hash: file.hash,
        features,
        profiles,
        calibration: file.calibration,
    })
}

/// The hash of what a reference says.
pub(super) fn content_hash(
    rows: u64,
    features: &[FeatureReference],
    profiles: Option<&Profiles>,
) -> String {
    hash(&content(rows, features, profiles))
}

fn hash(content: &impl Serialize) -> String {
    let bytes = serde_json::to_vec(content).expect("plain numbers and texts always serialise");
    let digest = Sha256::digest(&bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::reference::{Column, FitOptions, fit};
    use crate::stats::Tallies;

    fn reference() -> Reference {
        let numbers = (0..500)
            .map(|i| (f64::from(i) * 0.37).sin() * 1e3 + 0.1)
            .collect();
        let column = Column {
            numbers,
            tallies: Tallies {
                missing: [2, 1, 0],
                ..Tallies::default()
            },
            ..Column::default()
        };
        let categories =
            [("a\"b\n", 9), ("<i>", 7), ("rare", 1)].map(|(name, count)| (name.into(), count));
        let words = Column {
            categories: categories.into_iter().collect(),
            ..Column::default()
        };
        let features = vec![
            fit("x", Kind::Numeric, column, &FitOptions::default()).unwrap(),
            fit("c", Kind::Categorical, words, &FitOptions::default()).unwrap(),
        ];
        Reference::new(EventTime::from_millis(1_793_491_200_000), 503, features)
    }

    fn saved() -> String {
        let file = tempfile::NamedTempFile::new().unwrap();
        reference().save(file.path()).unwrap();
        std::fs::read_to_string(file.path()).unwrap()
    }

    #[test]
    fn a_saved_reference_is_loaded_to_the_last_bit() {
        assert_eq!(
            parse(saved().as_bytes(), "ref.json").unwrap(),
            reference(),
            "round trip"
        );
    }

    #[test]
    fn an_edited_file_is_refused() {
        let edited = saved().replacen("\"rows\": 503", "\"rows\": 504", 1);
        let error = parse(edited.as_bytes(), "ref.json").unwrap_err();
        assert!(error.to_string().contains("edited or damaged"), "{error}");
    }

    #[test]
    fn an_unknown_version_is_refused() {
        let newer = saved().replacen("\"pegel_reference\": 1", "\"pegel_reference\": 2", 1);
        let error = parse(newer.as_bytes(), "ref.json").unwrap_err();
        assert!(
            error.to_string().contains("version 2 is not known"),
            "{error}"
        );
        let error = parse(b"{\"a\":1}", "ref.json").unwrap_err();
        assert!(
            error.to_string().contains("not a pegel reference"),
            "{error}"
        );
    }

    #[test]
    fn margins_of_the_atoms_are_the_counts() {
        let reference = reference();
        let feature = &reference.features[0];
        let in_bins: u64 = feature.counts.bins.iter().sum();
        assert_eq!(
            (in_bins, feature.counts.cells.total()),
            (500, 500),
            "margins"
        );
    }
}
