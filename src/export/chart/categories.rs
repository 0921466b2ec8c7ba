//! The categories of a feature before and after, those that changed most first.

use crate::export::numbers::{bin_text, percent};
use crate::reference::FeatureReference;
use crate::stats::{FeatureCounts, share};

/// The most categories that are shown.
const MAX_ROWS: usize = 20;

/// One category, or the bin of several.
#[derive(Debug, PartialEq)]
pub(in crate::export) struct CategoryRow {
    /// Its name, `other` or `unseen`.
    pub(in crate::export) name: String,
    /// Its shares in the reference and in the window.
    pub(in crate::export) before: String,
    pub(in crate::export) after: String,
    /// Widths of their bars in percent of the longest one.
    pub(in crate::export) before_width: u32,
    pub(in crate::export) after_width: u32,
}

/// The categories whose shares changed most, and the number of those that are not shown.
pub(in crate::export) fn categories(
    reference: &FeatureReference,
    window: &FeatureCounts,
) -> (Vec<CategoryRow>, usize) {
    let before_total = reference.counts.tallies.values;
    let after_total = window.tallies.values;
    let mut changes: Vec<(usize, f64, f64)> = reference
        .counts
        .bins
        .iter()
        .enumerate()
        .filter_map(|(bin, before)| {
            let after = window.in_bin(bin);
            let before = share(*before, before_total)?;
            let after = share(after, after_total).unwrap_or_default();
            (before > 0.0 || after > 0.0).then_some((bin, before, after))
        })
        .collect();
    changes.sort_by(|a, b| (b.2 - b.1).abs().total_cmp(&(a.2 - a.1).abs()));
    let hidden = changes.len().saturating_sub(MAX_ROWS);
    changes.truncate(MAX_ROWS);
    let longest = changes
        .iter()
        .fold(f64::MIN_POSITIVE, |longest, (_, before, after)| {
            longest.max(*before).max(*after)
        });
    let rows = changes
        .into_iter()
        .map(|(bin, before, after)| CategoryRow {
            name: bin_text(reference.layout.name(bin)),
            before: percent(before),
            after: percent(after),
            before_width: width(before / longest),
            after_width: width(after / longest),
        })
        .collect();
    (rows, hidden)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a share in percent"
)]
fn width(share: f64) -> u32 {
    (share * 100.0).round() as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Kind;
    use crate::reference::{Column, FitOptions, fit};
    use crate::stats::Layout;

    #[test]
    fn the_category_that_changed_most_comes_first() {
        let column = Column {
            categories: [("de", 600), ("fr", 300), ("it", 100)]
                .map(|(name, count)| (Box::<str>::from(name), count))
                .into_iter()
                .collect(),
            ..Column::default()
        };
        let reference = fit("country", Kind::Categorical, column, &FitOptions::default()).unwrap();
        let Layout::Categorical(layout) = &*reference.layout else {
            unreachable!("a categorical feature")
        };
        let mut window = FeatureCounts::new(&reference.layout);
        for (name, count) in [("de", 60), ("it", 10), ("xk", 30)] {
            (0..count).for_each(|_| window.record_category(layout, name));
        }
        let (rows, hidden) = categories(&reference, &window);
        let names: Vec<&str> = rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(
            (names[3], hidden),
            ("it", 0),
            "unchanged, so last of {names:?}"
        );
        assert!(names[..2].contains(&"fr") && names[..2].contains(&"unseen"));
        let fr = rows.iter().find(|row| row.name == "fr").unwrap();
        assert_eq!((&*fr.before, &*fr.after), ("30.0 %", "0.0 %"));
        assert_eq!((fr.before_width, fr.after_width), (50, 0), "of 60 %");
    }
}
