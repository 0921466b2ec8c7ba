//! The null tables that were simulated at run time, and how windows get the ones that they lack.
//!
//! A simulation takes about a tenth of a second, so a thousand features would hold up the engine
//! for minutes. In a running process the engine therefore simulates nothing itself: it states the
//! tables that it lacks and takes finished ones as an input, whoever simulated them. A batch has
//! nobody else and simulates at once, on all cores. Equal requests give equal tables, so the order
//! and the place of the simulation change no result.
//!
//! A process that reads its log at the start needs them at once as well: the rules of a window
//! decide which later windows a rolling reference leaves out, so they cannot wait. Because a window
//! asks for few tables, such a reader collects the requests of the whole log first, has them
//! simulated together, and reads the log again with the finished tables.
//!
//! Tables are needed now, by rules that wait for them, or ahead: for the next hour of the week, for
//! a window with somewhat more or fewer values, and for a null model that replaces another one. The
//! model in force stays until the tables of the next one exist, so a renewal makes no rule wait.
//!
//! Tables are kept under the hash of everything that they depend on. They survive in snapshots and
//! reloads, and two monitors with the same reference share them. Tables of an artefact are not
//! kept here: the artefact has them. Those of a replaced model are dropped with it. Those of an
//! hour of the week are kept until it comes back, and snapshots hold them only around that hour.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::calibration::{NullModel, NullModelId};
use crate::model::EventTime;
use crate::reference::{NullSize, NullTable};
use crate::stats::EmpiricalDistribution;

/// A table that no window used for this time in the stream is dropped. The hours of a week come
/// back after a week.
const MAX_UNUSED: Duration = Duration::from_secs(8 * 86_400);
/// A table that is used for an hour at a time is saved for this time after its latest use.
const MAX_UNUSED_IN_SNAPSHOTS: Duration = Duration::from_secs(2 * 3_600);

/// The name of a table: equal names have equal tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NullTableId {
    model: NullModelId,
    k: u32,
    is_half: bool,
}

impl NullTableId {
    const fn new(model: NullModelId, size: NullSize) -> Self {
        NullTableId {
            model,
            k: size.k,
            is_half: size.is_half,
        }
    }

    const fn size(self) -> NullSize {
        NullSize {
            k: self.k,
            is_half: self.is_half,
        }
    }
}

/// A table that a window lacks.
#[derive(Debug, Clone)]
pub struct TableRequest {
    id: NullTableId,
    null_model: Arc<NullModel>,
}

impl TableRequest {
    /// A request for a table that a model lacks for windows of `n` values; `None` if it lacks none.
    #[cfg(test)]
    pub(crate) fn new(null_model: Arc<NullModel>, n: u64) -> Option<Self> {
        let size = null_model.missing_sizes(n).next()?;
        Some(TableRequest {
            id: NullTableId::new(null_model.id(), size),
            null_model,
        })
    }

    /// The name of the table.
    #[must_use]
    pub const fn id(&self) -> NullTableId {
        self.id
    }

    /// Simulates the table: about 0.1 s.
    #[must_use]
    pub fn simulate(&self) -> SimulatedTable {
        SimulatedTable {
            id: self.id,
            table: Arc::new(self.null_model.simulate(self.id.size())),
        }
    }
}

/// A finished table.
#[derive(Debug, Clone)]
pub struct SimulatedTable {
    id: NullTableId,
    table: Arc<NullTable>,
}

impl SimulatedTable {
    /// The name of the table.
    #[must_use]
    pub const fn id(&self) -> NullTableId {
        self.id
    }
}

/// A null model, and the number of values of a window that needs its tables.
#[derive(Debug, Clone)]
pub(super) struct TableNeed {
    pub(super) null_model: Arc<NullModel>,
    pub(super) n: u64,
    /// True where the model will not be in force for long: that of an hour of the week, or one that
    /// has yet to replace another.
    pub(super) is_transient: bool,
}

/// A saved table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedNullTable {
    id: NullTableId,
    used_at: EventTime,
    is_transient: bool,
    distributions: Vec<Option<EmpiricalDistribution>>,
}

/// A kept table, and the end of the latest window that used it.
#[derive(Debug, Clone)]
struct KeptTable {
    table: Arc<NullTable>,
    used_at: EventTime,
    /// True if snapshots hold the table only around its latest use.
    is_transient: bool,
}

impl KeptTable {
    /// True if a snapshot at the time of the window that ends at `newest` does not hold the table.
    fn is_left_out_of_snapshots(&self, newest: EventTime) -> bool {
        self.is_transient && self.used_at.plus(MAX_UNUSED_IN_SNAPSHOTS) < newest
    }
}

/// The tables that are kept, and the way missing ones are made.
#[derive(Debug, Clone, Default)]
pub(super) struct NullSupply {
    /// By null model and by size.
    kept: FxHashMap<NullModelId, BTreeMap<NullSize, KeptTable>>,
    /// True if missing tables come from outside, false if they are simulated at once.
    is_deferred: bool,
    /// The requests for tables that are neither kept nor finished; `None` if they are simulated.
    collected: Option<BTreeMap<NullTableId, TableRequest>>,
    /// Tables that were simulated ahead, for the requests to come.
    finished: FxHashMap<NullTableId, SimulatedTable>,
}

impl NullSupply {
    /// Leaves the simulation of missing tables to the caller from now on.
    pub(super) fn defer(&mut self) {
        self.is_deferred = true;
        self.finished.clear();
    }

    /// Collects requests from now on instead of simulating their tables.
    pub(super) fn collect(&mut self) {
        self.collected = Some(BTreeMap::new());
    }

    /// Ends the collection and returns the requests, each once.
    pub(super) fn take_collected(&mut self) -> Vec<TableRequest> {
        self.collected
            .take()
            .unwrap_or_default()
            .into_values()
            .collect()
    }

    /// Takes tables that are used instead of a simulation where a window needs them.
    pub(super) fn use_finished(&mut self, tables: Vec<SimulatedTable>) {
        self.finished
            .extend(tables.into_iter().map(|table| (table.id, table)));
    }

    /// True if missing tables come from outside, some time later.
    pub(super) const fn is_deferred(&self) -> bool {
        self.is_deferred
    }

    /// Provides the tables that a window needs, and returns the needs that are not met.
    pub(super) fn provide(&mut self, needs: Vec<TableNeed>, end: EventTime) -> Vec<TableNeed> {
        let requests = self.fill(&needs);
        if !self.is_deferred && !requests.is_empty() {
            let tables = self.make(requests);
            self.keep(tables, end);
            self.fill(&needs);
        }
        self.mark_used(&needs, end);
        unmet(needs)
    }

    /// The tables of these requests: the finished ones, and others simulated unless they are
    /// collected.
    fn make(&mut self, requests: Vec<TableRequest>) -> Vec<SimulatedTable> {
        let (mut tables, mut missing) = (Vec::new(), Vec::new());
        for request in requests {
            match self.finished.get(&request.id) {
                Some(table) => tables.push(table.clone()),
                None => missing.push(request),
            }
        }
        match &mut self.collected {
            Some(collected) => {
                collected.extend(missing.into_iter().map(|request| (request.id, request)));
            }
            None => tables.par_extend(missing.into_par_iter().map(|request| request.simulate())),
        }
        tables
    }

    /// Provides the tables that have come since then, and returns the needs that are still not met.
    pub(super) fn provide_again(
        &mut self,
        needs: Vec<TableNeed>,
        end: EventTime,
    ) -> Vec<TableNeed> {
        self.fill(&needs);
        self.mark_used(&needs, end);
        unmet(needs)
    }

    /// Inserts kept tables into the models that need them and returns requests for the others, each
    /// once.
    pub(super) fn fill<'a>(
        &self,
        needs: impl IntoIterator<Item = &'a TableNeed>,
    ) -> Vec<TableRequest> {
        let mut requested = FxHashSet::default();
        let mut requests = Vec::new();
        for TableNeed { null_model, n, .. } in needs {
            for size in null_model.missing_sizes(*n) {
                let id = NullTableId::new(null_model.id(), size);
                if let Some(kept) = self.kept_table(id) {
                    null_model.insert(Arc::clone(&kept.table));
                } else if requested.insert(id) {
                    requests.push(TableRequest {
                        id,
                        null_model: Arc::clone(null_model),
                    });
                }
            }
        }
        requests
    }

    fn kept_table(&self, id: NullTableId) -> Option<&KeptTable> {
        self.kept.get(&id.model)?.get(&id.size())
    }

    /// Keeps tables that were simulated outside.
    pub(super) fn accept(&mut self, tables: Vec<SimulatedTable>) {
        self.keep(tables, self.newest());
    }

    /// The end of the latest window that used a table.
    fn newest(&self) -> EventTime {
        self.kept
            .values()
            .flat_map(BTreeMap::values)
            .map(|kept| kept.used_at)
            .max()
            .unwrap_or(EventTime::MIN)
    }

    /// Keeps tables for a window that ends at `end`, and drops those that were not used for a long
    /// time.
    fn keep(&mut self, tables: Vec<SimulatedTable>, end: EventTime) {
        self.kept.retain(|_, sizes| {
            sizes.retain(|_, kept| kept.used_at.plus(MAX_UNUSED) >= end);
            !sizes.is_empty()
        });
        for SimulatedTable { id, table } in tables {
            let kept = KeptTable {
                table,
                used_at: end,
                // Until a window uses it: the model may have been replaced meanwhile.
                is_transient: true,
            };
            self.kept
                .entry(id.model)
                .or_default()
                .insert(id.size(), kept);
        }
    }

    /// Drops the tables of a null model that was replaced. If another comparison uses the same
    /// model, they are kept again by its next evaluation.
    pub(super) fn drop_tables(&mut self, null_model: &NullModel) {
        self.kept.remove(&null_model.id());
    }

    /// Notes that a window which ends at `end` used these tables. Tables that another engine
    /// simulated for the same model are kept as well.
    fn mark_used(&mut self, needs: &[TableNeed], end: EventTime) {
        for need in needs {
            for table in need.null_model.simulated_tables(need.n) {
                let kept = self
                    .kept
                    .entry(need.null_model.id())
                    .or_default()
                    .entry(table.size)
                    .or_insert_with(|| KeptTable {
                        table: Arc::clone(table),
                        used_at: end,
                        is_transient: need.is_transient,
                    });
                kept.used_at = kept.used_at.max(end);
                kept.is_transient &= need.is_transient;
            }
        }
    }

    /// The tables to save, in the order of their names.
    pub(super) fn save(&self) -> Vec<SavedNullTable> {
        let newest = self.newest();
        let mut saved: Vec<SavedNullTable> = self
            .kept
            .iter()
            .flat_map(|(model, sizes)| sizes.iter().map(|(size, kept)| (*model, *size, kept)))
            .filter(|(_, _, kept)| !kept.is_left_out_of_snapshots(newest))
            .map(|(model, size, kept)| SavedNullTable {
                id: NullTableId::new(model, size),
                used_at: kept.used_at,
                is_transient: kept.is_transient,
                distributions: kept.table.distributions.clone(),
            })
            .collect();
        saved.sort_by_key(|saved| saved.id);
        saved
    }

    /// Continues with the tables of an earlier process.
    pub(super) fn restore(&mut self, saved: Vec<SavedNullTable>) {
        for SavedNullTable {
            id,
            used_at,
            is_transient,
            distributions,
        } in saved
        {
            let size = id.size();
            self.kept
                .entry(id.model)
                .or_default()
                .entry(size)
                .or_insert_with(|| KeptTable {
                    table: Arc::new(NullTable {
                        size,
                        distributions,
                    }),
                    used_at,
                    is_transient,
                });
        }
    }
}

/// The needs whose tables are not all there.
fn unmet(mut needs: Vec<TableNeed>) -> Vec<TableNeed> {
    needs.retain(|need| !need.null_model.is_prepared(need.n));
    needs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::fixture::{at, budgeted_alert, fixed, plan_in, spec};
    use crate::model::Statistic;

    /// The null model of a numeric feature, which has all scores.
    fn null_model() -> Arc<NullModel> {
        let mut spec = spec(vec![fixed()]);
        spec.alerts = vec![budgeted_alert(Statistic::Js)];
        let plan = plan_in(spec, Some(4));
        plan.features[0].references[0].null_model.clone().unwrap()
    }

    /// A supply with the tables for 16 values, which a window used at `used_at`.
    fn supply(used_at: EventTime, is_transient: bool) -> NullSupply {
        let mut supply = NullSupply::default();
        let need = TableNeed {
            null_model: null_model(),
            n: 16,
            is_transient,
        };
        assert!(supply.provide(vec![need], used_at).is_empty(), "at once");
        supply
    }

    /// Uses other tables at `now`.
    fn use_others(supply: &mut NullSupply, now: EventTime) {
        let need = TableNeed {
            null_model: null_model(),
            n: 8,
            is_transient: false,
        };
        assert!(supply.provide(vec![need], now).is_empty(), "at once");
    }

    /// docs/operations.md states this size.
    #[test]
    fn a_table_takes_less_than_two_kilobytes_of_a_snapshot() {
        let saved = supply(at(0), false).save();
        assert_eq!(saved.len(), 1, "one size");
        let bytes = postcard::to_stdvec(&saved[0]).unwrap().len();
        assert!((1_400..2_000).contains(&bytes), "{bytes} bytes");
    }

    /// Snapshots held the tables of every hour of the week for eight days.
    #[test]
    fn snapshots_hold_the_tables_of_an_hour_only_around_it() {
        let saved_after = |minutes: i64, is_transient: bool| {
            let mut supply = supply(at(0), is_transient);
            use_others(&mut supply, at(minutes));
            supply.save().len()
        };
        assert_eq!(saved_after(120, true), 2, "the hour may not be over");
        assert_eq!(saved_after(121, true), 1, "it is over");
        assert_eq!(saved_after(121, false), 2, "a model that stays in force");
        let a_week = 7 * 24 * 60;
        let mut supply = supply(at(0), true);
        use_others(&mut supply, at(a_week));
        let need = TableNeed {
            null_model: null_model(),
            n: 16,
            is_transient: true,
        };
        assert!(supply.fill([&need]).is_empty(), "kept until it comes back");
    }

    #[test]
    fn the_tables_of_a_replaced_model_are_dropped() {
        let mut supply = supply(at(0), false);
        supply.drop_tables(&null_model());
        assert!(supply.save().is_empty());
    }
}
