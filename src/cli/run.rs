//! `pegel run`: the daemon.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};
use tracing_subscriber::EnvFilter;

use super::Exit;
use crate::app::Daemon;
use crate::config::{self, Overrides};

/// Arguments of `pegel run`.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// The configuration
    #[arg(short, long, value_name = "FILE")]
    config: PathBuf,
    /// Override an option, as web.listen_address=0.0.0.0:10987
    #[arg(long, value_name = "OPTION=VALUE")]
    set: Vec<String>,
    /// How log lines look
    #[arg(long, value_enum, default_value = "text")]
    log_format: LogFormat,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One object per line.
    Json,
}

/// Log lines on standard error; `RUST_LOG` chooses the level, info by default.
pub fn start_logging(format: LogFormat, default_level: &str) {
    let filter =
        EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default_level));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_target(false);
    match format {
        LogFormat::Text => builder.with_ansi(anstream::stderr().is_terminal()).init(),
        LogFormat::Json => builder.json().flatten_event(true).init(),
    }
}

/// Runs until a signal, then drains.
///
/// # Errors
/// The configuration is wrong, or the daemon cannot start.
pub fn run(args: &RunArgs) -> anyhow::Result<Exit> {
    let config = config::load(&args.config, &Overrides::from_process(&args.set))?;
    start_logging(args.log_format, "info");
    info!(version = env!("CARGO_PKG_VERSION"), config = %args.config.display(), "pegel starts");
    runtime()?.block_on(async {
        let daemon = Daemon::start(config).await?;
        let is_broken = until_signal(&daemon).await?;
        let drained = daemon.stop().await;
        info!(drained, "pegel ends");
        Ok(if is_broken || !drained {
            Exit::Failure
        } else {
            Exit::Ok
        })
    })
}

/// The runtime of HTTP and signals; two threads are plenty, the work is done on threads of its own.
///
/// # Errors
/// The operating system refuses it.
pub fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the HTTP runtime")
}

/// Waits for a signal, or for a thread that has ended by itself (`true`).
async fn until_signal(daemon: &Daemon) -> anyhow::Result<bool> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut watch = tokio::time::interval(Duration::from_millis(500));
    loop {
        tokio::select! {
            _ = terminate.recv() => { info!("SIGTERM, shutting down"); return Ok(false) }
            _ = interrupt.recv() => { info!("interrupted, shutting down"); return Ok(false) }
            _ = watch.tick() => if daemon.is_broken() {
                error!("a worker thread has ended, shutting down");
                return Ok(true);
            }
        }
    }
}
