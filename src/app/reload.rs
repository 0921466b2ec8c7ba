//! Channels that carry the monitors of a reloaded configuration to the running threads.
//!
//! A thread takes what arrived between two batches and never waits for it. The channels are
//! unbounded because reloads are rare and only the newest entry of a channel is applied.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::observer_plan::observer_plan;
use super::roles::MonitorSplit;
use crate::engine::MonitorPlan;
use crate::observe::ObserverPlan;

/// The sending ends of all reload channels of a process.
#[derive(Debug)]
pub(super) struct ReloadChannels {
    split: MonitorSplit,
    scorer: Option<Sender<Vec<MonitorPlan>>>,
    /// One channel per ingest thread, with the name of its source.
    ingesters: Vec<(String, Sender<ObserverPlan>)>,
}

impl ReloadChannels {
    /// No channel yet; the scorer will receive only the monitors of `split`.
    pub(super) fn new(split: MonitorSplit) -> Self {
        ReloadChannels {
            split,
            scorer: None,
            ingesters: Vec::new(),
        }
    }

    /// Opens the channel of the scorer's thread.
    pub(super) fn open_scorer(&mut self) -> Receiver<Vec<MonitorPlan>> {
        let (sender, receiver) = unbounded();
        self.scorer = Some(sender);
        receiver
    }

    /// Opens the channel of the ingest thread of a source.
    pub(super) fn open_ingester(&mut self, source: &str) -> Receiver<ObserverPlan> {
        let (sender, receiver) = unbounded();
        self.ingesters.push((source.to_owned(), sender));
        receiver
    }

    /// Sends new monitors to all threads. The scorer comes first, so that it knows the new layouts
    /// before the first commit that uses them. A thread that has ended is skipped.
    pub(super) fn send(&self, plans: &[MonitorPlan]) {
        if let Some(scorer) = &self.scorer {
            let scored = plans
                .iter()
                .filter(|plan| self.split.has(&plan.spec.name))
                .cloned()
                .collect();
            scorer.send(scored).ok();
        }
        let plans: Vec<Arc<MonitorPlan>> = plans.iter().cloned().map(Arc::new).collect();
        for (source, ingester) in &self.ingesters {
            ingester.send(observer_plan(source, &plans)).ok();
        }
    }
}
