//! Deployments and marks in; the gate's answer out.

use std::collections::BTreeSet;

use lastgood_core::{
    Actor, Artifact, Digest, ReleaseId, ServiceId,
    inventory::{Phase, Stability, gate, images::Images},
    rollback::Event,
};

use super::{
    Engine, commit,
    delivery::{self, Delivery},
    images,
};
use crate::{
    service::Service,
    store::{
        self, Result, StoreError,
        releases::{Mark, NewRelease},
        write,
    },
};

/// Marks, newest first, of which the gate asks whether they are of the same image.
const MARKED: usize = 5;

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
        let db = self.store.reader();
        let releases = store::releases::newest(db, &service.id, images::RELEASES).await?;
        let known = images::kept(db, &service.id, &releases).await?;
        // A run knows its own artifacts, whichever digest of theirs is recorded.
        let digest = known.artifact(&new.artifact.digest).clone();
        let artifact = Artifact { digest, ..new.artifact.clone() };
        let (recorded, claimed) = write!(self.store, |tx| {
            tx.lock(&service.id).await?;
            let (id, is_new) = tx.add_release(new, at).await?;
            let recorded = Recorded { id, new: is_new };
            let active = tx.active_rollback(&service.id).await?.filter(|saved| {
                // A preview takes no traffic, and a late record is history.
                is_new && new.phase != Phase::Preview && new.at >= saved.state.opened_at
            });
            let Some(active) = active else { return Ok((recorded, vec![])) };
            let event = Event::ReleaseRecorded {
                artifact: artifact.clone(),
                phase: new.phase,
                by: new.by.clone(),
                pool: new.pool.clone(),
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

    /// What to say to whoever recorded a release without its pool, when that makes unknown what pools run.
    ///
    /// # Errors
    /// `NotFound` for a service that is not declared.
    pub async fn pool_is_missing(&self, new: &NewRelease) -> Result<Option<String>> {
        let service = self.service(&new.service.0)?;
        if new.pool.is_some() || new.phase == Phase::Preview {
            return Ok(None);
        }
        let db = self.store.reader();
        let mut unknown: Vec<&str> = Vec::new();
        for pool in &service.only_recorded {
            let last = store::releases::last_in_pool(db, &service.id, pool).await?;
            let unplaced = store::releases::unplaced_since(db, &service.id, last.as_ref()).await?;
            if unplaced.iter().any(|release| release.artifact.digest == new.artifact.digest) {
                unknown.push(pool);
            }
        }
        Ok((!unknown.is_empty()).then(|| {
            format!(
                "pool is missing: only records tell what {} of {} run, and {} may be in any of them. Until that is told, what \
                 they run counts as unknown, and a rollback may find no target. Record it again with `pool` (and with another \
                 `id`, if it has one)",
                unknown.join(", "),
                service.id,
                new.artifact
            )
        }))
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

    /// May this artifact be deployed to this service? What is held against an image index holds for the manifests that it names, and
    /// the other way round.
    ///
    /// # Errors
    /// Only when the store can't be asked.
    pub async fn gate(&self, service: &str, digest: &Digest) -> Result<gate::Answer> {
        let Some(service) = self.services.get(&service.into()) else {
            return Ok(gate::decide(&gate::Facts::default()));
        };
        let db = self.store.reader();
        let mut marks = store::releases::marks(db, &service.id).await?;
        marks.sort_by_key(|mark| std::cmp::Reverse(mark.at));
        let known = self.known_at_the_gate(service, digest, &marks).await?;
        let is_it = |other: &Digest| known.images.are_one(other, digest);
        let active = store::rollbacks::active(db, &service.id).await?.map(|saved| saved.state);
        let approved = active.as_ref().filter(|state| state.approved_at.is_some());
        // The last word about it, by whichever of its digests.
        let mark = marks.iter().find(|mark| is_it(&mark.digest));
        let facts = gate::Facts {
            service_known: true,
            digest_known: store::releases::knows(db, &service.id, digest).await?
                || known.releases.iter().any(|release| is_it(&release.artifact.digest)),
            stability: mark.map(|mark| mark.stability.clone()).unwrap_or_default(),
            target_of: approved.filter(|s| s.target().is_some_and(|t| is_it(&t.digest))).map(|s| s.id),
            active: active.map(|state| state.id),
        };
        let mut answer = gate::decide(&facts);
        if let (gate::Answer::Allowed { reasons }, Some((_, fault))) = (&mut answer, known.unasked.first()) {
            reasons.push(format!(
                "note: whether it is a marked image by another digest could not be asked: {fault}"
            ));
        }
        Ok(answer)
    }

    /// What tells whether the digest is one artifact with something that was recorded or marked.
    async fn known_at_the_gate(
        &self,
        service: &Service,
        digest: &Digest,
        marks: &[Mark],
    ) -> Result<images::Known> {
        let db = self.store.reader();
        let releases = store::releases::newest(db, &service.id, images::RELEASES).await?;
        let manifests = store::manifests::of_service(db, &service.id, images::RELEASES).await?;
        let marked = marks.iter().map(|mark| &mark.digest);
        let recorded = releases.iter().map(|release| &release.artifact.digest);
        let digests = std::iter::once(digest).chain(marked.clone().take(MARKED)).cloned().collect();
        let images = Images::new(recorded.chain(marked).cloned(), manifests);
        let mut known = images::Known { images, releases, unasked: Vec::new(), gone: BTreeSet::new() };
        images::learn(self, service, &mut known, digests).await?;
        Ok(known)
    }
}
