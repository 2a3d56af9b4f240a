//! Deployments and marks in; the gate's answer out.

use crate::store::write;
use lastgood_core::{
    Actor, Digest, ReleaseId, ServiceId,
    inventory::{Stability, gate},
    rollback::Event,
};

use super::{
    Engine, commit,
    delivery::{self, Delivery},
};
use crate::store::{self, Result, StoreError, releases::NewRelease};

/// Whether a record was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Recorded {
    pub id: ReleaseId,
    pub new: bool,
}

impl Engine {
    /// Records a deployment. A run of the service that is under way is told in the same transaction.
    ///
    /// # Errors
    /// `NotFound` for a service that is not declared, `Invalid` for a pool that it does not have.
    pub async fn record(&self, new: &NewRelease) -> Result<Recorded> {
        let service = self.service(&new.service.0)?;
        if let Some(pool) =
            new.pool.as_ref().filter(|pool| !service.pools.is_empty() && !service.pools.contains_key(*pool))
        {
            let known: Vec<_> = service.pools.keys().cloned().collect();
            return Err(StoreError::Invalid(format!(
                "{} has no pool {pool:?}; its pools are {}",
                service.id,
                known.join(", ")
            )));
        }
        let (at, owner) = (self.now(), self.owner_of(&service.id));
        let (recorded, claimed) = write!(self.store, |tx| {
            tx.lock(&service.id).await?;
            let (id, is_new) = tx.add_release(new, at).await?;
            let recorded = Recorded { id, new: is_new };
            let active = tx.active_rollback(&service.id).await?.filter(|saved| {
                // A preview takes no traffic, and a late record is history.
                is_new
                    && new.phase != lastgood_core::inventory::Phase::Preview
                    && new.at >= saved.state.opened_at
            });
            let Some(active) = active else { return Ok((recorded, vec![])) };
            let event = Event::ReleaseRecorded {
                artifact: new.artifact.clone(),
                phase: new.phase,
                by: new.by.clone(),
            };
            match commit::take(tx, active.state.id, &event, at, owner.as_deref()).await {
                Ok(claimed) => Ok((recorded, claimed)),
                Err(StoreError::Refused(_)) => Ok((recorded, vec![])),
                Err(error) => Err(error),
            }
        })?;
        self.dispatch(claimed);
        Ok(recorded)
    }

    /// A person corrects the inventory. Audited; the running rollback's own decision reads it again. The same delivery marks
    /// once.
    ///
    /// # Errors
    /// `NotFound` for a service that is not declared, `Invalid` without a reason.
    pub async fn mark(
        &self,
        service: &str,
        digest: &Digest,
        stability: &Stability,
        reason: &str,
        by: &Actor,
        delivery: Option<&Delivery>,
    ) -> Result<()> {
        let service = self.service(service)?;
        if reason.trim().is_empty() {
            return Err(StoreError::Invalid(
                "a mark needs a reason: whoever reads it at night wants to know".into(),
            ));
        }
        let at = self.now();
        let word =
            if matches!(stability, Stability::Stable { .. }) { "mark stable" } else { "mark unstable" };
        write!(self.store, |tx| {
            tx.lock(&service.id).await?;
            if delivery::before(tx, delivery).await?.is_some() {
                return Ok(());
            }
            delivery::keep(tx, delivery, word, "", at).await?;
            tx.set_mark(&service.id, digest, stability, None, &by.id, at).await?;
            tx.audit(at, &by.id, &service.id.0, word, &format!("{digest}: {reason}")).await
        })
    }

    /// A version or the beginning of a digest, as one artifact of the inventory.
    ///
    /// # Errors
    /// `NotFound`, or `Invalid` when several artifacts answer to it.
    pub async fn resolve(&self, service: &ServiceId, word: &str) -> Result<Digest> {
        if let Ok(digest) = word.parse() {
            return Ok(digest);
        }
        let found = store::releases::named(self.store.reader(), service, word).await?;
        match found.as_slice() {
            [one] => Ok(one.digest.clone()),
            [] => Err(StoreError::NotFound(format!(
                "{service} has no release {word:?}; `lastgood releases {service}` lists them"
            ))),
            many => {
                let digests: Vec<_> = many.iter().map(|a| a.digest.short().to_owned()).collect();
                Err(StoreError::Invalid(format!(
                    "{word:?} is the version of {} artifacts: name the digest ({})",
                    many.len(),
                    digests.join(", ")
                )))
            }
        }
    }

    /// May this artifact be deployed to this service?
    ///
    /// # Errors
    /// Only when the store can't be asked.
    pub async fn gate(&self, service: &str, digest: &Digest) -> Result<gate::Answer> {
        let Some(service) = self.services.get(&service.into()) else {
            return Ok(gate::decide(&gate::Facts::default()));
        };
        let db = self.store.reader();
        let active = store::rollbacks::active(db, &service.id).await?.map(|saved| saved.state);
        let approved = active.as_ref().filter(|state| state.approved_at.is_some());
        let facts = gate::Facts {
            service_known: true,
            digest_known: store::releases::knows(db, &service.id, digest).await?,
            stability: store::releases::mark_of(db, &service.id, digest)
                .await?
                .map(|m| m.stability)
                .unwrap_or_default(),
            target_of: approved.filter(|s| s.target().is_some_and(|t| t.digest == *digest)).map(|s| s.id),
            active: active.map(|state| state.id),
        };
        Ok(gate::decide(&facts))
    }
}
