//! What can go wrong with the store.

use std::time::Duration;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{}", explain(.0))]
    Database(#[from] sqlx::Error),
    #[error("the database is at another version: {0}; run the newest lastgood once, or restore a backup")]
    Migration(#[from] sqlx::migrate::MigrateError),
    #[error("{0}")]
    Url(String),
    #[error("{path}: {error}; make the folder writable for the user that runs lastgood")]
    File { path: String, error: std::io::Error },
    /// A row that this build can't read.
    #[error("{what} can't be read from the database: {error}")]
    Undecodable { what: String, error: String },
    /// The answer to somebody's request; nothing was written.
    #[error(transparent)]
    Refused(#[from] lastgood_core::rollback::Refusal),
    #[error("{0}")]
    NotFound(String),
    /// Another rollback of the service is active.
    #[error("{0}")]
    Busy(String),
    #[error("{0}")]
    Invalid(String),
}

impl StoreError {
    /// SQLite: BUSY in any of its flavours; PostgreSQL: serialization failure, deadlock. (Codes as the databases document
    /// them; the driver gives both as text.)
    pub(super) fn lost_a_race(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        match error.code().as_deref() {
            Some("40001" | "40P01") => true,
            Some(code) => code.parse::<i64>().is_ok_and(|code| code & 0xff == 5),
            None => false,
        }
    }

    pub fn undecodable(what: impl Into<String>, error: impl std::fmt::Display) -> Self {
        Self::Undecodable { what: what.into(), error: error.to_string() }
    }

    /// The database works, and somebody has locked what this was about for longer than is waited: PostgreSQL's
    /// `lock_not_available`, and `query_canceled` of a statement that took too long.
    pub fn is_about_a_lock(&self) -> bool {
        let Self::Database(sqlx::Error::Database(error)) = self else { return false };
        matches!(error.code().as_deref(), Some("55P03" | "57014"))
    }

    /// The database itself does not work now, as opposed to an answer from it.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Database(_))
    }
}

/// Says what to do, where that is known.
fn explain(error: &sqlx::Error) -> String {
    let text = error.to_string();
    let advice = if text.contains("disk is full") || text.contains("database or disk is full") {
        "; free some space: nothing that was recorded is lost"
    } else if matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::Io(_)) {
        "; is the database running and reachable?"
    } else {
        ""
    };
    format!("database: {text}{advice}")
}

/// 2, 4, 8 … 256 ms.
pub(super) fn backoff(tries: u32) -> Duration {
    Duration::from_millis(1 << tries.min(8))
}
