//! `pegel calibrate`: which alert policy to take, from a history in which nothing was wrong.
//!
//! The history is replayed through the engine once as it is, under every candidate at once, which counts false alarms. Then a part of its second half is played
//! again, once per damage that is done to its values, which tells what each candidate finds and how fast. Nothing is estimated: every number is a count of what
//! the monitor would have done.

pub(crate) mod alarm_trace;
pub(crate) mod candidates;
pub(crate) mod caveats;
pub(crate) mod faults;
pub(crate) mod operating_curve;
pub(crate) mod outcomes;
pub(crate) mod policy;
mod recommend;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context as _, bail};
use clap::{Args, ValueEnum};
use rayon::prelude::*;

use self::candidates::Candidates;
use self::faults::{Damage, Injector, Stage};
use self::operating_curve::Trials;
use self::outcomes::Ledger;
use self::policy::DAY;
use self::recommend::{Evidence, Proposal, Standing, propose, standings};
use super::progress;
use super::replay::{Input, InputArgs, replay, replay_altered};
use crate::app;
use crate::cli::output::{backtest_json, backtest_table};
use crate::cli::replay::compare_with;
use crate::cli::{Exit, UsageError, pick_monitor, tell};
use crate::config::{self, Config};
use crate::engine::{FeaturePlan, MonitorPlan, MonitorView, ReferenceView, WindowView};
use crate::ingest::RecordTransform;
use crate::model::{EventTime, MonitorSpec};
use crate::observe::ObserverPlan;

/// Later than every time a record can carry.
const LAST: EventTime = EventTime::from_millis(i64::MAX);
/// How long damage is looked for: at least so long, and so many windows. Nobody waits longer for an alarm.
const PATIENCE: Duration = DAY;
const PATIENCE_WINDOWS: u32 = 10;
/// Evaluations before the damage, with windows that are full.
const LEAD_SLIDES: u32 = 20;

/// Arguments of `pegel calibrate`.
#[derive(Debug, Args)]
pub struct CalibrateArgs {
    /// The configuration with the monitor
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    #[command(flatten)]
    input: InputArgs,
    /// Compare with this reference instead of the configured ones
    #[arg(long, value_name = "REF")]
    reference: Option<PathBuf>,
    /// Which monitor of the configuration
    #[arg(long)]
    monitor: Option<String>,
    /// One false alarm of the whole monitor in this time is accepted
    #[arg(long, value_name = "DURATION", default_value = "7d", value_parser = humantime::parse_duration)]
    budget: Duration,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    format: Format,
}

/// How the result is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Table,
    Json,
}

/// Everything that was found.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) candidates: Candidates,
    pub(crate) trials: Trials,
    /// The first and the last end of a judged window.
    pub(crate) judged: (EventTime, EventTime),
    /// Events of the history.
    pub(crate) events: u64,
    pub(crate) evidence: Evidence,
    /// Features that alarm under every policy although nothing was damaged.
    pub(crate) noisy: BTreeSet<usize>,
    /// In the order of the candidates.
    pub(crate) standings: Vec<Standing>,
    pub(crate) proposal: Option<Proposal>,
}

impl Report {
    pub(crate) fn monitor(&self) -> &str {
        self.candidates.spec().map_or("", |spec| &spec.name)
    }

    /// Features that a policy could judge.
    pub(crate) fn judged_features(&self) -> BTreeSet<usize> {
        self.trials.judged(self.candidates.list.len() - 1)
    }

    pub(crate) fn name_of(&self, feature: usize) -> &str {
        let found = self.candidates.features().get(feature);
        found.map_or("", |feature| &feature.name)
    }
}

/// Replays, damages, proposes and prints.
///
/// # Errors
/// The configuration is wrong, the data cannot be read, or nothing in it can be judged.
pub fn run(args: &CalibrateArgs) -> anyhow::Result<Exit> {
    if args.budget.is_zero() {
        bail!(UsageError(
            "--budget: expected a duration above 0, as 7d".to_owned()
        ));
    }
    let config = config::load_file(&args.config)?;
    let spec = monitor(args, &config)?;
    let bounds = args.input.bounds()?;
    let candidates = candidates(spec.clone(), args.budget)?;
    let input = args.input.open(bounds, &config, &[spec])?;
    let (clean, state) = undamaged(&input, &candidates)?;
    let judged = judged(&clean, &state, &candidates, &input.name())?;
    let stage = stage(judged, &candidates);
    let (control, damaged) = damaged(&input, &candidates, stage)?;
    let trials = Trials {
        stage,
        clean,
        control,
        damaged,
    };
    let report = report(candidates, trials, judged, &state, args.budget);
    match args.format {
        Format::Table => anstream::println!("{}", backtest_table::table(&report)),
        Format::Json => anstream::println!("{:#}", backtest_json::json(&report)),
    }
    Ok(Exit::Ok)
}

/// The monitor that is asked for.
fn monitor(args: &CalibrateArgs, config: &Config) -> anyhow::Result<MonitorSpec> {
    let mut spec = pick_monitor(config, args.monitor.as_deref())?;
    if let Some(path) = &args.reference {
        compare_with(&mut spec, path);
    }
    Ok(spec)
}

/// A monitor with everything that is tried on it.
fn candidates(spec: MonitorSpec, budget: Duration) -> anyhow::Result<Candidates> {
    let plan = app::load_monitor(spec);
    tell(&plan);
    let name = plan.spec.name.clone();
    let missing: Vec<String> = plan.references.iter().filter_map(missing).collect();
    let candidates = Candidates::new(plan, budget);
    if candidates.watched() == 0 {
        let why = match missing.is_empty() {
            true => {
                "it has no reference with its features: name one, or give --reference".to_owned()
            }
            false => missing.join("; "),
        };
        bail!(UsageError(format!(
            "monitor {name}: no feature can have a budget of false alarms, {why}"
        )));
    }
    Ok(candidates)
}

fn missing(reference: &ReferenceView) -> Option<String> {
    let problem = reference.problem.as_ref()?;
    Some(format!("reference {}: {problem}", reference.name))
}

/// The history as it is, under every candidate.
fn undamaged(input: &Input, candidates: &Candidates) -> anyhow::Result<(Ledger, MonitorView)> {
    let (plans, mut ledger) = candidates.of(|_| true, (EventTime::MIN, LAST));
    let mut states = replay(input, plans, &mut |plan, window| ledger.take(plan, window))?;
    match states.pop() {
        Some(state) => Ok((ledger, state)),
        None => bail!("no monitor was replayed"),
    }
}

/// The time in which windows were judged.
fn judged(
    clean: &Ledger,
    state: &MonitorView,
    candidates: &Candidates,
    input: &str,
) -> anyhow::Result<(EventTime, EventTime)> {
    if let Some(judged) = clean.judged() {
        return Ok(judged);
    }
    if state.events == 0 {
        bail!(
            "{input}: no row became an event ({}); `timestamp` in the monitor says where a row's time is",
            dropped(state)
        );
    }
    if state.evaluations == 0 {
        bail!("{input}: the history is shorter than a window");
    }
    let features = 0..candidates.features().len();
    let reasons = features.filter_map(|feature| Some(clean.reason(feature)?.reason()));
    let reasons: BTreeSet<&str> = reasons.collect();
    bail!(
        "{input}: none of {} evaluations could be judged: {}",
        state.evaluations,
        reasons.into_iter().collect::<Vec<_>>().join(", ")
    );
}

fn dropped(state: &MonitorView) -> String {
    let dropped = state.dropped.iter().filter(|(_, count)| *count > 0);
    let said: Vec<String> = dropped
        .map(|(reason, count)| format!("{count} {reason}"))
        .collect();
    if said.is_empty() {
        "it has none".to_owned()
    } else {
        said.join(", ")
    }
}

/// The second half of the judged time, at the edges of panes, or as much of it as somebody would wait for an alarm.
fn stage((first, last): (EventTime, EventTime), candidates: &Candidates) -> Stage {
    let windows = candidates.spec().map_or(&[][..], |spec| &spec.windows);
    let longest = windows.iter().map(|own| own.size).max().unwrap_or_default();
    let slide = windows
        .iter()
        .map(|own| own.slide)
        .max()
        .unwrap_or_default();
    let width = candidates.spec().map(MonitorSpec::pane_width);
    let middle = first.plus(last.since(first) / 2);
    let onset = middle.align_down(width.unwrap_or_default());
    let patience = PATIENCE.max(longest * PATIENCE_WINDOWS);
    // Windows are warm at the onset, and alerts as they would be.
    let lead = longest * 2 + slide * LEAD_SLIDES;
    Stage {
        from: if candidates.estimates_online() {
            EventTime::MIN
        } else {
            onset.minus(lead)
        },
        onset,
        until: last.min(onset.plus(patience)),
    }
}

/// The stage without damage, and with each, on all cores.
fn damaged(
    input: &Input,
    candidates: &Candidates,
    stage: Stage,
) -> anyhow::Result<(Ledger, Vec<(Damage, Ledger)>)> {
    let features = candidates.features();
    let possible = |damage: &Damage| features.iter().any(|feature| is_hit(*damage, feature));
    let tried = Damage::ALL.into_iter().filter(possible).map(Some);
    let tried: Vec<Option<Damage>> = std::iter::once(None).chain(tried).collect();
    let bar = progress::over_items("doing damage", tried.len());
    let one = |damage: Option<Damage>| {
        let ledger = play(input, candidates, damage, stage)?;
        bar.inc(1);
        Ok((damage, ledger))
    };
    let played: anyhow::Result<Vec<_>> = tried.into_par_iter().map(one).collect();
    bar.finish_and_clear();
    let mut played = played?.into_iter();
    let control = played.next().map(|(_, ledger)| ledger);
    let damaged = played.filter_map(|(damage, ledger)| Some((damage?, ledger)));
    Ok((control.context("nothing was played")?, damaged.collect()))
}

fn is_hit(damage: Damage, feature: &FeaturePlan) -> bool {
    damage.can_hit(feature.kind) && feature.scorers.iter().any(Option::is_some)
}

/// Plays the stage with a damage, for the features it can hit; without one, for all.
fn play(
    input: &Input,
    candidates: &Candidates,
    damage: Option<Damage>,
    stage: Stage,
) -> anyhow::Result<Ledger> {
    let is_wanted = |feature: &FeaturePlan| damage.is_none_or(|own| is_hit(own, feature));
    let (plans, mut ledger) = candidates.of(is_wanted, (stage.onset, stage.until));
    let features = plans.first().map(|plan| plan.features.clone());
    let features = features.unwrap_or_default();
    let alteration = |observed: &ObserverPlan| -> Box<dyn RecordTransform> {
        Box::new(Injector::new(damage, stage, observed, &features))
    };
    let mut take = |plan: &MonitorPlan, window: &WindowView| ledger.take(plan, window);
    replay_altered(input, plans, &alteration, &mut take)?;
    Ok(ledger)
}

fn report(
    candidates: Candidates,
    trials: Trials,
    judged: (EventTime, EventTime),
    state: &MonitorView,
    budget: Duration,
) -> Report {
    let evidence = Evidence {
        budget,
        span: judged.1.since(judged.0),
    };
    let numbered = candidates.list.iter().enumerate();
    let policies = numbered.filter(|(_, candidate)| candidate.policy.is_some());
    let policies: Vec<usize> = policies.map(|(index, _)| index).collect();
    let noisy = trials.never_quiet(&policies);
    let standings = standings(&candidates, &trials, &evidence, &noisy);
    let judged_features = policies.last().map(|last| trials.judged(*last));
    let has_quiet = judged_features.is_some_and(|own| !own.is_subset(&noisy));
    let proposal = propose(&candidates, &standings, &evidence);
    Report {
        proposal: proposal.filter(|_| has_quiet),
        candidates,
        trials,
        judged,
        events: state.events,
        evidence,
        noisy,
        standings,
    }
}
