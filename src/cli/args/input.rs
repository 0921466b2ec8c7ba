//! Arguments of commands that replay a history: a data file, or a range of the configured topics.

use clap::Args;

use super::file::FileArgs;
use super::range::{self, RangeArgs};
use crate::batch::replay::Input;
use crate::cli::usage::UsageError;
use crate::config::Config;
use crate::model::MonitorSpec;
use crate::source::range::RangeBounds;

/// Arguments that choose the history.
#[derive(Debug, Args)]
pub(crate) struct InputArgs {
    /// Data file: CSV or NDJSON, plain or gzipped; `-` reads standard input
    #[arg(
        long,
        value_name = "DATA",
        required_unless_present = "from",
        conflicts_with_all = ["from", "to"]
    )]
    input: Option<String>,
    #[command(flatten)]
    form: FileArgs,
    #[command(flatten)]
    range: RangeArgs,
}

impl InputArgs {
    /// Returns the bounds of the topic range, or `None` if a file is given.
    ///
    /// # Errors
    /// The bounds leave nothing to read.
    pub(crate) fn bounds(&self) -> Result<Option<RangeBounds>, UsageError> {
        self.range.bounds()
    }

    /// The data file; `None` for a topic range.
    pub(crate) fn file(&self) -> Option<&str> {
        self.input.as_deref()
    }

    /// Opens the ranges of all sources of the monitors, or the file if there are no bounds.
    ///
    /// # Errors
    /// The file cannot be opened, or a range cannot be found.
    pub(crate) fn open(
        &self,
        bounds: Option<RangeBounds>,
        config: &Config,
        monitors: &[MonitorSpec],
    ) -> anyhow::Result<Input> {
        let Some(bounds) = bounds else {
            let file = self.input.as_deref().unwrap_or_default();
            return Ok(Input::File(self.form.open(file)?));
        };
        Ok(Input::Ranges {
            ranges: range::find(config, monitors, bounds)?,
            max_bytes: config.limits.max_message_bytes,
        })
    }
}
