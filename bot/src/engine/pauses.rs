//! When a click is needed although a service asks for none: while somebody has paused that, while enough other services are
//! being moved, and when nothing that may decide by itself asked for it.

use std::collections::BTreeSet;

use lastgood_core::{
    Actor, RollbackId, ServiceId,
    rollback::{Approval, Event, Phase, Policy},
};

use super::{
    Engine, commit,
    delivery::{self, Delivery},
};
use crate::{
    clock::rfc3339,
    service::Service,
    store::{Result, StoreError, Tx, effects::Claimed, pauses::Pause, write},
};

/// What a pause could still do something about, and what not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Paused {
    /// Runs that wait for a click now.
    pub waiting: Vec<(RollbackId, ServiceId)>,
    /// Runs that move traffic already, without a click.
    pub moving: Vec<(RollbackId, ServiceId)>,
}

impl Engine {
    /// From now on nothing is shifted without a click: of one service, or of all. What moves already is not stopped. The same
    /// delivery pauses once.
    ///
    /// # Errors
    /// As the store says.
    pub async fn pause(
        &self,
        service: Option<&ServiceId>,
        reason: &str,
        by: &Actor,
        delivery: Option<&Delivery>,
    ) -> Result<Paused> {
        let at = self.now();
        let pause = Pause { service: service.cloned(), by: by.clone(), reason: reason.trim().to_owned(), at };
        // The pause stands first, whatever else is at the services: new runs ask for it from here on.
        let services = write!(self.store, |tx| {
            if delivery::before(tx, delivery).await?.is_some() {
                return Ok(BTreeSet::new());
            }
            delivery::keep(tx, delivery, "pause", "", at).await?;
            tx.set_pause(&pause).await?;
            let named = service.map_or("", |service| &service.0);
            tx.audit(at, &by.id, named, "pause", &pause.reason).await?;
            Ok(match service {
                Some(service) => BTreeSet::from([service.clone()]),
                None => {
                    let known = tx.known_services().await?;
                    known.into_iter().chain(self.services.iter().map(|of| of.id.clone())).collect()
                }
            })
        })?;
        let mut paused = Paused::default();
        let mut busy = Vec::new();
        for service in services {
            match self.hold(&service, &pause).await {
                Ok((waiting, moving)) => {
                    paused.waiting.extend(waiting);
                    paused.moving.extend(moving);
                }
                Err(error) => {
                    tracing::error!(%error, %service, "paused, but its run could not be held yet");
                    busy.push(service.0);
                }
            }
        }
        if busy.is_empty() {
            return Ok(paused);
        }
        Err(StoreError::Busy(format!(
            "paused, but the runs of {} could not be held, since the database is busy there: pause once more",
            busy.join(", ")
        )))
    }

    /// Has a service's run wait for a click, where nothing moves yet. Tried again while others are at the service.
    async fn hold(&self, service: &ServiceId, pause: &Pause) -> Result<Held> {
        let owner = self.owner_of(service);
        let mut tries = 0;
        loop {
            tries += 1;
            let held = write!(self.store, |tx| {
                tx.lock(service).await?;
                hold(tx, service, pause, owner.as_deref()).await
            });
            match held {
                Err(error) if error.is_about_a_lock() && tries < HOLD_TRIES => {}
                Err(error) => return Err(error),
                Ok((held, claimed)) => {
                    self.dispatch(claimed);
                    return Ok(held);
                }
            }
        }
    }

    /// Ends the pause of one service, or that of all. Returns it, or none when there was none: runs that wait for a click
    /// because of it go on waiting. The same delivery ends one pause.
    ///
    /// # Errors
    /// As the store says.
    pub async fn unpause(
        &self,
        service: Option<&ServiceId>,
        by: &Actor,
        delivery: Option<&Delivery>,
    ) -> Result<Option<Pause>> {
        let at = self.now();
        write!(self.store, |tx| {
            if let Some(service) = service {
                tx.lock(service).await?;
            }
            if delivery::before(tx, delivery).await?.is_some() {
                return Ok(None);
            }
            delivery::keep(tx, delivery, "resume", "", at).await?;
            let pause = tx.pause(service).await?;
            let named = service.map_or("", |service| &service.0);
            let detail = if pause.is_some() { "" } else { "it was not paused" };
            tx.audit(at, &by.id, named, "resume", detail).await?;
            tx.end_pause(service).await?;
            Ok(pause)
        })
    }
}

/// A run that waits for a click now, and one that moves already.
type Held = (Option<(RollbackId, ServiceId)>, Option<(RollbackId, ServiceId)>);

/// How often a service that others are at is tried; each try waits for as long as the database lets it.
const HOLD_TRIES: u32 = 3;

async fn hold(
    tx: &mut Tx,
    service: &ServiceId,
    pause: &Pause,
    owner: Option<&str>,
) -> Result<(Held, Vec<Claimed>)> {
    let state = match tx.active_rollback(service).await {
        Ok(Some(active)) => active.state,
        Ok(None) => return Ok(((None, None), vec![])),
        // This build can't drive it, and must not let it be in the way of the pause of all others.
        Err(error @ StoreError::Undecodable { .. }) => {
            tracing::error!(%error, %service, "a rollback that can't be read is not held by the pause");
            return Ok(((None, None), vec![]));
        }
        Err(error) => return Err(error),
    };
    let named = Some((state.id, service.clone()));
    if state.may_begin_by_itself() {
        let event = Event::ClickRequired { why: words(pause) };
        let claimed = commit::take(tx, state.id, &event, pause.at, owner).await?;
        return Ok(((named, None), claimed));
    }
    let moves = state.is_automatic() && !matches!(state.phase, Phase::Escalated { .. });
    Ok(((None, named.filter(|_| moves)), vec![]))
}

/// Why a click is needed now. Asked after the run's number was drawn: runs of all services are opened one after the other from
/// there on, so that none is overlooked.
pub(super) async fn click_needed(tx: &mut Tx, service: &Service) -> Result<Option<String>> {
    if let Some(pause) = tx.pause_of(&service.id).await? {
        return Ok(Some(words(&pause)));
    }
    let all = match tx.active_rollbacks().await {
        Err(error @ StoreError::Undecodable { .. }) => {
            return Ok(Some(format!("what else is being moved can't be told: {error}")));
        }
        other => other?,
    };
    let moving: Vec<_> = all
        .into_iter()
        .map(|saved| saved.state)
        .filter(|state| state.service != service.id && state.is_automatic())
        .map(|state| format!("{} ({})", state.service, state.id))
        .collect();
    let enough = u32::try_from(moving.len()).unwrap_or(u32::MAX) >= service.at_once;
    Ok(enough.then(|| {
        format!(
            "no more than {} services are moved without a click at once, and {} just now: {}",
            service.at_once,
            if moving.len() == 1 { "one is" } else { "these are" },
            moving.join(", ")
        )
    }))
}

/// The first reason stays.
pub(super) fn demand_click(policy: &mut Policy, why: impl FnOnce() -> String) {
    if policy.approval == Approval::None {
        policy.approval = Approval::Required;
        policy.click_needed = Some(why());
    }
}

fn words(pause: &Pause) -> String {
    let what = if pause.service.is_some() { "paused" } else { "paused for all services" };
    let reason = match pause.reason.as_str() {
        "" => String::new(),
        reason => format!(": {reason}"),
    };
    format!("shifting without a click is {what} by {} since {}{reason}", pause.by.name, rfc3339(pause.at))
}
