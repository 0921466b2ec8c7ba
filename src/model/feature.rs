//! What is watched: features, what they are made of and how they are binned.

use super::{Pointer, Statistic};

/// What a feature is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Numbers, compared by bins and by distance.
    Numeric,
    /// Names without an order.
    Categorical,
    /// `true` and `false`.
    Boolean,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Kind; 3] = [Kind::Numeric, Kind::Categorical, Kind::Boolean];

    /// The name used in configuration, JSON and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Numeric => "numeric",
            Kind::Categorical => "categorical",
            Kind::Boolean => "boolean",
        }
    }

    /// The kind with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Whether `statistic` can be computed for features of this kind.
    #[must_use]
    pub const fn has(self, statistic: Statistic) -> bool {
        match self {
            Kind::Numeric => !matches!(statistic, Statistic::UnseenRatio),
            Kind::Categorical | Kind::Boolean => !statistic.needs_numbers(),
        }
    }
}

/// What a feature is to the model; a label only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// An input of the model.
    #[default]
    Feature,
    /// What the model answers.
    Prediction,
}

impl Role {
    /// The label value.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Feature => "feature",
            Role::Prediction => "prediction",
        }
    }

    /// The role with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Role::Feature, Role::Prediction]
            .into_iter()
            .find(|role| role.name() == name)
    }
}

/// How the score bins of a numeric feature are made.
#[derive(Debug, Clone, PartialEq)]
pub enum BinsSpec {
    /// This many bins of equal mass in the reference; at least 2.
    Count(usize),
    /// Exactly these edges, strictly increasing; the outer ones may be infinite.
    Edges(Vec<f64>),
    /// The log-linear buckets of an HDR histogram.
    Hdr(HdrBins),
}

/// HDR buckets: `digits` significant decimal digits of multiples of `unit`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HdrBins {
    /// In 1..=5.
    pub digits: u8,
    /// The smallest difference that matters; positive.
    pub unit: f64,
}

/// One monitored column of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSpec {
    /// Unique in its monitor.
    pub name: String,
    /// Where the record holds it; `None` = root and name.
    pub path: Option<Pointer>,
    /// `None` = as the reference says.
    pub kind: Option<Kind>,
    /// A label.
    pub role: Role,
    /// Numeric features only; `None` = 20 bins of equal mass, or as the reference was fitted.
    pub bins: Option<BinsSpec>,
    /// Categorical features only: keep the `top` most frequent categories.
    pub top: Option<usize>,
}

impl FeatureSpec {
    /// A feature of this name and kind at its default place.
    #[must_use]
    pub fn new(name: &str, kind: Kind) -> Self {
        FeatureSpec {
            name: name.to_owned(),
            path: None,
            kind: Some(kind),
            role: Role::Feature,
            bins: None,
            top: None,
        }
    }
}
