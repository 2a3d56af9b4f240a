//! The one way in: load, step, save state, event, changes and effects. Everything in the caller's transaction.

use std::collections::VecDeque;

use lastgood_core::{
    At, RollbackId,
    rollback::{self, Event, Opening, Step},
};

use super::changes;
use crate::store::{Result, StoreError, Tx, effects::Claimed};

/// What one event brings with it.
pub(super) enum Next {
    Take(RollbackId, Event),
    Open(Box<Opening>),
}

/// Takes an event, and all that it brings with it. The service is locked by the caller. Effects that are due at once are
/// claimed for `owner`, who must run them after the commit.
pub(super) async fn take(
    tx: &mut Tx,
    id: RollbackId,
    event: &Event,
    at: At,
    owner: Option<&str>,
) -> Result<Vec<Claimed>> {
    work_off(tx, Next::Take(id, event.clone()), at, owner).await
}

/// Opens a run. The service is locked by the caller.
pub(super) async fn open(tx: &mut Tx, opening: Opening, at: At, owner: Option<&str>) -> Result<Vec<Claimed>> {
    work_off(tx, Next::Open(Box::new(opening)), at, owner).await
}

async fn work_off(tx: &mut Tx, first: Next, at: At, owner: Option<&str>) -> Result<Vec<Claimed>> {
    let mut claimed = Vec::new();
    let mut queue = VecDeque::from([(first, true)]);
    while let Some((next, demanded)) = queue.pop_front() {
        let stepped = match next {
            Next::Take(id, event) => one(tx, id, &event, at, owner).await,
            Next::Open(opening) => {
                tx.thread_ended(opening.thread, None).await?;
                let step = rollback::open(&opening);
                save(tx, step, 1, &Event::Opened(opening), at, owner).await
            }
        };
        match stepped {
            Ok((run, more)) => {
                claimed.extend(run);
                queue.extend(more.into_iter().map(|next| (next, false)));
            }
            // What an event brings along may come too late for another run; that is no reason to refuse the event.
            Err(StoreError::Refused(refusal)) if !demanded => {
                tracing::debug!(%refusal, "follow-up not taken")
            }
            Err(error) => return Err(error),
        }
    }
    Ok(claimed)
}

type Stepped = (Vec<Claimed>, Vec<Next>);

async fn one(tx: &mut Tx, id: RollbackId, event: &Event, at: At, owner: Option<&str>) -> Result<Stepped> {
    let Some(saved) = tx.rollback(id).await? else {
        return Err(StoreError::NotFound(format!("there is no {id}")));
    };
    let step = rollback::step(&saved.state, event, at)?;
    save(tx, step, saved.seq + 1, event, at, owner).await
}

async fn save(
    tx: &mut Tx,
    step: Step,
    seq: i64,
    event: &Event,
    at: At,
    owner: Option<&str>,
) -> Result<Stepped> {
    let state = &step.state;
    tx.save_rollback(state, seq, event, at).await?;
    let mut more = Vec::new();
    for change in &step.changes {
        more.extend(changes::apply(tx, state, change, at).await?);
    }
    let mut claimed = Vec::new();
    for (index, request) in step.effects.iter().enumerate() {
        // Beside work that is still at its last safe point nothing new starts; the executor's poll takes it up.
        let free = request.effect.is_paging() || !tx.work_is_held(state.id).await?;
        let id = format!("{}/{seq}/{index}", state.id);
        let owner = owner.filter(|_| free);
        claimed.extend(tx.add_effect(&id, state.id, &state.service, request, at, owner).await?);
    }
    tracing::info!(rollback = %state.id, service = %state.service, event = event.kind(), phase = state.phase.word(), "step");
    Ok((claimed, more))
}
