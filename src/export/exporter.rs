//! The state that the scorer publishes and HTTP reads; neither waits for the other.
//!
//! The view and its encoded blocks are swapped as one, so a scrape never mixes two evaluations.
//! Reports of sources and of the pane log are swapped by the threads that own them.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use arc_swap::{ArcSwap, ArcSwapOption, Guard};

use super::explanations::Explanations;
use super::gzip::{self, Piece};
use super::metrics::families::Families;
use super::metrics::live::{self, ProcessMetrics};
use super::metrics::{catalog, counters, drift};
use crate::engine::EngineView;
use crate::model::{KafkaReport, LogReport};

/// An encoded part of a scrape, plain and compressed.
#[derive(Debug, Default)]
struct EncodedBlock {
    text: Vec<u8>,
    compressed: Piece,
    series: usize,
}

impl EncodedBlock {
    fn new(families: Families) -> Self {
        let series = families.series();
        Self::compress(families.encode(), series)
    }

    fn compress(text: Vec<u8>, series: usize) -> Self {
        EncodedBlock {
            compressed: Piece::new(&text),
            text,
            series,
        }
    }
}

/// A view with its blocks.
#[derive(Debug, Default)]
struct Published {
    view: Arc<EngineView>,
    drift: Arc<EncodedBlock>,
    /// Encoded by the first scrape of the view: views are published more often than they are
    /// scraped.
    counters: OnceLock<Arc<EncodedBlock>>,
    /// The counters of the latest view that was scraped before.
    former_counters: Option<Arc<EncodedBlock>>,
    explanations: Arc<Explanations>,
}

impl Published {
    /// The counters of the view; those of the former one if nothing was counted since.
    fn counters(&self) -> &Arc<EncodedBlock> {
        self.counters.get_or_init(|| {
            let families = counters::block(&self.view);
            let series = families.series();
            let text = families.encode();
            match &self.former_counters {
                Some(former) if former.text == text => Arc::clone(former),
                _ => Arc::new(EncodedBlock::compress(text, series)),
            }
        })
    }
}

/// Everything that HTTP serves.
#[derive(Debug)]
pub struct Exporter {
    published: ArcSwap<Published>,
    kafka: BTreeMap<String, Arc<ArcSwap<KafkaReport>>>,
    log: Arc<ArcSwap<LogReport>>,
    process: ProcessMetrics,
    max_series: usize,
    reload_problem: ArcSwapOption<String>,
    is_stopping: AtomicBool,
}

impl Exporter {
    /// An exporter for the sources that this process reads.
    #[must_use]
    pub fn new<'a>(sources: impl Iterator<Item = &'a str>, max_series: usize) -> Self {
        Exporter {
            published: ArcSwap::from_pointee(Published::default()),
            kafka: sources
                .map(|name| (name.to_owned(), Arc::default()))
                .collect(),
            log: Arc::default(),
            process: ProcessMetrics::for_self(),
            max_series,
            reload_problem: ArcSwapOption::empty(),
            is_stopping: AtomicBool::new(false),
        }
    }

    /// The report of a source, for the source to fill; a detached one when the name is not known.
    #[must_use]
    pub fn kafka(&self, source: &str) -> Arc<ArcSwap<KafkaReport>> {
        self.kafka.get(source).cloned().unwrap_or_default()
    }

    /// The report of the pane log, for its reader to fill.
    #[must_use]
    pub fn log(&self) -> Arc<ArcSwap<LogReport>> {
        Arc::clone(&self.log)
    }

    /// Publishes a view. The drift block is encoded only when an evaluation was made since the last
    /// view, and the counters only when somebody scrapes them.
    pub fn publish(&self, view: EngineView) {
        let previous = self.published.load();
        let is_drift_current =
            previous.view.generation == view.generation && !previous.drift.text.is_empty();
        let (drift, explanations) = if is_drift_current {
            (
                Arc::clone(&previous.drift),
                Arc::clone(&previous.explanations),
            )
        } else {
            let explanations = previous.explanations.next(&view);
            let mut families = drift::block(&view);
            explanations.add_to(&mut families);
            (
                Arc::new(EncodedBlock::new(families)),
                Arc::new(explanations),
            )
        };
        let former_counters = previous
            .counters
            .get()
            .or(previous.former_counters.as_ref())
            .cloned();
        self.published.store(Arc::new(Published {
            view: Arc::new(view),
            drift,
            counters: OnceLock::new(),
            former_counters,
            explanations,
        }));
    }

    /// Records the outcome of the latest reload: its problem, or `None` when it succeeded.
    pub fn set_reload_problem(&self, problem: Option<String>) {
        self.reload_problem.store(problem.map(Arc::new));
    }

    /// The reason why the latest reload failed.
    #[must_use]
    pub fn reload_problem(&self) -> Option<String> {
        self.reload_problem.load().as_deref().cloned()
    }

    /// Records that the process is shutting down.
    pub fn begin_shutdown(&self) {
        self.is_stopping.store(true, Ordering::Relaxed);
    }

    /// True once the process is shutting down.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.is_stopping.load(Ordering::Relaxed)
    }

    /// True while the pane log is read at the start: the view shows the past.
    #[must_use]
    pub fn is_recovering(&self) -> bool {
        self.log.load().is_recovering
    }

    /// The view that was published last.
    #[must_use]
    pub fn view(&self) -> Arc<EngineView> {
        Arc::clone(&self.published.load().view)
    }

    /// The explanations of the firing alerts of the view that was published last.
    pub(super) fn explanations(&self) -> Arc<Explanations> {
        Arc::clone(&self.published.load().explanations)
    }

    /// The latest reports of all sources, by name.
    #[must_use]
    pub fn reports(&self) -> BTreeMap<String, KafkaReport> {
        self.kafka
            .iter()
            .map(|(name, report)| (name.clone(), report.load().as_ref().clone()))
            .collect()
    }

    /// The body of a scrape, as text or as one gzip member.
    ///
    /// While the pane log is read, the view shows the past: its alerts may have resolved since, and
    /// its counters are below those of the previous process, which Prometheus would take for a
    /// reset. So both blocks are left out, and `pegel_recovering` is 1.
    #[must_use]
    pub fn scrape(&self, as_gzip: bool) -> Vec<u8> {
        let published = if self.is_recovering() {
            Guard::from_inner(Arc::default())
        } else {
            self.published.load()
        };
        let (drift, counters) = (&*published.drift, published.counters());
        let live = self.live_block(drift.series + counters.series);
        if as_gzip {
            let live = Piece::new(&live);
            return gzip::member(&[&drift.compressed, &counters.compressed, &live]);
        }
        [&drift.text[..], &counters.text, &live].concat()
    }

    /// The text of the live block; `other_series` is the number of series in the other blocks.
    fn live_block(&self, other_series: usize) -> Vec<u8> {
        let mut families = Families::default();
        for (name, report) in &self.kafka {
            live::add_source(&mut families, name, &report.load());
        }
        live::add_log(&mut families, &self.log.load());
        families.add(catalog::BUILD_INFO, &[env!("CARGO_PKG_VERSION")], 1.0);
        let is_reload_successful = u64::from(self.reload_problem.load().is_none());
        families.count(catalog::CONFIG_RELOAD, &[], is_reload_successful);
        families.count(catalog::SERIES_LIMIT, &[], self.max_series as u64);
        // The series that is added here counts as well.
        let series = other_series + families.series() + 1;
        families.count(catalog::SERIES, &[], series as u64);
        let mut text = families.encode();
        text.extend(self.process.encode());
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::Engine;

    /// The counters were encoded and compressed with every view, once a second, whether somebody
    /// scraped them or not and though nothing had changed.
    #[test]
    fn counters_are_encoded_by_a_scrape_and_compressed_when_they_have_changed() {
        let exporter = Exporter::new(["s"].into_iter(), 100);
        let publish = || exporter.publish(Engine::new(Vec::new()).view());
        let scraped = || {
            assert!(!exporter.scrape(true).is_empty(), "a member");
            exporter.published.load().counters.get().cloned().unwrap()
        };
        publish();
        let is_encoded = exporter.published.load().counters.get().is_some();
        assert!(!is_encoded, "nobody has scraped");
        let first = scraped();
        publish();
        publish();
        assert!(Arc::ptr_eq(&first, &scraped()), "nothing has changed");
    }
}
