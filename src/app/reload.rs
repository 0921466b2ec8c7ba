//! Where the threads of a running process take other monitors from.

use std::sync::Arc;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::MonitorSplit;
use crate::engine::MonitorPlan;
use crate::ingest::observer_plan;
use crate::observe::ObserverPlan;

/// The ways to the threads.
#[derive(Debug)]
pub(super) struct Outlets {
    split: MonitorSplit,
    scorer: Option<Sender<Vec<MonitorPlan>>>,
    /// By the name of the source.
    ingesters: Vec<(String, Sender<ObserverPlan>)>,
}

impl Outlets {
    /// No thread yet; a scorer will take its part of the monitors only.
    pub(super) fn new(split: MonitorSplit) -> Self {
        Outlets {
            split,
            scorer: None,
            ingesters: Vec::new(),
        }
    }

    /// What the scorer listens to.
    pub(super) fn scorer(&mut self) -> Receiver<Vec<MonitorPlan>> {
        let (outlet, plans) = unbounded();
        self.scorer = Some(outlet);
        plans
    }

    /// What the thread of a source listens to.
    pub(super) fn ingester(&mut self, source: &str) -> Receiver<ObserverPlan> {
        let (outlet, plans) = unbounded();
        self.ingesters.push((source.to_owned(), outlet));
        plans
    }

    /// Hands monitors to all threads, to the scorer first: what is counted by the new ones then finds its place. A thread that has ended takes nothing any more.
    pub(super) fn hand_over(&self, plans: &[MonitorPlan]) {
        if let Some(scorer) = &self.scorer {
            let own = plans.iter().filter(|plan| self.split.has(&plan.spec.name));
            scorer.send(own.cloned().collect()).ok();
        }
        let plans: Vec<Arc<MonitorPlan>> = plans.iter().cloned().map(Arc::new).collect();
        for (source, ingester) in &self.ingesters {
            ingester.send(observer_plan(source, &plans)).ok();
        }
    }
}
