//! The shared state between the scorer, which publishes, and HTTP, which reads; neither waits for the other.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arc_swap::{ArcSwap, ArcSwapOption};
use flate2::Compression;
use flate2::write::GzEncoder;
use prometheus::process_collector::ProcessCollector;

use super::http::readiness;
use super::metrics::families::Families;
use super::metrics::{catalog as m, counters, drift, live};
use crate::engine::EngineView;
use crate::model::{KafkaReport, LogReport};

/// Text and gzip of a block, and how many series it holds.
#[derive(Debug, Default)]
struct Block {
    text: Vec<u8>,
    gzip: Vec<u8>,
    series: usize,
}

impl Block {
    fn new(families: Families) -> Self {
        let series = families.series();
        let text = families.encode();
        Block {
            gzip: gzip(&text),
            text,
            series,
        }
    }
}

/// What a scrape reads.
#[derive(Debug, Default)]
struct Published {
    snapshot: Arc<EngineView>,
    drift: Arc<Block>,
    counts: Arc<Block>,
}

/// Everything HTTP needs.
pub struct Exporter {
    published: ArcSwap<Published>,
    kafka: BTreeMap<String, Arc<ArcSwap<KafkaReport>>>,
    log: Arc<ArcSwap<LogReport>>,
    process: ProcessCollector,
    max_series: usize,
    reload_problem: ArcSwapOption<String>,
    is_stopping: AtomicBool,
}

impl std::fmt::Debug for Exporter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Exporter").finish_non_exhaustive()
    }
}

impl Exporter {
    /// An exporter for these sources.
    #[must_use]
    pub fn new<'a>(sources: impl Iterator<Item = &'a str>, max_series: usize) -> Self {
        let report = |name: &str| {
            (
                name.to_owned(),
                Arc::new(ArcSwap::from_pointee(KafkaReport::default())),
            )
        };
        Exporter {
            published: ArcSwap::from_pointee(Published::default()),
            kafka: sources.map(report).collect(),
            log: Arc::default(),
            process: ProcessCollector::for_self(),
            max_series,
            reload_problem: ArcSwapOption::empty(),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// Where a source says how it stands; a report of its own when the name is unknown.
    #[must_use]
    pub fn kafka(&self, source: &str) -> Arc<ArcSwap<KafkaReport>> {
        self.kafka.get(source).cloned().unwrap_or_default()
    }

    /// Where the reader of the pane log says how it stands.
    #[must_use]
    pub fn log(&self) -> Arc<ArcSwap<LogReport>> {
        Arc::clone(&self.log)
    }

    /// Takes a new picture. The drift block is encoded only when an evaluation was made since the last one.
    pub fn publish(&self, snapshot: EngineView) {
        let before = self.published.load();
        let is_same =
            before.snapshot.generation == snapshot.generation && !before.drift.text.is_empty();
        let drift = if is_same {
            Arc::clone(&before.drift)
        } else {
            Arc::new(Block::new(drift::block(&snapshot)))
        };
        let counts = Arc::new(Block::new(counters::block(&snapshot)));
        self.published.store(Arc::new(Published {
            snapshot: Arc::new(snapshot),
            drift,
            counts,
        }));
    }

    /// Says what became of the latest attempt to read the configuration again: nothing is wrong, or this.
    pub fn reloaded(&self, problem: Option<String>) {
        self.reload_problem.store(problem.map(Arc::new));
    }

    /// Why the configuration on disk is not the one in force.
    #[must_use]
    pub fn reload_problem(&self) -> Option<String> {
        self.reload_problem.load().as_deref().cloned()
    }

    /// Says that the process is about to end.
    pub fn begin_shutdown(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// The latest picture.
    #[must_use]
    pub fn view(&self) -> Arc<EngineView> {
        Arc::clone(&self.published.load().snapshot)
    }

    /// How every source stands.
    #[must_use]
    pub fn reports(&self) -> BTreeMap<String, KafkaReport> {
        self.kafka
            .iter()
            .map(|(name, report)| (name.clone(), report.load().as_ref().clone()))
            .collect()
    }

    /// Why the monitor cannot do its work; empty when it can.
    #[must_use]
    pub fn unready(&self) -> Vec<String> {
        readiness::reasons(
            &self.view(),
            &self.reports(),
            self.log.load().problem.as_deref(),
            self.is_stopping.load(Ordering::Relaxed),
        )
    }

    /// The whole scrape; as gzip, its members follow one another.
    #[must_use]
    pub fn scrape(&self, as_gzip: bool) -> Vec<u8> {
        let published = self.published.load();
        let live = self.live(published.drift.series + published.counts.series);
        let blocks = [&published.drift, &published.counts];
        let mut body: Vec<u8> =
            Vec::with_capacity(blocks.iter().map(|block| block.text.len()).sum());
        for block in blocks {
            body.extend(if as_gzip { &block.gzip } else { &block.text });
        }
        body.extend(if as_gzip { gzip(&live) } else { live });
        body
    }

    fn live(&self, other_series: usize) -> Vec<u8> {
        let reports = self.reports();
        let mut families =
            live::block(reports.iter().map(|(name, report)| (name.as_str(), report)));
        live::add_log(&mut families, &self.log.load());
        families.add(m::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
        let is_in_force = self.reload_problem.load().is_none();
        families.add(m::CONFIG_RELOAD, &[], f64::from(u8::from(is_in_force)));
        families.count(m::SERIES_LIMIT, &[], self.max_series as u64);
        families.count(
            m::SERIES,
            &[],
            (other_series + families.series() + 1) as u64,
        );
        let mut text = families.encode();
        text.extend(live::process(&self.process));
        text
    }
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(text).and_then(|()| encoder.finish());
    written.expect("memory does not fail")
}
