//! Features: the monitored columns of a stream, their kinds and their bins.

use std::fmt;

use super::pointer::Pointer;
use super::statistic::Statistic;

/// The kind of a feature's values.
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
    /// All kinds, in the order of the documentation.
    pub const ALL: [Kind; 3] = [Kind::Numeric, Kind::Categorical, Kind::Boolean];

    /// The spelling in configuration, JSON and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Numeric => "numeric",
            Kind::Categorical => "categorical",
            Kind::Boolean => "boolean",
        }
    }

    /// Returns the kind with this spelling.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// True if `statistic` exists for features of this kind.
    #[must_use]
    pub const fn has(self, statistic: Statistic) -> bool {
        match self {
            Kind::Numeric => !matches!(statistic, Statistic::UnseenRatio),
            Kind::Categorical | Kind::Boolean => !statistic.needs_numbers(),
        }
    }
}

/// The role of a feature in the model. It is a label only and changes no score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Role {
    /// An input of the model.
    #[default]
    Feature,
    /// An output of the model.
    Prediction,
}

impl Role {
    /// All roles, in the order of the documentation.
    pub const ALL: [Role; 2] = [Role::Feature, Role::Prediction];

    /// The spelling in configuration and labels.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Role::Feature => "feature",
            Role::Prediction => "prediction",
        }
    }

    /// Returns the role with this spelling.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }
}

/// The score bins of a numeric feature.
#[derive(Debug, Clone, PartialEq)]
pub enum BinsSpec {
    /// This number of bins, each with the same share of the reference; at least 2.
    Count(usize),
    /// Exactly these edges, strictly increasing; the outer ones may be infinite.
    Edges(Vec<f64>),
    /// The log-linear bins of an HDR histogram.
    Hdr(HdrBins),
}

impl BinsSpec {
    /// The default number of bins.
    pub const DEFAULT_COUNT: usize = 20;
}

impl fmt::Display for BinsSpec {
    /// Prints the bins as they are configured.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BinsSpec::Count(count) => write!(f, "{count}"),
            BinsSpec::Edges(edges) => write!(f, "{{edges: {edges:?}}}"),
            BinsSpec::Hdr(HdrBins { digits, unit }) => {
                write!(f, "{{method: hdr, digits: {digits}, unit: {unit}}}")
            }
        }
    }
}

/// HDR bins: multiples of `unit` to `digits` significant decimal digits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HdrBins {
    /// Significant decimal digits, 1..=5.
    pub digits: u8,
    /// The smallest difference that matters; positive.
    pub unit: f64,
}

/// One monitored column of the stream.
#[derive(Debug, Clone, PartialEq)]
pub struct FeatureSpec {
    /// Unique in its monitor.
    pub name: String,
    /// Path in the record; `None` = the monitor's root and the name.
    pub path: Option<Pointer>,
    /// Kind of the values; `None` = the kind in the reference.
    pub kind: Option<Kind>,
    /// True if a JSON text such as `"12"` is read as the number or boolean that it holds.
    pub coerce: bool,
    /// Role in the model; a label.
    pub role: Role,
    /// Score bins of a numeric feature; `None` = [`BinsSpec::DEFAULT_COUNT`] bins of equal mass, or
    /// the bins of the fitted reference.
    pub bins: Option<BinsSpec>,
    /// Number of categories to keep, most frequent first; `None` = [`FeatureSpec::DEFAULT_TOP`].
    /// Categorical features only.
    pub top: Option<usize>,
}

impl FeatureSpec {
    /// The default of `coerce`.
    pub const DEFAULT_COERCE: bool = false;
    /// The default of `top`.
    pub const DEFAULT_TOP: usize = 50;

    /// A feature with defaults for everything but its name and kind.
    #[must_use]
    pub fn new(name: &str, kind: Kind) -> Self {
        FeatureSpec {
            name: name.to_owned(),
            path: None,
            kind: Some(kind),
            coerce: Self::DEFAULT_COERCE,
            role: Role::Feature,
            bins: None,
            top: None,
        }
    }
}
