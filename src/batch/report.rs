//! The report of one feature against one reference: verdict, urgency, and the JSON object.
//!
//! Rates are judged without scores, because the worst breaks leave no value to score: a column of
//! nulls or of texts has rates and nothing else. `compare` and `replay` share this JSON object, so
//! both always have the same keys.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Map, Number, Value, json};

use crate::alert::Threshold;
use crate::engine::{Assessment, FeaturePlan, Rule, ThresholdSource, status_names};
use crate::export::{calibration_json, invalid_values, names_json, unseen_categories};
use crate::model::{NotReady, Severity};
use crate::reference::FeatureReference;
use crate::score::{Rates, Scores, samples_behind};
use crate::stats::{BinName, FeatureCounts, Layout};

/// The most severe threshold that a feature exceeds, regardless of `for` and alert states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No threshold is exceeded.
    None,
    /// A threshold of this severity is exceeded.
    Drift(Severity),
    /// There are no scores or no thresholds for them, and no threshold of a rate is exceeded.
    NotReady(NotReady),
}

impl Verdict {
    /// Returns the name used in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::None => "none",
            Verdict::Drift(severity) => severity.name(),
            Verdict::NotReady(_) => "not_ready",
        }
    }

    /// The order of reports: drift by severity, then what could not be judged, then the rest.
    const fn rank(self) -> u8 {
        match self {
            Verdict::Drift(Severity::Critical) => 3,
            Verdict::Drift(Severity::Warning) => 2,
            Verdict::NotReady(_) => 1,
            Verdict::None => 0,
        }
    }
}

/// One feature of one window against one reference, with everything that is reported of it.
#[derive(Debug, Clone)]
pub struct FeatureReport<'a> {
    /// The feature with its rules.
    pub plan: &'a FeaturePlan,
    /// The reference; `None` if it is not loaded or lacks the feature.
    pub against: Option<Arc<FeatureReference>>,
    /// Counts of the window.
    pub counts: &'a FeatureCounts,
    /// Rates of the window.
    pub rates: Rates,
    /// The reason why nothing of the window is judged, not even its rates.
    pub incomplete: Option<NotReady>,
    /// The number of samples that a statistic needs.
    pub min_samples: u64,
    /// The scores, or the reason why they are not ready.
    pub scores: Result<Scores, NotReady>,
    /// Floors, thresholds and p-values; `None` without calibration.
    pub assessment: Option<Arc<Assessment>>,
}

impl FeatureReport<'_> {
    /// Returns the value of a rule's statistic; `None` where it is not ready.
    #[must_use]
    pub fn value(&self, rule: &Rule) -> Option<f64> {
        if !rule.statistic.is_rate() {
            return self.scores.ok()?.get(rule.statistic);
        }
        let samples = samples_behind(rule.statistic, &self.counts.tallies);
        self.rates
            .get(rule.statistic)
            .filter(|_| self.incomplete.is_none() && samples >= self.min_samples)
    }

    /// Returns the names of all limits of thresholds and scores.
    #[must_use]
    pub fn status_names(&self) -> Vec<&'static str> {
        status_names(self.scores.as_ref().ok(), self.assessment.as_deref())
    }

    /// Returns the rules that have a threshold, each with its threshold.
    pub fn thresholds(&self) -> impl Iterator<Item = (&Rule, Threshold)> {
        self.plan
            .rules
            .iter()
            .enumerate()
            .filter_map(|(index, rule)| match rule.threshold_source {
                ThresholdSource::Fixed(threshold) => Some((rule, rule.fixed_threshold(threshold))),
                ThresholdSource::Budget { .. } => {
                    let calibrated = &self.assessment.as_ref()?.thresholds;
                    Some((rule, calibrated.get(index).copied().flatten()?))
                }
            })
    }

    /// Returns the rules that are exceeded, each with its value and its threshold.
    pub fn exceeded(&self) -> impl Iterator<Item = (&Rule, f64, Threshold)> {
        self.thresholds().filter_map(|(rule, threshold)| {
            let value = self.value(rule)?;
            threshold
                .is_exceeded_by(value)
                .then_some((rule, value, threshold))
        })
    }

    /// Returns the verdict over all rules: that of the worst exceeded one.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let worst = self.exceeded().map(|(rule, _, _)| rule.severity).max();
        match (worst, &self.scores) {
            (Some(severity), _) => Verdict::Drift(severity),
            (None, Err(reason)) => Verdict::NotReady(*reason),
            (None, Ok(_)) if self.are_scores_unjudged() => {
                Verdict::NotReady(NotReady::LineUnreachable)
            }
            (None, Ok(_)) => Verdict::None,
        }
    }

    /// Reports whether no rule on a score has a threshold that a value can reach.
    fn are_scores_unjudged(&self) -> bool {
        let has_unreachable = self
            .assessment
            .as_ref()
            .is_some_and(|assessment| !assessment.unreachable.is_empty());
        has_unreachable
            && self.thresholds().all(|(rule, _)| rule.statistic.is_rate())
            && self.plan.rules.iter().any(|rule| !rule.statistic.is_rate())
    }

    /// Returns the rule that is furthest beyond its threshold, with its value and its threshold.
    ///
    /// Of a drifted feature, only the exceeded rules of its verdict's severity count.
    #[must_use]
    pub fn worst(&self) -> Option<(&Rule, f64, Threshold)> {
        let severity = match self.verdict() {
            Verdict::Drift(severity) => Some(severity),
            Verdict::None | Verdict::NotReady(_) => None,
        };
        self.thresholds()
            .filter_map(|(rule, threshold)| Some((rule, self.value(rule)?, threshold)))
            .filter(|(rule, value, threshold)| {
                severity.is_none_or(|severity| {
                    rule.severity == severity && threshold.is_exceeded_by(*value)
                })
            })
            .max_by(|(_, a, of_a), (_, b, of_b)| of_a.ratio(*a).total_cmp(&of_b.ratio(*b)))
    }

    /// Returns the largest ratio of a value to its threshold; 0 without a threshold.
    #[must_use]
    pub fn urgency(&self) -> f64 {
        self.worst()
            .map_or(0.0, |(_, value, threshold)| threshold.ratio(value))
    }

    /// Returns the JSON object, with the name of the feature under `name_key`.
    #[must_use]
    pub fn to_json(&self, name_key: &str, with_bins: bool) -> Map<String, Value> {
        let verdict = self.verdict();
        let against = self.against.as_deref();
        let reason = match verdict {
            Verdict::NotReady(reason) => Some(reason.reason()),
            _ => None,
        };
        let mut object = Map::new();
        let mut put = |key: &str, value: Value| drop(object.insert(key.to_owned(), value));
        put(name_key, json!(self.plan.name));
        put("kind", json!(self.plan.kind.name()));
        put("verdict", json!(verdict.name()));
        put("reason", json!(reason));
        put(
            "reference_samples",
            json!(against.map_or(0, |reference| reference.counts.tallies.values)),
        );
        put("samples", json!(self.counts.tallies.values));
        put("missing_ratio", json!(self.rates.missing.unwrap_or(0.0)));
        put("invalid", json!(self.counts.tallies.invalid_total()));
        put(
            "out_of_range_ratio",
            json!(self.rates.out_of_range.unwrap_or(0.0)),
        );
        put("unseen_ratio", json!(self.rates.unseen.unwrap_or(0.0)));
        let unseen = unseen_categories(self.counts, self.plan.kind);
        if !unseen.is_empty() {
            put("unseen_categories", names_json("category", &unseen));
        }
        let invalid = invalid_values(self.counts, self.plan.kind);
        if !invalid.is_empty() {
            put("invalid_values", names_json("value", &invalid));
        }
        if with_bins {
            put("bins", self.bins());
        }
        put("scores", self.scores_json());
        put(
            "support_overlap",
            json!(
                self.scores
                    .ok()
                    .map(|scores| scores.divergences.support_overlap)
            ),
        );
        put(
            "beyond_reference",
            json!(self.scores.ok().and_then(|scores| {
                scores.distances.map(|distances| distances.beyond_reference)
            })),
        );
        put("status", json!(self.status_names()));
        put("calibration", self.calibration());
        object
    }

    /// Returns the score bins in order; guards only if they are occupied on either side.
    fn bins(&self) -> Value {
        let Some(layout) = self.plan.layout.as_deref() else {
            return json!([]);
        };
        let against = self.against.as_deref();
        (0..layout.len())
            .filter_map(|bin| {
                let reference = against.map_or(0, |reference| reference.counts.bins[bin]);
                let current = self.counts.bins[bin];
                let is_shown = !layout.is_optional(bin) || reference + current > 0;
                is_shown.then(|| bin_json(layout, bin, reference, current))
            })
            .collect()
    }

    fn calibration(&self) -> Value {
        let assessment = self.assessment.as_deref();
        assessment.map_or(Value::Null, calibration_json)
    }

    fn scores_json(&self) -> Value {
        let Ok(scores) = self.scores else {
            return json!({});
        };
        let divergences = scores.divergences;
        let mut object = Map::new();
        let mut put = |key: &str, score: f64| drop(object.insert(key.to_owned(), number(score)));
        put("js", divergences.js);
        put("js_distance", divergences.js.sqrt());
        put("kl", divergences.kl);
        put("kl_reverse", divergences.kl_reverse);
        if let Some(distances) = scores.distances {
            put("wasserstein", distances.wasserstein);
            put("wasserstein_normalized", distances.wasserstein_normalized);
            if self.assessment.is_some() {
                put("wasserstein_body", distances.body);
            }
        }
        put("psi", divergences.psi);
        put("hellinger", divergences.hellinger);
        put("total_variation", divergences.total_variation);
        if let Some(distances) = scores.distances {
            put("ks", distances.ks);
        }
        put("entropy", divergences.entropy);
        put("cross_entropy", divergences.cross_entropy);
        object.into()
    }
}

fn bin_json(layout: &Layout, bin: usize, reference: u64, current: u64) -> Value {
    match layout.name(bin) {
        BinName::Interval(interval) => json!({
            "lower": interval.lower,
            "upper": interval.upper,
            "label": null,
            "reference": reference,
            "current": current,
        }),
        BinName::Label(label) => json!({
            "lower": null,
            "upper": null,
            "label": label,
            "reference": reference,
            "current": current,
        }),
    }
}

/// Returns a JSON number, or the text `inf` for an infinite score.
fn number(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| Value::from("inf"), Value::Number)
}

/// Orders reports by verdict, the worst first, then by descending urgency, then by name.
#[must_use]
pub fn by_urgency(a: &FeatureReport<'_>, b: &FeatureReport<'_>) -> Ordering {
    b.verdict()
        .rank()
        .cmp(&a.verdict().rank())
        .then_with(|| b.urgency().total_cmp(&a.urgency()))
        .then_with(|| a.plan.name.cmp(&b.plan.name))
}
