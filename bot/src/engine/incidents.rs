//! Closing an incident: only with its root cause, only when its rollback has ended.

use crate::store::write;
use lastgood_core::{
    Actor, IncidentId,
    incident::{self, Closing},
};

use super::{
    Engine,
    delivery::{self, Delivery},
};
use crate::store::{self, Result, StoreError, incidents::Incident};

impl Engine {
    /// The same delivery closes it once, and is answered the same.
    ///
    /// # Errors
    /// `NotFound`, or `Invalid` with what is missing.
    pub async fn close_incident(
        &self,
        id: IncidentId,
        said: &Closing,
        by: &Actor,
        delivery: Option<&Delivery>,
    ) -> Result<Incident> {
        let missing = || {
            StoreError::NotFound(format!("there is no {id}; `lastgood incident list` shows the open ones"))
        };
        let known = store::incidents::get(self.store.reader(), id).await?.ok_or_else(missing)?;
        let at = self.now();
        write!(self.store, |tx| {
            tx.lock(&known.service).await?;
            let incident = tx.incident(id).await?.ok_or_else(missing)?;
            if delivery::before(tx, delivery).await?.is_some() {
                return Ok(incident);
            }
            let newest = tx.newest_rollback_in(incident.thread).await?.map(|saved| saved.state);
            let running = newest.as_ref().is_some_and(|state| state.active());
            let closing = incident::close(said, incident.root_cause.as_deref(), running)
                .map_err(|error| StoreError::Invalid(format!("{id}: {error}")))?;
            tx.close_incident(id, &closing, &by.id, at).await?;
            delivery::keep(tx, delivery, "close incident", "", at).await?;
            tx.audit(
                at,
                &by.id,
                &incident.service.0,
                "close incident",
                &format!("{id}: {}", closing.root_cause),
            )
            .await?;
            if closing.not_the_release {
                for digest in tx.failing_in(incident.thread).await? {
                    tx.acquit(&incident.service, &digest).await?;
                }
            }
            // A refusal means that there is nobody to resume, or that somebody is at it: no run of the thread is active here.
            drop(self.ask_to_resume(tx, incident.thread, false, by).await?);
            if let Some(state) = newest {
                tx.redraw(state.id).await?;
            }
            tx.incident(id).await?.ok_or_else(missing)
        })
    }
}
