//! How many of many p-values are more than luck.

/// The number of discoveries among `p_values` by Benjamini and Hochberg (1995): of those, a share of at most `rate` is expected to be luck.
///
/// Holds for independent values and for those that rise together, as windows over one stream do.
#[must_use]
pub fn discoveries(p_values: &mut [f64], rate: f64) -> usize {
    p_values.sort_by(f64::total_cmp);
    let count = p_values.len() as f64;
    let passes =
        |(index, p): (usize, &f64)| (*p <= rate * (index + 1) as f64 / count).then_some(index + 1);
    p_values
        .iter()
        .enumerate()
        .filter_map(passes)
        .max()
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_example_of_benjamini_and_hochberg() {
        // Their table of 15 hypotheses at 5 %: four are rejected.
        let mut p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262,
            0.5719, 0.6528, 0.7590, 1.0,
        ];
        p.reverse();
        assert_eq!(discoveries(&mut p, 0.05), 4, "of 15");
        assert_eq!(discoveries(&mut [], 0.05), 0, "of none");
        assert_eq!(discoveries(&mut [0.06; 5], 0.05), 0, "none");
    }
}
