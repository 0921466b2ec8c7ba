//! Alert rules by the features that they name.
//!
//! A monitor of ten thousand features can have a rule for each of them, or one rule that names them
//! all. Every feature asks for its rule of each statistic and severity, so the rules that name it
//! are found by a map.

use rustc_hash::FxHashMap;

use super::alert::AlertSpec;
use super::severity::Severity;
use super::statistic::Statistic;

/// The alert rules of a monitor, ready to be looked up.
#[derive(Debug, Clone)]
pub struct AlertIndex<'a> {
    /// The rules for all features, in configuration order.
    general: Vec<&'a AlertSpec>,
    /// By feature: the rules that name it, in configuration order.
    named: FxHashMap<&'a str, Vec<&'a AlertSpec>>,
}

impl<'a> AlertIndex<'a> {
    /// An index of rules in configuration order.
    #[must_use]
    pub fn new(alerts: &'a [AlertSpec]) -> Self {
        let mut index = AlertIndex {
            general: Vec::new(),
            named: FxHashMap::default(),
        };
        for alert in alerts {
            match &alert.features {
                None => index.general.push(alert),
                Some(names) => {
                    for name in names {
                        index.named.entry(name).or_default().push(alert);
                    }
                }
            }
        }
        index
    }

    /// The rule in force for a feature, statistic and severity.
    ///
    /// A rule that names the feature takes precedence over a general one of the same severity that
    /// [competes](AlertSpec::competes_with) with it. A rule of another severity stays in force.
    #[must_use]
    pub fn alert_for(
        &self,
        feature: &str,
        statistic: Statistic,
        severity: Severity,
    ) -> Option<&'a AlertSpec> {
        let named = || {
            self.named
                .get(feature)
                .into_iter()
                .flatten()
                .copied()
                .filter(|rule| rule.has(severity))
        };
        if let Some(rule) = named().find(|rule| rule.statistic == statistic) {
            return Some(rule);
        }
        self.general
            .iter()
            .copied()
            .filter(|rule| rule.has(severity))
            .find(|rule| rule.statistic == statistic)
            .filter(|general| !named().any(|rule| rule.competes_with(general)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Budget, Thresholds};

    fn rule(statistic: Statistic, feature: Option<&str>) -> AlertSpec {
        AlertSpec {
            statistic,
            thresholds: Thresholds::default(),
            budget: None,
            for_evaluations: AlertSpec::DEFAULT_FOR,
            keep_firing_for: AlertSpec::DEFAULT_KEEP_FIRING_FOR,
            features: feature.map(|name| vec![name.to_owned()]),
        }
    }

    fn fixed(feature: Option<&str>, warning: Option<f64>, critical: Option<f64>) -> AlertSpec {
        AlertSpec {
            thresholds: Thresholds { warning, critical },
            ..rule(Statistic::Js, feature)
        }
    }

    #[test]
    fn a_rule_that_names_the_feature_hides_general_rules_of_its_severity() {
        // Any named rule hid the general ones of every severity, so that a `critical` rule for x
        // removed the `warning` of x.
        let alerts = [
            fixed(None, Some(0.05), Some(0.1)),
            fixed(Some("x"), None, Some(0.2)),
        ];
        let index = AlertIndex::new(&alerts);
        let threshold = |feature, severity| {
            index
                .alert_for(feature, Statistic::Js, severity)
                .and_then(|rule| rule.thresholds.of(severity))
        };
        assert_eq!(threshold("x", Severity::Critical), Some(0.2), "named");
        assert_eq!(threshold("x", Severity::Warning), Some(0.05), "general");
        assert_eq!(threshold("y", Severity::Critical), Some(0.1), "general");
    }

    #[test]
    fn a_rule_that_names_the_feature_hides_a_general_one_in_another_unit() {
        // Both are evaluated on the body of Wasserstein, and the general rule came first.
        let budgeted = |statistic, feature| AlertSpec {
            budget: Some(Budget::DEFAULT),
            ..rule(statistic, feature)
        };
        let alerts = [
            budgeted(Statistic::Wasserstein, None),
            budgeted(Statistic::WassersteinNormalized, Some("x")),
        ];
        let index = AlertIndex::new(&alerts);
        let names = |feature| {
            [Statistic::Wasserstein, Statistic::WassersteinNormalized]
                .into_iter()
                .filter(|statistic| {
                    index
                        .alert_for(feature, *statistic, Severity::Critical)
                        .is_some()
                })
                .collect::<Vec<_>>()
        };
        assert_eq!(names("x"), [Statistic::WassersteinNormalized], "named");
        assert_eq!(names("y"), [Statistic::Wasserstein], "general");
    }
}
