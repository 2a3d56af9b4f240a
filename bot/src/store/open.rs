//! Opening the store: connections, their settings, migrations.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use lastgood_adapters::Secret;
use sqlx::{AnyConnection, Connection as _, Error, Row as _, any::AnyConnectOptions};
use tokio::{sync::watch, time::timeout};

use super::{
    Kind, Result, Store, StoreError, lock, modes, notify,
    purposes::{Purpose, Purposes},
};

/// What the server allows one statement, in seconds. None here takes more than milliseconds, but may wait for another one.
pub(super) const STATEMENT_SECONDS: u64 = 5;
/// How long a database that does not listen yet is waited for at the start.
const START: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(200);

/// A replica that is frozen in the middle of a transaction would hold its locks, and with them all others, until it wakes; no
/// transaction here waits for anything but the database. And no statement waits for longer than its limit. One request, since
/// every connection begins with it; its answer is whether the server is a standby.
const LIMITS: &str = "SET idle_in_transaction_session_timeout = '3s'; SET lock_timeout = '4s'; \
                      SET statement_timeout = '5s'; SELECT pg_is_in_recovery()";
/// How soon the server notices that this end is gone, and frees what it had locked. Not every server can.
const NOTICE: &str = "SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
                      SET tcp_user_timeout = '10s'; SET client_connection_check_interval = '2s'";

impl Store {
    /// Opens `sqlite:PATH` (made when absent) or `postgres://…`, and brings the schema up to date.
    ///
    /// # Errors
    /// When the address is no such thing, the database can't be reached, or a migration fails.
    pub async fn open(url: &str, password: Option<&Secret>) -> Result<Self> {
        sqlx::any::install_default_drivers();
        if let Some(path) = url.strip_prefix("sqlite:") {
            Self::sqlite(path.trim_start_matches("//")).await
        } else if url.starts_with("postgres:") || url.starts_with("postgresql:") {
            Self::postgres(url, password).await
        } else {
            Err(StoreError::Url(format!(
                "store.url {:?} is neither sqlite:PATH nor postgres://HOST/DATABASE",
                without_password(url)
            )))
        }
    }

    async fn sqlite(path: &str) -> Result<Self> {
        let path = PathBuf::from(path);
        let options: AnyConnectOptions = format!("sqlite:{}?mode=rwc", path.display()).parse()?;
        // The first connection makes the file and turns it to WAL: alone, under the migration lock.
        let held = migrating(&path).await?;
        modes::keep_private(&path)?;
        let mut first = connect(Kind::Sqlite, &options).await?;
        migrate(&mut first).await?;
        first.close().await?;
        drop(held);
        Ok(Self {
            kind: Kind::Sqlite,
            purpose: Purpose::Doors,
            pools: Arc::new(Purposes::sqlite(&options)),
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
        let options: AnyConnectOptions = address.as_str().parse()?;
        let mut first = first(&options).await?;
        // Of another size than everything that comes later.
        sqlx::raw_sql("SET statement_timeout = 0; SET lock_timeout = 0").execute(&mut first).await?;
        migrate(&mut first).await?;
        first.close().await?;
        let committed = Arc::new(watch::Sender::new(0));
        let name = notify::name();
        let listening = notify::listen(address.to_string(), name.clone(), committed.clone());
        Ok(Self {
            kind: Kind::Postgres,
            purpose: Purpose::Doors,
            pools: Arc::new(Purposes::postgres(&options)),
            path: None,
            committed,
            fuse: None,
            name,
            _listening: Some(Arc::new(listening)),
        })
    }
}

/// Opens a connection and makes its settings.
pub(super) async fn connect(
    kind: Kind,
    options: &AnyConnectOptions,
) -> std::result::Result<AnyConnection, Error> {
    let mut connection = AnyConnection::connect_with(options).await?;
    match kind {
        Kind::Sqlite => {
            let pragmas = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; \
                           PRAGMA busy_timeout = 5000;";
            sqlx::raw_sql(pragmas).execute(&mut connection).await?;
        }
        Kind::Postgres => {
            // All, since the first answer of the four has no row.
            let answered = sqlx::raw_sql(LIMITS).fetch_all(&mut connection).await?;
            let standby: bool = answered.first().ok_or(Error::RowNotFound)?.try_get(0)?;
            if standby {
                return Err(Error::Configuration(
                    "the server at store.url is a standby, which takes no writes; name the primary".into(),
                ));
            }
            if let Err(error) = sqlx::raw_sql(NOTICE).execute(&mut connection).await {
                tracing::debug!(%error, "the server can't be told how to watch this connection");
            }
        }
    }
    Ok(connection)
}

/// A server that is only just starting is waited for.
async fn first(options: &AnyConnectOptions) -> Result<AnyConnection> {
    let end = Instant::now() + START;
    loop {
        let left = end.saturating_duration_since(Instant::now());
        let starting = match timeout(left, connect(Kind::Postgres, options)).await {
            Err(_) => return Err(Error::PoolTimedOut.into()),
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(Error::Io(error))) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                Error::Io(error)
            }
            // "The database system is starting up", "too many clients".
            Ok(Err(Error::Database(error))) if matches!(error.code().as_deref(), Some("57P03" | "53300")) => {
                Error::Database(error)
            }
            Ok(Err(error)) => return Err(error.into()),
        };
        if end.saturating_duration_since(Instant::now()) < AGAIN {
            return Err(starting.into());
        }
        tokio::time::sleep(AGAIN).await;
    }
}

/// An older build meets newer migrations after a downgrade; they only ever add, so it goes on.
async fn migrate(connection: &mut AnyConnection) -> Result<()> {
    let mut migrator = sqlx::migrate!("../migrations");
    migrator.set_ignore_missing(true);
    migrator.run(connection).await?;
    Ok(())
}

async fn migrating(path: &Path) -> Result<std::fs::File> {
    let path = path.to_owned();
    tokio::task::spawn_blocking(move || lock::migrating(&path))
        .await
        .map_err(|error| StoreError::Url(error.to_string()))?
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
