//! Reading and replacing one file.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, chown},
    path::{Path, PathBuf},
};

use crate::Fault;

/// # Errors
/// `NotFound`, `Denied`; `Invalid` for what is no text.
pub async fn read(path: &Path) -> Result<String, Fault> {
    tokio::fs::read_to_string(path).await.map_err(|error| of(path, "can't be read", &error))
}

/// Puts `text` in the place of `was`, all at once, with the same owner and mode. What is there must still be `was`.
///
/// # Errors
/// `Conflict` when somebody else wrote it meanwhile; `Denied`; `Unavailable` when the disk does not take it. The file is
/// then as it was.
pub async fn replace(path: &Path, was: &str, text: &str) -> Result<(), Fault> {
    let (path, was, text) = (path.to_owned(), was.to_owned(), text.to_owned());
    let work = move || {
        let temporary = beside(&path);
        let done = put(&path, &temporary, &was, &text);
        if done.is_err() {
            fs::remove_file(&temporary).ok(); // there is none, where it could not be made
        }
        done
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Fault::Unknown(error.to_string())))
}

/// Whether `replace` could work, tried with a file beside it.
///
/// # Errors
/// As `replace`; `Invalid` for a symbolic link, which a rename would replace by a file.
pub async fn writable(path: &Path) -> Result<(), Fault> {
    let path = path.to_owned();
    let work = move || {
        no_link(&path)?;
        let temporary = beside(&path);
        let tried = File::create(&temporary).and_then(|_| fs::remove_file(&temporary));
        tried.map_err(|error| of(&path, "can't be replaced", &error))
    };
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Fault::Unavailable(error.to_string())))
}

fn no_link(path: &Path) -> Result<(), Fault> {
    let kind = fs::symlink_metadata(path).map_err(|error| of(path, "can't be read", &error))?;
    if kind.is_symlink() {
        let what = "is a symbolic link, and would be replaced by a file: name the file that it points to";
        return Err(Fault::Invalid(format!("{} {what}", path.display())));
    }
    Ok(())
}

/// In the same folder, since a rename goes no further; with a name that programs which read a whole folder leave out, and
/// the process's own number, since two replicas may be at it.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.lastgood-{}", std::process::id()))
}

fn put(path: &Path, temporary: &Path, was: &str, text: &str) -> Result<(), Fault> {
    no_link(path)?;
    let kept = fs::metadata(path).map_err(|error| of(path, "can't be read", &error))?;
    let write = || -> io::Result<()> {
        let mut file = File::create(temporary)?;
        file.write_all(text.as_bytes())?;
        file.set_permissions(Permissions::clone(&kept.permissions()))?;
        file.sync_all()
    };
    write().map_err(|error| of(path, "can't be replaced", &error))?;
    // Only root may give a file to somebody else; whoever is not root keeps what the folder allows.
    chown(temporary, Some(kept.uid()), Some(kept.gid())).ok();
    // As late as can be: what is between this and the rename is the time of a system call.
    let now = fs::read_to_string(path).map_err(|error| of(path, "can't be read", &error))?;
    if now != was {
        return Err(Fault::Conflict(format!("{} was written by somebody else meanwhile", path.display())));
    }
    fs::rename(temporary, path).map_err(|error| of(path, "can't be replaced", &error))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // The name, too, has to survive a power cut; where a folder can't be opened for that, the file itself is safe.
    File::open(folder).and_then(|folder| folder.sync_all()).ok();
    Ok(())
}

fn of(path: &Path, what: &str, error: &io::Error) -> Fault {
    let text = format!("{} {what}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound => Fault::NotFound(text),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Fault::Denied(text),
        io::ErrorKind::InvalidData => Fault::Invalid(text),
        _ => Fault::Unavailable(text),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_file_is_replaced_whole_and_keeps_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("routes.yaml");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        writable(&path).await.unwrap();
        replace(&path, "old", "new").await.unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");
    }

    #[tokio::test]
    async fn another_writer_wins_and_a_link_is_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("routes.yaml");
        fs::write(&path, "theirs").unwrap();
        assert!(matches!(replace(&path, "old", "new").await, Err(Fault::Conflict(_))));
        assert_eq!(fs::read_to_string(&path).unwrap(), "theirs");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left behind");

        let link = folder.path().join("link.yaml");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(matches!(writable(&link).await, Err(Fault::Invalid(_))));
        assert!(matches!(writable(&folder.path().join("none")).await, Err(Fault::NotFound(_))));
    }
}
