//! Warnings about categorical features that compare only a few of their values.

use super::feature::FeaturePlan;
use crate::reference::{BLIND_SHARE, least_top, other_share};

/// Warns of a feature with most of its reference in the bin `other`.
///
/// The references of a monitor share their bins, so the first one stands for all.
pub(super) fn other_warning(feature: &FeaturePlan) -> Option<String> {
    let reference = feature
        .references
        .iter()
        .find_map(|plan| plan.scorer.as_ref())?
        .reference();
    let share = other_share(reference).filter(|share| *share >= BLIND_SHARE)?;
    let top = match least_top(reference) {
        Some(top) => format!("`top` of at least {top}"),
        None => "larger `top`".to_owned(),
    };
    Some(format!(
        "feature {}: {:.1} % of the reference's values share the bin other, and drift among them is not \
         seen: fit again with a {top} (`pegel fit` prints the one for 90 % of the values); if it holds \
         identifiers or free text, leave it out or watch only its unseen_ratio",
        feature.name,
        share * 100.0
    ))
}
