//! The null tables that the latest window of a monitor waits for, and those that the next windows
//! may need.

#[cfg(test)]
mod tests;

use super::comparison::Comparison;
use super::null_supply::{NullSupply, TableNeed};
use super::window_feature::WindowFeature;
use crate::model::{EventTime, WindowSpec};

/// The tables that a window lacks.
#[derive(Debug, Default)]
pub(super) struct WindowTables {
    /// Those that rules of the latest window wait for.
    needed: Vec<TableNeed>,
    /// Those that no rule waits for yet.
    ahead: Vec<TableNeed>,
}

impl WindowTables {
    /// Provides the tables of a window that ends at `end`, and puts next null models in force whose
    /// tables exist. `samples` has the number of values of each feature; `None` where the window is
    /// not complete.
    ///
    /// A batch renews a null model at once. A running process keeps the one in force until the
    /// tables of the next one have come, so that no rule waits for them.
    pub(super) fn prepare(
        &mut self,
        features: &mut [WindowFeature],
        samples: &[Option<u64>],
        window: &WindowSpec,
        end: EventTime,
        supply: &mut NullSupply,
    ) {
        let is_deferred = supply.is_deferred();
        if is_deferred {
            let renewals = needs(features, samples, window, Comparison::renewal_need);
            supply.provide(renewals, end);
        }
        for (comparison, n) in comparisons(features, samples, window) {
            if let Some(replaced) = comparison.renew_null_model(n, is_deferred) {
                supply.drop_tables(&replaced);
            }
        }
        let needed = needs(features, samples, window, Comparison::table_need);
        self.needed = supply.provide(needed, end);
        self.ahead.clear();
        if is_deferred {
            let ahead = comparisons(features, samples, window)
                .filter_map(|(comparison, n)| Some((comparison, n?)))
                .flat_map(|(comparison, n)| comparison.needs_ahead(n, end, window))
                .collect();
            self.ahead = supply.provide(ahead, end);
        }
    }

    /// Takes the tables that have come since then; true if rules waited for some of them.
    pub(super) fn take_arrived(&mut self, end: EventTime, supply: &mut NullSupply) -> bool {
        let waiting = self.needed.len();
        self.needed = supply.provide_again(std::mem::take(&mut self.needed), end);
        self.ahead = supply.provide_again(std::mem::take(&mut self.ahead), end);
        self.needed.len() < waiting
    }

    /// The tables that rules of the latest window wait for.
    pub(super) fn needed(&self) -> &[TableNeed] {
        &self.needed
    }

    /// The tables that no rule waits for yet.
    pub(super) fn ahead(&self) -> &[TableNeed] {
        &self.ahead
    }
}

/// Every comparison with the number of values that it is scored with; `None` where it has no score.
fn comparisons<'a>(
    features: &'a mut [WindowFeature],
    samples: &'a [Option<u64>],
    window: &'a WindowSpec,
) -> impl Iterator<Item = (&'a mut Comparison, Option<u64>)> {
    features.iter_mut().zip(samples).flat_map(|(feature, n)| {
        let n = n.filter(|n| *n > 0 && *n >= window.min_samples);
        feature
            .comparisons_mut()
            .iter_mut()
            .map(move |comparison| (comparison, n))
    })
}

fn needs(
    features: &mut [WindowFeature],
    samples: &[Option<u64>],
    window: &WindowSpec,
    need: impl Fn(&Comparison, u64) -> Option<TableNeed>,
) -> Vec<TableNeed> {
    comparisons(features, samples, window)
        .filter_map(|(comparison, n)| need(comparison, n?))
        .collect()
}
