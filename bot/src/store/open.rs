//! Opening the store: connections, their settings, migrations.

use std::{path::PathBuf, sync::Arc, time::Duration};

use lastgood_adapters::Secret;
use sqlx::{AnyConnection, Connection as _, Executor as _, any::AnyPoolOptions};
use tokio::sync::watch;

use super::{Kind, Result, Store, StoreError, lock, modes, notify};

impl Store {
    /// Opens `sqlite:PATH` (made when absent) or `postgres://…`, and brings the schema up to date.
    ///
    /// # Errors
    /// When the address is no such thing, the database can't be reached, or a migration fails.
    pub async fn open(url: &str, password: Option<&Secret>) -> Result<Self> {
        sqlx::any::install_default_drivers();
        let store = if let Some(path) = url.strip_prefix("sqlite:") {
            Self::sqlite(path.trim_start_matches("//")).await?
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Self::postgres(url, password).await?
        } else {
            return Err(StoreError::Url(format!(
                "store.url {:?} is neither sqlite:PATH nor postgres://HOST/DATABASE",
                without_password(url)
            )));
        };
        store.migrate().await?;
        Ok(store)
    }

    async fn sqlite(path: &str) -> Result<Self> {
        let path = PathBuf::from(path);
        let url = format!("sqlite:{}?mode=rwc", path.display());
        let pool = |size: u32| {
            AnyPoolOptions::new()
                .max_connections(size)
                .min_connections(1)
                .idle_timeout(None)
                .max_lifetime(None)
                .acquire_timeout(Duration::from_secs(10))
                .after_connect(|conn, _| {
                    Box::pin(async move {
                        conn.execute(
                            "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                             PRAGMA busy_timeout = 5000;",
                        )
                        .await?;
                        Ok(())
                    })
                })
        };
        // The first connection makes the file and turns it to WAL: alone, under the migration lock.
        let lock_path = path.clone();
        let held = tokio::task::spawn_blocking(move || lock::migrating(&lock_path))
            .await
            .map_err(|error| StoreError::Url(error.to_string()))??;
        modes::keep_private(&path)?;
        // A pool tries again for a while whatever is wrong; a single connection says at once what it is.
        let mut first = AnyConnection::connect(&url).await?;
        first.execute("PRAGMA journal_mode = WAL").await?;
        first.close().await?;
        let writer = pool(1).connect(&url).await?;
        let reader = pool(4).connect(&url).await?;
        drop(held);
        Ok(Self {
            kind: Kind::Sqlite,
            writer,
            reader,
            path: Some(path),
            committed: Arc::new(watch::Sender::new(0)),
            fuse: None,
            name: notify::name(),
            _listening: None,
        })
    }

    async fn postgres(url: &str, password: Option<&Secret>) -> Result<Self> {
        let mut address =
            url::Url::parse(url).map_err(|_| StoreError::Url("store.url is not a valid address".into()))?;
        if let Some(password) = password {
            address
                .set_password(Some(password.reveal()))
                .map_err(|()| StoreError::Url("store.url can't carry a password".into()))?;
        }
        let pool = AnyPoolOptions::new()
            .max_connections(8)
            .min_connections(1)
            .acquire_timeout(Duration::from_secs(10))
            .after_connect(|connection, _| {
                Box::pin(async move {
                    // A replica that is frozen in the middle of a transaction would hold its locks, and with them all others,
                    // until it wakes. No transaction here waits for anything but the database.
                    sqlx::raw_sql("SET idle_in_transaction_session_timeout = '3s'")
                        .execute(connection)
                        .await?;
                    Ok(())
                })
            })
            .connect(address.as_str())
            .await?;
        let committed = Arc::new(watch::Sender::new(0));
        let name = notify::name();
        let listening = notify::listen(address.to_string(), name.clone(), committed.clone());
        Ok(Self {
            kind: Kind::Postgres,
            writer: pool.clone(),
            reader: pool,
            path: None,
            committed,
            fuse: None,
            name,
            _listening: Some(Arc::new(listening)),
        })
    }

    /// An older build meets newer migrations after a downgrade; they only ever add, so it goes on.
    async fn migrate(&self) -> Result<()> {
        let held = match self.path.clone() {
            Some(path) => Some(
                tokio::task::spawn_blocking(move || lock::migrating(&path))
                    .await
                    .map_err(|error| StoreError::Url(error.to_string()))??,
            ),
            None => None,
        };
        let mut migrator = sqlx::migrate!("../migrations");
        migrator.set_ignore_missing(true);
        migrator.run(&self.writer).await?;
        drop(held);
        Ok(())
    }
}

/// The address as it may be shown.
pub fn without_password(url: &str) -> String {
    match url::Url::parse(url) {
        Ok(mut address) if address.password().is_some() => {
            address.set_password(Some("…")).ok();
            address.to_string()
        }
        _ => url.to_owned(),
    }
}
