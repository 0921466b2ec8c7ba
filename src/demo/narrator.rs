//! What the demo's terminal says while the stream breaks and recovers.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use owo_colors::OwoColorize as _;

use super::loans::Phase;
use super::{DemoArgs, RATE, REFERENCE_ROWS, phase_at};
use crate::alert::AlertState;
use crate::app::Daemon;
use crate::engine::{EngineView, MonitorView, WindowFeatureView, WindowView};
use crate::export::short_number;
use crate::reference::FeatureReference;
use crate::stats::CellCounts;

/// What has been told so far.
pub(super) struct Story {
    speed: f64,
    began: Instant,
    phase: Phase,
    /// When the phase began, on the generator's clock.
    since: Duration,
    is_ready: bool,
    is_summed_up: bool,
    /// Features with a firing alert.
    firing: BTreeSet<String>,
}

impl Story {
    pub(super) fn new(args: &DemoArgs, began: Instant) -> Self {
        Story {
            speed: args.speed,
            began,
            phase: Phase::Healthy,
            since: Duration::ZERO,
            is_ready: false,
            is_summed_up: true,
            firing: BTreeSet::new(),
        }
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed().mul_f64(self.speed)
    }

    fn say(&self, text: &str) {
        let seconds = self.elapsed().as_secs();
        let clock = format!("{:02}:{:02}", seconds / 60, seconds % 60);
        anstream::println!("{}  {text}", clock.dimmed());
    }

    pub(super) fn open(&self, daemon: &Daemon) {
        let address = daemon.address();
        anstream::println!(
            "A loan-scoring service sends its decisions to Kafka; pegel compares the last minute with\n\
             {REFERENCE_ROWS} decisions from better days.\n\n  \
             page     http://{address}/\n  metrics  http://{address}/metrics\n"
        );
        self.say(&format!("about {RATE:.0} applications a second arrive; all is well. In a minute the upstream will break."));
    }

    pub(super) fn close(&self, drained: bool) {
        let how = if drained {
            ""
        } else {
            ", but not everything ended in time"
        };
        anstream::println!("\nThe demo is over{how}.");
    }

    pub(super) fn tell(&mut self, snapshot: &EngineView) {
        let phase = phase_at(self.elapsed());
        if phase != self.phase {
            (self.phase, self.since, self.is_summed_up) = (phase, self.elapsed(), false);
            self.say(match phase {
                Phase::Broken => "the upstream breaks: amounts arrive in cents, a new country appears, nulls double, the score collapses.",
                Phase::Healthy => "the upstream is repaired; the bad minute has to leave the window.",
            });
        }
        if let Some((monitor, window)) = snapshot
            .monitors
            .first()
            .and_then(|monitor| Some((monitor, monitor.windows.first()?)))
        {
            self.tell_ready(window);
            self.tell_alerts(monitor, window);
            self.sum_up(monitor, window);
        }
    }

    fn tell_ready(&mut self, window: &WindowView) {
        let scores: Option<Vec<f64>> = window
            .features
            .iter()
            .map(|feature| Some(feature.comparisons[0].scores.ok()?.divergences.js))
            .collect();
        if let Some(scores) = scores.filter(|_| !self.is_ready) {
            self.is_ready = true;
            let largest = scores.into_iter().fold(0.0, f64::max);
            self.say(&format!("the first window is ready: {} applications, the largest JS is {largest:.4} bit, nothing fires.", samples(window)));
        }
    }

    fn tell_alerts(&mut self, monitor: &MonitorView, window: &WindowView) {
        for (feature, state) in monitor.features.iter().zip(&window.features) {
            let worst = state
                .comparisons
                .iter()
                .take(1)
                .flat_map(|comparison| &comparison.alerts)
                .filter(|alert| alert.state == AlertState::Firing)
                .max_by_key(|alert| alert.severity);
            match worst {
                Some(line) if self.firing.insert(feature.name.clone()) => {
                    let value = line.value.map_or_else(String::new, short_number);
                    let (alert, name) = ("ALERT".red(), feature.name.bold());
                    self.say(&format!(
                        "{alert} {name}: {} {value} is above its {} line of {}",
                        line.statistic,
                        line.severity,
                        line.threshold.map_or_else(String::new, short_number)
                    ));
                }
                None if self.firing.remove(&feature.name) => {
                    self.say(&format!(
                        "{} {}: back below its lines",
                        "resolved".green(),
                        feature.name
                    ));
                }
                _ => {}
            }
        }
    }

    /// Once a phase fills the whole window: what each firing feature looks like, or that all is well again.
    fn sum_up(&mut self, monitor: &MonitorView, window: &WindowView) {
        let is_due = self.elapsed() >= self.since + Duration::from_secs(75);
        if self.is_summed_up || !is_due {
            return;
        }
        self.is_summed_up = true;
        if self.firing.is_empty() {
            self.say("a whole minute without a firing alert: all is well again.");
            return;
        }
        self.say(&format!(
            "the whole window is {} applications of this:",
            samples(window)
        ));
        let reference = monitor
            .references
            .first()
            .and_then(|reference| reference.loaded.as_ref());
        for (feature, state) in monitor.features.iter().zip(&window.features) {
            let before = reference.and_then(|reference| reference.feature(&feature.name));
            if let Some(before) = before.filter(|_| self.firing.contains(&feature.name)) {
                anstream::println!(
                    "         {:<18} {}",
                    feature.name,
                    plain_words(before, state)
                );
            }
        }
    }
}

fn samples(window: &WindowView) -> u64 {
    let counts = window
        .features
        .first()
        .and_then(|feature| feature.counts.as_ref());
    counts.map_or(0, |counts| counts.tallies.events())
}

/// What happened to a feature, with its numbers.
fn plain_words(before: &FeatureReference, state: &WindowFeatureView) -> String {
    let mut said = Vec::new();
    if let (Some(numeric), Some(now)) = (before.layout.numeric(), &state.counts) {
        let median = |cells: &CellCounts| cells.quantile(&numeric.cells, 0.5).map(short_number);
        if let (Some(then), Some(now)) = (median(before.cells()), median(&now.cells)) {
            said.push(format!("median {then} -> {now}"));
        }
    }
    let (then, now) = (before.counts.tallies.missing_ratio(), state.rates.missing);
    if let (Some(then), Some(now)) = (then, now.filter(|now| *now > 0.0)) {
        said.push(format!(
            "null {:.1} % -> {:.1} %",
            then * 100.0,
            now * 100.0
        ));
    }
    if let Some(unseen) = state.rates.unseen.filter(|unseen| *unseen > 0.0) {
        said.push(format!("{:.1} % of it never seen before", unseen * 100.0));
    }
    if let Some(Ok(scores)) = state
        .comparisons
        .first()
        .map(|comparison| &comparison.scores)
    {
        said.push(format!("JS {:.3} bit", scores.divergences.js));
        said.extend(scores.distances.map(|distances| {
            format!(
                "Wasserstein {} std",
                short_number(distances.wasserstein_normalized)
            )
        }));
    }
    said.join(", ")
}
