//! `carillon completions`: shell completions, from the same definitions as `--help`.

use clap::{Args, CommandFactory as _};

/// Print completions for a shell.
#[derive(Debug, Args)]
pub(crate) struct Completions {
    /// Which shell.
    shell: clap_complete::Shell,
}

impl Completions {
    pub(crate) fn run(&self) {
        clap_complete::generate(
            self.shell,
            &mut crate::Cli::command(),
            "carillon",
            &mut std::io::stdout(),
        );
    }
}
