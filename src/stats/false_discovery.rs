//! The number of p-values among many that are small for a reason other than chance.

/// The number of discoveries among `p_values`, in `0..=p_values.len()`; sorts them in place.
///
/// The largest `i` whose `i`-th smallest value is at most `rate i / count`. Of the discoveries, an
/// expected share of at most `rate` (in 0..=1) is due to chance. That holds for independent values
/// and for values that rise together, as windows over one stream do.
/// Source: Benjamini and Hochberg, Controlling the False Discovery Rate (1995); Benjamini and
/// Yekutieli (2001) for positive dependence.
#[must_use]
pub fn discoveries(p_values: &mut [f64], rate: f64) -> usize {
    p_values.sort_by(f64::total_cmp);
    let count = p_values.len() as f64;
    p_values
        .iter()
        .zip(1_usize..)
        .filter_map(|(p, rank)| (*p <= rate * rank as f64 / count).then_some(rank))
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_example_of_benjamini_and_hochberg() {
        // Their table of 15 hypotheses at 5 %. scipy 1.17, too:
        // (scipy.stats.false_discovery_control(p) <= 0.05).sum() = 4
        let mut p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
            0.5719, 0.6528, 0.7590, 1.0,
        ];
        p.reverse();
        assert_eq!(discoveries(&mut p, 0.05), 4, "of 15");
        assert_eq!(discoveries(&mut [], 0.05), 0, "of an empty list");
        assert_eq!(discoveries(&mut [0.06; 5], 0.05), 0, "all above the rate");
    }
}
