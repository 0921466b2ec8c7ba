//! Reads features: their paths, kinds and bins.

use rustc_hash::FxHashSet;

use super::reader::{Item, Table};
use super::source_map::OptionSubject;
use crate::model::{BinsSpec, FeatureSpec, HdrBins, Kind, ReferenceSpec, Role};
use crate::stats::Bins;

/// The largest accepted number of bins of equal mass.
const MAX_BINS: usize = Bins::MAX_EDGES / 2 - 1;

/// The largest accepted number of significant digits of HDR bins.
const MAX_DIGITS: u64 = 5;

/// Reads the features of a monitor. The second value is true if the reference's own features are
/// monitored as well.
pub(super) fn read_all(
    table: &Table<'_>,
    monitor: &str,
    references: &[ReferenceSpec],
) -> (Vec<FeatureSpec>, bool) {
    let listed = table.get("features");
    let from_reference = table
        .get("features_from")
        .and_then(|item| item.choice(&[("reference", true)]))
        .unwrap_or(listed.is_none());
    // Defaults are read without the monitor that they belong to.
    let may_have_references = table.is_partial() || !references.is_empty();
    if from_reference && !may_have_references {
        table
            .item()
            .error("no features: set \"features\", or a reference to take them from");
    }
    let items = listed.and_then(|item| item.list());
    if let (Some([]), Some(item)) = (items.as_deref(), table.get("features")) {
        item.error(
            "expected at least one feature, found an empty list: remove it to monitor the features \
             of the references",
        );
    }
    let mut features: Vec<FeatureSpec> = Vec::new();
    let mut names = FxHashSet::default();
    for item in items.unwrap_or_default() {
        let Some(feature) = read(&item) else {
            continue;
        };
        if !names.insert(feature.name.clone()) {
            item.error(format!("duplicate feature name {:?}", feature.name));
        }
        if feature.kind.is_none() && !may_have_references {
            item.error("kind cannot be inferred without a reference, set \"kind\"");
        }
        item.record_location(OptionSubject::Feature {
            monitor: monitor.to_owned(),
            feature: feature.name.clone(),
        });
        features.push(feature);
    }
    (features, from_reference)
}

fn read(item: &Item<'_>) -> Option<FeatureSpec> {
    let table = item.table()?;
    let name = table
        .need("name", "the name of the feature")
        .and_then(|item| item.name());
    let path = table.get("path").and_then(|item| item.pointer());
    let kinds = Kind::ALL.map(|kind| (kind.name(), kind));
    let kind = table.get("kind").and_then(|item| item.choice(&kinds));
    let coerce_item = table.get("coerce");
    let coerce = coerce_item
        .as_ref()
        .and_then(Item::boolean)
        .unwrap_or(FeatureSpec::DEFAULT_COERCE);
    if let (Some(item), true, Some(Kind::Categorical)) = (&coerce_item, coerce, kind) {
        item.error("has no effect on a categorical feature, whose values are texts");
    }
    let roles = Role::ALL.map(|role| (role.name(), role));
    let role = table
        .get("role")
        .and_then(|item| item.choice(&roles))
        .unwrap_or_default();
    let bins_item = table.get("bins");
    let bins = bins_item.as_ref().and_then(bins);
    let top_item = table.get("top");
    let top = top_item.as_ref().and_then(|item| item.count(1));
    if let (Some(item), Some(Kind::Categorical | Kind::Boolean)) = (&bins_item, kind) {
        item.error("only numeric features have \"bins\", use \"top\" for categorical ones");
    }
    if let (Some(item), Some(Kind::Numeric | Kind::Boolean)) = (&top_item, kind) {
        item.error("only categorical features have \"top\"");
    }
    table.reserve(&["transform", "weight", "match", "missing"]);
    table.finish();
    Some(FeatureSpec {
        name: name?,
        path,
        kind,
        coerce,
        role,
        bins,
        top,
    })
}

fn bins(item: &Item<'_>) -> Option<BinsSpec> {
    if !item.is_table() {
        return count(item);
    }
    let table = item.table()?;
    let bins = if let Some(item) = table.get("edges") {
        edges(&item)
    } else if let Some(method) = table.get("method") {
        method.choice(&[("hdr", ())]);
        hdr(&table)
    } else {
        table
            .need(
                "count",
                "{count: 20}, {edges: [...]} or {method: hdr, digits: 2, unit: 0.001}",
            )
            .and_then(|item| count(&item))
    };
    table.finish();
    bins
}

fn count(item: &Item<'_>) -> Option<BinsSpec> {
    let count = item.count(2)?;
    if count > MAX_BINS {
        return item.expected(&format!("at most {MAX_BINS} bins"));
    }
    Some(BinsSpec::Count(count))
}

fn edges(item: &Item<'_>) -> Option<BinsSpec> {
    let items = item.list()?;
    let edges: Vec<f64> = items.iter().filter_map(Item::number).collect();
    if edges.len() < items.len() {
        return None;
    }
    if let Err(error) = Bins::try_new(edges.clone()) {
        item.error(error.to_string());
        return None;
    }
    Some(BinsSpec::Edges(edges))
}

fn hdr(table: &Table<'_>) -> Option<BinsSpec> {
    let digits = table
        .need("digits", "significant digits, 1 to 5")
        .and_then(|item| digits(&item));
    let unit = table
        .need("unit", "the smallest difference that matters")
        .and_then(|item| positive(&item));
    Some(BinsSpec::Hdr(HdrBins {
        digits: digits?,
        unit: unit?,
    }))
}

fn digits(item: &Item<'_>) -> Option<u8> {
    let digits = item.whole(1)?;
    if digits > MAX_DIGITS {
        item.expected::<()>(&format!("at most {MAX_DIGITS} significant digits"));
    }
    u8::try_from(digits).ok()
}

fn positive(item: &Item<'_>) -> Option<f64> {
    let value = item.number()?;
    if value > 0.0 && value.is_finite() {
        return Some(value);
    }
    item.expected("a number above 0")
}
