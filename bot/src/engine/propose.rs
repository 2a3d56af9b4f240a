//! Opening a run: because an alert fired, or because somebody asked.

use crate::store::write;
use lastgood_core::{
    Actor, At, RollbackId, ServiceId, ThreadId,
    rollback::{Alerting, Approval, Event, Kind, Opening, Phase, Standing},
};

use super::{
    Engine,
    alerts::{self, Alert, Anchor},
    commit,
    delivery::{self, Delivery},
    pauses,
};
use crate::{
    service::Service,
    store::{Result, StoreError, Tx, effects::Claimed},
};

/// What somebody asks for with `/rollback checkout v2.4.0 reason`.
#[derive(Debug, Clone, PartialEq)]
pub struct Ask {
    pub service: String,
    pub by: Actor,
    /// A version or digest; otherwise the bot chooses.
    pub wanted: Option<String>,
    pub reason: Option<String>,
}

impl Engine {
    /// Opens a run for a person of whom nothing is known: it moves nothing without an approver's click. The proposal follows as
    /// soon as the world is read.
    ///
    /// # Errors
    /// `NotFound` for a service that is not declared, `Busy` when a run of it is active.
    pub async fn propose(&self, ask: &Ask) -> Result<RollbackId> {
        self.propose_at(ask, &Standing::default(), None, None).await
    }

    /// As `propose`, for somebody whose standing was looked up; with `anchor` for somebody who pointed at a message: a thread
    /// that is opened for it is that message's own. The same delivery opens one run, and is answered the same.
    ///
    /// # Errors
    /// As `propose`.
    pub async fn propose_at(
        &self,
        ask: &Ask,
        standing: &Standing,
        anchor: Option<&Anchor>,
        delivery: Option<&Delivery>,
    ) -> Result<RollbackId> {
        let service = self.service(&ask.service)?;
        let (at, owner) = (self.now(), self.owner_of(&service.id));
        let (id, claimed) = write!(self.store, |tx| {
            tx.lock(&service.id).await?;
            if let Some(before) = delivery::before(tx, delivery).await?.and_then(|id| id.parse().ok()) {
                return Ok((before, vec![]));
            }
            if let Some(state) = tx.active_rollback(&service.id).await?.map(|active| active.state) {
                let commands = state.commander.as_ref().is_some_and(|commander| commander.id == ask.by.id);
                let in_charge = standing.approver || standing.commander || commands;
                if in_charge && matches!(state.phase, Phase::Confirming { .. }) {
                    // It has done what it can: another one may begin from there.
                    let event = Event::SuccessorAsked { by: ask.by.clone() };
                    let mut claimed = commit::take(tx, state.id, &event, at, owner.as_deref()).await?;
                    let (id, more) = self.open_for(tx, &service, ask, standing, anchor, delivery).await?;
                    claimed.extend(more);
                    return Ok((id, claimed));
                }
                return Err(StoreError::Busy(format!(
                    "{} is under way for {} ({}): act on its card, or stop it first",
                    state.id,
                    state.service,
                    state.phase.word()
                )));
            }
            self.open_for(tx, &service, ask, standing, anchor, delivery).await
        })?;
        self.dispatch(claimed);
        Ok(id)
    }

    /// In the transaction of whoever asks, which has locked the service.
    async fn open_for(
        &self,
        tx: &mut Tx,
        service: &Service,
        ask: &Ask,
        standing: &Standing,
        anchor: Option<&Anchor>,
        delivery: Option<&Delivery>,
    ) -> Result<(RollbackId, Vec<Claimed>)> {
        let (at, owner) = (self.now(), self.owner_of(&service.id));
        let thread = match tx.open_thread(&service.id, at).await? {
            Some(thread) => thread,
            None => alerts::new_thread(tx, service, &[], anchor, at).await?,
        };
        let mut opening = opening(tx, service, thread, at).await?;
        opening.by = Some(ask.by.clone());
        opening.wanted.clone_from(&ask.wanted);
        opening.reason.clone_from(&ask.reason);
        if !standing.approver {
            // Where nobody has to click, asking is deciding: that is an approver's.
            pauses::demand_click(&mut opening.policy, || format!("{} is no approver", ask.by));
        }
        let id = opening.id;
        let reason = ask.reason.as_deref().unwrap_or_default();
        tx.audit(at, &ask.by.id, &service.id.0, "propose", reason).await?;
        delivery::keep(tx, delivery, "propose", &id.to_string(), at).await?;
        Ok((id, commit::open(tx, opening, at, owner.as_deref()).await?))
    }

    /// Under which name effects of this service are claimed here; none while they may not be.
    pub(super) fn owner_of(&self, service: &ServiceId) -> Option<String> {
        self.lease.owner_of(service)
    }
}

/// Opens a run for an alert, in the alert's transaction. `previous_end`: the alert fired when the last run ended, and still
/// does.
pub(super) async fn for_alert(
    tx: &mut Tx,
    service: &Service,
    thread: ThreadId,
    alert: &Alert,
    previous_end: Option<At>,
    at: At,
    owner: Option<&str>,
) -> Result<(RollbackId, Vec<Claimed>)> {
    let mut opening = opening(tx, service, thread, at).await?;
    if alert.heard.is_some() {
        // Many may post in a room as a program, without any token: that moves no traffic by itself.
        pauses::demand_click(&mut opening.policy, || "the alert was only heard in chat".to_owned());
    }
    let since = alert.starts_at.min(at);
    opening.alert =
        Some(Alerting { title: alert.title.clone(), since, firing: true, heard: alert.heard.is_some() });
    opening.previous_end = previous_end;
    let id = opening.id;
    Ok((id, commit::open(tx, opening, at, owner).await?))
}

/// A run in a thread goes on from the one before it there: a relapse is linked, and command stays where it was.
async fn opening(tx: &mut Tx, service: &Service, thread: ThreadId, at: At) -> Result<Opening> {
    let before = tx.newest_rollback_in(thread).await?.map(|saved| saved.state);
    let id = RollbackId(tx.number("rollback").await?);
    let mut policy = service.policy.clone();
    if policy.approval == Approval::None
        && let Some(why) = pauses::click_needed(tx, service).await?
    {
        pauses::demand_click(&mut policy, || why);
    }
    Ok(Opening {
        id,
        service: service.id.clone(),
        thread,
        kind: Kind::Back,
        parent: before.as_ref().map(|state| state.id),
        policy,
        at,
        by: None,
        reason: None,
        alert: before.as_ref().and_then(|state| state.alert.clone()).filter(|alert| alert.firing),
        wanted: None,
        tried: Default::default(),
        baselines: before.as_ref().map(|state| state.baselines.clone()).unwrap_or_default(),
        commander: before.and_then(|state| state.commander).or_else(|| service.commander.clone()),
        previous_end: None,
    })
}
