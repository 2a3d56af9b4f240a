//! Who may run effects, of which services. On SQLite: whoever holds the service's lock beside the file. On PostgreSQL: every
//! replica whose counter moves; one that stands still for a whole term, on the observer's own monotonic clock, is struck off
//! and its work taken over. Clocks of different machines are never compared.
//!
//! Either way a lease proves that the executor's loop turns: without that it is not renewed, and nothing is begun under it.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use lastgood_core::ServiceId;
use rand::Rng as _;

use crate::store::{Kind, Lock, Result, Store, effects, replicas, write};

/// Name of the role whose holder talks to the chats.
const DELIVERY: &str = "delivery";
/// A loop that has not turned for less than this is only slow, however short the term.
const SLOW: Duration = Duration::from_secs(5);
/// By so much is a clock that is set back while nobody looks found out too little.
const NOTED_EVERY: Duration = Duration::from_secs(5);

#[derive(Clone)]
pub struct Lease {
    term: Duration,
    held: Arc<Mutex<Held>>,
}

struct Held {
    /// Whose work this process may do: of the services in its configuration, or of the one that a command line is for.
    scope: BTreeSet<ServiceId>,
    /// None: this process may not execute.
    owner: Option<String>,
    /// When the lease was last renewed, as asked for before the answer came: the safe side.
    beaten: Option<Instant>,
    /// When the executor last got through what is due, or through a piece of it.
    turned: Instant,
    /// When its loop last came round, whatever it could do.
    came_round: Instant,
    /// The same for the loop that talks to the chats; none: there are none.
    told: Option<Instant>,
    delivers: bool,
    /// Effects that run.
    in_hand: usize,
    /// When the time was last noted in the database.
    noted: Option<Instant>,
    locks: Locks,
    /// Other replicas: counter, and since when it was seen so.
    seen: HashMap<String, (i64, Instant)>,
}

/// On SQLite.
#[derive(Default)]
struct Locks {
    shared: Option<Lock>,
    services: BTreeMap<ServiceId, Lock>,
    delivery: Option<Lock>,
}

/// How the executor does, for probes and metrics.
#[derive(Debug, Clone, Copy)]
pub struct Pulse {
    /// Since the executor last got through what is due.
    pub turned: Duration,
    /// Since its loop last came round at all.
    pub came_round: Duration,
    /// Since the lease was last renewed; none while there is none.
    pub beaten: Option<Duration>,
    /// After this it stands still.
    pub limit: Duration,
}

impl Lease {
    pub(super) fn new(term: Duration, scope: BTreeSet<ServiceId>) -> Self {
        let now = Instant::now();
        let held = Held {
            scope,
            owner: None,
            beaten: None,
            turned: now,
            came_round: now,
            told: None,
            delivers: false,
            in_hand: 0,
            noted: None,
            locks: Locks::default(),
            seen: HashMap::new(),
        };
        Self { term, held: Arc::new(Mutex::new(held)) }
    }

    fn held(&self) -> std::sync::MutexGuard<'_, Held> {
        // Nothing in here can be left half done by a panic.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn term(&self) -> Duration {
        self.term
    }

    /// This process does the work of one service only, whatever its configuration has.
    pub fn only(&self, service: &ServiceId) {
        self.held().scope.retain(|one| one == service);
    }

    /// How long a loop may take for one turn.
    fn limit(&self) -> Duration {
        self.term.max(SLOW)
    }

    pub fn pulse(&self) -> Pulse {
        let held = self.held();
        Pulse {
            turned: held.turned.elapsed(),
            came_round: held.came_round.elapsed(),
            beaten: held.owner.as_ref().and(held.beaten).map(|beaten| beaten.elapsed()),
            limit: self.limit(),
        }
    }

    /// The executor got through what is due, or through a piece of it.
    pub(super) fn turn(&self) {
        let now = Instant::now();
        let mut held = self.held();
        (held.turned, held.came_round) = (now, now);
    }

    /// The executor's loop came round, and could do nothing.
    pub(super) fn come_round(&self) {
        self.held().came_round = Instant::now();
    }

    fn stands_still(&self) -> bool {
        self.held().turned.elapsed() >= self.limit()
    }

    /// Under which name this process claims; none while it may not.
    pub fn owner(&self) -> Option<String> {
        if self.stands_still() { None } else { self.held().owner.clone() }
    }

    /// Whether this is still this process's name, though it may stand still under it: what was begun may be finished, for its
    /// row says whether it still counts.
    pub(super) fn is_held_by(&self, owner: &str) -> bool {
        self.held().owner.as_deref() == Some(owner)
    }

    /// As `owner`, for the work of this service.
    pub fn owner_of(&self, service: &ServiceId) -> Option<String> {
        self.owner().filter(|_| self.services().contains(service))
    }

    /// Whether there is any service whose work this process may do.
    pub fn executes(&self) -> bool {
        self.owner().is_some() && !self.services().is_empty()
    }

    /// Whose work this process may do now.
    pub(super) fn services(&self) -> Vec<ServiceId> {
        let held = self.held();
        match held.locks.shared {
            Some(_) => held.locks.services.keys().cloned().collect(),
            None => held.scope.iter().cloned().collect(),
        }
    }

    /// Whether it is time to note the time again; once for each such time.
    pub(super) fn is_to_note_the_time(&self) -> bool {
        let mut held = self.held();
        let due = held.noted.is_none_or(|noted| noted.elapsed() >= NOTED_EVERY);
        if due {
            held.noted = Some(Instant::now());
        }
        due
    }

    pub(super) fn take_in_hand(&self) {
        self.held().in_hand += 1;
    }

    pub(super) fn put_down(&self) {
        let mut held = self.held();
        held.in_hand = held.in_hand.saturating_sub(1);
    }

    /// This process has chats, and its loop that talks to them turns. One that has none never keeps the role from one that
    /// does.
    pub fn tells(&self) {
        self.held().told = Some(Instant::now());
    }

    /// Whether this process talks to the chats now.
    pub fn delivers(&self) -> bool {
        self.held().delivers && !self.stands_still()
    }

    fn wants_to_deliver(&self) -> bool {
        self.held().told.is_some_and(|told| told.elapsed() < self.limit())
    }

    /// How long a change of the outside world may take now, with a margin: after it, somebody else may be at it. None: it
    /// must not begin.
    pub fn remaining(&self) -> Option<Duration> {
        self.owner()?;
        let held = self.held();
        if held.locks.shared.is_some() {
            // The locks are kept as long as anything runs.
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
        if self.stands_still() {
            self.give_up_locks();
            return Ok(());
        }
        let now = Instant::now();
        if self.held().locks.shared.is_none() {
            let Some(shared) = Lock::share(path)? else { return Ok(()) };
            self.held().locks.shared = Some(shared);
        }
        let missing: Vec<ServiceId> = {
            let held = self.held();
            held.scope.iter().filter(|one| !held.locks.services.contains_key(one)).cloned().collect()
        };
        let mut gained = Vec::new();
        for service in missing {
            match Lock::of_service(path, &service) {
                Ok(lock) => gained.extend(lock.map(|lock| (service, lock))),
                // Somebody else's file: that one service waits, and all others go on.
                Err(error) => tracing::error!(%error, %service, "this service can't be executed here"),
            }
        }
        let owner = self.held().owner.clone().unwrap_or_else(new_id);
        if !gained.is_empty() {
            let freed = write!(store, |tx| {
                let mut freed = 0;
                for (service, _) in &gained {
                    freed += tx.release_service(service, &owner).await?;
                }
                Ok(freed)
            })?;
            if freed > 0 {
                tracing::warn!(effects = freed, "taking up work that another process left unfinished");
            }
        }
        let delivery = if self.wants_to_deliver() && self.held().locks.delivery.is_none() {
            Lock::of_delivery(path)?
        } else {
            None
        };
        let wants = self.wants_to_deliver();
        let mut held = self.held();
        held.beaten = Some(now);
        held.locks.services.extend(gained);
        held.locks.delivery = held.locks.delivery.take().or(delivery).filter(|_| wants);
        held.delivers = held.locks.delivery.is_some();
        // Also without any service: who may talk to the chats is another question.
        held.owner = Some(owner);
        Ok(())
    }

    /// The loop stands still: others may have the work, as soon as nothing of it is in hand here.
    fn give_up_locks(&self) {
        let mut held = self.held();
        if held.in_hand > 0 || held.locks.shared.is_none() {
            return;
        }
        held.locks = Locks::default();
        (held.owner, held.delivers) = (None, false);
        drop(held);
        tracing::error!("the executor stands still: its work is free for another process");
    }

    async fn renew_among_others(&self, store: &Store) -> Result<()> {
        if self.stands_still() {
            // No beat: a term from the last one, all that was begun under it is over, and others take the work.
            return Ok(());
        }
        let before = Instant::now();
        let owner = self.held().owner.clone();
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
        if self.wants_to_deliver() {
            let delivers = write!(store, |tx| tx.take_role(DELIVERY, &id).await)?;
            self.held().delivers = delivers;
        } else if self.held().delivers {
            write!(store, |tx| tx.leave_role(DELIVERY, &id).await)?;
            self.held().delivers = false;
            tracing::error!("the loop that talks to the chats stands still: another replica may do it");
        }
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
        let (owner, locks) = {
            let mut held = self.held();
            held.delivers = false;
            (held.owner.take(), std::mem::take(&mut held.locks))
        };
        if let Some(id) = owner {
            write!(store, |tx| tx.leave(&id).await)?;
        }
        drop(locks);
        Ok(())
    }
}

fn new_id() -> String {
    format!("{}-{:016x}", std::process::id(), rand::rng().random::<u64>())
}
