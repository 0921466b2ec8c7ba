//! The shape of the artefact's JSON, and how it becomes a reference and back.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::fit::counts_of_atoms;
use super::{Atom, FeatureReference, HOURS, NumberFacts, Profiles};
use crate::model::Kind;
use crate::stats::{
    Bins, CELLS, CategoricalLayout, CellCounts, CellScale, FeatureCounts, Layout, NumericLayout,
    Tallies,
};

/// Everything the hash covers.
#[derive(Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) rows: u64,
    pub(super) features: Vec<Feature>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hour_of_week: Option<HourOfWeek>,
}

/// The counts by hour of the week.
#[derive(Serialize, Deserialize)]
pub(super) struct HourOfWeek {
    timezone: String,
    /// Hours without events are left out.
    hours: Vec<Hour>,
}

/// One hour of one feature.
#[derive(Serialize, Deserialize)]
struct Hour {
    feature: String,
    hour: usize,
    /// Null, absent, not a number.
    missing: [u64; 3],
    /// Of the wrong kind, infinite.
    invalid: [u64; 2],
    saturated: u64,
    /// Values per bin.
    counts: Vec<u64>,
    /// Cell, count, sum of places.
    cells: CellCounts,
}

/// One feature.
#[derive(Serialize, Deserialize)]
pub(super) struct Feature {
    pub(super) name: String,
    kind: String,
    samples: u64,
    missing: Missing,
    invalid: Invalid,
    missing_ratio: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    numbers: Option<Numbers>,
    #[serde(skip_serializing_if = "Option::is_none")]
    categories: Option<Categories>,
}

#[derive(Serialize, Deserialize)]
struct Missing {
    null: u64,
    absent: u64,
    nan: u64,
}

#[derive(Serialize, Deserialize)]
struct Invalid {
    wrong_kind: u64,
    infinite: u64,
}

#[derive(Serialize, Deserialize)]
struct Numbers {
    mean: f64,
    std: f64,
    min: f64,
    min_tied: bool,
    max: f64,
    max_tied: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    edges_given: bool,
    edges: Vec<Edge>,
    cell_median: f64,
    cell_scale: f64,
    saturated: u64,
    /// Cell, score bin, count, sum of places.
    atoms: Vec<(u16, u16, u64, i64)>,
}

/// An edge; infinity has no JSON number.
#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(untagged)]
enum Edge {
    Finite(f64),
    Infinite(Infinite),
}

#[derive(Serialize, Deserialize, Clone, Copy)]
enum Infinite {
    #[serde(rename = "-inf")]
    Below,
    #[serde(rename = "inf")]
    Above,
}

#[derive(Serialize, Deserialize)]
struct Categories {
    /// Name and count of every category with a bin of its own.
    bins: Vec<(String, u64)>,
    /// Names that share the bin `other`.
    other: Vec<String>,
    other_count: u64,
    /// Not zero only where another reference lent its layout.
    unseen_count: u64,
    /// How many names occur once.
    #[serde(default, skip_serializing_if = "is_zero")]
    seen_once: u64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

/// What a reference says, as JSON says it.
pub(super) fn content(
    rows: u64,
    features: &[FeatureReference],
    profiles: Option<&Profiles>,
) -> Content {
    Content {
        rows,
        features: features.iter().map(Feature::of).collect(),
        hour_of_week: profiles.map(|profiles| HourOfWeek::of(profiles, features)),
    }
}

impl HourOfWeek {
    fn of(profiles: &Profiles, features: &[FeatureReference]) -> Self {
        let hours = features.iter().zip(&profiles.features);
        let hours = hours.flat_map(|(feature, hours)| {
            let seen = hours.iter().enumerate();
            seen.filter(|(_, counts)| counts.tallies.events() > 0)
                .map(|(hour, counts)| Hour::of(&feature.name, hour, counts))
        });
        HourOfWeek {
            timezone: profiles.timezone.clone(),
            hours: hours.collect(),
        }
    }

    /// The profiles of `features`, or the feature that is wrong.
    pub(super) fn load(self, features: &[FeatureReference]) -> Result<Profiles, String> {
        let none = |feature: &FeatureReference| vec![FeatureCounts::new(&feature.layout); HOURS];
        let mut profiles: Vec<Vec<FeatureCounts>> = features.iter().map(none).collect();
        for hour in self.hours {
            let place = features.iter().position(|own| own.name == hour.feature);
            let own = place.and_then(|place| profiles[place].get_mut(hour.hour));
            match own {
                Some(own) if own.bins.len() == hour.counts.len() => *own = hour.load(),
                _ => return Err(hour.feature),
            }
        }
        Ok(Profiles {
            timezone: self.timezone,
            features: profiles,
        })
    }
}

impl Hour {
    fn of(feature: &str, hour: usize, counts: &FeatureCounts) -> Self {
        Hour {
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
        let tallies = Tallies {
            values: self.counts.iter().sum(),
            missing: self.missing,
            invalid: self.invalid,
            saturated: self.saturated,
        };
        FeatureCounts {
            tallies,
            bins: self.counts,
            cells: self.cells,
        }
    }
}

impl Feature {
    fn of(feature: &FeatureReference) -> Self {
        let tallies = &feature.counts.tallies;
        let [null, absent, nan] = tallies.missing;
        let [wrong_kind, infinite] = tallies.invalid;
        Feature {
            name: feature.name.clone(),
            kind: feature.kind.name().to_owned(),
            samples: tallies.values,
            missing: Missing { null, absent, nan },
            invalid: Invalid {
                wrong_kind,
                infinite,
            },
            missing_ratio: tallies.missing_ratio().unwrap_or(0.0),
            numbers: Numbers::of(feature),
            categories: Categories::of(feature),
        }
    }

    /// The feature this stands for, or what is wrong with it.
    pub(super) fn load(self) -> Result<FeatureReference, &'static str> {
        let kind = Kind::from_name(&self.kind).ok_or("unknown kind")?;
        let tallies = Tallies {
            values: self.samples,
            missing: [self.missing.null, self.missing.absent, self.missing.nan],
            invalid: [self.invalid.wrong_kind, self.invalid.infinite],
            saturated: self.numbers.as_ref().map_or(0, |numbers| numbers.saturated),
        };
        match (self.numbers, self.categories) {
            (Some(numbers), None) => numbers.load(self.name, tallies),
            (None, Some(categories)) => Ok(categories.load(self.name, kind, tallies)),
            _ => Err("needs either numbers or categories"),
        }
    }
}

impl Numbers {
    fn of(feature: &FeatureReference) -> Option<Self> {
        let (layout, facts) = (feature.layout.numeric()?, feature.numbers?);
        let small = |index: usize| u16::try_from(index).unwrap_or(u16::MAX);
        let atom = |atom: &Atom| (small(atom.cell), small(atom.bin), atom.count, atom.sum);
        Some(Numbers {
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
                .map(|edge| Edge::of(*edge))
                .collect(),
            cell_median: layout.cells.median(),
            cell_scale: layout.cells.scale(),
            saturated: feature.counts.tallies.saturated,
            atoms: feature.atoms.iter().map(atom).collect(),
        })
    }

    fn load(self, name: String, tallies: Tallies) -> Result<FeatureReference, &'static str> {
        let edges = self.edges.iter().map(|edge| edge.value()).collect();
        let bins = Bins::try_new(edges).map_err(|_| "edges that bound no bins")?;
        let cells = CellScale::try_new(self.cell_median, self.cell_scale)
            .ok_or("a cell scale that is no scale")?;
        let layout = Layout::Numeric(NumericLayout { bins, cells });
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
        if atoms
            .iter()
            .any(|atom| atom.cell >= CELLS || atom.bin >= layout.len())
        {
            return Err("an atom outside the layout");
        }
        let counts = counts_of_atoms(&atoms, &layout, tallies);
        if counts.tallies.values != tallies.values {
            return Err("atoms that do not add up to the samples");
        }
        let Numbers {
            mean,
            std,
            min,
            max,
            min_tied,
            max_tied,
            edges_given,
            ..
        } = self;
        let numbers = Some(NumberFacts {
            mean,
            std,
            min,
            max,
            min_tied,
            max_tied,
            edges_given,
        });
        Ok(FeatureReference {
            name,
            kind: Kind::Numeric,
            layout: Arc::new(layout),
            counts,
            numbers,
            atoms,
            seen_once: 0,
        })
    }
}

impl Edge {
    fn of(value: f64) -> Self {
        match value {
            f64::INFINITY => Edge::Infinite(Infinite::Above),
            f64::NEG_INFINITY => Edge::Infinite(Infinite::Below),
            finite => Edge::Finite(finite),
        }
    }

    fn value(self) -> f64 {
        match self {
            Edge::Finite(value) => value,
            Edge::Infinite(Infinite::Above) => f64::INFINITY,
            Edge::Infinite(Infinite::Below) => f64::NEG_INFINITY,
        }
    }
}

impl Categories {
    fn of(feature: &FeatureReference) -> Option<Self> {
        let Layout::Categorical(layout) = feature.layout.as_ref() else {
            return None;
        };
        let count = |bin: usize| feature.counts.bins.get(bin).copied().unwrap_or(0);
        let named = layout
            .names()
            .iter()
            .enumerate()
            .map(|(bin, name)| (name.clone(), count(bin)));
        Some(Categories {
            bins: named.collect(),
            other: layout.others().to_vec(),
            other_count: count(layout.other()),
            unseen_count: count(layout.unseen()),
            seen_once: feature.seen_once,
        })
    }

    fn load(self, name: String, kind: Kind, tallies: Tallies) -> FeatureReference {
        let (names, mut bins): (Vec<String>, Vec<u64>) = self.bins.into_iter().unzip();
        bins.extend([self.other_count, self.unseen_count]);
        let layout = Layout::Categorical(CategoricalLayout::new(names, self.other));
        let counts = FeatureCounts {
            tallies,
            bins,
            ..FeatureCounts::default()
        };
        FeatureReference {
            name,
            kind,
            layout: Arc::new(layout),
            counts,
            numbers: None,
            atoms: Vec::new(),
            seen_once: self.seen_once,
        }
    }
}
