//! A feature's scores as JSON: the shape that `compare` and `replay` share.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Map, Number, Value, json};

use crate::alert::Threshold;
use crate::engine::{Assessment, FeaturePlan, Rule, ThresholdSource};
use crate::export::calibration_json;
use crate::model::{NotReady, Severity};
use crate::reference::FeatureReference;
use crate::score::{Rates, Scores};
use crate::stats::{BinName, FeatureCounts, Layout};

/// How a feature stands against its lines, `for` and state left aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Below every line.
    None,
    /// Above a line of this severity.
    Drift(Severity),
    /// Cannot be judged.
    NotReady(NotReady),
}

impl Verdict {
    /// The name in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Verdict::None => "none",
            Verdict::Drift(severity) => severity.name(),
            Verdict::NotReady(_) => "not_ready",
        }
    }
}

/// Everything there is to say about one feature against one reference.
#[derive(Debug, Clone)]
pub struct FeatureReport<'a> {
    /// The feature and its lines.
    pub plan: &'a FeaturePlan,
    /// What it was compared with; `None` where there is nothing.
    pub against: Option<Arc<FeatureReference>>,
    /// The current counts.
    pub counts: &'a FeatureCounts,
    /// The current rates.
    pub rates: Rates,
    /// The scores, or why there are none.
    pub scores: Result<Scores, NotReady>,
    /// What calibration says; `None` where nothing is calibrated.
    pub assessment: Option<Arc<Assessment>>,
}

impl FeatureReport<'_> {
    /// The value of a rule's statistic.
    #[must_use]
    pub fn value(&self, rule: &Rule) -> Option<f64> {
        if rule.statistic.is_rate() {
            return self.rates.get(rule.statistic);
        }
        self.scores
            .ok()
            .and_then(|scores| scores.get(rule.statistic))
    }

    /// The rules with their lines, those without one left out.
    pub fn lines(&self) -> impl Iterator<Item = (&Rule, Threshold)> {
        let rules = self.plan.rules.iter().enumerate();
        rules.filter_map(|(place, rule)| match rule.threshold_source {
            ThresholdSource::Fixed(threshold) => Some((rule, rule.fixed_line(threshold))),
            ThresholdSource::Budget { .. } => {
                let lines = &self.assessment.as_ref()?.lines;
                Some((rule, lines.get(place).copied().flatten()?))
            }
        })
    }

    /// The most urgent line that is exceeded.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let exceeded = self.lines().filter(|(rule, line)| {
            self.value(rule)
                .is_some_and(|value| line.is_exceeded_by(value))
        });
        match (exceeded.map(|(rule, _)| rule.severity).max(), self.scores) {
            (_, Err(reason)) => Verdict::NotReady(reason),
            (Some(severity), Ok(_)) => Verdict::Drift(severity),
            (None, Ok(_)) => Verdict::None,
        }
    }

    /// The largest ratio of a score to its line; 0 when nothing can be judged.
    #[must_use]
    pub fn urgency(&self) -> f64 {
        let ratios = self
            .lines()
            .filter_map(|(rule, line)| Some(self.value(rule)? / line.above));
        ratios
            .filter(|ratio| !ratio.is_nan())
            .max_by(f64::total_cmp)
            .unwrap_or(0.0)
    }

    /// The object of one feature, its name under `name_key`; `bins` when asked for.
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
        put("calibration", self.calibration());
        object
    }

    /// Score bins in order; guards and the like only when occupied on either side.
    fn bins(&self) -> Value {
        let Some(layout) = self.plan.layout.as_deref() else {
            return json!([]);
        };
        let against = self.against.as_deref();
        let reference = |bin: usize| against.map_or(0, |reference| reference.counts.bins[bin]);
        let shown = (0..layout.len()).filter(|bin| {
            !layout.is_optional(*bin) || reference(*bin) + self.counts.bins[*bin] > 0
        });
        shown
            .map(|bin| bin_json(layout, bin, reference(bin), self.counts.bins[bin]))
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
        let d = scores.divergences;
        let distances = scores.distances;
        let numeric = |value: Option<f64>| value.map(number);
        let body = distances
            .filter(|_| self.assessment.is_some())
            .map(|distances| distances.body);
        let entries = [
            ("js", Some(number(d.js))),
            ("js_distance", Some(number(d.js.sqrt()))),
            ("kl", Some(number(d.kl))),
            ("kl_reverse", Some(number(d.kl_reverse))),
            (
                "wasserstein",
                numeric(distances.map(|distances| distances.wasserstein)),
            ),
            (
                "wasserstein_normalized",
                numeric(distances.map(|distances| distances.wasserstein_normalized)),
            ),
            ("wasserstein_body", numeric(body)),
            ("psi", Some(number(d.psi))),
            ("hellinger", Some(number(d.hellinger))),
            ("total_variation", Some(number(d.total_variation))),
            ("ks", numeric(distances.map(|distances| distances.ks))),
            ("entropy", Some(number(d.entropy))),
            ("cross_entropy", Some(number(d.cross_entropy))),
        ];
        entries
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect::<Map<_, _>>()
            .into()
    }
}

fn bin_json(layout: &Layout, bin: usize, reference: u64, current: u64) -> Value {
    match layout.name(bin) {
        BinName::Interval(interval) => json!({
            "lower": interval.lower, "upper": interval.upper, "label": null, "reference": reference, "current": current
        }),
        BinName::Label(label) => json!({
            "lower": null, "upper": null, "label": label, "reference": reference, "current": current
        }),
    }
}

/// A number, or the text `inf` where JSON has none.
fn number(value: f64) -> Value {
    Number::from_f64(value).map_or_else(|| Value::from("inf"), Value::Number)
}

/// The most urgent first, then by name.
#[must_use]
pub fn by_urgency(a: &FeatureReport<'_>, b: &FeatureReport<'_>) -> Ordering {
    b.urgency()
        .total_cmp(&a.urgency())
        .then_with(|| a.plan.name.cmp(&b.plan.name))
}
