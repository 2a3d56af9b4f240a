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
mod pool;
mod purposes;

pub mod alerts;
pub mod anchors;
pub mod audit;
pub mod clock;
pub mod deliveries;
pub mod effects;
pub mod heard;
pub mod incidents;
pub mod manifests;
pub mod messages;
pub mod pages;
pub mod pauses;
pub mod releases;
pub mod replicas;
pub mod rollbacks;
pub mod truces;

use std::sync::Arc;

use lastgood_core::ServiceId;
use sqlx::AnyConnection;
use tokio::{sync::watch, time::timeout};

pub use error::StoreError;
pub use fuse::Fuse;
pub use lock::Lock;
pub use open::without_password;
pub use pool::Pool;
pub use purposes::Purpose;

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
    purpose: Purpose,
    pools: Arc<purposes::Purposes>,
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

/// A write transaction. Dropped before its end it is gone, and its connection with it.
pub struct Tx {
    on: purposes::Writing,
}

impl Tx {
    pub fn conn(&mut self) -> &mut AnyConnection {
        self.on.lent.get()
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

    /// The same store, on the connections that are kept for this purpose.
    #[must_use]
    pub fn on(&self, purpose: Purpose) -> Self {
        Self { purpose, ..self.clone() }
    }

    /// For reading only. Every query on it has a limit.
    pub fn reader(&self) -> &Pool {
        if self.burnt() {
            self.pools.shut();
        }
        self.pools.reader(self.purpose)
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
        let mut tx = Tx { on: self.pools.writer(self.purpose).await? };
        let begin = match self.kind {
            Kind::Sqlite => "BEGIN IMMEDIATE",
            Kind::Postgres => "BEGIN",
        };
        match within(sqlx::raw_sql(begin).execute(tx.conn())).await {
            Ok(_) => Ok(tx),
            Err(error) => {
                // Not in a transaction, as far as is known: others may use it, unless the error says otherwise.
                tx.on.lent.give_back(Some(&error));
                Err(error.into())
            }
        }
    }

    /// Ends a try: commits or rolls back. `None`: it lost against another transaction and is to be tried again.
    ///
    /// # Errors
    /// What the transaction's work said (nothing is written then), or the database.
    pub async fn end<T>(&self, tx: Tx, worked: Result<T>, tries: u32) -> Result<Option<T>> {
        let result = match worked {
            Ok(_) if self.fuse.as_ref().is_some_and(|fuse| !fuse.before_commit()) => {
                roll_back(tx, None).await;
                Err(gone())
            }
            Ok(value) => match self.commit(tx).await {
                Ok(()) if self.fuse.as_ref().is_some_and(|fuse| !fuse.after_commit()) => Err(gone()),
                Ok(()) => Ok(value),
                Err(error) => Err(error),
            },
            Err(error) => {
                let failed = if let StoreError::Database(error) = &error { Some(error) } else { None };
                roll_back(tx, failed).await;
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
        let mut sql = "COMMIT".to_owned();
        if self.kind == Kind::Postgres {
            // Delivered with the commit, or not at all.
            sql = format!("{}; COMMIT", notify::tell(&self.name));
        }
        match within(sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(tx.conn())).await {
            Ok(_) => {
                tx.on.lent.give_back(None);
                Ok(())
            }
            Err(error) => {
                roll_back(tx, Some(&error)).await;
                Err(error.into())
            }
        }
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub async fn ping(&self) -> Result<()> {
        sqlx::query("SELECT 1").execute(self.pools.reader(self.purpose)).await?;
        Ok(())
    }

    pub async fn close(&self) {
        self.pools.close().await;
    }
}

/// Rolls back. A connection that does not even do that is given up, which comes to the same.
async fn roll_back(mut tx: Tx, failed: Option<&sqlx::Error>) {
    if failed.is_some_and(pool::is_end_of_connection) {
        return tx.on.lent.give_back(failed);
    }
    match within(sqlx::raw_sql("ROLLBACK").execute(tx.conn())).await {
        Ok(_) => tx.on.lent.give_back(failed),
        Err(error) => {
            tracing::debug!(%error, "rolling back; the connection is given up");
            if pool::is_end_of_connection(&error) {
                tx.on.lent.give_back(Some(&error));
            }
        }
    }
}

/// The longest that a try of a transaction works, between its beginning and its commit.
const WORK: std::time::Duration = std::time::Duration::from_secs(15);

/// Work of a transaction, with its limit. For [`write`].
///
/// # Errors
/// What the work says, or that the database does not answer.
pub async fn limited<T>(work: impl Future<Output = Result<T>>) -> Result<T> {
    timeout(WORK, work).await.unwrap_or_else(|_| Err(pool::no_answer().into()))
}

async fn within<T>(
    asked: impl Future<Output = std::result::Result<T, sqlx::Error>>,
) -> std::result::Result<T, sqlx::Error> {
    timeout(pool::ANSWER, asked).await.unwrap_or_else(|_| Err(pool::no_answer()))
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
                    let worked: $crate::store::Result<_> = $crate::store::limited(async {
                        let $tx = &mut begun;
                        $work
                    })
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

/// A condition for being one of these services, whose names are bound from parameter `first` on.
fn one_of(column: &str, services: &[ServiceId], first: usize) -> String {
    if services.is_empty() {
        return "1 = 0".to_owned();
    }
    let names: Vec<_> = (first..first + services.len()).map(|n| format!("${n}")).collect();
    format!("{column} IN ({})", names.join(", "))
}

type RowsOf<'q, T> = sqlx::query::QueryAs<'q, sqlx::Any, T, <sqlx::Any as sqlx::Database>::Arguments>;

fn bind_all<'q, T>(query: RowsOf<'q, T>, services: &[ServiceId]) -> RowsOf<'q, T> {
    services.iter().fold(query, |query, service| query.bind(service.0.clone()))
}
