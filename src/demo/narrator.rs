//! The demo's text on the terminal: it comments the phases and the alerts while they happen.
//!
//! All numbers come from the published view, the same one that Prometheus scrapes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use owo_colors::OwoColorize as _;

use super::loans::Phase;
use super::scenario::{APPLICATIONS_PER_SECOND, REFERENCE_ROWS, phase_at};
use crate::alert::AlertState;
use crate::engine::{EngineView, MonitorView, WindowFeatureView, WindowView};
use crate::export::{median_text, short_number};
use crate::reference::FeatureReference;
use crate::stats::CellCounts;

/// Time on the generator's clock after which a phase fills the window of one minute, with a margin.
const PHASE_FILLS_WINDOW: Duration = Duration::from_secs(75);

/// Prints each event of the demo once.
#[derive(Debug)]
pub(crate) struct Narrator {
    speed: f64,
    began: Instant,
    phase: Phase,
    /// Start of the phase on the generator's clock.
    phase_began: Duration,
    is_ready: bool,
    is_summarized: bool,
    /// Names of the features with a firing alert.
    firing: BTreeSet<String>,
}

impl Narrator {
    /// Creates a narrator; the generator's clock is `speed` times the time since `began`.
    pub(crate) fn new(speed: f64, began: Instant) -> Self {
        Narrator {
            speed,
            began,
            phase: Phase::Healthy,
            phase_began: Duration::ZERO,
            is_ready: false,
            is_summarized: true,
            firing: BTreeSet::new(),
        }
    }

    /// Prints the introduction with the addresses of the page and the metrics.
    pub(crate) fn introduce(&self, address: SocketAddr) {
        anstream::println!(
            "A loan-scoring service sends its decisions to Kafka. pegel compares the last minute\n\
             with {REFERENCE_ROWS} decisions from a healthy period.\n\n  \
             page     http://{address}/\n  metrics  http://{address}/metrics\n"
        );
        self.print(&format!(
            "about {APPLICATIONS_PER_SECOND:.0} applications arrive per second, all healthy. \
             The upstream will break in a minute."
        ));
    }

    /// Prints the end of the demo.
    pub(crate) fn conclude(&self, is_drained: bool) {
        if is_drained {
            anstream::println!("\nThe demo is over.");
        } else {
            anstream::println!("\nThe demo is over, but some threads did not stop in time.");
        }
    }

    /// Prints everything that changed since the last view.
    pub(crate) fn update(&mut self, view: &EngineView) {
        self.update_phase();
        let Some(monitor) = view.monitors.first() else {
            return;
        };
        if let Some(window) = monitor.windows.first() {
            self.update_readiness(window);
            self.update_alerts(monitor, window);
            self.summarize_phase(monitor, window);
        }
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed().mul_f64(self.speed)
    }

    fn print(&self, text: &str) {
        let seconds = self.elapsed().as_secs();
        let clock = format!("{:02}:{:02}", seconds / 60, seconds % 60);
        anstream::println!("{}  {text}", clock.dimmed());
    }

    fn update_phase(&mut self) {
        let phase = phase_at(self.elapsed());
        if phase == self.phase {
            return;
        }
        self.phase = phase;
        self.phase_began = self.elapsed();
        self.is_summarized = false;
        self.print(match phase {
            Phase::Broken => {
                "the upstream breaks: amounts arrive in cents, a new country appears, \
                 nulls double, the score collapses."
            }
            Phase::Healthy => "the upstream is repaired; the window still holds bad minutes.",
        });
    }

    fn update_readiness(&mut self, window: &WindowView) {
        if self.is_ready {
            return;
        }
        let scores: Option<Vec<f64>> = window
            .features
            .iter()
            .map(|feature| Some(feature.comparisons[0].scores.ok()?.divergences.js))
            .collect();
        if let Some(scores) = scores {
            self.is_ready = true;
            let largest = scores.into_iter().fold(0.0, f64::max);
            self.print(&format!(
                "the first window is ready: {} applications, largest JS {largest:.4} bit, \
                 no alert.",
                samples(window)
            ));
        }
    }

    fn update_alerts(&mut self, monitor: &MonitorView, window: &WindowView) {
        for (feature, state) in monitor.features.iter().zip(&window.features) {
            let worst = state
                .comparisons
                .iter()
                .take(1)
                .flat_map(|comparison| &comparison.alerts)
                .filter(|alert| alert.state == AlertState::Firing)
                .max_by_key(|alert| alert.severity);
            match worst {
                Some(alert) if self.firing.insert(feature.name.clone()) => {
                    self.print(&format!(
                        "{} {}: {} {} is above its {} threshold of {}",
                        "ALERT".red(),
                        feature.name.bold(),
                        alert.statistic,
                        alert.value.map_or_else(String::new, short_number),
                        alert.severity,
                        alert.threshold.map_or_else(String::new, short_number)
                    ));
                }
                None if self.firing.remove(&feature.name) => {
                    self.print(&format!(
                        "{} {}: below all thresholds again",
                        "resolved".green(),
                        feature.name
                    ));
                }
                _ => {}
            }
        }
    }

    /// Prints the state of each firing feature once the window holds only the current phase.
    fn summarize_phase(&mut self, monitor: &MonitorView, window: &WindowView) {
        let is_due = self.elapsed() >= self.phase_began + PHASE_FILLS_WINDOW;
        if self.is_summarized || !is_due {
            return;
        }
        self.is_summarized = true;
        if self.firing.is_empty() {
            self.print("a whole minute without a firing alert.");
            return;
        }
        self.print(&match phase_at(self.elapsed()) {
            Phase::Broken => format!(
                "all {} applications of the window are from the broken upstream:",
                samples(window)
            ),
            Phase::Healthy => format!(
                "all {} applications of the window are from the repaired upstream; still firing:",
                samples(window)
            ),
        });
        let reference = monitor
            .references
            .first()
            .and_then(|reference| reference.loaded.as_ref());
        for (feature, state) in monitor.features.iter().zip(&window.features) {
            let reference = reference.and_then(|reference| reference.feature(&feature.name));
            if let Some(reference) = reference.filter(|_| self.firing.contains(&feature.name)) {
                let shift = describe_shift(reference, state);
                anstream::println!("         {:<18} {shift}", feature.name);
            }
        }
    }
}

/// Number of events in a window.
fn samples(window: &WindowView) -> u64 {
    window
        .features
        .first()
        .and_then(|feature| feature.counts.as_ref())
        .map_or(0, |counts| counts.tallies.events())
}

/// Describes the difference between a feature's reference and its window with numbers.
fn describe_shift(reference: &FeatureReference, state: &WindowFeatureView) -> String {
    let mut phrases = Vec::new();
    if let (Some(numeric), Some(counts)) = (reference.layout.numeric(), &state.counts) {
        let median = |cells: &CellCounts| median_text(cells, &numeric.cells);
        if let (Some(before), Some(after)) = (median(reference.cells()), median(&counts.cells)) {
            phrases.push(format!("median {before} -> {after}"));
        }
    }
    let missing_before = reference.counts.tallies.missing_ratio();
    let missing_after = state.rates.missing.filter(|missing| *missing > 0.0);
    if let (Some(before), Some(after)) = (missing_before, missing_after) {
        phrases.push(format!(
            "null {:.1} % -> {:.1} %",
            before * 100.0,
            after * 100.0
        ));
    }
    if let Some(unseen) = state.rates.unseen.filter(|unseen| *unseen > 0.0) {
        phrases.push(format!("{:.1} % unseen categories", unseen * 100.0));
    }
    let comparison = state.comparisons.first();
    if let Some(Ok(scores)) = comparison.map(|comparison| &comparison.scores) {
        phrases.push(format!("JS {:.3} bit", scores.divergences.js));
        phrases.extend(scores.distances.map(|distances| {
            let distance = short_number(distances.wasserstein_normalized);
            format!("Wasserstein {distance} std")
        }));
    }
    phrases.join(", ")
}
