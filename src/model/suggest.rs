//! The suggestion in an error about an unknown name.
//!
//! Names come from people: in the configuration, and in reference files that it is checked against
//! later. Both kinds of error end alike.

/// Names beyond which a list of accepted ones is cut.
const MAX_LISTED: usize = 40;

/// Returns the one of the `known` names that is nearest to `unknown`, if it may be meant.
///
/// Upper and lower case are the same. Of a name of members joined with slashes, the last member may
/// be meant.
#[must_use]
pub fn nearest<'a>(unknown: &str, known: &[&'a str]) -> Option<&'a str> {
    let typed = unknown.to_lowercase();
    let distance = |name: &str| strsim::damerau_levenshtein(&typed, name);
    known
        .iter()
        .map(|name| {
            let lower = name.to_lowercase();
            let member = lower.rsplit('/').next().unwrap_or_default();
            (distance(&lower).min(distance(member)), *name)
        })
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, name)| *distance <= 1 + name.len().min(typed.len()) / 4)
        .map(|(_, name)| name)
        .or_else(|| {
            known
                .iter()
                .find(|name| typed.len() >= 3 && name.to_lowercase().starts_with(&typed))
                .copied()
        })
}

/// Suggests what `unknown` may mean: the nearest of the `known` names, or all of them.
#[must_use]
pub fn suggest(unknown: &str, known: &[&str]) -> String {
    match nearest(unknown, known) {
        Some(name) => format!("did you mean {name:?}?"),
        None if known.is_empty() => "none is configured".to_owned(),
        None if known.len() > MAX_LISTED => format!(
            "accepted: {} and {} more",
            known[..MAX_LISTED].join(", "),
            known.len() - MAX_LISTED
        ),
        None => format!("accepted: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_near_name_is_suggested_else_the_accepted_ones_are_listed() {
        let known = ["amount", "country"];
        assert_eq!(suggest("amout", &known), "did you mean \"amount\"?");
        assert_eq!(suggest("Coun", &known), "did you mean \"country\"?");
        assert_eq!(suggest("amount", &["Amount"]), "did you mean \"Amount\"?");
        assert_eq!(suggest("AMOUNT", &known), "did you mean \"amount\"?");
        assert_eq!(nearest("amount", &["x", "row/amout"]), Some("row/amout"));
        assert_eq!(suggest("x", &known), "accepted: amount, country");
        assert_eq!(suggest("x", &[]), "none is configured");
    }

    #[test]
    fn a_long_list_is_cut() {
        let names: Vec<String> = (0..300).map(|i| format!("feature_{i:03}")).collect();
        let known: Vec<&str> = names.iter().map(String::as_str).collect();
        let text = suggest("x", &known);
        assert!(text.ends_with("feature_039 and 260 more"), "{text}");
    }
}
