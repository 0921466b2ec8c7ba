//! Log lines on standard error, as text or JSON.

use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

/// Format of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Text for a terminal
    Text,
    /// One JSON object per line
    Json,
}

/// Lowest level of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogLevel {
    /// Only failures of the process
    Error,
    /// Problems, and alerts that begin to fire
    Warn,
    /// The life of the process, and alerts that resolve
    Info,
    /// Every evaluation
    Debug,
    /// Everything that libraries log too
    Trace,
}

impl LogLevel {
    const fn name(self) -> &'static str {
        match self {
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }
}

/// Starts logging at a level; without one `RUST_LOG` decides, and without that `default_filter`.
pub(super) fn start_logging(format: LogFormat, level: Option<LogLevel>, default_filter: &str) {
    let filter = match level {
        Some(level) => EnvFilter::new(level.name()),
        None => {
            EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_filter))
        }
    };
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    match format {
        LogFormat::Text => subscriber
            .with_ansi(anstream::stderr().is_terminal())
            .init(),
        LogFormat::Json => subscriber.json().flatten_event(true).init(),
    }
}
