//! Nobody but the user that the service runs as can read what it keeps.
#![cfg(unix)]
// `allow-unwrap-in-tests` knows test functions, not their helpers.
#![allow(clippy::unwrap_used)]

use carillon_core::ports::{OutgoingMessage, Stage, StageSender};
use carillon_embedded::{Settings, Store};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

fn files(data: &Path) -> Vec<(String, u32)> {
    let mut files: Vec<(String, u32)> = std::fs::read_dir(data)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            (
                entry.file_name().into_string().unwrap(),
                mode(&entry.path()),
            )
        })
        .collect();
    files.sort();
    files
}

async fn write(store: &Store) {
    let message = OutgoingMessage::new("a secret".to_owned());
    let sent = StageSender::send(store, Stage::Match, vec![message]).await;
    assert_eq!(sent, [Ok(())]);
}

#[tokio::test]
async fn a_fresh_store_is_its_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("deeper/data");
    let store = Store::open(&data, Settings::default()).unwrap();
    write(&store).await;
    assert_eq!(mode(&data), 0o700);
    let expected = [
        "carillon.lock",
        "carillon.sqlite",
        "carillon.sqlite-shm",
        "carillon.sqlite-wal",
    ];
    assert_eq!(files(&data), expected.map(|name| (name.to_owned(), 0o600)));
}

#[tokio::test]
async fn what_an_older_release_left_open_is_closed_and_a_chosen_folder_stays_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let set = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    set(folder.path(), 0o750);
    drop(Store::open(folder.path(), Settings::default()).unwrap());
    for (name, _) in files(folder.path()) {
        set(&folder.path().join(name), 0o644);
    }
    let store = Store::open(folder.path(), Settings::default()).unwrap();
    write(&store).await;
    assert!(files(folder.path()).iter().all(|(_, mode)| *mode == 0o600));
    assert_eq!(mode(folder.path()), 0o750);
}
