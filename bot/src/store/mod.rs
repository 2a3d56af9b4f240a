//! What must not be lost. One set of SQL for SQLite and PostgreSQL, through sqlx's `Any` driver: columns are text, 64-bit
//! integers and doubles, placeholders are `$1`, and conflicts are asked for with `ON CONFLICT`, never by name.
//!
//! Every write goes through [`write`]. On SQLite one writer connection begins with `BEGIN IMMEDIATE`; on PostgreSQL
//! transactions run READ COMMITTED; and on both the first statement of a transaction about a service is
//! [`Tx::lock`], which serialises everything about it.

mod error;
mod fuse;
mod lock;
pub mod modes;
mod notify;
mod open;

pub mod alerts;
pub mod anchors;
pub mod audit;
pub mod deliveries;
pub mod effects;
pub mod heard;
pub mod incidents;
pub mod messages;
pub mod releases;
pub mod replicas;
pub mod rollbacks;
pub mod truces;

use std::sync::Arc;

use lastgood_core::ServiceId;
use sqlx::{Any, AnyConnection, AnyPool, Transaction};
use tokio::sync::watch;

pub use error::StoreError;
pub use fuse::Fuse;
pub use lock::ExecutorLock;
pub use open::without_password;

pub type Result<T> = std::result::Result<T, StoreError>;

/// How often a transaction is tried that lost against another one.
const TRIES: u32 = 8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

#[derive(Clone)]
pub struct Store {
    kind: Kind,
    writer: AnyPool,
    reader: AnyPool,
    /// The database's file, where there is one.
    path: Option<std::path::PathBuf>,
    /// Wakes executor and delivery in this process after a commit. Other processes are found by a poll.
    committed: Arc<watch::Sender<u64>>,
    fuse: Option<Arc<dyn Fuse>>,
    /// What other processes know this one by.
    name: String,
    /// PostgreSQL: other replicas' commits.
    _listening: Option<Arc<notify::Listening>>,
}

/// A write transaction.
pub struct Tx {
    inner: Transaction<'static, Any>,
}

impl Tx {
    pub fn conn(&mut self) -> &mut AnyConnection {
        &mut self.inner
    }

    /// Serialises this transaction with every other one about the service. Several services: in the order of their ids.
    ///
    /// # Errors
    /// As the database says.
    pub async fn lock(&mut self, service: &ServiceId) -> Result<()> {
        let sql = "INSERT INTO services (id, version) VALUES ($1, 1) \
                   ON CONFLICT (id) DO UPDATE SET version = services.version + 1";
        sqlx::query(sql).bind(service.0.clone()).execute(self.conn()).await?;
        Ok(())
    }

    /// The next number of a sequence that people see: without gaps from rolled back transactions.
    ///
    /// # Errors
    /// As the database says.
    pub async fn number(&mut self, name: &str) -> Result<i64> {
        let sql = "INSERT INTO counters (name, value) VALUES ($1, 1) \
                   ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING value";
        Ok(sqlx::query_scalar(sql).bind(name.to_owned()).fetch_one(self.conn()).await?)
    }
}

impl Store {
    pub fn kind(&self) -> Kind {
        self.kind
    }

    pub fn path(&self) -> Option<&std::path::Path> {
        self.path.as_deref()
    }

    /// The same store, which works only until the fuse burns.
    #[must_use]
    pub fn guarded_by(mut self, fuse: Arc<dyn Fuse>) -> Self {
        self.fuse = Some(fuse);
        self
    }

    fn burnt(&self) -> bool {
        self.fuse.as_ref().is_some_and(|fuse| fuse.burnt())
    }

    /// A pool for reading only.
    pub fn reader(&self) -> &AnyPool {
        if self.burnt() {
            // Marked as closed by the call itself; there is nothing to wait for.
            drop(self.reader.close());
        }
        &self.reader
    }

    /// Changes with every commit of this process.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.subscribe()
    }

    /// Begins a try of a transaction; [`write`] is the way to use it.
    ///
    /// # Errors
    /// As the database says.
    pub async fn begin(&self) -> Result<Tx> {
        if self.burnt() {
            return Err(gone());
        }
        let inner = match self.kind {
            Kind::Sqlite => self.begin_immediate().await?,
            Kind::Postgres => self.writer.begin().await?,
        };
        Ok(Tx { inner })
    }

    /// A full disk makes SQLite roll back by itself; the driver then still counts a transaction on the connection and begins
    /// no other on it. The connection is given up for a new one, or nothing would be written until the next start.
    async fn begin_immediate(&self) -> Result<Transaction<'static, Any>> {
        match self.writer.begin_with("BEGIN IMMEDIATE").await {
            Err(sqlx::Error::InvalidSavePointStatement) => {
                tracing::warn!("the connection for writing was left in a transaction; it is replaced");
                self.writer.acquire().await?.close().await.ok();
                Ok(self.writer.begin_with("BEGIN IMMEDIATE").await?)
            }
            other => Ok(other?),
        }
    }

    /// Ends a try: commits or rolls back. `None`: it lost against another transaction and is to be tried again.
    ///
    /// # Errors
    /// What the transaction's work said (nothing is written then), or the database.
    pub async fn end<T>(&self, tx: Tx, worked: Result<T>, tries: u32) -> Result<Option<T>> {
        let result = match worked {
            Ok(_) if self.fuse.as_ref().is_some_and(|fuse| !fuse.before_commit()) => {
                roll_back(tx).await;
                Err(gone())
            }
            Ok(value) => match self.commit(tx).await {
                Ok(()) if self.fuse.as_ref().is_some_and(|fuse| !fuse.after_commit()) => Err(gone()),
                Ok(()) => Ok(value),
                Err(error) => Err(error),
            },
            Err(error) => {
                roll_back(tx).await;
                Err(error)
            }
        };
        match result {
            Err(error) if error.lost_a_race() && tries < TRIES => {
                tokio::time::sleep(error::backoff(tries)).await;
                Ok(None)
            }
            Err(error) => Err(error),
            Ok(value) => {
                self.committed.send_modify(|count| *count = count.wrapping_add(1));
                Ok(Some(value))
            }
        }
    }

    async fn commit(&self, mut tx: Tx) -> Result<()> {
        if self.kind == Kind::Postgres {
            // Delivered with the commit, or not at all.
            let tell = notify::tell(&self.name);
            sqlx::query(sqlx::AssertSqlSafe(tell)).execute(tx.conn()).await?;
        }
        Ok(tx.inner.commit().await?)
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(&self.reader).await?;
        Ok(())
    }

    pub async fn close(&self) {
        self.writer.close().await;
        self.reader.close().await;
    }
}

async fn roll_back(tx: Tx) {
    if let Err(failed) = tx.inner.rollback().await {
        tracing::debug!(%failed, "rolling back");
    }
}

/// What everything is answered once the fuse has burnt.
fn gone() -> StoreError {
    StoreError::Database(sqlx::Error::PoolClosed)
}

/// Runs a transaction, `write!(store, |tx| …)`, again when it lost against another one; its body must therefore do nothing but
/// SQL. A macro and not a function: futures of closures that borrow can't be proven `Send` by today's compiler.
macro_rules! write {
    ($store:expr, |$tx:ident| $work:expr) => {{
        let store: &$crate::store::Store = &$store;
        let mut tries = 0;
        loop {
            tries += 1;
            let ended = match store.begin().await {
                Ok(mut begun) => {
                    let worked: $crate::store::Result<_> = async {
                        let $tx = &mut begun;
                        $work
                    }
                    .await;
                    store.end(begun, worked, tries).await
                }
                Err(error) => Err(error),
            };
            match ended {
                Ok(Some(value)) => break Ok(value),
                Ok(None) => {}
                Err(error) => break Err(error),
            }
        }
    }};
}
pub(crate) use write;

/// Text from outside may hold NUL, which PostgreSQL's text can't.
pub fn clean(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}
