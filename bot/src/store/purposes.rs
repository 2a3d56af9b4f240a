//! Who has which connections: a flood at one door must not keep those from the database who do the work.

use std::sync::Arc;

use sqlx::{Error, any::AnyConnectOptions};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    Kind,
    pool::{ACQUIRE, Lent, Pool},
};

/// What a store is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Webhooks, the API, people's clicks and commands.
    Doors,
    /// The executor's loop: what is due.
    Executor,
    /// The effects that it started: as many as there are, they don't hold up the loop.
    Effects,
    /// That this process takes part.
    Lease,
    /// From committed events to messages.
    Delivery,
}

impl Purpose {
    const ALL: [Self; 5] = [Self::Doors, Self::Executor, Self::Effects, Self::Lease, Self::Delivery];

    /// Connections on PostgreSQL, for reading and writing (one more listens); on SQLite, for reading.
    const fn connections(self) -> u32 {
        match self {
            Self::Doors => 8,
            Self::Effects => 4,
            Self::Executor | Self::Lease => 1,
            Self::Delivery => 3,
        }
    }
}

/// All connections of a process.
pub(super) struct Purposes {
    readers: [Pool; 5],
    /// PostgreSQL writes on the same connections.
    writer: Option<Writer>,
}

/// SQLite has one writer at a time. Each purpose has one in the queue for it, however many wait behind that one: so nobody
/// waits for more than one transaction of each other purpose.
struct Writer {
    pool: Pool,
    turns: [Arc<Semaphore>; 5],
}

/// A connection to write on.
pub(super) struct Writing {
    pub lent: Lent,
    _turn: Option<OwnedSemaphorePermit>,
}

impl Purposes {
    pub fn postgres(options: &AnyConnectOptions) -> Self {
        Self { readers: readers(Kind::Postgres, options), writer: None }
    }

    pub fn sqlite(options: &AnyConnectOptions) -> Self {
        let turns = Purpose::ALL.map(|_| Arc::new(Semaphore::new(1)));
        let writer = Writer { pool: Pool::new(Kind::Sqlite, options.clone(), 1), turns };
        Self { readers: readers(Kind::Sqlite, options), writer: Some(writer) }
    }

    pub fn reader(&self, purpose: Purpose) -> &Pool {
        &self.readers[purpose as usize]
    }

    pub async fn writer(&self, purpose: Purpose) -> Result<Writing, Error> {
        let Some(writer) = &self.writer else {
            return Ok(Writing { lent: self.reader(purpose).acquire().await?, _turn: None });
        };
        let turn = timeout(ACQUIRE, writer.turns[purpose as usize].clone().acquire_owned()).await;
        let turn = turn.map_err(|_| Error::PoolTimedOut)?.map_err(|_| Error::PoolClosed)?;
        Ok(Writing { lent: writer.pool.acquire().await?, _turn: Some(turn) })
    }

    fn all(&self) -> impl Iterator<Item = &Pool> {
        self.readers.iter().chain(self.writer.as_ref().map(|writer| &writer.pool))
    }

    /// Nothing is given out from now on.
    pub fn shut(&self) {
        self.all().for_each(Pool::shut);
    }

    pub async fn close(&self) {
        for pool in self.all() {
            pool.close().await;
        }
    }
}

fn readers(kind: Kind, options: &AnyConnectOptions) -> [Pool; 5] {
    Purpose::ALL.map(|purpose| Pool::new(kind, options.clone(), purpose.connections()))
}
