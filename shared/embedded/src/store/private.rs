//! Who may read what the store keeps: the user it runs as, and nobody else. Bodies of notifications and the history of
//! events are no business of other users of the machine.

use std::io;
use std::path::Path;

/// Makes the directory, where it is not there, for its owner alone. One that is there keeps its mode: somebody chose it.
pub(super) fn directory(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        // Somebody else was quicker.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        done => done,
    }
}

/// Opens a file to write, and makes it where it is not there; only its owner may read it from now on. Files that SQLite
/// makes beside its database take the database's mode.
pub(super) fn file(path: &Path) -> io::Result<std::fs::File> {
    let mut options = std::fs::File::options();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    narrow(path);
    Ok(file)
}

/// Takes from others what an older release, or a generous umask, let them have.
pub(super) fn narrow(path: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let Ok(held) = path.metadata() else { return };
        let mode = held.permissions().mode();
        if mode & 0o077 == 0 {
            return;
        }
        let narrower = std::fs::Permissions::from_mode(mode & !0o077);
        if let Err(error) = std::fs::set_permissions(path, narrower) {
            tracing::warn!(path = %path.display(), %error, "other users may read this file");
        }
    }
    #[cfg(not(unix))]
    let _ = path;
}
