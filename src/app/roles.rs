//! Which threads a process has: everything on one machine, or one half of it.
//!
//! ```text
//!   all, log in files      ingest threads -> scorer with the log
//!   ingest                 ingest threads -> commit log -> topic
//!   score                                                  topic -> tail with the scorer
//!   all, log in a topic    both halves, which know nothing of each other
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use crossbeam_channel::{Receiver, bounded};
use tracing::info;

use super::ingest::publisher::CommitLog;
use super::ingest::worker::{self, Ingester, PendingCommit};
use super::reload::Outlets;
use super::score::file_log;
use super::score::topic_log::Tail;
use super::score::worker::{Publish, Scoring, Standing};
use super::threads::Pipeline;
use crate::config::State;
use crate::engine::{Engine, MonitorPlan};
use crate::export::Exporter;
use crate::ingest::{Ingest, observer_plan};
use crate::model::{PanesTopicSpec, Shard, SourceSpec, place_of};
use crate::observe::ObserverPlan;
use crate::pane_log::{HeadAnswer, HeadLookup};
use crate::source::{KafkaSource, ResumePoint, Source, Timing};

/// Commits on their way; more make the ingest threads wait.
const COMMITS_IN_FLIGHT: usize = 256;

/// What a process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Everything.
    #[default]
    All,
    /// Counts records into the pane log.
    Ingest,
    /// Reads the pane log and scores.
    Score,
}

impl Role {
    /// Whether it reads sources.
    #[must_use]
    pub const fn ingests(self) -> bool {
        !matches!(self, Role::Score)
    }

    /// Whether it scores.
    #[must_use]
    pub const fn scores(self) -> bool {
        !matches!(self, Role::Ingest)
    }
}

/// Which of several scorers this is: monitors are split among them by a hash of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MonitorSplit {
    /// From 0.
    pub index: u32,
    /// At least 1, more than `index`.
    pub count: u32,
}

impl Default for MonitorSplit {
    fn default() -> Self {
        MonitorSplit { index: 0, count: 1 }
    }
}

impl MonitorSplit {
    /// Whether something of this name is this scorer's.
    #[must_use]
    pub fn has(self, name: &str) -> bool {
        place_of([name.as_bytes()], self.count) == self.index
    }

    fn scope(self) -> String {
        format!("{}/{}", self.index, self.count)
    }
}

/// What the threads are made from.
pub(super) struct Parts<'a> {
    pub(super) sources: Vec<SourceSpec>,
    pub(super) plans: Vec<MonitorPlan>,
    pub(super) state: &'a State,
    pub(super) max_bytes: usize,
    pub(super) exporter: &'a Arc<Exporter>,
    pub(super) role: Role,
    pub(super) split: MonitorSplit,
}

impl Parts<'_> {
    /// Starts the threads; says where they take other monitors from.
    ///
    /// # Errors
    /// The log cannot be opened, or the operating system refuses a thread.
    pub(super) fn start(self) -> anyhow::Result<(Pipeline, Outlets)> {
        let mut outlets = Outlets::new(self.split);
        let pipeline = match &self.state.panes {
            None => self.on_one_machine(&mut outlets),
            Some(topic) => self.on_a_topic(topic, &mut outlets),
        };
        Ok((pipeline?, outlets))
    }

    /// Ingest threads and the scorer's thread, with the log in files or in memory between them.
    fn on_one_machine(self, outlets: &mut Outlets) -> anyhow::Result<Pipeline> {
        let plans: Vec<Arc<MonitorPlan>> = self.plans.iter().cloned().map(Arc::new).collect();
        let mut engine = Engine::new(self.plans.clone());
        let mut standing = Standing::default();
        let mut log = None;
        if let Some(path) = &self.state.path {
            let (opened, took) = file_log::recover(path, &mut engine)?;
            (log, standing.recovery) = (Some(opened), Some(took));
        }
        engine.set_topics(topics(&self.sources));
        let head_lookup = file_log::head_lookup(&engine);
        let mut pipeline = Pipeline::default();
        let waiting = self.start_ingesters(&plans, &head_lookup, &mut pipeline, outlets)?;
        let (publish, report, others) = (self.publish(), self.exporter.log(), outlets.scorer());
        let score = move |_: &_| {
            let scoring = Scoring::new(engine, publish, report, others, standing);
            file_log::run(scoring, log, &waiting);
        };
        pipeline.start("scorer".to_owned(), Box::new(score))?;
        Ok(pipeline)
    }

    /// The halves this role has, with the topic between them.
    fn on_a_topic(self, topic: &PanesTopicSpec, outlets: &mut Outlets) -> anyhow::Result<Pipeline> {
        let mut pipeline = Pipeline::default();
        if self.role.ingests() {
            let plans: Vec<Arc<MonitorPlan>> = self.plans.iter().cloned().map(Arc::new).collect();
            let head_lookup = Arc::new(HeadLookup::default());
            let report = (!self.role.scores()).then(|| self.exporter.log());
            let log = CommitLog::try_new(topic, Arc::clone(&head_lookup), report)?;
            let waiting = self.start_ingesters(&plans, &head_lookup, &mut pipeline, outlets)?;
            let work = move |stop: &_| log.run(&waiting, stop);
            pipeline.start("commit-log".to_owned(), Box::new(work))?;
        }
        if self.role.scores() {
            let tail = Tail::try_new(topic, self.split.scope())?;
            let standing = Standing {
                problem: Some("the pane log was not read yet".to_owned()),
                ..Standing::default()
            };
            let (publish, report) = (self.publish(), self.exporter.log());
            let others = outlets.scorer();
            let scoring = Scoring::new(self.engine(), publish, report, others, standing);
            let work = move |stop: &_| tail.run(scoring, stop);
            pipeline.start("scorer".to_owned(), Box::new(work))?;
        }
        Ok(pipeline)
    }

    /// The engine of this scorer's part of the monitors.
    fn engine(&self) -> Engine {
        let is_ours = |plan: &&MonitorPlan| self.split.has(&plan.spec.name);
        let mut engine = Engine::new(self.plans.iter().filter(is_ours).cloned().collect());
        let names = self.sources.iter().map(|source| source.name.as_str());
        engine.report_only(
            &names
                .filter(|name| self.split.has(name))
                .collect::<Vec<_>>(),
        );
        engine
    }

    fn publish(&self) -> Publish {
        let exporter = Arc::clone(self.exporter);
        Box::new(move |snapshot| exporter.publish(snapshot))
    }

    /// One thread per source; returns where their commits arrive.
    fn start_ingesters(
        &self,
        plans: &[Arc<MonitorPlan>],
        head_lookup: &Arc<HeadLookup>,
        pipeline: &mut Pipeline,
        outlets: &mut Outlets,
    ) -> anyhow::Result<Receiver<PendingCommit>> {
        let (commits, waiting) = bounded(COMMITS_IN_FLIGHT);
        for spec in &self.sources {
            let others = outlets.ingester(&spec.name);
            let ingester = self.ingester(spec.clone(), plans, head_lookup, others);
            let (name, commits) = (format!("ingest-{}", spec.name), commits.clone());
            let flush_interval = self.state.flush_interval;
            let work = move |stop: &_| worker::run(ingester, flush_interval, stop, &commits);
            pipeline
                .start(name, Box::new(work))
                .context("cannot start a thread")?;
        }
        Ok(waiting)
    }

    /// One source's thread-to-be: the client is made on the thread that will own it.
    fn ingester(
        &self,
        spec: SourceSpec,
        plans: &[Arc<MonitorPlan>],
        head_lookup: &Arc<HeadLookup>,
        others: Receiver<ObserverPlan>,
    ) -> Ingester {
        let ingest = Ingest::new(observer_plan(&spec.name, plans), self.max_bytes);
        let ingest = ingest.with_head_lookup(Arc::clone(head_lookup));
        let report = self.exporter.kafka(&spec.name);
        let (brokers, topics) = (spec.kafka.brokers.join(","), spec.kafka.topics.join(","));
        info!(source = spec.name, brokers, topics, "reading");
        let (name, own) = (spec.name.clone(), Arc::clone(&report));
        let (head_lookup, is_member) = (Arc::clone(head_lookup), self.state.panes.is_some());
        let source = Box::new(move || {
            let source = if is_member {
                KafkaSource::in_group(&spec, own, Timing::default())?
            } else {
                KafkaSource::try_new(&spec, own)?
            };
            let source =
                source.with_resume_lookup(Box::new(move |shard| left(&head_lookup, shard)));
            Ok(Box::new(source) as Box<dyn Source>)
        });
        Ingester {
            name,
            source,
            ingest,
            plans: others,
            report,
        }
    }
}

/// The topics of each source.
fn topics(sources: &[SourceSpec]) -> BTreeMap<String, Vec<String>> {
    let of = |source: &SourceSpec| (source.name.clone(), source.kafka.topics.clone());
    sources.iter().map(of).collect()
}

/// How far a partition was counted, in the source's words.
fn left(head_lookup: &HeadLookup, shard: &Shard) -> ResumePoint {
    match head_lookup.get(shard) {
        HeadAnswer::Pending => ResumePoint::Pending,
        HeadAnswer::Never => ResumePoint::Unread,
        HeadAnswer::Head(latest, head) => ResumePoint::At {
            incarnation: latest.incarnation,
            upto: head.upto,
            topic_id: head.topic_id,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_has_one_scorer() {
        for count in 1..5 {
            let splits: Vec<MonitorSplit> = (0..count)
                .map(|index| MonitorSplit { index, count })
                .collect();
            for name in ["fraud", "churn", "a", "inference_log"] {
                let owners = splits.iter().filter(|split| split.has(name)).count();
                assert_eq!(owners, 1, "{name} among {count}");
            }
        }
    }
}
