//! `pegel check`: validates a configuration, and tries it on a message or on the brokers.
//!
//! It writes nothing. With `--connect` it opens the sources, but commits no offset to the consumer
//! group: the first start of `pegel run` must not depend on an earlier check.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use clap::Args;

use super::exit::Exit;
use super::output::stdout::print_text;
use super::sample::print_sample;
use super::usage::UsageError;
use crate::app;
use crate::clock;
use crate::config::{self, Config, Overrides};
use crate::engine::MonitorPlan;
use crate::export::estimate_series;
use crate::model::{EventTime, KafkaReport, PanesTopicSpec, Shard, SourceSpec, TopicId, duration};
use crate::pane_log::kafka::{TopicRequirements, ensure, inspect};
use crate::source::{KafkaSource, RawRecord, Sink, Source as _};

/// Time after which a source without an answer counts as unreachable.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Arguments of `pegel check`.
#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    /// Configuration to check
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Override an option, such as web.listen_address=0.0.0.0:10987
    #[arg(long, value_name = "OPTION=VALUE")]
    set: Vec<String>,
    /// Print the effective configuration with all defaults
    #[arg(long)]
    print: bool,
    /// Show what every monitor reads from this JSON message, and the fields that none reads; exit
    /// with 1 if the record or a value is rejected. `@FILE` reads it from a file
    #[arg(long, value_name = "MESSAGE")]
    sample: Option<String>,
    /// Connect to the brokers and look for the topics
    #[arg(long)]
    connect: bool,
}

/// Checks a configuration and prints the results on standard error.
///
/// # Errors
/// The configuration, a reference or, if asked, a broker has a problem.
pub(super) fn run(args: &CheckArgs) -> anyhow::Result<Exit> {
    let overrides = Overrides::from_process(&args.set);
    for ignored in config::ignored_variables(&overrides.environment) {
        anstream::eprintln!("{ignored}");
    }
    let config = config::load_with_references(&args.config, &overrides, &app::reference_problem)?;
    if args.print {
        print_text(config::print(&config))?;
    }
    let plans = app::load_monitors(config.monitors.iter().cloned());
    let mut problems = app::client_problems(&config);
    problems.extend(app::monitor_problems(&config, &plans));
    let series: usize = plans.iter().map(estimate_series).sum();
    let features: usize = plans.iter().map(|plan| plan.features.len()).sum();
    anstream::eprintln!(
        "{}: monitors: {}, features: {features}, series at most {series} (limit {})",
        args.config.display(),
        plans.len(),
        config.limits.max_series
    );
    for plan in &plans {
        if let Some((thresholds, interval)) = plan.promise() {
            anstream::eprintln!(
                "monitor {}: {thresholds} budgeted thresholds; without drift, in all at most one false \
                 alarm in {}",
                plan.spec.name,
                duration::format_rounded(interval)
            );
        }
        for warning in plan
            .warnings
            .iter()
            .chain(&app::lateness_warning(&plan.spec))
        {
            anstream::eprintln!("monitor {}: {warning}", plan.spec.name);
        }
        print_incidents(plan);
    }
    let sample = match &args.sample {
        Some(sample) => print_sample(sample, &plans, config.limits.max_message_bytes)?,
        None => Exit::Ok,
    };
    config.source_map.ensure_none(problems)?;
    if series > config.limits.max_series {
        return Err(UsageError::TooManySeries {
            limit: config.limits.max_series,
            needed: series,
        }
        .into());
    }
    if args.connect && connect(&config)? == Exit::Failure {
        return Ok(Exit::Failure);
    }
    Ok(sample)
}

/// Prints the time ranges that are left out of the thresholds of a monitor's references.
fn print_incidents(plan: &MonitorPlan) {
    for reference in &plan.references {
        let Some(loaded) = &reference.loaded else {
            continue;
        };
        for incident in loaded.incident_texts() {
            anstream::eprintln!(
                "monitor {}: reference {}: {incident}",
                plan.spec.name,
                reference.name
            );
        }
    }
}

/// Connects to every source, and checks the pane log's topic if there is one.
fn connect(config: &Config) -> anyhow::Result<Exit> {
    let mut exit = Exit::Ok;
    for source in &config.sources {
        match count_partitions(source)? {
            Ok(partitions) => {
                anstream::eprintln!("source {}: {partitions} partitions found", source.name);
            }
            Err(problem) => {
                anstream::eprintln!("source {}: {problem}", source.name);
                exit = Exit::Failure;
            }
        }
    }
    if let Some(panes) = &config.state.panes
        && check_pane_log(config, panes) == Exit::Failure
    {
        exit = Exit::Failure;
    }
    Ok(exit)
}

/// Checks that the topic of the pane log exists and has the required settings.
fn check_pane_log(config: &Config, panes: &PanesTopicSpec) -> Exit {
    let longest_window = config
        .monitors
        .iter()
        .flat_map(|monitor| &monitor.windows)
        .map(|window| window.size)
        .max();
    let needs = TopicRequirements {
        longest_window: longest_window.unwrap_or_default(),
        // Features may come from the references, which are not loaded here.
        widest_source: None,
        may_create: false,
    };
    match ensure(panes, &needs).and_then(|checked| inspect(panes).map(|()| checked.warnings)) {
        Ok(warnings) => {
            anstream::eprintln!("pane log topic {}: ok", panes.topic);
            for warning in &warnings {
                anstream::eprintln!("  {warning}");
            }
            Exit::Ok
        }
        Err(error) => {
            anstream::eprintln!("{:#}", anyhow::Error::new(error));
            Exit::Failure
        }
    }
}

/// Polls a source until its partitions are known; `Err` inside is the problem at the timeout.
fn count_partitions(spec: &SourceSpec) -> anyhow::Result<Result<usize, String>> {
    let report = Arc::new(ArcSwap::from_pointee(KafkaReport::default()));
    let mut source = KafkaSource::try_new(spec, Arc::clone(&report))?.without_commits();
    let deadline = clock::monotonic() + CONNECT_TIMEOUT;
    let mut partitions = PartitionCounter(0);
    while clock::monotonic() < deadline {
        source.poll(Duration::from_millis(100), &mut partitions);
        let report = report.load();
        if report.up && report.problem.is_none() && partitions.0 > 0 {
            return Ok(Ok(partitions.0));
        }
    }
    let problem = report.load().problem.clone();
    Ok(Err(problem.unwrap_or_else(|| {
        format!("no answer from {}", spec.kafka.brokers.join(", "))
    })))
}

/// A sink that counts opened partitions and ignores everything else.
struct PartitionCounter(usize);

impl Sink for PartitionCounter {
    fn extent(&mut self, _: u32) {}

    fn opened(&mut self, _: usize, _: &Shard, _: i64, _: bool) {
        self.0 += 1;
    }

    fn identified(&mut self, _: usize, _: TopicId) {}

    fn record(&mut self, _: RawRecord<'_>) {}

    fn position(&mut self, _: usize, _: i64, _: Option<EventTime>) {}

    fn lost(&mut self, _: usize, _: u64) {}

    fn closed(&mut self, _: usize) {}
}
