//! The key document as a file of the data directory.

use super::KeyStore;
use carillon_core::ports::StoreError;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::path::{Path, PathBuf};

/// Keeps the document in `signing-keys.json`, readable by its owner alone.
#[derive(Clone, Debug)]
pub struct FileKeyStore {
    file: PathBuf,
}

impl FileKeyStore {
    /// Keeps the document in this directory, which must exist.
    #[must_use]
    pub fn new(directory: &Path) -> Self {
        FileKeyStore {
            file: directory.join("signing-keys.json"),
        }
    }

    fn failed(&self, error: &io::Error) -> StoreError {
        StoreError(format!("{}: {error}", self.file.display()))
    }

    /// Writes the document under a name of its own, durably, so that no reader ever sees half of it.
    fn write_aside(&self, document: &str) -> io::Result<PathBuf> {
        let aside = self
            .file
            .with_extension(format!("json.{}", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut out = options.open(&aside)?;
        out.write_all(document.as_bytes())?;
        out.sync_all()?;
        Ok(aside)
    }
}

#[async_trait::async_trait]
impl KeyStore for FileKeyStore {
    async fn load(&self) -> Result<Option<String>, StoreError> {
        match fs::read_to_string(&self.file) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed(&error)),
        }
    }

    async fn create(&self, document: &str) -> Result<(), StoreError> {
        let create = || {
            let aside = self.write_aside(document)?;
            // A link, unlike a rename, fails when the name is taken: the first process wins.
            let linked = fs::hard_link(&aside, &self.file);
            fs::remove_file(&aside)?;
            match linked {
                Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                _ => Ok(()),
            }
        };
        create().map_err(|error| self.failed(&error))
    }

    async fn replace(&self, held: &str, document: &str) -> Result<bool, StoreError> {
        // One process has the data directory, and it turns one key over at a time: nobody writes in between.
        if self.load().await?.as_deref() != Some(held) {
            return Ok(false);
        }
        let replace = || fs::rename(self.write_aside(document)?, &self.file);
        replace().map_err(|error| self.failed(&error))?;
        Ok(true)
    }
}
