//! Who may read and write the database's files: whoever may can do what lastgood can. SQLite gives its journals the mode of the
//! database, so that what counts is the mode of that one file.

use std::{
    fs::{File, OpenOptions, Permissions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::{Result, StoreError};

/// Of a new file: its owner's.
const PRIVATE: u32 = 0o600;
/// The most that an existing one keeps: people who break glass may share a group with the server's user.
const SHARED: u32 = 0o660;

/// Makes the database's file, if there is none, and takes from it and its journals what nobody needs.
///
/// # Errors
/// When the file can't be made. That somebody else's file can't be changed is a warning.
pub(super) fn keep_private(database: &Path) -> Result<()> {
    drop(open(database, PRIVATE)?);
    for file in [database.to_owned(), beside(database, "-wal"), beside(database, "-shm")] {
        tighten(&file);
    }
    Ok(())
}

/// Opens a file that goes with the database (a lock), for whoever may open the database, and for nobody else.
///
/// # Errors
/// When it can't be made or opened.
pub(super) fn open_beside(database: &Path, path: &Path) -> Result<File> {
    let wanted = std::fs::metadata(database).map_or(PRIVATE, |of| allowed(of.mode()));
    let file = open(path, wanted)?;
    tighten(path);
    Ok(file)
}

/// What is left of a mode. Nobody can work on a database that they can only read: SQLite writes to its journals then, too. So a
/// group keeps what it has only if it may write.
fn allowed(mode: u32) -> u32 {
    if mode & 0o020 == 0 { PRIVATE } else { SHARED }
}

/// A new file has its mode from the first moment on; one that is there keeps its own.
fn open(path: &Path, mode: u32) -> Result<File> {
    let failed = |error| StoreError::File { path: path.display().to_string(), error };
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(PRIVATE);
    match options.clone().create_new(true).open(path) {
        Ok(file) => {
            if mode != PRIVATE {
                // The process's umask has no say in this.
                file.set_permissions(Permissions::from_mode(mode)).map_err(failed)?;
            }
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            options.create(true).truncate(false).open(path).map_err(failed)
        }
        Err(error) => Err(failed(error)),
    }
}

fn tighten(file: &Path) {
    // One that is not there needs nothing.
    let Ok(metadata) = std::fs::metadata(file) else { return };
    let mode = metadata.mode() & 0o777;
    let kept = mode & allowed(mode);
    if !metadata.is_file() || kept == mode {
        return;
    }
    let shown = file.display();
    match std::fs::set_permissions(file, Permissions::from_mode(kept)) {
        Ok(()) => {
            tracing::warn!("{shown} was open to others (mode {mode:03o}); it is {kept:03o} now");
        }
        Err(error) => {
            tracing::warn!(
                "{shown} is open to others (mode {mode:03o}): {error}; its owner should `chmod {kept:o}` it"
            );
        }
    }
}

fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// What others can do in the folder of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Folder {
    Private,
    /// They see the names, and read what is put there by other programs: backups.
    Readable,
    /// They can put other files in the place of these.
    Writable,
}

/// Looks at the folder that a database is in.
///
/// # Errors
/// As the system says.
pub fn folder_of(database: &Path) -> io::Result<(PathBuf, Folder)> {
    let folder = match database.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
        _ => PathBuf::from("."),
    };
    let folder = folder.canonicalize()?;
    let mode = std::fs::metadata(&folder)?.mode();
    let access = match mode {
        mode if mode & 0o002 != 0 => Folder::Writable,
        mode if mode & 0o004 != 0 => Folder::Readable,
        _ => Folder::Private,
    };
    Ok((folder, access))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn new_files_are_their_owners_and_open_ones_are_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("x.db");
        keep_private(&database).unwrap();
        assert_eq!(mode(&database), 0o600);
        for (before, after) in [
            (0o600, 0o600),
            (0o644, 0o600),
            (0o640, 0o600),
            (0o660, 0o660),
            (0o664, 0o660),
            (0o666, 0o660),
            (0o604, 0o600),
            (0o400, 0o400),
        ] {
            std::fs::set_permissions(&database, Permissions::from_mode(before)).unwrap();
            tighten(&database);
            assert_eq!(mode(&database), after, "from {before:o}");
        }
    }

    #[test]
    fn a_lock_is_for_those_who_share_the_database() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("x.db");
        let lock = |name: &str| {
            let path = folder.path().join(name);
            drop(open_beside(&database, &path).unwrap());
            mode(&path)
        };
        assert_eq!(lock("before"), 0o600, "there is no database yet");
        keep_private(&database).unwrap();
        std::fs::set_permissions(&database, Permissions::from_mode(0o660)).unwrap();
        assert_eq!(lock("shared"), 0o660);
    }

    #[test]
    fn the_folder_is_judged_by_what_strangers_can_do() {
        let folder = tempfile::tempdir().unwrap();
        for (mode, access) in [
            (0o700, Folder::Private),
            (0o770, Folder::Private),
            (0o755, Folder::Readable),
            (0o777, Folder::Writable),
            (0o733, Folder::Writable),
        ] {
            std::fs::set_permissions(folder.path(), Permissions::from_mode(mode)).unwrap();
            assert_eq!(folder_of(&folder.path().join("x.db")).unwrap().1, access, "{mode:o}");
        }
        assert!(folder_of(Path::new("x.db")).is_ok());
    }
}
