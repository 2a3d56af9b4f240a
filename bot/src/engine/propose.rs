//! Opening a run: because an alert fired, or because somebody asked.

use crate::store::write;
use lastgood_core::{
    Actor, At, RollbackId, ServiceId, ThreadId,
    rollback::{Alerting, Approval, Kind, Opening},
};

use super::{
    Engine,
    alerts::{self, Alert, Anchor},
    commit,
    delivery::{self, Delivery},
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
    /// Opens a run for a person. The proposal follows as soon as the world is read.
    ///
    /// # Errors
    /// `NotFound` for a service that is not declared, `Busy` when a run of it is active.
    pub async fn propose(&self, ask: &Ask) -> Result<RollbackId> {
        self.propose_at(ask, None, None).await
    }

    /// As `propose`, for somebody who pointed at a message: a thread that is opened for it is that message's own.
    ///
    /// # Errors
    /// As `propose`.
    /// The same delivery opens one run, and is answered the same.
    pub async fn propose_at(
        &self,
        ask: &Ask,
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
            if let Some(active) = tx.active_rollback(&service.id).await? {
                let state = active.state;
                return Err(StoreError::Busy(format!(
                    "{} is under way for {} ({}): act on its card, or stop it first",
                    state.id,
                    state.service,
                    state.phase.word()
                )));
            }
            let thread = match tx.open_thread(&service.id, at).await? {
                Some(thread) => thread,
                None => alerts::new_thread(tx, &service, &[], anchor, at).await?,
            };
            let mut opening = opening(tx, &service, thread, at).await?;
            opening.by = Some(ask.by.clone());
            opening.wanted.clone_from(&ask.wanted);
            opening.reason.clone_from(&ask.reason);
            let id = opening.id;
            tx.audit(at, &ask.by.id, &service.id.0, "propose", ask.reason.as_deref().unwrap_or_default())
                .await?;
            delivery::keep(tx, delivery, "propose", &id.to_string(), at).await?;
            Ok((id, commit::open(tx, opening, at, owner.as_deref()).await?))
        })?;
        self.dispatch(claimed);
        Ok(id)
    }

    /// Under which name effects of this service are claimed here; none while they may not be.
    pub(super) fn owner_of(&self, service: &ServiceId) -> Option<String> {
        self.lease.owner_of(service)
    }
}

/// Opens a run for an alert, in the alert's transaction.
pub(super) async fn for_alert(
    tx: &mut Tx,
    service: &Service,
    thread: ThreadId,
    alert: &Alert,
    at: At,
    owner: Option<&str>,
) -> Result<Vec<Claimed>> {
    let mut opening = opening(tx, service, thread, at).await?;
    if alert.heard.is_some() {
        // Many may post in a room as a program, without any token: that moves no traffic by itself.
        opening.policy.approval = Approval::Required;
    }
    let since = alert.starts_at.min(at);
    opening.alert = Some(Alerting { title: alert.title.clone(), since, firing: true });
    commit::open(tx, opening, at, owner).await
}

/// A run in a thread goes on from the one before it there: a relapse is linked, and command stays where it was.
async fn opening(tx: &mut Tx, service: &Service, thread: ThreadId, at: At) -> Result<Opening> {
    let before = tx.newest_rollback_in(thread).await?.map(|saved| saved.state);
    Ok(Opening {
        id: RollbackId(tx.number("rollback").await?),
        service: service.id.clone(),
        thread,
        kind: Kind::Back,
        parent: before.as_ref().map(|state| state.id),
        policy: service.policy.clone(),
        at,
        by: None,
        reason: None,
        alert: before.as_ref().and_then(|state| state.alert.clone()).filter(|alert| alert.firing),
        wanted: None,
        tried: Default::default(),
        commander: before.and_then(|state| state.commander).or_else(|| service.commander.clone()),
    })
}
