//! Errors of the command line: arguments that contradict each other or do not fit the
//! configuration.

use std::path::Path;

use crate::model::{EventTime, Severity};
use crate::reference::UnknownTimezone;

/// A command that cannot be run as it was typed; the process exits with 2.
#[derive(Debug, thiserror::Error)]
pub(super) enum UsageError {
    /// `--monitor` is missing although the configuration has several monitors.
    #[error("several monitors are configured, choose one with --monitor: {}", .configured.join(", "))]
    MonitorNotNamed {
        /// Names of the configured monitors.
        configured: Vec<String>,
    },
    /// `--monitor` names a monitor that is not configured.
    #[error("no monitor {name:?} in the configuration, configured: {}", .configured.join(", "))]
    UnknownMonitor {
        /// The requested name.
        name: String,
        /// Names of the configured monitors.
        configured: Vec<String>,
    },
    /// `--to earliest` ends a range before its first record.
    #[error("--to earliest leaves nothing to read")]
    EndsAtEarliest,
    /// `--from` is not before `--to`.
    #[error("--from {from} is not before --to {to}")]
    EmptyRange {
        /// Requested begin.
        from: EventTime,
        /// Requested end.
        to: EventTime,
    },
    /// `--hour-of-week` is given for rows without a time.
    #[error(
        "--hour-of-week needs the time of each row: give --timestamp, or --config with a \
         timestamp.path"
    )]
    HourOfWeekWithoutTime,
    /// `--hour-of-week` names an unknown time zone.
    #[error(transparent)]
    Timezone(#[from] UnknownTimezone),
    /// `--timestamp` or `--hour-of-week` is given, but no row has a readable time.
    #[error(
        "no row has a time: expected a text such as 2026-11-01T00:00:00Z or 2026-11-08 14:23:55, or \
         seconds, milliseconds, microseconds or nanoseconds since 1970"
    )]
    NoRowHasTime,
    /// `--fail-on` is given for a monitor without rules.
    #[error("no rules: --fail-on has nothing to judge, expected alerts in the configuration")]
    NoRules,
    /// No rule has the severity of `--fail-on`, or a higher one.
    #[error(
        "no rule of severity {severity}: --fail-on {severity} has nothing to judge, expected such an \
         alert in the configuration, or --fail-on warning"
    )]
    NoRuleOfSeverity {
        /// The requested severity.
        severity: Severity,
    },
    /// `--budget` is zero.
    #[error("--budget: expected a duration above 0 such as 7d")]
    ZeroBudget,
    /// The monitors may need more series than `limits.max_series`.
    #[error("limits.max_series is {limit}, up to {needed} series are needed")]
    TooManySeries {
        /// Configured limit.
        limit: usize,
        /// Estimated number of series.
        needed: usize,
    },
    /// The file of `--sample @FILE` cannot be read.
    #[error("--sample @{path}: cannot be read")]
    Sample {
        /// Path of the file.
        path: String,
        /// Error of the operating system.
        source: std::io::Error,
    },
    /// The daemon listens on a free port.
    #[error("{address} is a free port that the daemon chooses, expected its address in --url")]
    AnyPort {
        /// The configured address.
        address: String,
    },
    /// An environment variable holds no address.
    #[error("{variable}: expected host:port such as \"127.0.0.1:10987\", found {address:?}")]
    ListenAddress {
        /// Name of the variable.
        variable: &'static str,
        /// The text that is no address.
        address: String,
    },
    /// `--shard` is given for a process that does not score.
    #[error("--shard splits scoring; ingesters share partitions through their consumer group")]
    ShardWithoutScoring,
    /// An option that splits the process is given, but the pane log is in local files.
    #[error("{option} needs state.panes_topic: without it the pane log is in local files")]
    NeedsPanesTopic {
        /// Name of the option.
        option: &'static str,
    },
    /// The output would replace the data that is read.
    #[error("{path} is the input, expected another file for the output")]
    OutputIsInput {
        /// Path of the output.
        path: String,
    },
}

impl UsageError {
    /// Checks that an output file does not replace the input; `-` is neither.
    ///
    /// # Errors
    /// Both are the same file.
    pub(super) fn check_output(output: &Path, input: Option<&str>) -> Result<(), UsageError> {
        let file = |path: &Path| path.canonicalize().ok();
        match (file(output), input.and_then(|input| file(Path::new(input)))) {
            (Some(written), Some(read)) if written == read => Err(UsageError::OutputIsInput {
                path: output.display().to_string(),
            }),
            _ => Ok(()),
        }
    }
}
