//! The artefact: one readable, versioned JSON file per reference.
//!
//! The file stores atoms, from which the counts per bin and per cell follow. A hash of the content
//! is verified when the file is loaded, so that a damaged or edited file is refused and never
//! compared with. An unknown version is refused as well. Numbers survive the round trip to the last
//! bit.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::content_error::ContentError;
use super::document::{Content, FeatureEntry, HourOfWeekEntry};
use super::fitted_bins::BinsEntry;
use super::null_tables::FeatureCalibration;
use crate::model::EventTime;

/// The version that is written, and the only version that is read.
pub const VERSION: u32 = 1;

/// A reference that cannot be loaded or saved.
#[derive(Debug, thiserror::Error)]
pub enum ArtefactError {
    /// The operating system refused to read or write the file.
    #[error("{path}: {action}")]
    Io {
        /// Path of the file.
        path: String,
        /// The failed action, as a message.
        action: &'static str,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The file is not an artefact.
    #[error("{path}: not a pegel reference (`pegel fit` makes one)")]
    Format {
        /// Path of the file.
        path: String,
        /// Error of the JSON parser.
        source: serde_json::Error,
    },
    /// The file has a version that this program does not read.
    #[error(
        "{path}: reference version {version} is not known, this program reads version {VERSION}; fit it again"
    )]
    Version {
        /// Path of the file.
        path: String,
        /// Version in the file.
        version: u32,
    },
    /// The content does not have the hash that the file states.
    #[error("{path}: the content does not match its hash: edited or damaged; fit it again")]
    Hash {
        /// Path of the file.
        path: String,
    },
    /// The content matches its hash and contradicts itself.
    #[error("{path}: feature {feature}")]
    Content {
        /// Path of the file.
        path: String,
        /// Name of the feature.
        feature: String,
        /// The contradiction.
        source: ContentError,
    },
}

/// The action of [`ArtefactError::Io`] that is not about the user's input.
const WRITE: &str = "cannot be written";

impl ArtefactError {
    /// Reports whether the named file is wrong, as opposed to a failure to write a new one.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        !matches!(self, ArtefactError::Io { action: WRITE, .. })
    }
}

#[derive(Deserialize)]
struct VersionOnly {
    pegel_reference: u32,
}

/// The file as JSON; the names of the fields are the keys.
#[derive(Serialize)]
pub(super) struct Artefact {
    pegel_reference: u32,
    created: String,
    pub(super) hash: String,
    #[serde(flatten)]
    pub(super) content: Content,
    /// The bins that numeric features were fitted with; not part of the content.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) bins: BTreeMap<String, BinsEntry>,
    /// Hash of `calibration`, which is not part of the content.
    ///
    /// The calibration follows from the content and from rows that no longer exist.
    #[serde(skip_serializing_if = "String::is_empty")]
    calibration_hash: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) calibration: Vec<FeatureCalibration>,
}

/// The same keys for parsing.
///
/// To parse a flattened field, serde first holds all of its values in a tree, which takes several
/// times the memory of the file.
#[derive(Deserialize)]
struct ParsedArtefact {
    pegel_reference: u32,
    created: String,
    hash: String,
    rows: u64,
    features: Vec<FeatureEntry>,
    #[serde(default)]
    hour_of_week: Option<HourOfWeekEntry>,
    #[serde(default)]
    bins: BTreeMap<String, BinsEntry>,
    #[serde(default)]
    calibration_hash: String,
    #[serde(default)]
    calibration: Vec<FeatureCalibration>,
}

impl From<ParsedArtefact> for Artefact {
    fn from(parsed: ParsedArtefact) -> Self {
        Artefact {
            pegel_reference: parsed.pegel_reference,
            created: parsed.created,
            hash: parsed.hash,
            content: Content {
                rows: parsed.rows,
                features: parsed.features,
                hour_of_week: parsed.hour_of_week,
            },
            bins: parsed.bins,
            calibration_hash: parsed.calibration_hash,
            calibration: parsed.calibration,
        }
    }
}

impl Artefact {
    /// Creates the artefact of a reference with this content hash.
    pub(super) fn new(
        created: EventTime,
        content_hash: &str,
        content: Content,
        bins: BTreeMap<String, BinsEntry>,
        calibration: &[FeatureCalibration],
    ) -> Self {
        Artefact {
            pegel_reference: VERSION,
            created: created.to_string(),
            hash: content_hash.to_owned(),
            content,
            bins,
            calibration_hash: if calibration.is_empty() {
                String::new()
            } else {
                hash(&calibration)
            },
            calibration: calibration.to_vec(),
        }
    }

    /// Time of the fit; the epoch where the file does not state a valid time.
    pub(super) fn created(&self) -> EventTime {
        let created: jiff::Timestamp = self.created.parse().unwrap_or(jiff::Timestamp::UNIX_EPOCH);
        EventTime::from_millis(created.as_millisecond())
    }

    /// Reads a file and verifies version and hashes.
    pub(super) fn read(path: &Path) -> Result<Self, ArtefactError> {
        let shown = path.display().to_string();
        let bytes = std::fs::read(path).map_err(|source| ArtefactError::Io {
            path: shown.clone(),
            action: "cannot be read",
            source,
        })?;
        Self::parse(&bytes, &shown)
    }

    /// Parses the bytes of a file; `path` is for messages.
    pub(super) fn parse(bytes: &[u8], path: &str) -> Result<Self, ArtefactError> {
        let format = |source| ArtefactError::Format {
            path: path.to_owned(),
            source,
        };
        let version = serde_json::from_slice::<VersionOnly>(bytes)
            .map_err(format)?
            .pegel_reference;
        if version != VERSION {
            return Err(ArtefactError::Version {
                path: path.to_owned(),
                version,
            });
        }
        let artefact: Self = serde_json::from_slice::<ParsedArtefact>(bytes)
            .map_err(format)?
            .into();
        let is_calibration_intact = artefact.calibration.is_empty()
            || hash(&artefact.calibration) == artefact.calibration_hash;
        if hash(&artefact.content) != artefact.hash || !is_calibration_intact {
            return Err(ArtefactError::Hash {
                path: path.to_owned(),
            });
        }
        Ok(artefact)
    }

    /// Writes the whole file or, after an error, nothing.
    pub(super) fn write(&self, path: &Path) -> Result<(), ArtefactError> {
        let error = |source| ArtefactError::Io {
            path: path.display().to_string(),
            action: WRITE,
            source,
        };
        let mut file = create_beside(path).map_err(error)?;
        let text = serde_json::to_vec_pretty(self).map_err(|source| error(source.into()))?;
        file.as_file_mut()
            .write_all(&compact_lists(&text))
            .map_err(error)?;
        make_readable(file.as_file()).map_err(error)?;
        file.persist(path).map_err(|persist| error(persist.error))?;
        Ok(())
    }
}

/// Checks that a reference can be written to `path`, before the work of fitting it.
pub(super) fn check_writable(path: &Path) -> Result<(), ArtefactError> {
    create_beside(path)
        .map(drop)
        .map_err(|source| ArtefactError::Io {
            path: path.display().to_string(),
            action: WRITE,
            source,
        })
}

/// Creates the file that replaces `path` once it is complete.
///
/// An error of `NamedTempFile` would name the temporary file, which nobody asked for.
fn create_beside(path: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    tempfile::Builder::new().make_in(directory, |path| std::fs::File::create_new(path))
}

/// Makes a temporary file, which is private to its owner, readable for everybody.
#[cfg(unix)]
fn make_readable(file: &std::fs::File) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(not(unix))]
fn make_readable(_: &std::fs::File) -> std::io::Result<()> {
    Ok(())
}

/// Puts each list of numbers on one line, so that the atoms of a feature read as a table.
fn compact_lists(pretty: &[u8]) -> Vec<u8> {
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

/// Returns true for a line that opens a list of numbers.
fn begins_numbers(line: &str) -> bool {
    line == "["
        || ["quantiles", "design_effect", "missing", "invalid", "counts"]
            .into_iter()
            .any(|key| {
                line.strip_prefix('"')
                    .and_then(|line| line.strip_prefix(key))
                    == Some("\": [")
            })
}

/// Passes everything that is written to a hash.
struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// SHA-256 of the compact JSON of `content`, in lower-case hexadecimal digits.
pub(super) fn hash(content: &impl Serialize) -> String {
    let mut hasher = Sha256::new();
    serde_json::to_writer(HashWriter(&mut hasher), content)
        .expect("plain numbers and texts always serialise");
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
