//! Letting those go on who stand still for a rollback: when its incident closes, or when a person asks for it.

use lastgood_core::{
    Actor, RollbackId, ThreadId,
    rollback::{Effect, Request, Rollback},
};

use super::{
    Engine,
    delivery::{self, Delivery},
};
use crate::store::{Result, Tx, truces::State, write};

impl Engine {
    /// Asked by a person who may. `Err` with why not, for them.
    ///
    /// # Errors
    /// As the store says.
    pub async fn resume(
        &self,
        run: &Rollback,
        anyway: bool,
        by: &Actor,
        delivery: &Delivery,
    ) -> Result<std::result::Result<(), String>> {
        let at = self.now();
        write!(self.store, |tx| {
            tx.lock(&run.service).await?;
            if let Some(before) = delivery::before(tx, Some(delivery)).await? {
                return Ok(if before.is_empty() { Ok(()) } else { Err(before) });
            }
            let answer = self.ask_to_resume(tx, run.thread, anyway, by).await?;
            let told = answer.as_ref().err().cloned().unwrap_or_default();
            delivery::keep(tx, Some(delivery), "resume", &told, at).await?;
            let detail = if told.is_empty() { String::new() } else { format!("{told} (refused)") };
            tx.audit(at, &by.id, &run.service.0, "resume", &detail).await?;
            Ok(answer)
        })
    }

    /// In the caller's transaction, which has locked the service.
    pub(super) async fn ask_to_resume(
        &self,
        tx: &mut Tx,
        thread: ThreadId,
        anyway: bool,
        by: &Actor,
    ) -> Result<std::result::Result<(), String>> {
        let Some(truce) = tx.truce(thread).await? else {
            return Ok(Err("nobody stands still for this rollback".to_owned()));
        };
        match truce.state {
            State::Resumed => return Ok(Err(format!("{} goes on already", truce.who))),
            State::Resuming => return Ok(Err(format!("{} is being resumed just now", truce.who))),
            State::Held | State::Warned | State::Failed => {}
        }
        if let Some(saved) = tx.newest_rollback_in(thread).await?.filter(|saved| saved.state.active()) {
            let id = saved.state.id;
            return Ok(Err(format!("{id} is still running: ask again when it has ended")));
        }
        let at = self.now();
        tx.set_truce(thread, State::Resuming, "", Some(by), at).await?;
        let request = Request { effect: Effect::Resume { anyway, by: by.clone() }, after: 0 };
        let id = format!("{}/resume/{}", truce.rollback, truce.revision);
        tx.add_effect(&id, truce.rollback, &truce.service, &request, at, None).await?;
        redraw(tx, thread, truce.rollback).await?;
        Ok(Ok(()))
    }
}

/// The thread's newest run has the root card.
pub(super) async fn redraw(tx: &mut Tx, thread: ThreadId, of: RollbackId) -> Result<()> {
    let newest = tx.newest_rollback_in(thread).await?.map_or(of, |saved| saved.state.id);
    tx.redraw(newest).await
}
