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

/// Starts logging; `RUST_LOG` overrides `default_level`.
pub(super) fn start_logging(format: LogFormat, default_level: &str) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_level));
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
