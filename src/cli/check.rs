//! `pegel check`: is the configuration right, and what would it do with a message?

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::bail;
use arc_swap::ArcSwap;
use clap::Args;

use super::{Exit, UsageError};
use crate::app;
use crate::clock;
use crate::config::{self, Config, Overrides};
use crate::decode::{Decoder, Fields, Reading, boolean, category, number, timestamp};
use crate::engine::MonitorPlan;
use crate::export::estimate_series;
use crate::model::{KafkaReport, Kind, Shard, SourceSpec, TopicId};
use crate::observe::{ObserverPlan, is_selected};
use crate::pane_log::kafka::{Needs, ensure, inspect};
use crate::source::{KafkaSource, RawRecord, Sink, Source as _};

/// Arguments of `pegel check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Override an option, as web.listen_address=0.0.0.0:10987
    #[arg(long, value_name = "OPTION=VALUE")]
    set: Vec<String>,
    /// Print the effective configuration, every default filled in
    #[arg(long)]
    print: bool,
    /// Show what every monitor makes of this JSON message; `@FILE` reads it from a file
    #[arg(long, value_name = "MESSAGE")]
    sample: Option<String>,
    /// Ask the brokers whether the topics are there
    #[arg(long)]
    connect: bool,
}

/// Checks and tells.
///
/// # Errors
/// Something is wrong with the configuration, a reference, or (when asked) a broker.
pub fn run(args: &CheckArgs) -> anyhow::Result<Exit> {
    let config = config::load(&args.config, &Overrides::from_process(&args.set))?;
    if args.print {
        anstream::print!("{}", config::print(&config));
    }
    let plans: Vec<MonitorPlan> = config
        .monitors
        .iter()
        .cloned()
        .map(app::load_monitor)
        .collect();
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
    for (plan, warning) in plans
        .iter()
        .flat_map(|plan| plan.warnings.iter().map(move |warning| (plan, warning)))
    {
        anstream::eprintln!("monitor {}: {warning}", plan.spec.name);
    }
    if let Some(sample) = &args.sample {
        show_sample(sample, &plans, config.limits.max_message_bytes)?;
    }
    config.places.refuse(problems)?;
    if series > config.limits.max_series {
        bail!(UsageError(format!(
            "limits.max_series is {}, {series} may be needed",
            config.limits.max_series
        )));
    }
    if args.connect {
        connect(&config)
    } else {
        Ok(Exit::Ok)
    }
}

fn show_sample(sample: &str, plans: &[MonitorPlan], max_bytes: usize) -> anyhow::Result<()> {
    let payload = match sample.strip_prefix('@') {
        Some(path) => std::fs::read(path)?,
        None => sample.as_bytes().to_vec(),
    };
    for plan in plans {
        let mut observer = ObserverPlan::default();
        observer.add(&plan.spec, &plan.observed());
        let mut decoder = Decoder::new(&observer.paths).with_max_bytes(max_bytes);
        match decoder.json(&payload) {
            Err(error) => anstream::println!(
                "monitor {}: record rejected, {}: {error}",
                plan.spec.name,
                error.reason()
            ),
            Ok(fields) => anstream::println!("{}", describe(plan, &observer, fields)),
        }
    }
    Ok(())
}

fn describe(plan: &MonitorPlan, observer: &ObserverPlan, fields: Fields<'_>) -> String {
    let monitor = &observer.monitors[0];
    if !is_selected(monitor, fields) {
        return format!(
            "monitor {}: not this monitor's record (select.where)",
            plan.spec.name
        );
    }
    let own = monitor
        .timestamp
        .and_then(|slot| timestamp(fields.slots[slot], fields.scratch));
    let time = match (own, monitor.fallback) {
        (Some(time), _) => time.to_string(),
        (None, true) => "the time Kafka holds".to_owned(),
        (None, false) => "none: the record would be dropped (no_timestamp)".to_owned(),
    };
    let mut text = format!("monitor {}: event time {time}", plan.spec.name);
    let mut buffer = String::new();
    for (feature, observed) in plan.features.iter().zip(&monitor.features) {
        let slot = fields.slots[observed.slot];
        let reading = match feature.kind {
            Kind::Numeric => tell(number(slot, fields.scratch).map(|x| x.to_string())),
            Kind::Categorical => {
                tell(category(slot, fields.scratch, &mut buffer).map(|name| format!("{name:?}")))
            }
            Kind::Boolean => tell(boolean(slot, fields.scratch).map(|value| value.to_string())),
        };
        text += &format!("\n  {} ({}): {reading}", feature.name, feature.kind.name());
    }
    text
}

fn tell(reading: Reading<String>) -> String {
    match reading {
        Reading::Value(value) => value,
        Reading::Missing(kind) => format!("missing ({})", kind.name()),
        Reading::Invalid(reason) => format!("invalid ({})", reason.name()),
    }
}

fn connect(config: &Config) -> anyhow::Result<Exit> {
    let mut exit = Exit::Ok;
    for source in &config.sources {
        match try_source(source)? {
            Ok(partitions) => {
                anstream::eprintln!("source {}: {partitions} partitions found", source.name)
            }
            Err(problem) => {
                anstream::eprintln!("source {}: {problem}", source.name);
                exit = Exit::Failure;
            }
        }
    }
    if let Some(panes) = &config.state.panes {
        let windows = config.monitors.iter().flat_map(|monitor| &monitor.windows);
        let needs = Needs {
            longest_window: windows.map(|window| window.size).max().unwrap_or_default(),
            may_create: false,
        };
        let inspected = ensure(panes, needs).and_then(|warnings| inspect(panes).map(|()| warnings));
        match inspected {
            Ok(warnings) => {
                anstream::eprintln!("pane log topic {}: fit", panes.topic);
                let tell = |warning: &String| anstream::eprintln!("  {warning}");
                warnings.iter().for_each(tell);
            }
            Err(problem) => {
                anstream::eprintln!("{:#}", anyhow::Error::new(problem));
                exit = Exit::Failure;
            }
        }
    }
    Ok(exit)
}

/// Reads until every topic has partitions, for ten seconds at most; nothing is committed.
fn try_source(spec: &SourceSpec) -> anyhow::Result<Result<usize, String>> {
    let report = Arc::new(ArcSwap::from_pointee(KafkaReport::default()));
    let mut source = KafkaSource::try_new(spec, Arc::clone(&report))?;
    let deadline = clock::monotonic() + Duration::from_secs(10);
    let mut opened = Opened(0);
    while clock::monotonic() < deadline {
        source.poll(Duration::from_millis(100), &mut opened);
        let report = report.load();
        if report.up && report.problem.is_none() && opened.0 > 0 {
            return Ok(Ok(opened.0));
        }
    }
    let problem = report.load().problem.clone();
    Ok(Err(problem.unwrap_or_else(|| {
        format!("no answer from {}", spec.kafka.brokers.join(", "))
    })))
}

/// Counts partitions and looks at nothing else.
struct Opened(usize);

impl Sink for Opened {
    fn extent(&mut self, _: u32) {}

    fn opened(&mut self, _: usize, _: &Shard, _: i64, _: bool) {
        self.0 += 1;
    }

    fn identified(&mut self, _: usize, _: TopicId) {}

    fn record(&mut self, _: RawRecord<'_>) {}

    fn position(&mut self, _: usize, _: i64, _: bool) {}

    fn lost(&mut self, _: usize, _: u64) {}

    fn closed(&mut self, _: usize) {}
}
