//! pegel: a streaming data-drift monitor for Kafka.
//!
//! ```text
//!  source --> decode --> observe --> pane log --> window --> score --> alert --> export
//!  bytes      typed      counts in   the only     sum of     p vs q    state     /metrics,
//!  + offset   values     a pane      state        panes                machine   API, page
//! ```
//!
//! Two halves meet at the pane log and nowhere else. *Ingest* turns records into counts per source
//! partition. The *engine* turns accepted counts into evaluations. On one machine both run in one
//! process; on many machines they are two roles of one binary, and the log is a Kafka topic.
//!
//! # Modules
//!
//! In the order of a record's path:
//!
//! - [`model`]: plain data that all modules share: event time, statistic, monitor, shard, ids
//! - [`stats`]: the formulas: bins, cells, counts, divergences, Wasserstein, quantiles, rates
//! - [`decode`]: bytes to the values of the configured paths
//! - [`observe`]: values to counts of a shard: selection, event time, lateness
//! - [`panes`]: counts of a slice of event time, commits, and the fold that accepts them
//! - [`kafka`]: shared parts of the Kafka clients: configuration, offsets of partitions
//! - [`pane_log`]: encoding and IO of the log: files on one machine, a Kafka topic on many
//! - [`source`]: the traits of sources and sinks; Kafka, files, rows
//! - [`ingest`]: decoder and observer behind a sink
//! - [`window`]: rings of panes, their schedule, the watermark, coverage
//! - [`mod@reference`]: the fitted reference: fit, file format, hours of the week
//! - [`score`]: a window against a reference: scores, or the reason why there are none
//! - [`calibration`]: distributions of scores without drift, and the thresholds from them
//! - [`alert`]: the state machine of one alert rule
//! - [`engine`]: commits in, evaluations out; monitors, windows, comparisons, the view
//! - [`batch`]: a whole history at once: replay, fit, backtest
//! - [`export`]: metrics, JSON, the page, explanations
//! - [`config`]: the user's configuration, checked and turned into parameters
//! - [`app`]: the running process: threads, roles, start, reload, drain
//! - [`demo`]: a service that breaks and recovers, with a broker in the process
//! - [`cli`]: the commands, their arguments and their output
//! - [`clock`]: the only place that reads a clock
//!
//! # Invariants
//!
//! - Each source offset is counted exactly once, whatever crashes: the accepted commits of a shard
//!   follow each other without gap or overlap.
//! - Nothing but the pane log is state. Two readers at one log position hold the same counts.
//! - A number that does not exist is absent with a reason, and never 0, NaN or an older number.
//! - `stats`, `model`, `decode`, `observe`, `panes`, `window`, `score`, `calibration`, `alert` and
//!   `engine` are pure: no clock, IO, async or global. Time is an argument.
//! - `ingest` does not know `engine`, and `source` does not know `export`.
//! - Per record there is no lock, channel or allocation.
//!
//! `tests/offline/architecture.rs` checks who imports whom; `docs/architecture.md` has the reasons.
//!
//! # Reading the code
//!
//! Begin with `panes/fold.rs`, the rule that decides which counts exist. Then follow a record:
//! `ingest.rs`, `observe/observer.rs`, `engine/mod.rs`. The life of the process is in
//! `app/lifecycle.rs`.

pub mod alert;
pub mod app;
pub mod batch;
pub mod calibration;
pub mod cli;
pub mod clock;
pub mod config;
pub mod decode;
pub mod demo;
pub mod engine;
pub mod export;
pub mod ingest;
pub mod kafka;
pub mod model;
pub mod observe;
pub mod pane_log;
pub mod panes;
pub mod reference;
pub mod score;
pub mod source;
pub mod stats;
pub mod window;
