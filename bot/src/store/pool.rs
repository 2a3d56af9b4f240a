//! Connections to the database, a pool for each purpose. A network that drops packets never answers, and the driver's own
//! pool then waits for ever, also when it takes a connection back; so everything here has a limit, and a connection that
//! reached it is given up, together with all that were idle then.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{
    FutureExt as _, StreamExt as _, TryStreamExt as _,
    future::BoxFuture,
    stream::{self, BoxStream},
};
use sqlx::{
    Any, AnyConnection, Connection as _, Describe, Either, Error, Execute, Executor, SqlStr,
    any::{AnyConnectOptions, AnyQueryResult, AnyRow, AnyStatement, AnyTypeInfo},
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{Kind, open};

/// For a connection: waiting for its turn, opening one, and the question whether it still works.
pub(super) const ACQUIRE: Duration = Duration::from_secs(10);
/// For an answer, beyond what the server itself allows a statement ([`open::STATEMENT_SECONDS`]): after it nothing comes.
pub(super) const ANSWER: Duration = Duration::from_secs(open::STATEMENT_SECONDS + 2);
/// For the question whether an idle connection still works.
const PING: Duration = Duration::from_secs(2);
/// For a farewell.
const CLOSE: Duration = Duration::from_secs(5);
/// Idle for longer than this, a connection is not used again: something on the way may have forgotten it.
const IDLE: Duration = Duration::from_mins(10);

type Row = Either<AnyQueryResult, AnyRow>;

/// A pool of connections. Cheap to clone; queries run on it as on a connection.
#[derive(Clone)]
pub struct Pool(Arc<Inner>);

struct Inner {
    kind: Kind,
    options: AnyConnectOptions,
    size: u32,
    places: Arc<Semaphore>,
    idle: Mutex<Vec<Idle>>,
    /// Grows when a connection turns out to be of no use any more; those of before are of none either.
    generation: AtomicU64,
    closed: AtomicBool,
}

struct Idle {
    connection: AnyConnection,
    generation: u64,
    since: Instant,
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the address, which may hold a password.
        f.debug_struct("Pool").field("size", &self.0.size).finish_non_exhaustive()
    }
}

/// A connection on loan. It goes back only when it is said to be sound: whoever is dropped in the middle of something leaves
/// a connection behind on which nobody knows what comes next.
pub(super) struct Lent {
    connection: Option<AnyConnection>,
    generation: u64,
    pool: Arc<Inner>,
    _place: OwnedSemaphorePermit,
}

impl Pool {
    /// No connection is opened before it is needed.
    pub(super) fn new(kind: Kind, options: AnyConnectOptions, size: u32) -> Self {
        Self(Arc::new(Inner {
            kind,
            options,
            size,
            places: Arc::new(Semaphore::new(size as usize)),
            idle: Mutex::default(),
            generation: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        }))
    }

    /// Takes a connection that works.
    ///
    /// # Errors
    /// `PoolTimedOut` after ten seconds, `PoolClosed`, or why none can be opened.
    pub(super) async fn acquire(&self) -> Result<Lent, Error> {
        timeout(ACQUIRE, self.take()).await.unwrap_or(Err(Error::PoolTimedOut))
    }

    async fn take(&self) -> Result<Lent, Error> {
        let place = self.0.places.clone().acquire_owned().await.map_err(|_| Error::PoolClosed)?;
        loop {
            if self.0.closed.load(Ordering::SeqCst) {
                return Err(Error::PoolClosed);
            }
            let Some(mut idle) = self.0.pop() else { break };
            let works = match self.0.kind {
                // In this process: nothing can have happened to it.
                Kind::Sqlite => true,
                Kind::Postgres => match timeout(PING, idle.connection.ping()).await {
                    Ok(answer) => answer.is_ok(),
                    Err(_) => {
                        self.0.give_up_idle();
                        false
                    }
                },
            };
            if works {
                return Ok(self.0.lend(idle.connection, idle.generation, place));
            }
        }
        let generation = self.0.generation.load(Ordering::SeqCst);
        let connection = open::connect(self.0.kind, &self.0.options).await?;
        Ok(self.0.lend(connection, generation, place))
    }

    /// Nothing is given out from now on.
    pub(super) fn shut(&self) {
        self.0.closed.store(true, Ordering::SeqCst);
    }

    /// Waits, with a limit, until all connections are back, and closes them in order.
    pub(super) async fn close(&self) {
        self.shut();
        if timeout(ACQUIRE, self.0.places.acquire_many(self.0.size)).await.is_err() {
            tracing::warn!("a connection to the database is still in use at the end");
        }
        self.0.places.close();
        while let Some(idle) = self.0.pop() {
            if !matches!(timeout(CLOSE, idle.connection.close()).await, Ok(Ok(()))) {
                tracing::debug!("a connection to the database could not be closed in order");
            }
        }
    }

    /// One statement, from taking a connection to its last row.
    async fn run<'q>(self, query: impl Execute<'q, Any> + 'q) -> Result<Vec<Row>, Error> {
        let mut lent = self.acquire().await?;
        let asked = async {
            // To the end, also where one row is wanted: what is left unread keeps a statement open.
            let rows: Vec<Row> = lent.get().fetch_many(query).try_collect().await?;
            Ok(rows)
        };
        let answer = timeout(ANSWER, asked).await.unwrap_or_else(|_| Err(no_answer()));
        lent.give_back(answer.as_ref().err());
        answer
    }
}

impl Inner {
    fn idle(&self) -> std::sync::MutexGuard<'_, Vec<Idle>> {
        // A list of connections can't be left half done by a panic.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn pop(&self) -> Option<Idle> {
        let now = self.generation.load(Ordering::SeqCst);
        let mut idle = self.idle();
        let fresh =
            |one: &Idle| one.generation == now && (self.kind == Kind::Sqlite || one.since.elapsed() < IDLE);
        idle.retain(fresh);
        idle.pop()
    }

    fn give_up_idle(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        if self.kind == Kind::Postgres {
            self.idle().clear();
        }
    }

    fn lend(
        self: &Arc<Self>,
        connection: AnyConnection,
        generation: u64,
        place: OwnedSemaphorePermit,
    ) -> Lent {
        Lent { connection: Some(connection), generation, pool: self.clone(), _place: place }
    }
}

impl Lent {
    pub(super) fn get(&mut self) -> &mut AnyConnection {
        #[expect(clippy::expect_used, reason = "it is taken only by `give_back`, which ends the loan")]
        self.connection.as_mut().expect("on loan")
    }

    /// The end of the loan, in a state that is known: nothing is under way on the connection. `failed`: what its last use
    /// came to, if it failed.
    pub(super) fn give_back(mut self, failed: Option<&Error>) {
        match failed.map_or(Blame::Nobody, blame) {
            Blame::Nobody => {}
            Blame::Connection => return,
            Blame::All => return self.pool.give_up_idle(),
        }
        let Some(connection) = self.connection.take() else { return };
        let same = self.generation == self.pool.generation.load(Ordering::SeqCst);
        if same || self.pool.kind == Kind::Sqlite {
            let generation = self.pool.generation.load(Ordering::SeqCst);
            self.pool.idle().push(Idle { connection, generation, since: Instant::now() });
        }
    }
}

/// What an error says about connections.
enum Blame {
    Nobody,
    /// This one can't be used any more.
    Connection,
    /// Nor can those that were opened to the same server.
    All,
}

fn blame(error: &Error) -> Blame {
    match error {
        Error::Database(error) => match error.code().as_deref() {
            // Read only: the server behind this address became a standby. Shutting down, or crashed: it is gone.
            Some("25006" | "57P01" | "57P02" | "57P03") => Blame::All,
            _ => Blame::Nobody,
        },
        Error::Io(_) | Error::Tls(_) => Blame::All,
        Error::Protocol(_) | Error::WorkerCrashed | Error::BeginFailed | Error::InvalidSavePointStatement => {
            Blame::Connection
        }
        _ => Blame::Nobody,
    }
}

/// Whether nothing more can be asked on a connection that said this.
pub(super) fn is_end_of_connection(error: &Error) -> bool {
    !matches!(blame(error), Blame::Nobody)
}

/// The limit was reached.
pub(super) fn no_answer() -> Error {
    Error::Io(std::io::Error::new(std::io::ErrorKind::TimedOut, "no answer within the limit"))
}

impl<'p> Executor<'p> for &'p Pool {
    type Database = Any;

    fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> BoxStream<'e, Result<Row, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let rows = self.clone().run(query);
        stream::once(rows).map_ok(|rows| stream::iter(rows.into_iter().map(Ok))).try_flatten().boxed()
    }

    fn fetch_optional<'e, 'q: 'e, E>(self, query: E) -> BoxFuture<'e, Result<Option<AnyRow>, Error>>
    where
        'p: 'e,
        E: 'q + Execute<'q, Any>,
    {
        let rows = self.clone().run(query);
        rows.map(|rows| Ok(rows?.into_iter().find_map(Either::right))).boxed()
    }

    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [AnyTypeInfo],
    ) -> BoxFuture<'e, Result<AnyStatement, Error>>
    where
        'p: 'e,
    {
        async move {
            let mut lent = self.acquire().await?;
            let asked = lent.get().prepare_with(sql, parameters);
            let answer = timeout(ANSWER, asked).await.unwrap_or_else(|_| Err(no_answer()));
            lent.give_back(answer.as_ref().err());
            answer
        }
        .boxed()
    }

    fn describe<'e>(self, sql: SqlStr) -> BoxFuture<'e, Result<Describe<Any>, Error>>
    where
        'p: 'e,
    {
        async move {
            let mut lent = self.acquire().await?;
            let asked = lent.get().describe(sql);
            let answer = timeout(ANSWER, asked).await.unwrap_or_else(|_| Err(no_answer()));
            lent.give_back(answer.as_ref().err());
            answer
        }
        .boxed()
    }
}
