//! Lines about the rows of a history that are in no window, and about rules that never judged one.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use crate::alert::AlertState;
use crate::batch::replay::{Replayed, UnreadRows};
use crate::batch::row_times::UnreadableTimes;
use crate::engine::{AlertView, MonitorView, WindowFeatureView, WindowView};
use crate::model::NotReady;

/// Prints what could not be read of the rows: whole rows, columns, and times.
pub(crate) fn print_lost_rows(replayed: &Replayed) {
    for unread in &replayed.unread {
        anstream::eprintln!("{}", unread_text(unread));
    }
    for absent in &replayed.absent {
        anstream::eprintln!("{absent}");
    }
    for unreadable in few_unreadable_times(replayed) {
        anstream::eprintln!("{unreadable}");
    }
}

/// Returns a line about the rows of a source that could not be read.
fn unread_text(unread: &UnreadRows) -> String {
    let total: u64 = unread.reasons.iter().map(|(_, count)| count).sum();
    let rows = if total == 1 { "row" } else { "rows" };
    format!(
        "source {}: {total} {rows} could not be read ({})",
        unread.source,
        counts_text(&unread.reasons)
    )
}

/// Returns the number of a monitor's events, with those that were late or dropped.
pub(crate) fn events_text(view: &MonitorView) -> String {
    let mut dropped = view.dropped.clone();
    dropped.retain(|(_, count)| *count > 0);
    let dropped = if dropped.is_empty() {
        "none".to_owned()
    } else {
        counts_text(&dropped)
    };
    format!(
        "{} events ({} late, dropped: {dropped})",
        view.events, view.events_late
    )
}

/// Returns the rows without a readable time that are too few to be an error.
fn few_unreadable_times(replayed: &Replayed) -> impl Iterator<Item = &UnreadableTimes> {
    replayed
        .unreadable_times
        .iter()
        .filter(|unreadable| !unreadable.are_many())
}

fn counts_text(counts: &[(&'static str, u64)]) -> String {
    let texts: Vec<String> = counts
        .iter()
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    texts.join(", ")
}

/// Collects what was ready in the evaluations of a replay, and the reasons for the rest.
#[derive(Debug, Default)]
pub(crate) struct Readiness {
    scores: Tally,
    /// Rules of features.
    rules: Tally,
    volume: Tally,
    /// True if a window had too few events, which is a result whatever else was judged.
    has_volume_alarm: bool,
}

/// Numbers of judgements by outcome.
#[derive(Debug, Default)]
struct Tally {
    ready: u64,
    not_ready: BTreeMap<&'static str, u64>,
    /// The most samples of those that had too few, and the number that they need.
    most_samples: Option<(u64, u64)>,
}

impl Tally {
    fn add(&mut self, reason: Option<NotReady>) {
        match reason {
            None => self.ready += 1,
            Some(reason) => {
                *self.not_ready.entry(reason.reason()).or_default() += 1;
                if let NotReady::TooFewSamples { have, need } = reason {
                    let most = self.most_samples.map_or(0, |(most, _)| most);
                    self.most_samples = Some((most.max(have), need));
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.ready == 0 && self.not_ready.is_empty()
    }

    /// Returns the reasons, most frequent first; `None` if something was ready or nothing is there.
    fn never_ready(&self) -> Option<Vec<(&'static str, u64)>> {
        if self.ready > 0 || self.not_ready.is_empty() {
            return None;
        }
        let mut reasons: Vec<_> = self
            .not_ready
            .iter()
            .map(|(r, count)| (*r, *count))
            .collect();
        reasons.sort_by_key(|(_, count)| Reverse(*count));
        Some(reasons)
    }
}

impl Readiness {
    /// Adds an evaluation.
    pub(crate) fn record(&mut self, window: &WindowView) {
        for comparison in window
            .features
            .iter()
            .flat_map(|feature| &feature.comparisons)
        {
            self.scores.add(comparison.scores.as_ref().err().copied());
        }
        let rules = window.features.iter().flat_map(WindowFeatureView::alerts);
        rules.for_each(|alert| self.rules.add(not_ready(alert)));
        if let Some(volume) = &window.volume {
            self.volume.add(not_ready(volume));
            self.has_volume_alarm |= volume.state == AlertState::Firing;
        }
    }

    /// Returns a line with the reasons if no score was ever ready.
    pub(crate) fn scores_text(&self) -> Option<String> {
        let reasons = self.scores.never_ready()?;
        Some(format!("never ready: {}", counts_text(&reasons)))
    }

    /// Returns what to do where scores had too few samples.
    pub(crate) fn samples_text(&self) -> Option<String> {
        let (most, need) = self.scores.most_samples?;
        Some(format!(
            "a window had at most {most} samples of a feature, min_samples is {need}: use longer \
             windows or a smaller min_samples"
        ))
    }

    /// Returns the reasons if there are rules and none was ever ready.
    ///
    /// The number of events says nothing about features: while it is judged, their rules may still
    /// be idle. A window with too few of them explains that, so then nothing is idle.
    pub(crate) fn idle_rules(&self) -> Option<Vec<&'static str>> {
        if self.has_volume_alarm {
            return None;
        }
        let rules = if self.rules.is_empty() {
            &self.volume
        } else {
            &self.rules
        };
        let reasons = rules.never_ready()?;
        Some(reasons.into_iter().map(|(reason, _)| reason).collect())
    }
}

/// The reason why an alert was not judged.
const fn not_ready(alert: &AlertView) -> Option<NotReady> {
    match alert.state {
        AlertState::NotReady(reason) => Some(reason),
        AlertState::Inactive | AlertState::Pending | AlertState::Firing => None,
    }
}
