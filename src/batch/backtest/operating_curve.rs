//! The operating curve: what each candidate costs on the history, and which damage it finds, how fast.
//!
//! A feature counts for damage when a candidate judged it and no alarm of that candidate was on at that time without any damage: one that alarms anyway shows nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use super::alarm_trace::{Cost, Trail};
use super::faults::{Damage, Stage};
use super::outcomes::Ledger;

/// The undamaged replay of everything, and what was played on the stage.
#[derive(Debug)]
pub(crate) struct Trials {
    /// The part of the history that was damaged.
    pub(crate) stage: Stage,
    /// Nothing damaged; the whole history.
    pub(crate) clean: Ledger,
    /// Nothing damaged; the stage only.
    pub(crate) control: Ledger,
    /// The stage, with each damage.
    pub(crate) damaged: Vec<(Damage, Ledger)>,
}

/// What a candidate found of one damage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Detection {
    /// Features it could have been found in.
    pub(crate) features: usize,
    /// Time from the onset to the end of the window that fires, ascending; one per feature.
    pub(crate) delays: Vec<Duration>,
    /// Evaluations of that window since the onset, ascending.
    pub(crate) evaluations: Vec<u64>,
    /// Features in which it was not found.
    pub(crate) missed: Vec<usize>,
}

impl Trials {
    /// What a candidate did on these features when nothing was damaged.
    #[must_use]
    pub(crate) fn cost<'a>(
        &self,
        candidate: usize,
        features: impl Iterator<Item = &'a usize>,
    ) -> Cost {
        let trails = features.map(|feature| self.clean.total(candidate, *feature));
        trails.fold(Cost::default(), |sum, trail| sum + trail.cost)
    }

    /// What a candidate found of a damage.
    #[must_use]
    pub(crate) fn detection(&self, candidate: usize, damaged: &Ledger) -> Detection {
        let usable = |feature: &&usize| self.is_quiet(candidate, **feature);
        let mut found = Detection {
            features: 0,
            delays: Vec::new(),
            evaluations: Vec::new(),
            missed: Vec::new(),
        };
        for feature in damaged.features().iter().filter(usable) {
            found.features += 1;
            match damaged.total(candidate, *feature).first {
                Some(alarm) => {
                    found.delays.push(alarm.at.since(self.stage.onset));
                    found.evaluations.push(alarm.evaluations);
                }
                None => found.missed.push(*feature),
            }
        }
        found.delays.sort_unstable();
        found.evaluations.sort_unstable();
        found
    }

    /// Whether a candidate could judge a feature on the stage, and had nothing to say.
    fn is_quiet(&self, candidate: usize, feature: usize) -> bool {
        let trail: Trail = self.control.total(candidate, feature);
        let last_on = trail.last_on;
        trail.cost.judged > 0 && last_on.is_none_or(|at| at < self.stage.onset)
    }

    /// Features that a candidate could judge at least once.
    #[must_use]
    pub(crate) fn judged(&self, candidate: usize) -> BTreeSet<usize> {
        let is_judged = |feature: &usize| self.clean.total(candidate, *feature).cost.judged > 0;
        let features = self.clean.features().iter().copied();
        features.filter(is_judged).collect()
    }

    /// Features that alarm on the undamaged history under each of these candidates.
    #[must_use]
    pub(crate) fn never_quiet(&self, candidates: &[usize]) -> BTreeSet<usize> {
        let alarms = |feature: usize, candidate: &usize| {
            let trail = self.clean.total(*candidate, feature);
            trail.cost.alarms > 0
        };
        let features = self.clean.features().iter().copied();
        let always = features.filter(|feature| {
            let mut all = candidates.iter();
            !candidates.is_empty() && all.all(|candidate| alarms(*feature, candidate))
        });
        always.collect()
    }
}

/// The smallest value that at least `share` of them do not exceed; ascending values, `share` in 0..=1.
#[must_use]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "at most the number of values"
)]
pub(crate) fn nearest_rank<T: Copy>(ascending: &[T], share: f64) -> Option<T> {
    let rank = (share * ascending.len() as f64).ceil() as usize;
    ascending.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_values_that_occurred() {
        let check = |share: f64, expected: Option<u64>| {
            let found = nearest_rank(&[1, 2, 3, 10], share);
            assert_eq!(found, expected, "{share}");
        };
        check(0.5, Some(2));
        check(0.9, Some(10));
        check(0.0, Some(1));
        check(1.0, Some(10));
        assert_eq!(nearest_rank::<u64>(&[], 0.5), None, "nothing was found");
    }
}
