//! Simulates null tables for the engine, off the scorer's thread.
//!
//! A table takes about a tenth of a second, and a new configuration can need thousands. On the
//! scorer's thread that would hold up commits and views, so a pool of its own does it, with one
//! thread less than there are cores. The pool of `rayon` itself is left to loading and fitting.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context as _;
use crossbeam_channel::{Receiver, Sender, unbounded};
use rayon::{ThreadPool, ThreadPoolBuilder};
use rustc_hash::FxHashSet;

use crate::engine::{NullTableId, SimulatedTable, TableRequest};

/// A pool of threads, the requests that are running, and the finished tables.
#[derive(Debug)]
pub(in crate::app) struct TableSimulator {
    pool: ThreadPool,
    running: FxHashSet<NullTableId>,
    /// Tables that were finished since nothing was running.
    finished: usize,
    sender: Sender<SimulatedTable>,
    receiver: Receiver<SimulatedTable>,
    /// Set at the end: requests that have not begun are dropped.
    is_stopped: Arc<AtomicBool>,
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
            running: FxHashSet::default(),
            finished: 0,
            sender,
            receiver,
            is_stopped: Arc::default(),
        })
    }

    /// Begins to simulate the tables that are not being simulated yet, in this order.
    pub(in crate::app) fn request(&mut self, requests: Vec<TableRequest>) {
        for request in requests {
            if self.running.insert(request.id()) {
                let sender = self.sender.clone();
                let is_stopped = Arc::clone(&self.is_stopped);
                self.pool.spawn_fifo(move || {
                    if !is_stopped.load(Ordering::Relaxed) {
                        // Nobody receives after the end.
                        drop(sender.send(request.simulate()));
                    }
                });
            }
        }
    }

    /// The tables that were finished since the last call.
    pub(in crate::app) fn take_finished(&mut self) -> Vec<SimulatedTable> {
        let tables: Vec<SimulatedTable> = self.receiver.try_iter().collect();
        for table in &tables {
            self.running.remove(&table.id());
        }
        self.finished += tables.len();
        if self.running.is_empty() {
            self.finished = 0;
        }
        tables
    }

    /// The number of finished tables and of all tables of the present batch; `None` when nothing is
    /// running.
    pub(in crate::app) fn progress(&self) -> Option<(usize, usize)> {
        let total = self.finished + self.running.len();
        (!self.running.is_empty()).then_some((self.finished, total))
    }
}

impl Drop for TableSimulator {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Relaxed);
    }
}
