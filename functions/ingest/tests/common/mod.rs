//! What several tests need: the sample bodies, and files with reviewed contents.

#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// The top of the repository.
pub fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The sample bodies, by file name, in order.
pub fn bodies() -> Vec<(String, Vec<u8>)> {
    let folder = top().join("events/ingest/bodies");
    let mut bodies: Vec<(String, Vec<u8>)> = fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                fs::read(&path).unwrap(),
            )
        })
        .collect();
    bodies.sort();
    assert!(
        bodies.len() > 100,
        "{} bodies in {}",
        bodies.len(),
        folder.display()
    );
    bodies
}

/// A folder of files whose contents were reviewed. With `UPDATE_GOLDEN=1` they are written, else compared; a file that
/// no test asked for is an error too.
pub struct Golden {
    folder: PathBuf,
    update: bool,
    seen: BTreeSet<String>,
    wrong: Vec<String>,
}

impl Golden {
    /// `folder` is relative to the crate.
    pub fn new(folder: &str) -> Self {
        Golden {
            folder: Path::new(env!("CARGO_MANIFEST_DIR")).join(folder),
            update: std::env::var_os("UPDATE_GOLDEN").is_some(),
            seen: BTreeSet::new(),
            wrong: Vec::new(),
        }
    }

    pub fn check(&mut self, name: &str, contents: &str) {
        let path = self.folder.join(name);
        self.seen.insert(name.to_owned());
        if self.update {
            fs::create_dir_all(&self.folder).unwrap();
            fs::write(&path, contents).unwrap();
            return;
        }
        match fs::read_to_string(&path) {
            Ok(have) if have == contents => {}
            Ok(have) => self
                .wrong
                .push(format!("{name} was\n{have}\nand is now\n{contents}")),
            Err(error) => self
                .wrong
                .push(format!("{name}: {error}; now it would be\n{contents}")),
        }
    }

    /// A file of the folder that was written by hand.
    pub fn keep(&mut self, name: &str) {
        self.seen.insert(name.to_owned());
    }

    pub fn finish(self) {
        for entry in fs::read_dir(&self.folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            if path.is_file() && !self.seen.contains(&name) {
                assert!(!self.update, "{name} belongs to no sample: delete it");
                panic!("{name} belongs to no sample");
            }
        }
        assert!(
            self.wrong.is_empty(),
            "{} differ; look at the difference, and if it is meant, set UPDATE_GOLDEN=1:\n{}",
            self.wrong.len(),
            self.wrong.join("\n\n")
        );
    }
}
