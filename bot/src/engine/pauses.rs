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
        let (paused, claimed) = write!(self.store, |tx| {
            let services = match service {
                Some(service) => BTreeSet::from([service.clone()]),
                None => {
                    let known = tx.known_services().await?;
                    known.into_iter().chain(self.services.iter().map(|of| of.id.clone())).collect()
                }
            };
            for service in &services {
                tx.lock(service).await?;
            }
            if delivery::before(tx, delivery).await?.is_some() {
                return Ok((Paused::default(), vec![]));
            }
            delivery::keep(tx, delivery, "pause", "", at).await?;
            tx.set_pause(&pause).await?;
            let named = service.map_or("", |service| &service.0);
            tx.audit(at, &by.id, named, "pause", &pause.reason).await?;
            hold(tx, services, &pause, |service| self.owner_of(service)).await
        })?;
        self.dispatch(claimed);
        Ok(paused)
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

/// Has the services' runs wait for a click, where nothing moves yet.
async fn hold(
    tx: &mut Tx,
    services: BTreeSet<ServiceId>,
    pause: &Pause,
    owner_of: impl Fn(&ServiceId) -> Option<String>,
) -> Result<(Paused, Vec<Claimed>)> {
    let (mut paused, mut claimed) = (Paused::default(), Vec::new());
    let event = Event::ClickRequired { why: words(pause) };
    for service in services {
        let state = match tx.active_rollback(&service).await {
            Ok(Some(active)) => active.state,
            Ok(None) => continue,
            // This build can't drive it, and must not let it be in the way of the pause of all others.
            Err(error @ StoreError::Undecodable { .. }) => {
                tracing::error!(%error, %service, "a rollback that can't be read is not held by the pause");
                continue;
            }
            Err(error) => return Err(error),
        };
        if state.may_begin_by_itself() {
            claimed
                .extend(commit::take(tx, state.id, &event, pause.at, owner_of(&service).as_deref()).await?);
            paused.waiting.push((state.id, service));
        } else if state.is_automatic() && !matches!(state.phase, Phase::Escalated { .. }) {
            paused.moving.push((state.id, service));
        }
    }
    Ok((paused, claimed))
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
