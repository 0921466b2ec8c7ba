//! Features: where a value is, what it is, and how it is binned.

use super::monitor::pointer;
use super::reader::Item;
use crate::model::{BinsSpec, FeatureSpec, HdrBins, Kind, Role};
use crate::stats::Bins;

/// Reads one feature.
pub(super) fn read(item: &Item<'_>) -> Option<FeatureSpec> {
    let table = item.table()?;
    let name = table
        .need("name", "what the feature is called")
        .and_then(|item| item.name());
    let path = table.get("path").and_then(|item| pointer(&item));
    let kinds: Vec<(&str, Kind)> = Kind::ALL.iter().map(|kind| (kind.name(), *kind)).collect();
    let kind = table.get("kind").and_then(|item| item.choice(&kinds));
    let roles = [("feature", Role::Feature), ("prediction", Role::Prediction)];
    let role = table
        .get("role")
        .and_then(|item| item.choice(&roles))
        .unwrap_or_default();
    let bins_item = table.get("bins");
    let bins = bins_item.as_ref().and_then(bins);
    let top_item = table.get("top");
    let top = top_item.as_ref().and_then(|item| item.count(1));
    if let (Some(item), Some(Kind::Categorical | Kind::Boolean)) = (&bins_item, kind) {
        item.complain("only numeric features have bins; a categorical one may say \"top\"");
    }
    if let (Some(item), Some(Kind::Numeric | Kind::Boolean)) = (&top_item, kind) {
        item.complain("only categorical features have \"top\"");
    }
    table.reserve(&["transform", "weight", "match", "missing"]);
    table.finish();
    Some(FeatureSpec {
        name: name?,
        path,
        kind,
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
    let spec = if let Some(edges) = table.get("edges") {
        explicit(&edges)
    } else if let Some(method) = table.get("method") {
        method.choice(&[("hdr", ())]);
        let digits = table
            .need("digits", "significant digits, 1 to 5")
            .and_then(|item| digits(&item));
        let unit = table
            .need("unit", "the smallest difference that matters")
            .and_then(|item| positive(&item));
        digits
            .zip(unit)
            .map(|(digits, unit)| BinsSpec::Hdr(HdrBins { digits, unit }))
    } else {
        table
            .need(
                "count",
                "{count: 20}, {edges: [...]} or {method: hdr, digits: 2, unit: 0.001}",
            )
            .and_then(|item| count(&item))
    };
    table.finish();
    spec
}

fn count(item: &Item<'_>) -> Option<BinsSpec> {
    let count = item.count(2)?;
    if count >= Bins::MAX_EDGES / 2 {
        item.complain(format!("at most {} bins", Bins::MAX_EDGES / 2 - 1));
        return None;
    }
    Some(BinsSpec::Count(count))
}

fn explicit(item: &Item<'_>) -> Option<BinsSpec> {
    let items = item.list()?;
    let edges: Vec<f64> = items.iter().filter_map(Item::number).collect();
    if edges.len() < items.len() {
        return None;
    }
    if let Err(error) = Bins::try_new(edges.clone()) {
        item.complain(error.to_string());
        return None;
    }
    Some(BinsSpec::Edges(edges))
}

fn digits(item: &Item<'_>) -> Option<u8> {
    let digits = item.whole(1)?;
    if digits > 5 {
        item.complain("at most 5");
    }
    u8::try_from(digits).ok()
}

fn positive(item: &Item<'_>) -> Option<f64> {
    let value = item.number()?;
    if value > 0.0 && value.is_finite() {
        return Some(value);
    }
    item.complain(format!("expected a number above 0, found {value}"));
    None
}
