//! Alerts in: one thread per incident; repetitions are a count, not noise; resolved is said, and proves nothing.

use crate::store::write;
use lastgood_core::{
    At, ServiceId, ThreadId,
    rollback::{Alerting, Event},
};

use super::{Engine, commit, propose};
use crate::{
    service::Service,
    store::{self, Result, StoreError, Tx, effects::Claimed},
};

/// More services than this, alerting within [`TOGETHER`], are likely to have one cause.
const MANY: usize = 3;
/// In milliseconds.
const TOGETHER: i64 = 120_000;

/// An alert as it concerns one service.
#[derive(Debug, Clone, PartialEq)]
pub struct Alert {
    pub service: ServiceId,
    pub fingerprint: String,
    pub starts_at: At,
    pub ends_at: Option<At>,
    pub firing: bool,
    pub title: String,
    pub annotations: Vec<(String, String)>,
    /// Labelled `lastgood=ignore`: noted, and no proposal.
    pub ignore: bool,
}

/// What became of an alert, for the sender and the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// A run was opened for it.
    Opened,
    /// It belongs to something that is under way.
    Joined,
    /// Seen before.
    Repeated,
    Resolved,
    Ignored,
}

impl Engine {
    /// Takes an alert; committed when this returns.
    ///
    /// # Errors
    /// `NotFound` for a service that is not declared, or as the store says.
    pub async fn alert(&self, alert: &Alert) -> Result<Taken> {
        let service = self.service(&alert.service.0)?;
        let (at, owner) = (self.now(), self.owner());
        let (taken, claimed) = write!(self.store, |tx| {
            tx.lock(&service.id).await?;
            if alert.firing {
                fired(tx, &service, alert, at, owner.as_deref()).await
            } else {
                resolved(tx, &service, alert, at, owner.as_deref()).await
            }
        })?;
        self.dispatch(claimed);
        tracing::info!(service = %service.id, alert = alert.title, ?taken, "alert");
        Ok(taken)
    }

    /// Services that alert together now, when they are so many that a shared cause is likely.
    ///
    /// # Errors
    /// As the store says.
    pub async fn alerting_together(&self) -> Result<Option<Vec<ServiceId>>> {
        let services = store::alerts::alerting_since(self.store.reader(), self.now() - TOGETHER).await?;
        Ok((services.len() > MANY).then_some(services))
    }
}

type Done = (Taken, Vec<Claimed>);

async fn fired(tx: &mut Tx, service: &Service, alert: &Alert, at: At, owner: Option<&str>) -> Result<Done> {
    let known = tx.alert(&service.id, &alert.fingerprint, alert.starts_at).await?;
    if let Some(known) = known.filter(|known| known.firing) {
        write_down(tx, service, alert, known.thread, at).await?;
        if let Some(thread) = known.thread {
            redraw(tx, thread).await?;
        }
        return Ok((Taken::Repeated, vec![]));
    }
    if alert.ignore {
        write_down(tx, service, alert, None, at).await?;
        return Ok((Taken::Ignored, vec![]));
    }
    let thread = match tx.open_thread(&service.id, at).await? {
        Some(thread) => thread,
        None => tx.new_thread(&service.id, &alert.annotations, at).await?,
    };
    write_down(tx, service, alert, Some(thread), at).await?;
    if let Some(active) = tx.active_rollback(&service.id).await? {
        let event = Event::AlertFired { title: alert.title.clone() };
        let claimed = commit::take(tx, active.state.id, &event, at, owner).await?;
        return Ok((Taken::Joined, claimed));
    }
    let alerting = Alerting { title: alert.title.clone(), since: alert.starts_at.min(at), firing: true };
    let claimed = propose::for_alert(tx, service, thread, alerting, at, owner).await?;
    Ok((Taken::Opened, claimed))
}

async fn write_down(
    tx: &mut Tx,
    service: &Service,
    alert: &Alert,
    thread: Option<ThreadId>,
    at: At,
) -> Result<()> {
    tx.alert_fired(&service.id, &alert.fingerprint, alert.starts_at, &alert.title, thread, at).await
}

/// The count on the card changes, and nothing else.
async fn redraw(tx: &mut Tx, thread: ThreadId) -> Result<()> {
    if let Some(newest) = tx.newest_rollback_in(thread).await? {
        tx.redraw(newest.state.id).await?;
    }
    Ok(())
}

async fn resolved(
    tx: &mut Tx,
    service: &Service,
    alert: &Alert,
    at: At,
    owner: Option<&str>,
) -> Result<Done> {
    let ended_at = alert.ends_at.unwrap_or(at).min(at);
    let (ended, still_firing) = tx.alert_resolved(&service.id, &alert.fingerprint, ended_at).await?;
    if ended == 0 || still_firing > 0 {
        return Ok((Taken::Resolved, vec![]));
    }
    let Some(active) = tx.active_rollback(&service.id).await? else { return Ok((Taken::Resolved, vec![])) };
    match commit::take(tx, active.state.id, &Event::AlertResolved, at, owner).await {
        Ok(claimed) => Ok((Taken::Resolved, claimed)),
        Err(StoreError::Refused(_)) => Ok((Taken::Resolved, vec![])),
        Err(error) => Err(error),
    }
}
