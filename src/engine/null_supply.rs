//! The null tables that were simulated at run time, and how windows get the ones that they lack.
//!
//! A simulation takes about a tenth of a second, so a thousand features would hold up the engine
//! for minutes. In a running process the engine therefore simulates nothing itself: it states the
//! tables that it lacks and takes finished ones as an input, whoever simulated them. A batch has
//! nobody else and simulates at once, on all cores. Equal requests give equal tables, so the order
//! and the place of the simulation change no result.
//!
//! Tables are kept under the hash of everything that they depend on. They survive in snapshots and
//! reloads, and two monitors with the same reference share them. Tables of an artefact are not
//! kept here: the artefact has them.

use std::sync::Arc;
use std::time::Duration;

use rayon::prelude::*;
use rustc_hash::{FxHashMap, FxHashSet};
use serde::{Deserialize, Serialize};

use crate::calibration::{NullModel, NullModelId};
use crate::model::EventTime;
use crate::reference::{NullSize, NullTable};
use crate::stats::EmpiricalDistribution;

/// A table that no null model uses is dropped after this time in the stream. The hours of a week
/// come back after a week.
const MAX_UNUSED: Duration = Duration::from_secs(8 * 86_400);

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
}

/// A saved table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct SavedNullTable {
    id: NullTableId,
    used_at: EventTime,
    distributions: Vec<Option<EmpiricalDistribution>>,
}

/// A kept table, and the end of the latest window that used it.
#[derive(Debug, Clone)]
struct KeptTable {
    table: Arc<NullTable>,
    used_at: EventTime,
}

/// The tables that are kept, and the way missing ones are made.
#[derive(Debug, Clone, Default)]
pub(super) struct NullSupply {
    kept: FxHashMap<NullTableId, KeptTable>,
    /// True if missing tables come from outside, false if they are simulated at once.
    is_deferred: bool,
}

impl NullSupply {
    /// Leaves the simulation of missing tables to the caller from now on.
    pub(super) fn defer(&mut self) {
        self.is_deferred = true;
    }

    /// Provides the tables that a window needs, and returns the needs that are not met.
    pub(super) fn provide(&mut self, needs: Vec<TableNeed>, end: EventTime) -> Vec<TableNeed> {
        let requests = self.fill(&needs);
        if !self.is_deferred && !requests.is_empty() {
            let tables = requests
                .into_par_iter()
                .map(|request| request.simulate())
                .collect();
            self.keep(tables, end);
            self.fill(&needs);
        }
        self.mark_used(&needs, end);
        unmet(needs)
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
        for TableNeed { null_model, n } in needs {
            for size in null_model.missing_sizes(*n) {
                let id = NullTableId::new(null_model.id(), size);
                if let Some(kept) = self.kept.get(&id) {
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

    /// Keeps tables that were simulated outside.
    pub(super) fn accept(&mut self, tables: Vec<SimulatedTable>) {
        let newest = self.kept.values().map(|kept| kept.used_at).max();
        self.keep(tables, newest.unwrap_or(EventTime::MIN));
    }

    /// Keeps tables for a window that ends at `end`, and drops those that were not used for a long
    /// time.
    fn keep(&mut self, tables: Vec<SimulatedTable>, end: EventTime) {
        self.kept
            .retain(|_, kept| kept.used_at.plus(MAX_UNUSED) >= end);
        for SimulatedTable { id, table } in tables {
            let used_at = end;
            self.kept.insert(id, KeptTable { table, used_at });
        }
    }

    /// Notes that a window which ends at `end` used these tables. Tables that another engine
    /// simulated for the same model are kept as well.
    fn mark_used(&mut self, needs: &[TableNeed], end: EventTime) {
        for TableNeed { null_model, n } in needs {
            for table in null_model.simulated_tables(*n) {
                let id = NullTableId::new(null_model.id(), table.size);
                let kept = self.kept.entry(id).or_insert_with(|| KeptTable {
                    table: Arc::clone(table),
                    used_at: end,
                });
                kept.used_at = kept.used_at.max(end);
            }
        }
    }

    /// The tables to save, in the order of their names.
    pub(super) fn save(&self) -> Vec<SavedNullTable> {
        let mut saved: Vec<SavedNullTable> = self
            .kept
            .iter()
            .map(|(id, kept)| SavedNullTable {
                id: *id,
                used_at: kept.used_at,
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
            distributions,
        } in saved
        {
            let size = id.size();
            self.kept.entry(id).or_insert_with(|| KeptTable {
                table: Arc::new(NullTable {
                    size,
                    distributions,
                }),
                used_at,
            });
        }
    }
}

/// The needs whose tables are not all there.
fn unmet(mut needs: Vec<TableNeed>) -> Vec<TableNeed> {
    needs.retain(|need| !need.null_model.is_prepared(need.n));
    needs
}
