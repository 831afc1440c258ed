//! `carillon man`: manual pages, from the same definitions as `--help`.

use crate::failure::{Failure, Outcome};
use crate::output::{GOOD, say};
use clap::{Args, CommandFactory as _};
use std::io::Write as _;
use std::path::PathBuf;

/// Print the manual page, or write the pages of all commands into a folder.
#[derive(Debug, Args)]
pub(crate) struct Man {
    /// Folder for one page a command, for example ~/.local/share/man/man1; made when it is not there. Without it, the
    /// page of carillon itself goes to standard output: `carillon man | man -l -`.
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

impl Man {
    pub(crate) fn run(&self) -> Outcome {
        let command = crate::Cli::command();
        let Some(folder) = &self.folder else {
            let mut page = Vec::new();
            clap_mangen::Man::new(command)
                .render(&mut page)
                .map_err(|error| Failure::Unusable(format!("the page cannot be made: {error}")))?;
            // A closed pipe is the reader's choice.
            let _ = std::io::stdout().write_all(&page);
            return Ok(());
        };
        let written = std::fs::create_dir_all(folder)
            .and_then(|()| clap_mangen::generate_to(command, folder));
        written.map_err(|error| {
            Failure::Unusable(format!(
                "cannot write pages into {}: {error}",
                folder.display()
            ))
        })?;
        say!("{GOOD}wrote{GOOD:#} the pages into {}", folder.display());
        Ok(())
    }
}
