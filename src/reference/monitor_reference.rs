//! The reference of a monitor: its features, with load and save as an artefact.

use std::path::Path;
use std::sync::Arc;

use super::artefact::{Artefact, ArtefactError, check_writable, hash};
use super::document::Content;
use super::feature_reference::FeatureReference;
use super::fitted_bins;
use super::hour_of_week::{HOURS, Profiles};
use super::incident::Incident;
use super::named_features::NamedFeatures;
use super::null_tables::FeatureCalibration;
use crate::model::EventTime;
use crate::stats::FeatureCounts;

/// A fitted reference of a monitor.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// Time of the fit.
    pub created: EventTime,
    /// Number of rows read.
    pub rows: u64,
    /// Hash of the content: SHA-256 in lower-case hexadecimal digits.
    ///
    /// It covers everything but the time of the fit and the calibration.
    pub hash: String,
    /// The features, in the order of the data.
    pub features: NamedFeatures,
    /// Counts by hour of the week; `None` unless the fit was asked for them.
    pub profiles: Option<Profiles>,
    /// The calibration of each feature, in their order; empty before the reference is calibrated.
    pub calibration: Vec<FeatureCalibration>,
}

impl Reference {
    /// Creates a reference of fitted features.
    #[must_use]
    pub fn new(created: EventTime, rows: u64, features: Vec<FeatureReference>) -> Self {
        Reference {
            created,
            rows,
            hash: hash(&Content::of(rows, &features, None)),
            features: features.into(),
            profiles: None,
            calibration: Vec::new(),
        }
    }

    /// Adds counts by hour of the week, which changes the hash.
    #[must_use]
    pub fn with_profiles(mut self, profiles: Profiles) -> Self {
        self.hash = hash(&Content::of(self.rows, &self.features, Some(&profiles)));
        self.profiles = Some(profiles);
        self
    }

    /// The counts of a feature by hour of the week; 168 of them.
    #[must_use]
    pub fn hours_of(&self, name: &str) -> Option<&Arc<[FeatureCounts]>> {
        let position = self.features.position(name)?;
        let profiles = self.profiles.as_ref()?.features.get(position)?;
        (profiles.len() == HOURS).then_some(profiles)
    }

    /// The stored calibration of a feature.
    #[must_use]
    pub fn calibration_of(&self, name: &str) -> Option<&FeatureCalibration> {
        self.calibration.get(self.features.position(name)?)
    }

    /// The time ranges that are left out of the thresholds, with the number of features that each
    /// concerns; in order of time.
    ///
    /// Those of the blocks by hour of the week count where the reference has them: what recurs
    /// every week is no incident there.
    #[must_use]
    pub fn incidents(&self) -> Vec<(Incident, usize)> {
        Incident::over_features(self.calibration.iter().map(|calibration| {
            let blocks = calibration.blocks.iter().chain(&calibration.hour_of_week);
            let incidents = blocks.flat_map(|blocks| &blocks.incidents);
            Incident::distinct(incidents.copied().collect())
        }))
    }

    /// A sentence without a full stop for each incident.
    #[must_use]
    pub fn incident_texts(&self) -> Vec<String> {
        let features = self.features.len();
        self.incidents()
            .into_iter()
            .map(|(incident, concerned)| {
                format!(
                    "{incident} differs from the rest of the reference: left out of the thresholds \
                     ({concerned} of {features} features)"
                )
            })
            .collect()
    }

    /// The reference of a feature.
    #[must_use]
    pub fn feature(&self, name: &str) -> Option<&FeatureReference> {
        self.features.get(self.features.position(name)?)
    }

    /// Loads an artefact and verifies its hash.
    ///
    /// # Errors
    /// The file cannot be read, is not an artefact, has an unknown version, or was edited.
    pub fn load(path: &Path) -> Result<Self, ArtefactError> {
        let artefact = Artefact::read(path)?;
        Self::from_artefact(artefact, &path.display().to_string())
    }

    /// Writes the artefact: the whole file or, after an error, nothing.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), ArtefactError> {
        let content = Content::of(self.rows, &self.features, self.profiles.as_ref());
        let bins = fitted_bins::record(&self.features);
        Artefact::new(self.created, &self.hash, content, bins, &self.calibration).write(path)
    }

    /// Checks that an artefact can be written to `path`; nothing is written.
    ///
    /// # Errors
    /// It cannot be written there.
    pub fn check_writable(path: &Path) -> Result<(), ArtefactError> {
        check_writable(path)
    }

    fn from_artefact(artefact: Artefact, path: &str) -> Result<Self, ArtefactError> {
        let created = artefact.created();
        let rows = artefact.content.rows;
        let (mut features, profiles) =
            artefact
                .content
                .load()
                .map_err(|(feature, source)| ArtefactError::Content {
                    path: path.to_owned(),
                    feature,
                    source,
                })?;
        fitted_bins::restore(&mut features, &artefact.bins);
        Ok(Reference {
            created,
            rows,
            hash: artefact.hash,
            features: features.into(),
            profiles,
            calibration: artefact.calibration,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BinsSpec, Kind};
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
        let words = Column {
            categories: [("a\"b\n", 9), ("<i>", 7), ("rare", 1)]
                .into_iter()
                .map(|(name, count)| (name.into(), count))
                .collect(),
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

    fn parse(text: &str) -> Result<Reference, ArtefactError> {
        let artefact = Artefact::parse(text.as_bytes(), "ref.json")?;
        Reference::from_artefact(artefact, "ref.json")
    }

    #[test]
    fn a_saved_reference_is_loaded_to_the_last_bit() {
        assert_eq!(parse(&saved()).unwrap(), reference(), "round trip");
    }

    #[test]
    fn the_bins_of_a_fit_are_recorded_beside_the_content() {
        let saved = saved();
        assert!(saved.contains("\"count\": 20"), "{saved}");
        assert_eq!(
            parse(&saved).unwrap().features[0].bins,
            Some(BinsSpec::Count(BinsSpec::DEFAULT_COUNT))
        );
        let older = saved.replacen("\"bins\": {", "\"unknown\": {", 1);
        let older = parse(&older).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(older.features[0].bins, None, "not recorded");
        assert_eq!(older.hash, reference().hash, "the same content");
    }

    #[test]
    fn an_edited_file_is_refused() {
        let edited = saved().replacen("\"rows\": 503", "\"rows\": 504", 1);
        let error = parse(&edited).unwrap_err();
        assert!(error.to_string().contains("edited or damaged"), "{error}");
    }

    #[test]
    fn an_unknown_version_is_refused() {
        let newer = saved().replacen("\"pegel_reference\": 1", "\"pegel_reference\": 2", 1);
        let error = parse(&newer).unwrap_err();
        assert!(
            error.to_string().contains("version 2 is not known"),
            "{error}"
        );
        let error = parse("{\"a\":1}").unwrap_err();
        assert!(
            error.to_string().contains("not a pegel reference"),
            "{error}"
        );
    }

    #[test]
    fn atoms_add_up_to_the_counts() {
        let reference = reference();
        let feature = &reference.features[0];
        let in_bins: u64 = feature.counts.bins.iter().sum();
        assert_eq!(
            (in_bins, feature.counts.cells.total()),
            (500, 500),
            "bins and cells"
        );
    }
}
