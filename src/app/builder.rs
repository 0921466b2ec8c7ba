//! Starts the threads of a process according to its role.
//!
//! ```text
//!   all, log in files      ingest threads -> scorer, which writes the log
//!   ingest                 ingest threads -> publisher -> topic
//!   score                                                 topic -> scorer
//!   all, log in a topic    both halves, connected by the topic only
//! ```
//!
//! With the log in a topic, even a process that does everything sends its commits through the
//! topic: one code path decides which commits count, wherever they come from.

use std::collections::BTreeMap;
use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};
use tracing::info;

use super::ingest::commit_budget::CommitBudget;
use super::ingest::publisher::CommitPublisher;
use super::ingest::worker::{IngestTask, PendingCommit};
use super::reload::ReloadChannels;
use super::roles::ProcessRole;
use super::score::file_log::{self, RecoveredLog};
use super::score::table_simulator::TableSimulator;
use super::score::topic_log::LogFollower;
use super::score::worker::{LogHealth, Publish, ScoreWorker};
use super::threads::Threads;
use crate::app::observer_plan::observer_plan;
use crate::config::State;
use crate::engine::{Engine, MonitorPlan};
use crate::export::Exporter;
use crate::ingest::Ingest;
use crate::model::{PanesTopicSpec, Shard, SourceSpec};
use crate::observe::ObserverPlan;
use crate::pane_log::kafka::RecordLimit;
use crate::pane_log::{HeadAnswer, HeadLookup};
use crate::panes::CommitSchema;
use crate::source::{KafkaSource, ResumePoint, Timing};

/// The reason shown by `/-/ready` until the log is read for the first time.
pub(super) const LOG_NOT_READ: &str = "the pane log is not read yet";

/// The capacity of the commit channel; ingest threads wait when it is full.
const COMMITS_IN_FLIGHT: usize = 256;
/// The memory of the commits that wait for the log; ingest threads wait when it is taken.
const COMMIT_BYTES_IN_FLIGHT: usize = 64 << 20;

/// The size at which a commit is closed for a log in files at the latest.
const LARGEST_FILE_COMMIT_BYTES: usize = 32 << 20;

/// Everything that the threads of a process are made from.
pub(super) struct ProcessBuilder<'a> {
    pub(super) sources: Vec<SourceSpec>,
    pub(super) plans: Vec<MonitorPlan>,
    pub(super) state: &'a State,
    pub(super) max_message_bytes: usize,
    pub(super) exporter: &'a Arc<Exporter>,
    pub(super) process_role: ProcessRole,
    /// The log in files, if there is one.
    pub(super) recovered: Option<RecoveredLog>,
    /// The largest record that the topic of the pane log accepts.
    pub(super) record_limit: RecordLimit,
}

impl ProcessBuilder<'_> {
    /// Starts the threads and returns them with the channels for reloads.
    ///
    /// # Errors
    /// A client of the log cannot be created, or the operating system refuses a thread.
    pub(super) fn start(mut self) -> anyhow::Result<(Threads, ReloadChannels)> {
        let mut threads = Threads::default();
        let mut reloads = ReloadChannels::new(self.process_role.split);
        match &self.state.panes {
            None => self.start_with_files(&mut threads, &mut reloads)?,
            Some(topic) => self.start_with_topic(topic, &mut threads, &mut reloads)?,
        }
        Ok((threads, reloads))
    }

    /// Starts ingest threads and a scorer, with the log in files or in memory between them.
    fn start_with_files(
        &mut self,
        threads: &mut Threads,
        reloads: &mut ReloadChannels,
    ) -> anyhow::Result<()> {
        let mut log_health = LogHealth::default();
        let (mut engine, log) = match self.recovered.take() {
            None => (Engine::new(self.plans.clone()), None),
            Some(RecoveredLog { log, engine, took }) => {
                log_health.recovery = Some(took);
                (engine, Some(log))
            }
        };
        engine.set_topics(topics_by_source(&self.sources));
        let head_lookup = file_log::head_lookup(&engine);
        let commits = self.start_ingesters(&head_lookup, threads, reloads)?;
        let (publish, report) = (self.publish(), self.exporter.log());
        let plans = reloads.open_scorer();
        let tables = TableSimulator::try_new()?;
        threads.start(
            "scorer".to_owned(),
            Box::new(move |_: &_| {
                let worker = ScoreWorker::new(engine, tables, publish, report, plans, log_health);
                file_log::run(worker, log, &commits);
            }),
        )?;
        Ok(())
    }

    /// Starts the halves that belong to the role, with the topic between them.
    fn start_with_topic(
        &self,
        topic: &PanesTopicSpec,
        threads: &mut Threads,
        reloads: &mut ReloadChannels,
    ) -> anyhow::Result<()> {
        let role = self.process_role.role;
        if role.ingests() {
            let head_lookup = Arc::new(HeadLookup::default());
            let report = self.exporter.log();
            if !role.scores() {
                // Nobody reads the whole log.
                report.store(Arc::default());
            }
            let publisher = CommitPublisher::try_new(
                topic,
                self.record_limit,
                Arc::clone(&head_lookup),
                report,
            )?;
            let commits = self.start_ingesters(&head_lookup, threads, reloads)?;
            threads.start(
                "publisher".to_owned(),
                Box::new(move |stop: &_| publisher.run(&commits, stop)),
            )?;
        }
        if role.scores() {
            let follower =
                LogFollower::try_new(topic, self.record_limit, self.process_role.split.scope())?
                    .with_schemas(self.schemas());
            let worker = ScoreWorker::new(
                self.engine_of_split(),
                TableSimulator::try_new()?,
                self.publish(),
                self.exporter.log(),
                reloads.open_scorer(),
                LogHealth {
                    problem: Some(LOG_NOT_READ.to_owned()),
                    is_recovering: true,
                    ..LogHealth::default()
                },
            );
            threads.start(
                "scorer".to_owned(),
                Box::new(move |stop: &_| follower.run(worker, stop)),
            )?;
        }
        Ok(())
    }

    /// The ids of everything that ingesters with this configuration count, by source.
    fn schemas(&self) -> Vec<Arc<CommitSchema>> {
        let plans: Vec<Arc<MonitorPlan>> = self.plans.iter().cloned().map(Arc::new).collect();
        self.sources
            .iter()
            .map(|source| Arc::new(observer_plan(&source.name, &plans).schema()))
            .collect()
    }

    /// An engine with this scorer's share of the monitors. It reports the totals of a source only
    /// when the source belongs to this scorer, so that several scorers do not count them twice.
    fn engine_of_split(&self) -> Engine {
        let split = self.process_role.split;
        let plans = self
            .plans
            .iter()
            .filter(|plan| split.has(&plan.spec.name))
            .cloned()
            .collect();
        let reported: Vec<&str> = self
            .sources
            .iter()
            .map(|source| source.name.as_str())
            .filter(|name| split.has(name))
            .collect();
        let mut engine = Engine::new(plans);
        engine.report_only(&reported);
        engine
    }

    fn publish(&self) -> Publish {
        let exporter = Arc::clone(self.exporter);
        Box::new(move |view| exporter.publish(view))
    }

    /// Starts one thread per source and returns the receiver of their commits.
    fn start_ingesters(
        &self,
        head_lookup: &Arc<HeadLookup>,
        threads: &mut Threads,
        reloads: &mut ReloadChannels,
    ) -> anyhow::Result<Receiver<PendingCommit>> {
        let plans: Vec<Arc<MonitorPlan>> = self.plans.iter().cloned().map(Arc::new).collect();
        let (sender, receiver) = bounded(COMMITS_IN_FLIGHT);
        let budget = CommitBudget::new(COMMIT_BYTES_IN_FLIGHT);
        for spec in &self.sources {
            let task = self.ingest_task(
                spec.clone(),
                observer_plan(&spec.name, &plans),
                head_lookup,
                reloads.open_ingester(&spec.name),
                &budget,
            );
            let (flush_interval, commits) = (self.state.flush_interval, sender.clone());
            threads.start(
                format!("ingest-{}", spec.name),
                Box::new(move |stop: &_| task.run(flush_interval, stop, &commits)),
            )?;
        }
        Ok(receiver)
    }

    /// The task of one source's thread. The Kafka client is created on the thread that owns it.
    fn ingest_task(
        &self,
        spec: SourceSpec,
        plan: ObserverPlan,
        head_lookup: &Arc<HeadLookup>,
        reloaded_plans: Receiver<ObserverPlan>,
        budget: &Arc<CommitBudget>,
    ) -> IngestTask {
        info!(
            source = spec.name,
            brokers = spec.kafka.brokers.join(","),
            topics = spec.kafka.topics.join(","),
            "reading source"
        );
        let name = spec.name.clone();
        let report = self.exporter.kafka(&spec.name);
        let largest_commit = match self.state.panes {
            Some(_) => self.record_limit.commit_bytes(),
            None => LARGEST_FILE_COMMIT_BYTES,
        };
        let ingest = Ingest::new(plan, self.max_message_bytes)
            .with_head_lookup(Arc::clone(head_lookup))
            .with_largest_commit(largest_commit);
        let head_lookup = Arc::clone(head_lookup);
        let is_group_member = self.state.panes.is_some();
        IngestTask {
            name,
            source: Box::new(move || {
                let source = if is_group_member {
                    KafkaSource::in_group(&spec, report, Timing::default())?
                } else {
                    KafkaSource::try_new(&spec, report)?
                };
                let released = Arc::clone(&head_lookup);
                let lookup = move |shard: &_| resume_point(&head_lookup, shard);
                let release = move |shard: &_| released.evict(shard);
                Ok(Box::new(
                    source
                        .with_resume_lookup(Box::new(lookup))
                        .with_resume_release(Box::new(release)),
                ))
            }),
            ingest,
            plans: reloaded_plans,
            budget: Arc::clone(budget),
        }
    }
}

fn topics_by_source(sources: &[SourceSpec]) -> BTreeMap<String, Vec<String>> {
    sources
        .iter()
        .map(|source| (source.name.clone(), source.kafka.topics.clone()))
        .collect()
}

/// The offset at which a partition is resumed, from the heads of the pane log.
fn resume_point(head_lookup: &HeadLookup, shard: &Shard) -> ResumePoint {
    match head_lookup.get(shard) {
        HeadAnswer::Pending => ResumePoint::Pending,
        HeadAnswer::NeverCounted => ResumePoint::Unread,
        HeadAnswer::Head(latest, head) => ResumePoint::At {
            incarnation: latest.incarnation,
            upto: head.upto,
            topic_id: head.topic_id,
        },
    }
}
