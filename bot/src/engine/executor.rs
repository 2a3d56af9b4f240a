//! Runs effects: claims what is due, one bounded call each, and commits outcome and event together. Also wakes timers and
//! keeps the lease. A wake-up is a hint only: a poll once a second finds everything that a lost hint left lying.

use crate::store::write;
use std::{
    collections::HashSet,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::FutureExt as _;
use lastgood_core::{
    Millis, RollbackId,
    rollback::{Event, Timer},
};
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
    time::Instant,
};

use super::{Engine, Lease, batch, commit, effects};
use crate::store::{self, Purpose, Result, StoreError, effects::Claimed};

/// Effects of this process that run at the same time.
const AT_ONCE: usize = 64;
/// The poll that alone suffices.
const POLL: Duration = Duration::from_secs(1);
/// After so long, in milliseconds, a timer that could not be fired is tried again.
const AGAIN: Millis = 5_000;
/// What running effects get to reach a safe point when the process stops.
const GRACE: Duration = Duration::from_secs(10);

/// What an effect came to.
#[derive(Debug)]
pub(super) enum Outcome {
    Event(Event),
    /// Not yet: run it again after a while.
    Later {
        after: Millis,
        progress: Option<String>,
        why: String,
    },
    /// Done, and nothing follows from it.
    Nothing(String),
}

pub struct Executor {
    engine: Engine,
    claimed: mpsc::UnboundedReceiver<Claimed>,
    running: JoinSet<()>,
    in_hand: InHand,
    /// Held by this process according to the database and not in hand, when it was last looked.
    missed: HashSet<String>,
    looked: Instant,
}

impl Executor {
    pub(super) fn new(engine: Engine, claimed: mpsc::UnboundedReceiver<Claimed>) -> Self {
        let (in_hand, missed) = (InHand::new(engine.lease.clone()), HashSet::new());
        Self { engine, claimed, running: JoinSet::new(), in_hand, missed, looked: Instant::now() }
    }

    /// Takes part in executing before `run`, so that the first commit already finds an owner.
    ///
    /// # Errors
    /// As the store says.
    pub async fn join(&self) -> Result<()> {
        take_part(&self.engine).await
    }

    /// Works until `stop` turns true; what is unfinished then stays in the database for the next start.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut committed = self.engine.store.committed();
        // Beside the work, which says there that it gets on: a heap of due work must not cost the lease. Ends with this future.
        let mut beats = JoinSet::new();
        beats.spawn(keep_lease(self.engine.on(Purpose::Lease)));
        let mut wake = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
                Some(effect) = self.claimed.recv() => self.start(effect),
                Some(_) = self.running.join_next() => {}
                Ok(()) = committed.changed() => wake = self.scan().await,
                () = tokio::time::sleep_until(wake) => wake = self.scan().await,
            }
        }
        self.wind_down(beats).await;
    }

    async fn wind_down(mut self, mut beats: JoinSet<()>) {
        let all_done = async { while self.running.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all_done).await.is_err() {
            tracing::warn!("effects still running at the end; they are taken up at the next start");
            self.running.shutdown().await;
        }
        beats.shutdown().await;
        if let Err(error) = self.engine.lease.leave(&self.engine.store).await {
            tracing::warn!(%error, "the lease could not be given back; it runs out by itself");
        }
    }

    fn start(&mut self, effect: Claimed) {
        if let Some(held) = self.in_hand.take(&effect.id) {
            let engine = self.engine.on(Purpose::Effects);
            self.running.spawn(async move {
                run_one(engine, effect).await;
                drop(held);
            });
        }
    }

    /// Takes up what is due; says when to look again.
    async fn scan(&mut self) -> Instant {
        let worked = async {
            if self.engine.lease.owner().is_none() {
                // That it could work is what the lease is to know.
                self.engine.store.ping().await?;
                return Ok(POLL);
            }
            self.find_lost().await?;
            self.engine.lease.turn();
            self.take_up().await
        };
        match worked.await {
            Ok(after) => {
                self.engine.lease.turn();
                Instant::now() + after
            }
            Err(error) => {
                self.engine.lease.come_round();
                tracing::error!(%error, "work can't be looked for");
                Instant::now() + POLL
            }
        }
    }

    /// Work that is claimed for this process without its knowing: the answer to a commit was lost, or whoever asked for it
    /// went away in the middle. Nobody else would ever take it up while this process lives. Only what was missing twice is
    /// taken: a commit made just now hands its work over itself.
    async fn find_lost(&mut self) -> Result<()> {
        let Some(owner) = self.engine.lease.owner().filter(|_| self.looked.elapsed() >= POLL) else {
            return Ok(());
        };
        self.looked = Instant::now();
        let held = store::effects::held_by(self.engine.store.reader(), &owner).await?;
        let missed: Vec<_> = held.into_iter().filter(|effect| !self.in_hand.has(&effect.id)).collect();
        let before = std::mem::replace(&mut self.missed, missed.iter().map(|e| e.id.clone()).collect());
        for effect in missed.into_iter().filter(|effect| before.contains(&effect.id)) {
            tracing::warn!(effect = %effect.id, "was claimed and never begun: the answer to its commit was lost");
            self.start(effect);
        }
        Ok(())
    }

    /// One that fails keeps no other waiting; after each the lease knows that there is no standstill.
    async fn take_up(&mut self) -> Result<Duration> {
        let (now, services) = (self.engine.now(), self.engine.lease.services());
        let store = self.engine.store.clone();
        let db = store.reader();
        for (rollback, timer) in store::rollbacks::due_timers(db, &services, now).await? {
            let fired = fire(&self.engine, rollback, timer).await;
            let fired = self.got_on(fired, |error| {
                tracing::error!(%error, %rollback, timer = timer.as_str(), "timer not fired; it is tried again");
            })?;
            if fired.is_none() {
                // Behind all others that are due: many that can't be fired must not keep those waiting that can.
                write!(self.engine.store, |tx| tx.postpone_timer(rollback, timer, now + AGAIN).await)?;
            }
        }
        let room = AT_ONCE.saturating_sub(self.running.len());
        for (id, service) in store::effects::due(db, &services, now, i64::try_from(room).unwrap_or(0)).await?
        {
            let Some(owner) = self.engine.lease.owner_of(&service) else { continue };
            let claimed = write!(self.engine.store, |tx| {
                tx.lock(&service).await?;
                tx.claim(&id, &owner).await
            });
            if let Some(Some(effect)) = self.got_on(claimed, |error| {
                tracing::error!(%error, effect = %id, "not claimed; it is tried again");
            })? {
                self.start(effect);
            }
        }
        let next = [
            store::effects::next_due(db, &services).await?,
            store::rollbacks::next_timer(db, &services).await?,
        ];
        let soonest =
            next.into_iter().flatten().min().map_or(i64::MAX, |at| at.saturating_sub(self.engine.now()));
        // What is due but held back by something that runs is looked at again with the next commit, or by the poll.
        Ok(if soonest <= 0 { POLL } else { POLL.min(Duration::from_millis(soonest.unsigned_abs())) })
    }

    /// What one piece of work came to. Trouble with the database itself ends the scan, unless it is about this piece alone:
    /// somebody else has its service locked.
    fn got_on<T>(&self, done: Result<T>, failed: impl FnOnce(&StoreError)) -> Result<Option<T>> {
        match done {
            Ok(value) => {
                self.engine.lease.turn();
                Ok(Some(value))
            }
            Err(error) if error.is_outage() && !error.is_about_a_lock() => Err(error),
            Err(error) => {
                failed(&error);
                self.engine.lease.turn();
                Ok(None)
            }
        }
    }
}

/// Notes the time, and takes part or goes on taking part.
async fn take_part(engine: &Engine) -> Result<()> {
    if let Err(error) = engine.keep_time().await {
        tracing::warn!(%error, "the time can't be asked for and noted");
    }
    engine.lease.renew(&engine.store).await
}

/// Goes on taking part. A renewal that hangs is given up for the next one.
async fn keep_lease(engine: Engine) {
    let term = engine.lease.term();
    let patience = term.max(Duration::from_secs(5));
    let mut beat = tokio::time::interval((term / 10).min(POLL));
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        beat.tick().await;
        match tokio::time::timeout(patience, take_part(&engine)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the lease can't be renewed"),
            Err(_) => tracing::error!("the lease can't be renewed: the database does not answer"),
        }
    }
}

/// Effects that this process runs now.
#[derive(Clone)]
struct InHand {
    ids: Arc<Mutex<HashSet<String>>>,
    lease: Lease,
}

impl InHand {
    fn new(lease: Lease) -> Self {
        Self { ids: Arc::default(), lease }
    }

    fn ids(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        // A set of names can't be left half done by a panic.
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn has(&self, id: &str) -> bool {
        self.ids().contains(id)
    }

    /// None: it is run already.
    fn take(&self, id: &str) -> Option<Held> {
        let new = self.ids().insert(id.to_owned());
        new.then(|| {
            self.lease.take_in_hand();
            Held { of: self.clone(), id: id.to_owned() }
        })
    }
}

/// In hand until it is dropped, however its task ends.
struct Held {
    of: InHand,
    id: String,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.of.ids().remove(&self.id);
        self.of.lease.put_down();
    }
}

/// Fires a timer: it is disarmed in the transaction that takes its event. On a database with a clock of its own, that clock
/// says whether it is due, whatever this process believes.
async fn fire(engine: &Engine, rollback: RollbackId, timer: Timer) -> Result<()> {
    let claimed = write!(engine.store, |tx| {
        let Some(saved) = tx.rollback(rollback).await? else { return Ok(vec![]) };
        let firing = saved.state.alert_firing();
        let service = saved.state.service;
        tx.lock(&service).await?;
        let at = tx.time(engine.store.kind()).await?.unwrap_or_else(|| engine.now());
        if !tx.take_due_timer(rollback, timer, at).await? {
            return Ok(vec![]);
        }
        let owner = engine.lease.owner_of(&service);
        let mut claimed = Vec::new();
        if let Some(service) = engine.services.get(&service).filter(|_| firing) {
            // What is decided now must not rest on an alert of which nobody has heard for long.
            claimed.extend(batch::alert_if_silent(tx, service, at, owner.as_deref()).await?);
        }
        match commit::take(tx, rollback, &Event::TimerFired { timer }, at, owner.as_deref()).await {
            // It was set for a state that has passed.
            Err(StoreError::Refused(refusal)) => tracing::debug!(%refusal, "timer not taken"),
            other => claimed.extend(other?),
        }
        Ok(claimed)
    })?;
    engine.dispatch(claimed);
    Ok(())
}

async fn run_one(engine: Engine, effect: Claimed) {
    if engine.lease.owner().as_ref() != Some(&effect.owner) {
        // Given back, or struck off: whoever takes part now has it, or will find it.
        return;
    }
    tracing::debug!(effect = %effect.id, kind = effect.kind, attempt = effect.attempts, "running");
    // Not a task of its own: that would go on in the world after this one was ended, and its work given to somebody else.
    let running = AssertUnwindSafe(effects::run(&engine, &effect)).catch_unwind();
    let outcome = match running.await {
        Ok(outcome) => outcome,
        Err(_) => Outcome::Event(Event::EffectStuck {
            effect: effect.kind.clone(),
            detail: "internal error; the log has its details".into(),
        }),
    };
    settle(&engine, &effect, outcome).await;
}

/// Commits an outcome. The store may be away for a while; the outcome is worth waiting for, as long as the claim is ours.
async fn settle(engine: &Engine, effect: &Claimed, outcome: Outcome) {
    const TRIES: u32 = 600;
    for attempt in 0..TRIES {
        match commit_outcome(engine, effect, &outcome).await {
            Ok(()) => return,
            Err(error) => {
                tracing::error!(%error, effect = %effect.id, "an outcome can't be committed yet");
                if !engine.lease.is_held_by(&effect.owner) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(100 * u64::from(attempt.min(50) + 1))).await;
            }
        }
    }
}

async fn commit_outcome(engine: &Engine, effect: &Claimed, outcome: &Outcome) -> Result<()> {
    let (at, owner) = (engine.now(), effect.owner.as_str());
    let next_owner = engine.lease.owner_of(&effect.service).filter(|current| current == owner);
    let claimed = write!(engine.store, |tx| {
        tx.lock(&effect.service).await?;
        match outcome {
            Outcome::Later { after, progress, why } => {
                let ours = tx.postpone_effect(&effect.id, owner, at + after, why, progress.is_some()).await?;
                if let Some(progress) = progress.as_ref().filter(|_| ours) {
                    tx.set_progress(effect.rollback, progress).await?;
                }
                Ok(vec![])
            }
            Outcome::Nothing(what) => {
                tx.finish_effect(&effect.id, owner, "done", what, at).await?;
                Ok(vec![])
            }
            Outcome::Event(event) => {
                let event = &effects::recheck(tx, effect, event).await?;
                if !tx.finish_effect(&effect.id, owner, "done", event.kind(), at).await? {
                    return Ok(vec![]);
                }
                match commit::take(tx, effect.rollback, event, at, next_owner.as_deref()).await {
                    Err(StoreError::Refused(refusal)) => {
                        tracing::info!(effect = %effect.id, %refusal, "outcome not awaited any more");
                        Ok(vec![])
                    }
                    other => other,
                }
            }
        }
    })?;
    engine.dispatch(claimed);
    Ok(())
}
