//! Reading and replacing one file.

use std::{
    fs::{self, File, Permissions},
    io::{self, Write as _},
    os::unix::fs::{MetadataExt as _, chown},
    path::Path,
};

use tempfile::NamedTempFile;

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
    let work = move || put(&path, &was, &text);
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Fault::Unknown(error.to_string())))
}

/// Whether `replace` could work, tried with a file beside it.
///
/// # Errors
/// As `replace`; `Invalid` for a symbolic link, which a rename would replace by a file.
pub async fn writable(path: &Path) -> Result<(), Fault> {
    let path = path.to_owned();
    let work = move || beside(&path).map(drop);
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| Err(Fault::Unavailable(error.to_string())))
}

/// A file that can take the place of this one: in the same folder, since a rename goes no further; with a name that nobody
/// else has and that programs which read a whole folder leave out; and readable by the same people, or whoever reads the
/// one that is there could not read it any more. It goes with its value, unless it was put in place.
fn beside(path: &Path) -> Result<NamedTempFile, Fault> {
    let failed = |error: io::Error| of(path, "can't be replaced", &error);
    no_link(path)?;
    let kept = fs::metadata(path).map_err(|error| of(path, "can't be read", &error))?;
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = tempfile::Builder::new()
        .prefix(&format!(".{name}.lastgood-"))
        .tempfile_in(folder(path))
        .map_err(failed)?;
    beside.as_file().set_permissions(Permissions::clone(&kept.permissions())).map_err(failed)?;
    // Only root may give a file to somebody else; to one of its own groups anybody may. What came of it is looked at.
    chown(beside.path(), None, Some(kept.gid())).ok();
    chown(beside.path(), Some(kept.uid()), None).ok();
    // A change of owner takes some of the mode away.
    beside.as_file().set_permissions(Permissions::clone(&kept.permissions())).map_err(failed)?;
    let new = beside.as_file().metadata().map_err(failed)?;
    let (for_all, for_group) = (kept.mode() & 0o004 != 0, kept.mode() & 0o040 != 0);
    let lost_group = new.gid() != kept.gid() && for_group && !for_all;
    let lost_owner = new.uid() != kept.uid() && !for_group && !for_all;
    if lost_group || lost_owner {
        return Err(Fault::Denied(format!(
            "{} belongs to {}:{}, and lastgood could only put a file of {}:{} there, which its readers could not read: make \
             lastgood a member of its group, or let everybody read it",
            path.display(),
            kept.uid(),
            kept.gid(),
            new.uid(),
            new.gid()
        )));
    }
    Ok(beside)
}

fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn no_link(path: &Path) -> Result<(), Fault> {
    let kind = fs::symlink_metadata(path).map_err(|error| of(path, "can't be read", &error))?;
    if kind.is_symlink() {
        let what = "is a symbolic link, and would be replaced by a file: name the file that it points to";
        return Err(Fault::Invalid(format!("{} {what}", path.display())));
    }
    Ok(())
}

fn put(path: &Path, was: &str, text: &str) -> Result<(), Fault> {
    let failed = |error: io::Error| of(path, "can't be replaced", &error);
    let mut beside = beside(path)?;
    beside.write_all(text.as_bytes()).map_err(failed)?;
    beside.as_file().sync_all().map_err(failed)?;
    // As late as can be: what is between this and the rename is the time of a system call.
    let now = fs::read_to_string(path).map_err(|error| of(path, "can't be read", &error))?;
    if now != was {
        return Err(Fault::Conflict(format!("{} was written by somebody else meanwhile", path.display())));
    }
    beside.persist(path).map_err(|error| failed(error.error))?;
    // The name, too, has to survive a power cut; where a folder can't be opened for that, the file itself is safe.
    File::open(folder(path)).and_then(|folder| folder.sync_all()).ok();
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
    async fn trials_and_writers_at_the_same_time_do_not_meet() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("routes.yaml");
        fs::write(&path, "0").unwrap();
        for round in 0..50_u32 {
            let (was, new) = (round.to_string(), (round + 1).to_string());
            let trials = futures_util::future::join_all((0..4).map(|_| writable(&path)));
            let (written, trials) = tokio::join!(replace(&path, &was, &new), trials);
            written.unwrap();
            assert!(trials.iter().all(Result::is_ok));
            assert_eq!(fs::read_to_string(&path).unwrap(), new, "torn");
        }
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
