//! The threads of a running monitor: one per source, and one scorer that owns all windows.
//!
//! ```text
//!   ingest thread --- commits (bounded) ---> scorer thread ---> snapshots
//!        ^                                        |
//!        +------------- accepted offsets ---------+
//! ```
//!
//! The channel of commits is the memory back end of the pane log. It is bounded, so a slow scorer slows reading instead of filling memory. An ingest thread
//! blocks in its source's poll and nowhere else for long; it stops by a flag, hands over what it has counted, waits for the offsets to be accepted, and lets
//! the source go, which commits them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use tracing::{debug, error, warn};

use crate::clock;
use crate::engine::{Engine, Snapshot};
use crate::ingest::{Flushed, Ingest};
use crate::model::KafkaReport;
use crate::source::Source;

/// How long a source may wait for records.
const POLL_WAIT: Duration = Duration::from_millis(100);
/// How often the scorer looks at the clock without commits.
const SCORER_WAIT: Duration = Duration::from_millis(200);
/// How often a picture is published when no evaluation was made.
const PUBLISH_EVERY: Duration = Duration::from_secs(1);
/// Pictures are published no more often than this, however fast a backlog is evaluated.
const PUBLISH_AT_MOST_EVERY: Duration = Duration::from_millis(100);
/// How long an ingest thread waits for its last offsets to be accepted.
const LAST_ACCEPTANCE: Duration = Duration::from_secs(2);
/// Commits on their way; more make the ingest threads wait.
const COMMITS_IN_FLIGHT: usize = 256;
/// At most one log line about undecodable records in this time.
const PROBLEM_EVERY: Duration = Duration::from_secs(30);

/// What an ingest thread is made of; the source is made on its own thread.
pub struct Ingester {
    /// The source's name.
    pub name: String,
    /// Makes the source.
    pub source: Box<dyn FnOnce() -> anyhow::Result<Box<dyn Source>> + Send>,
    /// Decoder and observer.
    pub ingest: Ingest,
    /// Where the source says how it stands.
    pub report: Arc<arc_swap::ArcSwap<KafkaReport>>,
}

impl std::fmt::Debug for Ingester {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ingester")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// A commit on its way to the scorer, and where to say that it was accepted.
struct Message {
    flushed: Flushed,
    accepted: Sender<(usize, i64)>,
}

/// Running threads.
#[derive(Debug)]
pub struct Pipeline {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Pipeline {
    /// Starts one thread per ingester and the scorer; `publish` is called on the scorer's thread.
    ///
    /// # Errors
    /// The operating system refuses a thread.
    pub fn start(
        engine: Engine,
        ingesters: Vec<Ingester>,
        flush_interval: Duration,
        publish: Box<dyn FnMut(Snapshot) + Send>,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let (sender, receiver) = bounded(COMMITS_IN_FLIGHT);
        let mut threads = Vec::new();
        for ingester in ingesters {
            let (stop, sender) = (Arc::clone(&stop), sender.clone());
            let name = format!("ingest-{}", ingester.name);
            let run = move || ingest_loop(ingester, flush_interval, &stop, &sender);
            threads.push(std::thread::Builder::new().name(name).spawn(run)?);
        }
        drop(sender);
        let scorer = move || score_loop(engine, &receiver, publish);
        threads.push(
            std::thread::Builder::new()
                .name("scorer".to_owned())
                .spawn(scorer)?,
        );
        Ok(Pipeline { stop, threads })
    }

    /// Whether a thread has ended although nobody asked it to.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        self.threads.iter().any(JoinHandle::is_finished)
    }

    /// Asks all threads to drain and end; `false` when some had not after `grace`.
    #[must_use]
    pub fn stop(self, grace: Duration) -> bool {
        self.stop.store(true, Ordering::Relaxed);
        let deadline = clock::monotonic() + grace;
        for thread in self.threads {
            while !thread.is_finished() {
                if clock::monotonic() >= deadline {
                    warn!(thread = thread.thread().name(), "did not end in time");
                    return false;
                }
                std::thread::sleep(Duration::from_millis(5));
            }
            if thread.join().is_err() {
                error!("a thread panicked");
            }
        }
        true
    }
}

fn ingest_loop(
    ingester: Ingester,
    flush_interval: Duration,
    stop: &AtomicBool,
    commits: &Sender<Message>,
) {
    let Ingester {
        name,
        source,
        mut ingest,
        report,
    } = ingester;
    let mut source = match source() {
        Ok(source) => source,
        Err(error) => {
            error!(
                source = name,
                error = format!("{error:#}"),
                "source cannot be read"
            );
            return;
        }
    };
    let (accepted, acceptances) = unbounded();
    let mut flushed_at = clock::monotonic();
    let mut complained_at = None;
    while !stop.load(Ordering::Relaxed) {
        ingest.begin_batch(clock::now(), report.load().up);
        let has_more = source.poll(POLL_WAIT, &mut ingest);
        let is_due = flushed_at.elapsed() >= flush_interval;
        let flushed = if is_due {
            ingest.flush()
        } else {
            ingest.take_early()
        };
        if is_due {
            flushed_at = clock::monotonic();
        }
        if !send(flushed, &accepted, commits) || !has_more {
            break;
        }
        acceptances
            .try_iter()
            .for_each(|(slot, upto)| source.accepted(slot, upto));
        complain(&mut ingest, &name, &mut complained_at);
    }
    send(ingest.flush(), &accepted, commits);
    drop(accepted);
    let deadline = clock::monotonic() + LAST_ACCEPTANCE;
    while let Ok((slot, upto)) = acceptances.recv_deadline(deadline) {
        source.accepted(slot, upto);
    }
    debug!(source = name, "source let go");
}

/// `false` when nobody listens any more.
fn send(flushed: Vec<Flushed>, accepted: &Sender<(usize, i64)>, commits: &Sender<Message>) -> bool {
    flushed.into_iter().all(|flushed| {
        commits
            .send(Message {
                flushed,
                accepted: accepted.clone(),
            })
            .is_ok()
    })
}

/// One line about undecodable records per half minute; the counters have the rest.
fn complain(ingest: &mut Ingest, source: &str, complained_at: &mut Option<std::time::Instant>) {
    if complained_at.is_some_and(|at| at.elapsed() < PROBLEM_EVERY) {
        return;
    }
    if let Some(problem) = ingest.take_problem() {
        warn!(
            source,
            reason = problem.reason(),
            "records rejected: {problem}"
        );
        *complained_at = Some(clock::monotonic());
    }
}

fn score_loop(
    mut engine: Engine,
    commits: &Receiver<Message>,
    mut publish: Box<dyn FnMut(Snapshot) + Send>,
) {
    let mut published = (engine.generation(), clock::monotonic());
    publish(engine.snapshot());
    loop {
        let first = commits.recv_timeout(SCORER_WAIT);
        let is_over = matches!(
            first,
            Err(crossbeam_channel::RecvTimeoutError::Disconnected)
        );
        for message in first
            .into_iter()
            .chain(commits.try_iter().take(COMMITS_IN_FLIGHT))
        {
            apply(&mut engine, &message);
        }
        advance(&mut engine);
        let pause = if engine.generation() == published.0 {
            PUBLISH_EVERY
        } else {
            PUBLISH_AT_MOST_EVERY
        };
        if is_over || published.1.elapsed() >= pause {
            published = (engine.generation(), clock::monotonic());
            publish(engine.snapshot());
        }
        if is_over {
            return;
        }
    }
}

fn apply(engine: &mut Engine, message: &Message) {
    let Flushed { slot, commit } = &message.flushed;
    match engine.apply(commit) {
        // An ingest thread that has ended does not listen any more; its offsets are committed as far as it heard.
        Ok(()) => drop(message.accepted.send((*slot, commit.upto))),
        Err(rejected) => {
            let shard = &commit.shard;
            warn!(
                topic = shard.topic,
                partition = shard.partition,
                base = commit.base,
                "commit rejected: {rejected}"
            );
        }
    }
}

fn advance(engine: &mut Engine) {
    let now = clock::now();
    for monitor in 0..engine.monitors() {
        let began = clock::monotonic();
        let made = engine.advance(monitor, Some(now), &mut |plan, window| {
            debug!(
                monitor = plan.spec.name,
                window = window.index,
                coverage = window.coverage,
                "evaluated"
            );
        });
        if let Some(each) = u32::try_from(made)
            .ok()
            .and_then(|made| began.elapsed().checked_div(made))
        {
            engine.time_evaluation(monitor, each);
        }
    }
}
