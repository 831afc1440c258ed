//! How a command ends when it does not end well.

use std::process::ExitCode;

/// Why a command stops. The exit status tells scripts which of the two it was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Refused, or findings: status 1.
    #[error("{0}")]
    Refused(String),
    /// Unusable arguments, or no service: status 2.
    #[error("{0}")]
    Unusable(String),
}

impl Failure {
    /// The same, with what the person can do next.
    pub(crate) fn with(self, next: &str) -> Self {
        match self {
            Failure::Refused(text) => Failure::Refused(format!("{text}; {next}")),
            Failure::Unusable(text) => Failure::Unusable(format!("{text}; {next}")),
        }
    }

    pub(crate) fn exit(&self) -> ExitCode {
        match self {
            Failure::Refused(_) => ExitCode::from(1),
            Failure::Unusable(_) => ExitCode::from(2),
        }
    }

    /// A file that cannot be read.
    pub(crate) fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Failure::Unusable(format!("cannot read {}: {error}", path.display()))
    }
}

/// The end of a command.
pub(crate) type Outcome = Result<(), Failure>;
