//! Who may run effects. On SQLite: whoever holds the lock beside the file. On PostgreSQL: every replica whose counter moves;
//! one that stands still for a whole term, on the observer's own monotonic clock, is struck off and its work taken over.
//! Clocks of different machines are never compared.

use crate::store::write;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rand::Rng as _;

use crate::store::{ExecutorLock, Kind, Result, Store, effects, replicas};

/// Name of the role whose holder talks to the chats.
const DELIVERY: &str = "delivery";

#[derive(Clone)]
pub struct Lease {
    term: Duration,
    held: Arc<Mutex<Held>>,
}

#[derive(Default)]
struct Held {
    /// None: this process may not execute.
    owner: Option<String>,
    /// When the counter was last moved, as asked for before the answer came: the safe side.
    beaten: Option<Instant>,
    lock: Option<ExecutorLock>,
    /// This process has chats, and wants to talk to them.
    has_chats: bool,
    delivers: bool,
    /// Other replicas: counter, and since when it was seen so.
    seen: HashMap<String, (i64, Instant)>,
}

impl Lease {
    pub(super) fn new(term: Duration) -> Self {
        Self { term, held: Arc::default() }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        // Nothing in here can be left half done by a panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn term(&self) -> Duration {
        self.term
    }

    /// Under which name this process claims; none while it may not.
    pub fn owner(&self) -> Option<String> {
        self.held().owner.clone()
    }

    /// This process has chats. One that has none never keeps the role from one that does.
    pub fn has_chats(&self) {
        self.held().has_chats = true;
    }

    /// Whether this process talks to the chats now.
    pub fn delivers(&self) -> bool {
        self.held().delivers
    }

    /// How long a change of the outside world may take now, with a margin: after it, somebody else may be at it. None: it
    /// must not begin.
    pub fn remaining(&self) -> Option<Duration> {
        let held = self.held();
        held.owner.as_ref()?;
        if held.lock.is_some() {
            return Some(Duration::from_secs(3600));
        }
        let left = self.term.checked_sub(held.beaten?.elapsed())?;
        left.checked_sub(self.term / 10)
    }

    /// Until when work that was claimed under this name may change the outside world. None: it must not begin.
    pub(crate) fn held_until(&self, owner: &str) -> Option<Instant> {
        let left = self.remaining()?;
        let same = self.held().owner.as_deref() == Some(owner);
        // A name that changed in between is the later one, and not the same.
        same.then(|| Instant::now() + left)
    }

    /// Takes part, or goes on taking part. Called at start and then every tenth of the term.
    ///
    /// # Errors
    /// As the store says; the lease then simply runs out.
    pub async fn renew(&self, store: &Store) -> Result<()> {
        match store.kind() {
            Kind::Sqlite => self.renew_alone(store).await,
            Kind::Postgres => self.renew_among_others(store).await,
        }
    }

    async fn renew_alone(&self, store: &Store) -> Result<()> {
        let Some(path) = store.path() else { return Ok(()) };
        if self.held().lock.is_some() {
            return Ok(());
        }
        let Some(lock) = ExecutorLock::try_take(path)? else { return Ok(()) };
        let freed = write!(store, |tx| tx.begin_alone().await)?;
        if freed > 0 {
            tracing::warn!(effects = freed, "taking up work that another process left unfinished");
        }
        let mut held = self.held();
        held.lock = Some(lock);
        held.owner = Some(new_id());
        held.delivers = true;
        Ok(())
    }

    async fn renew_among_others(&self, store: &Store) -> Result<()> {
        let before = Instant::now();
        let owner = self.owner();
        let alive = match &owner {
            Some(id) => write!(store, |tx| tx.beat(id).await)?,
            None => false,
        };
        let id = match owner {
            Some(id) if alive => id,
            lost => {
                if let Some(lost) = lost {
                    self.held().delivers = false;
                    tracing::warn!(replica = %lost, "was struck off while it stood still; its work belongs to others now");
                }
                let id = new_id();
                write!(store, |tx| tx.join(&id).await)?;
                id
            }
        };
        {
            let mut held = self.held();
            held.owner = Some(id.clone());
            held.beaten = Some(before);
        }
        self.bury_the_dead(store, &id).await?;
        if effects::orphaned(store.reader()).await? {
            let freed = write!(store, |tx| tx.release_orphans().await)?;
            tracing::warn!(
                effects = freed,
                "taking up work that was claimed by a replica after it was struck off"
            );
        }
        if !self.held().has_chats {
            return Ok(());
        }
        let delivers = write!(store, |tx| tx.take_role(DELIVERY, &id).await)?;
        self.held().delivers = delivers;
        Ok(())
    }

    async fn bury_the_dead(&self, store: &Store, own: &str) -> Result<()> {
        let all = replicas::all(store.reader()).await?;
        let dead: Vec<(String, i64)> = {
            let mut held = self.held();
            held.seen.retain(|id, _| all.iter().any(|(other, _)| other == id));
            all.into_iter()
                .filter(|(id, beat)| {
                    let entry = held.seen.entry(id.clone()).or_insert((*beat, Instant::now()));
                    if entry.0 != *beat {
                        *entry = (*beat, Instant::now());
                    }
                    id != own && entry.1.elapsed() >= self.term
                })
                .collect()
        };
        for (id, beat) in dead {
            if write!(store, |tx| tx.strike_off(&id, beat).await)? {
                tracing::warn!(replica = %id, "stood still for a whole term: taking over its work");
            }
        }
        Ok(())
    }

    /// Gives everything back, at the end.
    ///
    /// # Errors
    /// As the store says.
    pub async fn leave(&self, store: &Store) -> Result<()> {
        let (owner, lock) = {
            let mut held = self.held();
            held.delivers = false;
            (held.owner.take(), held.lock.take())
        };
        if let Some(id) = owner {
            write!(store, |tx| tx.leave(&id).await)?;
        }
        drop(lock);
        Ok(())
    }
}

fn new_id() -> String {
    format!("{}-{:016x}", std::process::id(), rand::rng().random::<u64>())
}
