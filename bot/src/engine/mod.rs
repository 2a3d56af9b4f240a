//! Commands become events, events become steps, steps ask for effects, effects yield events. State, event and the effects it
//! asks for are one transaction; whatever runs may run again.

pub mod acts;
pub mod alerts;
mod batch;
pub mod candidates;
mod changes;
mod commit;
pub mod delivery;
mod effects;
mod ending;
mod executor;
mod heard;
mod images;
pub mod incidents;
pub mod inventory;
mod lease;
mod pages;
pub mod pauses;
pub mod propose;
mod truces;

use crate::store::write;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use lastgood_core::{
    RollbackId,
    rollback::{Event, Refusal},
};
use tokio::sync::mpsc;

use crate::{
    clock::{Followed, SharedClock},
    service::{Service, Services},
    store::{self, Kind, Purpose, Result, Store, StoreError, effects::Claimed},
};

pub use executor::Executor;
pub use lease::{Lease, Pulse};

/// The engine's handle: cheap to clone, used by everything that causes events.
#[derive(Clone)]
pub struct Engine {
    pub store: Store,
    pub services: Services,
    pub clock: SharedClock,
    /// Where the database has a clock, which all replicas then go by.
    followed: Option<Arc<Followed>>,
    lease: Lease,
    /// Effects claimed by a commit of this process go straight to its executor.
    claimed: mpsc::UnboundedSender<Claimed>,
}

impl Engine {
    /// The engine and its executor, which does nothing until it is run.
    pub fn new(store: Store, services: Services, clock: SharedClock, term: Duration) -> (Self, Executor) {
        // Not a queue of work: every entry is a claimed row of the database, and is found again there after a crash.
        let (claimed, receiver) = mpsc::unbounded_channel();
        let lease = Lease::new(term, services.iter().map(|service| service.id.clone()).collect());
        let followed = match store.kind() {
            Kind::Sqlite => None,
            Kind::Postgres => Some(Arc::new(Followed::new(clock.clone()))),
        };
        let clock = followed.clone().map_or(clock, |followed| followed as SharedClock);
        let engine = Self { store, services, clock, followed, lease, claimed };
        let executing = engine.on(Purpose::Executor);
        (engine, Executor::new(executing, receiver))
    }

    /// The same engine, on the database's connections for this purpose.
    pub(crate) fn on(&self, purpose: Purpose) -> Self {
        Self { store: self.store.on(purpose), ..self.clone() }
    }

    /// Asks the database what time it is.
    ///
    /// # Errors
    /// As the store says.
    pub async fn read_clock(&self) -> Result<()> {
        let asked = Instant::now();
        if let (Some(followed), Some(at)) = (&self.followed, store::clock::read(&self.store).await?) {
            followed.follow(at, asked);
        }
        Ok(())
    }

    /// Asks what time it is, and notes it now and then; what waits for a time goes along with a clock that was set back.
    async fn keep_time(&self) -> Result<()> {
        self.read_clock().await?;
        if !self.lease.is_to_note_the_time() {
            return Ok(());
        }
        let (kind, own) = (self.store.kind(), self.clock.now());
        if let Some(back) = write!(self.store, |tx| tx.note_time(kind, own).await)? {
            tracing::warn!(
                seconds = back / 1000,
                "the clock was set back: timers and retries that wait for a time were moved along"
            );
        }
        Ok(())
    }

    pub fn now(&self) -> lastgood_core::At {
        self.clock.now()
    }

    /// Whether, and for how long, this process may change the outside world.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// A declared service.
    ///
    /// # Errors
    /// `NotFound`, with the nearest name.
    pub fn service(&self, name: &str) -> Result<Arc<Service>> {
        let found = self.services.get(&name.into()).cloned();
        found.ok_or_else(|| StoreError::NotFound(self.services.unknown(name)))
    }

    /// Takes an event in a transaction of its own.
    ///
    /// # Errors
    /// The state machine's refusal, or the store's.
    pub async fn take(&self, rollback: RollbackId, event: &Event) -> Result<()> {
        let at = self.now();
        let run = write!(self.store, |tx| {
            let Some(saved) = tx.rollback(rollback).await? else {
                return Err(StoreError::NotFound(format!("there is no {rollback}")));
            };
            tx.lock(&saved.state.service).await?;
            let owner = self.lease.owner_of(&saved.state.service);
            commit::take(tx, rollback, event, at, owner.as_deref()).await
        })?;
        self.dispatch(run);
        Ok(())
    }

    /// Starts what a commit has claimed for this process.
    fn dispatch(&self, claimed: Vec<Claimed>) {
        for effect in claimed {
            // A closed executor is no loss: the row is claimed by a lease that ends with this process.
            self.claimed.send(effect).ok();
        }
    }
}

/// A refusal as the person reads it.
pub fn refused(refusal: Refusal) -> StoreError {
    StoreError::Refused(refusal)
}
