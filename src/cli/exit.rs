//! Exit codes of the process, and the mapping from errors to them.
//!
//! The codes are part of the contract: scripts distinguish a wrong command from a failure, and
//! drift from a feature that is not ready.

use super::usage::UsageError;
use crate::batch::backtest::BacktestError;
use crate::batch::compare::CompareError;
use crate::batch::fit::fit_rows::FitRowsError;
use crate::config::{ConfigError, Problems};
use crate::reference::ArtefactError;
use crate::source::files::FileError;

/// The result of a command; the process exits with this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// The command did its work.
    Ok = 0,
    /// Something failed at run time.
    Failure = 1,
    /// The command or the configuration is wrong.
    Usage = 2,
    /// With `--fail-on`: at least one feature drifted.
    Drift = 3,
    /// With `--fail-on`: no feature drifted, but at least one is not ready, or many rows could not
    /// be read.
    NotReady = 4,
}

/// Returns the exit code of an error.
///
/// Errors of the command line and the configuration are [`Exit::Usage`], and so are inputs that
/// cannot be opened. All others are [`Exit::Failure`], such as an output that cannot be written.
#[must_use]
pub fn exit_of(error: &anyhow::Error) -> Exit {
    let is_usage = error.chain().any(|cause| {
        cause.is::<UsageError>()
            || cause.is::<ConfigError>()
            || cause.is::<Problems>()
            || cause.downcast_ref().is_some_and(ArtefactError::is_usage)
            || cause.downcast_ref().is_some_and(FileError::is_usage)
            || cause.is::<CompareError>()
            || cause.downcast_ref().is_some_and(FitRowsError::is_usage)
            || cause.downcast_ref().is_some_and(BacktestError::is_usage)
    });
    if is_usage { Exit::Usage } else { Exit::Failure }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(error: impl Into<anyhow::Error>, expected: Exit) {
        let error: anyhow::Error = error.into();
        assert_eq!(exit_of(&error), expected, "{error:#}");
        let with_context = error.context("while the command ran");
        assert_eq!(exit_of(&with_context), expected, "{with_context:#}");
    }

    #[test]
    fn a_wrong_command_or_configuration_is_a_usage_error() {
        let feature = || "amount".to_owned();
        check(UsageError::ZeroBudget, Exit::Usage);
        check(
            FitRowsError::UnknownKind {
                feature: feature(),
                reason: "no values".to_owned(),
            },
            Exit::Usage,
        );
        check(
            CompareError::DifferentLayouts { feature: feature() },
            Exit::Usage,
        );
        let monitor = "m".to_owned();
        check(BacktestError::NoReference { monitor }, Exit::Usage);
    }

    #[test]
    fn data_without_a_result_is_a_failure() {
        let data = || "rows.csv".to_owned();
        check(FitRowsError::NoFeature { data: data() }, Exit::Failure);
        check(
            BacktestError::ShorterThanWindow { input: data() },
            Exit::Failure,
        );
        check(std::io::Error::other("disk"), Exit::Failure);
    }
}
