//! Simulates null tables for the engine, off the scorer's thread.
//!
//! A table takes about a tenth of a second, and a new configuration can need thousands. On the
//! scorer's thread that would hold up commits and views, so a pool of its own does it, with one
//! thread less than there are cores. The pool of `rayon` itself is left to loading and fitting.
//!
//! The engine states all tables that it lacks at every tick, those that rules wait for first. The
//! list replaces the one before: a rule never waits for tables that are made ahead, and tables that
//! nobody needs any more are not made.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender, unbounded};
use rayon::{ThreadPool, ThreadPoolBuilder};
use rustc_hash::FxHashSet;

use crate::engine::{NullTableId, SimulatedTable, TableRequest};

/// A pool of threads, the requests, and the finished tables.
#[derive(Debug)]
pub(in crate::app) struct TableSimulator {
    pool: ThreadPool,
    requests: Arc<Mutex<Requests>>,
    sender: Sender<SimulatedTable>,
    receiver: Receiver<SimulatedTable>,
}

/// The tables that are missing.
#[derive(Debug, Default)]
struct Requests {
    /// Those that nobody simulates yet, the most urgent first.
    waiting: VecDeque<TableRequest>,
    /// Those that are simulated, or finished and not taken.
    begun: FxHashSet<NullTableId>,
    /// Threads that take requests until none is left.
    threads: usize,
}

impl Requests {
    /// Replaces the requests that nobody has begun; those that are begun are not repeated.
    fn replace(&mut self, requests: Vec<TableRequest>) {
        self.waiting = requests
            .into_iter()
            .filter(|request| !self.begun.contains(&request.id()))
            .collect();
    }

    /// Takes the most urgent request; without one, the thread ends.
    fn take(&mut self) -> Option<TableRequest> {
        let request = self.waiting.pop_front();
        match &request {
            Some(request) => _ = self.begun.insert(request.id()),
            None => self.threads -= 1,
        }
        request
    }
}

impl TableSimulator {
    /// Starts the threads.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub(in crate::app) fn try_new() -> anyhow::Result<Self> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let pool = ThreadPoolBuilder::new()
            .num_threads((cores - 1).max(1))
            .thread_name(|index| format!("calibrate-{index}"))
            .build()
            .context("cannot start the threads that simulate null tables")?;
        let (sender, receiver) = unbounded();
        Ok(TableSimulator {
            pool,
            requests: Arc::default(),
            sender,
            receiver,
        })
    }

    /// Replaces the requests that nobody has begun to simulate by these, the most urgent first.
    pub(in crate::app) fn request(&self, requests: Vec<TableRequest>) {
        let mut queue = lock(&self.requests);
        queue.replace(requests);
        let wanted = queue.threads + queue.waiting.len();
        let threads = wanted.min(self.pool.current_num_threads());
        while queue.threads < threads {
            queue.threads += 1;
            let (requests, sender) = (Arc::clone(&self.requests), self.sender.clone());
            self.pool.spawn(move || {
                loop {
                    let request = lock(&requests).take();
                    let Some(request) = request else { break };
                    // Nobody receives after the end.
                    drop(sender.send(request.simulate()));
                }
            });
        }
    }

    /// The tables that were finished since the last call.
    pub(in crate::app) fn take_finished(&self) -> Vec<SimulatedTable> {
        let tables: Vec<SimulatedTable> = self.receiver.try_iter().collect();
        let mut requests = lock(&self.requests);
        for table in &tables {
            requests.begun.remove(&table.id());
        }
        tables
    }
}

impl Drop for TableSimulator {
    fn drop(&mut self) {
        lock(&self.requests).waiting.clear();
    }
}

fn lock(requests: &Mutex<Requests>) -> MutexGuard<'_, Requests> {
    requests.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::NullModel;
    use crate::model::Kind;
    use crate::reference::{Column, FitOptions, fit};
    use crate::score::Scorer;

    /// A request for the tables of a feature of this name.
    fn request(name: &str) -> TableRequest {
        let column = Column {
            numbers: (0..100).map(f64::from).collect(),
            ..Column::default()
        };
        let reference = fit(name, Kind::Numeric, column, &FitOptions::default()).unwrap();
        let scorer = Scorer::new(Arc::new(reference), 0.5);
        let null_model = Arc::new(NullModel::new(scorer, "hash", None));
        TableRequest::new(null_model, 8).unwrap()
    }

    /// A queue of tables that are made ahead of time must not hold up rules that wait.
    #[test]
    fn an_urgent_table_overtakes_those_that_nobody_has_begun() {
        let [urgent, first, second, dropped] =
            ["urgent", "first", "second", "dropped"].map(request);
        let mut requests = Requests {
            threads: 1,
            ..Requests::default()
        };
        requests.replace(vec![first.clone(), dropped, second.clone()]);
        let mut taken = |list: Option<Vec<TableRequest>>| {
            list.into_iter().for_each(|list| requests.replace(list));
            requests.take().map(|request| request.id())
        };
        assert_eq!(taken(None), Some(first.id()));
        let with_urgent = vec![urgent.clone(), first, second.clone()];
        assert_eq!(taken(Some(with_urgent)), Some(urgent.id()), "it came later");
        assert_eq!(taken(None), Some(second.id()), "the first one is begun");
        assert_eq!(taken(None), None, "and one is not needed any more");
        assert_eq!(requests.threads, 0, "the thread ends");
    }
}
