//! A step's changes of the database, in its transaction.

use lastgood_core::{
    Artifact, At, RollbackId, Shares,
    inventory::{Origin, Phase, Stability},
    rollback::{Change, Event, Kind, Linked, Opening, Rollback},
};

use super::commit::Next;
use crate::store::{Result, Tx, releases::NewRelease};

pub(super) async fn apply(tx: &mut Tx, state: &Rollback, change: &Change, at: At) -> Result<Vec<Next>> {
    let (id, service) = (state.id, &state.service);
    match change {
        Change::CancelWork => tx.cancel_work(id, at).await?,
        Change::SetTimer { timer, at } => tx.set_timer(id, *timer, *at).await?,
        Change::ClearTimer { timer } => drop(tx.clear_timer(id, *timer).await?),
        Change::OpenIncident => tx.open_incident(service, state.thread, id, at).await?,
        Change::MarkUnstable { artifact, why, provisional } => {
            if keeps_its_mark(tx, state, artifact, *provisional).await? {
                return Ok(vec![]);
            }
            let stability = Stability::Unstable { why: why.clone(), provisional: *provisional };
            tx.set_mark(service, &artifact.digest, &stability, Some(id), &id.to_string(), at).await?;
        }
        Change::LiftMark { digest } => tx.lift_mark(service, digest, id).await?,
        Change::RecordRelease { artifact, to } => {
            let release = NewRelease {
                service: service.clone(),
                artifact: artifact.clone(),
                phase: Phase::Live,
                pool: main_pool(to),
                at,
                by: Some(id.to_string()),
                url: None,
                irreversible: None,
                origin: Origin::Rollback,
                // A run that verifies its shift twice deploys once.
                delivery: format!("{id}/{}", artifact.digest),
            };
            tx.add_release(&release, at).await?;
        }
        Change::OpenLinked { linked } => {
            return Ok(vec![Next::Open(Box::new(opening(tx, state, linked, at).await?))]);
        }
        Change::TellUndone { run } => return Ok(vec![Next::Take(*run, Event::Undone { by: id })]),
        Change::Close => tx.thread_ended(state.thread, Some(at)).await?,
    }
    Ok(vec![])
}

/// Whether what is known of an artifact already weighs more: a mark for good is not replaced by a provisional one, which would be
/// lifted again, nor a person's word that came after the decision by what the run makes of it.
async fn keeps_its_mark(tx: &mut Tx, run: &Rollback, artifact: &Artifact, provisional: bool) -> Result<bool> {
    let Some(mark) = tx.mark_of(&run.service, &artifact.digest).await? else { return Ok(false) };
    Ok(match mark.stability {
        Stability::Unstable { provisional: false, .. } => provisional,
        _ => {
            mark.rollback.is_none()
                && run.approved_at.is_some_and(|approved| mark.at >= approved)
                && !provisional
        }
    })
}

/// The pool that got (most of) the traffic.
fn main_pool(to: &Shares) -> Option<String> {
    to.iter().max_by_key(|(_, share)| **share).filter(|(_, share)| **share > 0).map(|(pool, _)| pool.clone())
}

/// A run that a person started from this one: same thread, same rules, same commander.
async fn opening(tx: &mut Tx, from: &Rollback, linked: &Linked, at: At) -> Result<Opening> {
    let (kind, tried) = match linked {
        Linked::Next { tried } => (Kind::Back, tried.iter().cloned().collect()),
        Linked::Undo { to, artifact, contents } => {
            let (to, artifact, contents) = (to.clone(), artifact.clone(), contents.clone());
            (Kind::Undo { of: from.id, to, artifact, contents }, Default::default())
        }
    };
    Ok(Opening {
        id: RollbackId(tx.number("rollback").await?),
        service: from.service.clone(),
        thread: from.thread,
        kind,
        parent: Some(from.id),
        policy: from.policy.clone(),
        at,
        by: None,
        reason: None,
        alert: from.alert.clone(),
        wanted: None,
        tried,
        commander: from.commander.clone(),
        baselines: from.baselines.clone(),
        previous_end: None,
    })
}
