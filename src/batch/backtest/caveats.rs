//! What is to be known before a proposal is believed.

use super::Report;
use super::policy::{LEAST_WINDOWS, SHORTEST, span};
use crate::calibration::CalibrationStatus;
use crate::export::percent;
use crate::model::NotReady;

/// Everything that limits what the history shows, in sentences without a full stop.
#[must_use]
pub(crate) fn caveats(report: &Report) -> Vec<String> {
    let mut said: Vec<String> = Vec::new();
    said.extend(unjudged(report));
    said.extend(noisy(report));
    said.extend(short_history(report));
    said.extend(rare_windows(report));
    said.extend(statuses(report));
    said
}

fn short_history(report: &Report) -> Option<String> {
    let evidence = &report.evidence;
    let (budget, length) = (span(evidence.budget), took(evidence.span));
    (!evidence.is_long()).then(|| {
        let needed = took(evidence.needed());
        format!(
            "{length} of history cannot show that one false alarm in {budget} is kept: that takes {needed}; until then the promise rests on the reference"
        )
    })
}

/// Features that no policy leaves alone.
fn noisy(report: &Report) -> Option<String> {
    let named = report.noisy.iter().map(|own| restless(report, *own));
    let named: Vec<String> = named.collect();
    (!named.is_empty()).then(|| {
        format!(
            "alarms under every policy although nothing was damaged: {}: the history was not quiet, or the reference does not fit; left out of the counts above, but this would alarm",
            named.join("; ")
        )
    })
}

/// A feature and when it alarms, under the policy that says least.
fn restless(report: &Report, feature: usize) -> String {
    let quietest = report.candidates.list.len() - 1;
    let trail = report.trials.clean.total(quietest, feature);
    let above = percent(trail.cost.above as f64 / trail.cost.judged.max(1) as f64);
    let first = trail.first.map(|alarm| format!(", first at {}", alarm.at));
    format!(
        "{} ({above} of its windows above a line{})",
        report.name_of(feature),
        first.unwrap_or_default()
    )
}

/// Windows so rare that some intervals no longer make a difference.
fn rare_windows(report: &Report) -> Option<String> {
    let slide = report.candidates.slides().into_iter().max()?;
    let same = slide.checked_mul(LEAST_WINDOWS)?;
    (same > SHORTEST).then(|| {
        format!(
            "clean windows may exceed a line once in {LEAST_WINDOWS} at most: with one every {}, all intervals below {} are the same, and the longest stands for them",
            took(slide),
            took(same)
        )
    })
}

fn statuses(report: &Report) -> Vec<String> {
    let clean = &report.trials.clean;
    let holds = |status: &CalibrationStatus| !clean.doubted(*status).is_empty();
    let said = CalibrationStatus::ALL
        .into_iter()
        .filter(holds)
        .map(|status| {
            let doubted = clean.doubted(status);
            let names: Vec<&str> = doubted.iter().map(|own| report.name_of(*own)).collect();
            let all = names.len() == clean.features().len();
            let names = if all {
                "every feature".to_owned()
            } else {
                names.join(", ")
            };
            format!("{} ({names}): {}", status.name(), meaning(status))
        });
    said.collect()
}

const fn meaning(status: CalibrationStatus) -> &'static str {
    match status {
        CalibrationStatus::ReferenceSmall => {
            "a window holds more than a tenth of the reference, so rates hold on average over references only"
        }
        CalibrationStatus::BudgetExtrapolated => {
            "the rarest candidates ask for rarer events than the reference's stretches can show"
        }
        CalibrationStatus::PhiLearning => {
            "the reference carries no time, so at least the first 20 quiet windows were judged without knowing how the stream breathes; fit it with `timestamp`"
        }
        CalibrationStatus::BlocksShort => {
            "the reference is too short for stretches as long as the window; shorter ones stand in"
        }
        CalibrationStatus::TooFewEffective => {
            "some windows hold fewer than min_samples values once those that repeat each other are taken off: alerts wait there"
        }
    }
}

/// Features for which no alarm can ever be raised.
fn unjudged(report: &Report) -> Option<String> {
    let clean = &report.trials.clean;
    let judged = report.judged_features();
    let never = clean.features().iter().filter(|own| !judged.contains(own));
    let said = never.map(|own| format!("{} ({})", report.name_of(*own), why(clean.reason(*own))));
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| {
        let names = said.join(", ");
        format!("no policy ever judged, and none will alarm for: {names}")
    })
}

fn why(reason: Option<NotReady>) -> String {
    match reason {
        Some(NotReady::TooFewSamples { have, need }) => {
            format!("its last window is worth {have} independent samples of {need} needed")
        }
        Some(other) => other.reason().replace('_', " "),
        None => "no rule".to_owned(),
    }
}

/// A span for people: its two largest units.
#[must_use]
pub(crate) fn took(span: std::time::Duration) -> String {
    const UNITS: [(u64, &str); 4] = [(86_400, "d"), (3600, "h"), (60, "m"), (1, "s")];
    let seconds = span.as_secs();
    let largest = UNITS.iter().position(|(size, _)| seconds >= *size);
    let Some(largest) = largest else {
        return format!("{}ms", span.as_millis());
    };
    let mut left = seconds;
    let said = UNITS[largest..].iter().take(2).filter_map(|(size, unit)| {
        let count = left / size;
        left %= size;
        (count > 0).then(|| format!("{count}{unit}"))
    });
    said.collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_span_is_told_in_its_two_largest_units() {
        let check = |seconds: u64, expected: &str| {
            assert_eq!(took(Duration::from_secs(seconds)), expected, "{seconds} s");
        };
        check(0, "0ms");
        check(45, "45s");
        check(180, "3m");
        check(3661, "1h 1m");
        check(86_400 * 14 + 59, "14d");
    }
}
