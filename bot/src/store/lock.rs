//! On SQLite one process at a time executes a service. Locks on files beside the database say which: the system takes them
//! from a process that dies, at once, whatever it died of.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use lastgood_core::ServiceId;

use super::{Result, StoreError, modes};

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Whoever executes anything shares this one. Builds that know no locks of services take it for themselves alone.
    ///
    /// # Errors
    /// When the file can't be made or locked.
    pub fn share(database: &Path) -> Result<Option<Self>> {
        Self::take(database, "executor", File::try_lock_shared)
    }

    /// To execute this service, unless another process does.
    ///
    /// # Errors
    /// As `share`.
    pub fn of_service(database: &Path, service: &ServiceId) -> Result<Option<Self>> {
        Self::take(database, &format!("executor.{service}"), File::try_lock)
    }

    /// To talk to the chats, unless another process does.
    ///
    /// # Errors
    /// As `share`.
    pub fn of_delivery(database: &Path) -> Result<Option<Self>> {
        Self::take(database, "delivery", File::try_lock)
    }

    fn take(
        database: &Path,
        purpose: &str,
        lock: impl Fn(&File) -> std::result::Result<(), TryLockError>,
    ) -> Result<Option<Self>> {
        let file = open(database, purpose)?;
        match lock(&file) {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(StoreError::File { path: named(database, purpose), error })
            }
        }
    }
}

/// Waits for the lock under which migrations run: processes that race on a new file fail otherwise.
pub(super) fn migrating(database: &Path) -> Result<File> {
    let file = open(database, "migrate")?;
    file.lock().map_err(|error| StoreError::File { path: named(database, "migrate"), error })?;
    Ok(file)
}

fn named(database: &Path, purpose: &str) -> String {
    format!("{}.{purpose}.lock", database.display())
}

fn open(database: &Path, purpose: &str) -> Result<File> {
    modes::open_beside(database, Path::new(&named(database, purpose)))
}
