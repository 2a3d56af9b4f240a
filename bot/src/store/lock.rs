//! On SQLite one process executes at a time. A lock on a file beside the database says which: the system takes it from a
//! process that dies, at once, whatever it died of.

use std::{
    fs::{File, TryLockError},
    path::Path,
};

use super::{Result, StoreError, modes};

/// Held as long as it lives.
#[derive(Debug)]
pub struct ExecutorLock {
    _file: File,
}

impl ExecutorLock {
    /// Takes the lock, unless another process has it.
    ///
    /// # Errors
    /// When the file can't be made or locked.
    pub fn try_take(database: &Path) -> Result<Option<Self>> {
        let file = open(database, "executor")?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => {
                Err(StoreError::File { path: named(database, "executor"), error })
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
