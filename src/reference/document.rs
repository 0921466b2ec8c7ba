//! The JSON shape of an artefact's content, and its conversion to references and back.
//!
//! Each `*Entry` is one object of the file; the names of its fields are the keys. The hash of the
//! artefact covers the content as it is serialised here, so a key or its order never changes within
//! a version.

use std::sync::Arc;

use rustc_hash::FxHashMap;
use serde::{Deserialize, Serialize};

use super::atom::{Atom, counts_of_atoms};
use super::content_error::ContentError;
use super::feature_reference::FeatureReference;
use super::hour_of_week::{HOURS, Profiles};
use super::number_facts::NumberFacts;
use crate::model::Kind;
use crate::stats::{
    Bins, CELLS, CategoricalLayout, CellCounts, CellScale, FeatureCounts, HeavyHitters, Layout,
    NumericLayout, Tallies,
};

/// Everything that the hash covers.
#[derive(Serialize)]
pub(super) struct Content {
    pub(super) rows: u64,
    pub(super) features: Vec<FeatureEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hour_of_week: Option<HourOfWeekEntry>,
}

/// The counts by hour of the week.
#[derive(Serialize, Deserialize)]
pub(super) struct HourOfWeekEntry {
    timezone: String,
    /// Hours of features; hours without events are left out.
    hours: Vec<HourEntry>,
}

/// One hour of one feature.
#[derive(Serialize, Deserialize)]
struct HourEntry {
    feature: String,
    hour: usize,
    /// Events without a value: null, absent, not a number.
    missing: [u64; 3],
    /// Events with an unusable value: of the wrong kind, infinite.
    invalid: [u64; 2],
    saturated: u64,
    /// Values per bin, guards included.
    counts: Vec<u64>,
    /// Cell, count and sum of positions of each occupied cell.
    cells: CellCounts,
}

/// One feature of the reference.
#[derive(Serialize, Deserialize)]
pub(super) struct FeatureEntry {
    name: String,
    kind: String,
    samples: u64,
    missing: MissingEntry,
    invalid: InvalidEntry,
    missing_ratio: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<NumbersEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    categories: Option<CategoriesEntry>,
}

#[derive(Serialize, Deserialize)]
struct MissingEntry {
    null: u64,
    absent: u64,
    nan: u64,
}

#[derive(Serialize, Deserialize)]
struct InvalidEntry {
    wrong_kind: u64,
    infinite: u64,
}

#[derive(Serialize, Deserialize)]
struct NumbersEntry {
    mean: f64,
    std: f64,
    min: f64,
    min_tied: bool,
    max: f64,
    max_tied: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    edges_given: bool,
    edges: Vec<EdgeEntry>,
    cell_median: f64,
    cell_scale: f64,
    saturated: u64,
    /// Cell, score bin, count and sum of positions of each atom.
    atoms: Vec<(u16, u16, u64, i64)>,
}

/// An edge of a bin; infinity is a text, because JSON has no such number.
#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(untagged)]
enum EdgeEntry {
    Finite(f64),
    Infinite(InfiniteEdge),
}

#[derive(Serialize, Deserialize, Clone, Copy)]
enum InfiniteEdge {
    #[serde(rename = "-inf")]
    Below,
    #[serde(rename = "inf")]
    Above,
}

#[derive(Serialize, Deserialize)]
struct CategoriesEntry {
    /// Name and count of every category with a bin of its own.
    bins: Vec<(String, u64)>,
    /// Names that share the bin `other`.
    other: Vec<String>,
    other_count: u64,
    /// Above 0 only where the layout comes from another reference.
    unseen_count: u64,
    /// Number of names that occur once.
    #[serde(default, skip_serializing_if = "is_zero")]
    seen_once: u64,
    /// Number of names that occur twice.
    #[serde(default, skip_serializing_if = "is_zero")]
    seen_twice: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Content {
    /// The content of a reference with these features and profiles.
    pub(super) fn of(
        rows: u64,
        features: &[FeatureReference],
        profiles: Option<&Profiles>,
    ) -> Self {
        Content {
            rows,
            features: features.iter().map(FeatureEntry::of).collect(),
            hour_of_week: profiles.map(|profiles| HourOfWeekEntry::of(profiles, features)),
        }
    }

    /// The features and profiles, or the name of a feature with its error.
    pub(super) fn load(
        self,
    ) -> Result<(Vec<FeatureReference>, Option<Profiles>), (String, ContentError)> {
        let features: Vec<FeatureReference> = self
            .features
            .into_iter()
            .map(|feature| {
                let name = feature.name.clone();
                feature.load().map_err(|error| (name, error))
            })
            .collect::<Result<_, _>>()?;
        let profiles = self
            .hour_of_week
            .map(|hours| hours.load(&features))
            .transpose()?;
        Ok((features, profiles))
    }
}

impl HourOfWeekEntry {
    fn of(profiles: &Profiles, features: &[FeatureReference]) -> Self {
        let hours = features
            .iter()
            .zip(&profiles.features)
            .flat_map(|(feature, hours)| {
                hours
                    .iter()
                    .enumerate()
                    .filter(|(_, counts)| counts.tallies.events() > 0)
                    .map(|(hour, counts)| HourEntry::of(&feature.name, hour, counts))
            })
            .collect();
        HourOfWeekEntry {
            timezone: profiles.timezone.clone(),
            hours,
        }
    }

    /// The profiles of `features`, or the name of a feature with its error.
    fn load(self, features: &[FeatureReference]) -> Result<Profiles, (String, ContentError)> {
        let mut profiles: Vec<Vec<FeatureCounts>> = features
            .iter()
            .map(|feature| vec![FeatureCounts::new(&feature.layout); HOURS])
            .collect();
        let positions: FxHashMap<&str, usize> = features
            .iter()
            .enumerate()
            .map(|(position, feature)| (feature.name.as_str(), position))
            .collect();
        for entry in self.hours {
            let (hour, bins) = (entry.hour, entry.counts.len());
            let Some(&index) = positions.get(entry.feature.as_str()) else {
                return Err((entry.feature, ContentError::UnknownFeature { hour }));
            };
            match profiles[index].get_mut(hour) {
                Some(counts) if counts.bins.len() == bins => *counts = entry.load(),
                _ => {
                    return Err((
                        entry.feature,
                        ContentError::HourOutsideLayout { hour, bins },
                    ));
                }
            }
        }
        Ok(Profiles {
            timezone: self.timezone,
            features: profiles.into_iter().map(Arc::from).collect(),
        })
    }
}

impl HourEntry {
    fn of(feature: &str, hour: usize, counts: &FeatureCounts) -> Self {
        HourEntry {
            feature: feature.to_owned(),
            hour,
            missing: counts.tallies.missing,
            invalid: counts.tallies.invalid,
            saturated: counts.tallies.saturated,
            counts: counts.bins.clone(),
            cells: counts.cells.clone(),
        }
    }

    fn load(self) -> FeatureCounts {
        FeatureCounts {
            tallies: Tallies {
                values: self.counts.iter().sum(),
                missing: self.missing,
                invalid: self.invalid,
                saturated: self.saturated,
            },
            bins: self.counts,
            cells: self.cells,
            unexpected_values: HeavyHitters::default(),
        }
    }
}

impl FeatureEntry {
    fn of(feature: &FeatureReference) -> Self {
        let tallies = &feature.counts.tallies;
        let [null, absent, nan] = tallies.missing;
        let [wrong_kind, infinite] = tallies.invalid;
        FeatureEntry {
            name: feature.name.clone(),
            kind: feature.kind.name().to_owned(),
            samples: tallies.values,
            missing: MissingEntry { null, absent, nan },
            invalid: InvalidEntry {
                wrong_kind,
                infinite,
            },
            missing_ratio: tallies.missing_ratio().unwrap_or(0.0),
            numbers: NumbersEntry::of(feature),
            categories: CategoriesEntry::of(feature),
        }
    }

    fn load(self) -> Result<FeatureReference, ContentError> {
        let Some(kind) = Kind::from_name(&self.kind) else {
            return Err(ContentError::UnknownKind { kind: self.kind });
        };
        let tallies = Tallies {
            values: self.samples,
            missing: [self.missing.null, self.missing.absent, self.missing.nan],
            invalid: [self.invalid.wrong_kind, self.invalid.infinite],
            saturated: self.numbers.as_ref().map_or(0, |numbers| numbers.saturated),
        };
        match (self.numbers, self.categories) {
            (Some(numbers), None) => numbers.load(self.name, tallies),
            (None, Some(categories)) => Ok(categories.load(self.name, kind, tallies)),
            _ => Err(ContentError::NumbersOrCategories),
        }
    }
}

impl NumbersEntry {
    fn of(feature: &FeatureReference) -> Option<Self> {
        let (layout, facts) = (feature.layout.numeric()?, feature.numbers?);
        let small = |index: usize| u16::try_from(index).unwrap_or(u16::MAX);
        Some(NumbersEntry {
            mean: facts.mean,
            std: facts.std,
            min: facts.min,
            min_tied: facts.min_tied,
            max: facts.max,
            max_tied: facts.max_tied,
            edges_given: facts.edges_given,
            edges: layout
                .bins
                .edges()
                .iter()
                .map(|edge| EdgeEntry::of(*edge))
                .collect(),
            cell_median: layout.cells.median(),
            cell_scale: layout.cells.scale(),
            saturated: feature.counts.tallies.saturated,
            atoms: feature
                .atoms
                .iter()
                .map(|atom| (small(atom.cell), small(atom.bin), atom.count, atom.sum))
                .collect(),
        })
    }

    fn load(self, name: String, tallies: Tallies) -> Result<FeatureReference, ContentError> {
        let bins = Bins::try_new(self.edges.iter().map(|edge| edge.value()).collect())?;
        let (median, scale) = (self.cell_median, self.cell_scale);
        let cells =
            CellScale::try_new(median, scale).ok_or(ContentError::CellScale { median, scale })?;
        let layout = Layout::Numeric(NumericLayout::new(bins, cells));
        let atoms: Vec<Atom> = self
            .atoms
            .iter()
            .map(|&(cell, bin, count, sum)| Atom {
                cell: cell.into(),
                bin: bin.into(),
                count,
                sum,
            })
            .collect();
        if let Some(&Atom { cell, bin, .. }) = atoms
            .iter()
            .find(|atom| atom.cell >= CELLS || atom.bin >= layout.len())
        {
            return Err(ContentError::AtomOutsideLayout { cell, bin });
        }
        let counts = counts_of_atoms(&atoms, &layout, tallies);
        if counts.tallies.values != tallies.values {
            return Err(ContentError::Samples {
                values: counts.tallies.values,
                samples: tallies.values,
            });
        }
        Ok(FeatureReference {
            name,
            kind: Kind::Numeric,
            layout: Arc::new(layout),
            bins: None,
            counts,
            numbers: Some(NumberFacts {
                mean: self.mean,
                std: self.std,
                min: self.min,
                max: self.max,
                min_tied: self.min_tied,
                max_tied: self.max_tied,
                edges_given: self.edges_given,
            }),
            atoms,
            seen_once: 0,
            seen_twice: 0,
        })
    }
}

impl EdgeEntry {
    fn of(value: f64) -> Self {
        match value {
            f64::INFINITY => EdgeEntry::Infinite(InfiniteEdge::Above),
            f64::NEG_INFINITY => EdgeEntry::Infinite(InfiniteEdge::Below),
            finite => EdgeEntry::Finite(finite),
        }
    }

    fn value(self) -> f64 {
        match self {
            EdgeEntry::Finite(value) => value,
            EdgeEntry::Infinite(InfiniteEdge::Above) => f64::INFINITY,
            EdgeEntry::Infinite(InfiniteEdge::Below) => f64::NEG_INFINITY,
        }
    }
}

impl CategoriesEntry {
    fn of(feature: &FeatureReference) -> Option<Self> {
        let Layout::Categorical(layout) = feature.layout.as_ref() else {
            return None;
        };
        let count = |bin: usize| feature.counts.in_bin(bin);
        Some(CategoriesEntry {
            bins: layout
                .names()
                .iter()
                .enumerate()
                .map(|(bin, name)| (name.clone(), count(bin)))
                .collect(),
            other: layout.others().to_vec(),
            other_count: count(layout.other()),
            unseen_count: count(layout.unseen()),
            seen_once: feature.seen_once,
            seen_twice: feature.seen_twice,
        })
    }

    fn load(self, name: String, kind: Kind, tallies: Tallies) -> FeatureReference {
        let (names, mut bins): (Vec<String>, Vec<u64>) = self.bins.into_iter().unzip();
        bins.extend([self.other_count, self.unseen_count]);
        FeatureReference {
            name,
            kind,
            layout: Arc::new(Layout::Categorical(CategoricalLayout::new(
                names, self.other,
            ))),
            bins: None,
            counts: FeatureCounts {
                tallies,
                bins,
                ..FeatureCounts::default()
            },
            numbers: None,
            atoms: Vec::new(),
            seen_once: self.seen_once,
            seen_twice: self.seen_twice,
        }
    }
}
