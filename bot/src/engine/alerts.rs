//! Alerts in: one thread per incident; repetitions are a count, not noise; resolved is said, and proves nothing.

use crate::store::write;
use lastgood_core::{At, ServiceId, ThreadId, rollback::Event};

use super::{
    Engine, commit,
    heard::{self, Known},
    propose,
};
use crate::{
    service::Service,
    store::{self, Result, StoreError, Tx, alerts::Fired, effects::Claimed},
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
    /// What it is called: one that comes by webhook may be heard in chat, too.
    pub names: Vec<String>,
    /// Who told it in a chat room; none when it came by webhook.
    pub heard: Option<String>,
    /// The room and the message in whose thread the proposal goes.
    pub anchor: Option<Anchor>,
}

/// A room, `platform:name`, and somebody else's message in it, as the platform's adapter refers to it.
pub type Anchor = (String, String);

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
        let (at, owner) = (self.now(), self.owner_of(&service.id));
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
    match heard::known(tx, service, alert, at).await? {
        Known::Seen => return Ok((Taken::Repeated, vec![])),
        Known::Repeated(thread) => {
            if let Some(thread) = thread {
                redraw(tx, thread).await?;
            }
            return Ok((Taken::Repeated, vec![]));
        }
        Known::New => {}
    }
    if alert.ignore {
        write_down(tx, service, alert, None, at).await?;
        return Ok((Taken::Ignored, vec![]));
    }
    let thread = match tx.open_thread(&service.id, at).await? {
        Some(thread) => thread,
        None => new_thread(tx, service, &alert.annotations, alert.anchor.as_ref(), at).await?,
    };
    write_down(tx, service, alert, Some(thread), at).await?;
    if let Some(active) = tx.active_rollback(&service.id).await? {
        let event = Event::AlertFired { title: alert.title.clone() };
        let claimed = commit::take(tx, active.state.id, &event, at, owner).await?;
        return Ok((Taken::Joined, claimed));
    }
    let claimed = propose::for_alert(tx, service, thread, alert, at, owner).await?;
    Ok((Taken::Opened, claimed))
}

/// A thread answers the message that it was opened for: those that only join it go on elsewhere.
pub(super) async fn new_thread(
    tx: &mut Tx,
    service: &Service,
    annotations: &[(String, String)],
    anchor: Option<&Anchor>,
    at: At,
) -> Result<ThreadId> {
    let thread = tx.new_thread(&service.id, annotations, at).await?;
    if let Some((room, reference)) = anchor {
        tx.anchor(thread, room, reference).await?;
    }
    Ok(thread)
}

pub(super) async fn write_down(
    tx: &mut Tx,
    service: &Service,
    alert: &Alert,
    thread: Option<ThreadId>,
    at: At,
) -> Result<()> {
    tx.alert_fired(&as_fired(service, alert, thread), at).await
}

pub(super) fn as_fired<'a>(service: &'a Service, alert: &'a Alert, thread: Option<ThreadId>) -> Fired<'a> {
    Fired {
        service: &service.id,
        fingerprint: &alert.fingerprint,
        starts_at: alert.starts_at,
        title: &alert.title,
        thread,
        heard: alert.heard.as_deref(),
        names: &alert.names,
    }
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
    let others = heard::over(tx, service, alert, ended_at, at).await?;
    let (ended, still_firing) = tx.alert_resolved(&service.id, &alert.fingerprint, ended_at).await?;
    if ended + others == 0 || still_firing > 0 {
        return Ok((Taken::Resolved, vec![]));
    }
    let Some(active) = tx.active_rollback(&service.id).await? else { return Ok((Taken::Resolved, vec![])) };
    match commit::take(tx, active.state.id, &Event::AlertResolved, at, owner).await {
        Ok(claimed) => Ok((Taken::Resolved, claimed)),
        Err(StoreError::Refused(_)) => Ok((Taken::Resolved, vec![])),
        Err(error) => Err(error),
    }
}
