//! Which digests are one artifact: an image index and the manifests that it names. Registries are asked once for each digest.

use std::{collections::BTreeSet, time::Duration};

use futures_util::{StreamExt as _, stream};
use lastgood_adapters::{Fault, registry::Registry};
use lastgood_core::{
    Digest, ServiceId,
    inventory::{Release, images::Images},
};

use tokio::time::{Instant, timeout_at};

use super::Engine;
use crate::{
    service::Service,
    store::{self, Pool, Result, write},
};

/// Releases whose digests are compared, wherever they are: the same digest has to stand for an artifact everywhere.
pub const RELEASES: i64 = 200;
/// Digests that are asked about in one go, the newest ones: a release is asked about once, and then known.
const MOST: usize = 20;
/// For all of them: somebody waits for the proposal, or a pipeline for the gate.
const WITHIN: Duration = Duration::from_secs(2);
/// At a time.
const TOGETHER: usize = 4;

/// What is known, and what could not be asked.
pub struct Known {
    pub images: Images,
    pub releases: Vec<Release>,
    pub unasked: Vec<(Digest, Fault)>,
    /// The registry does not have them.
    pub gone: BTreeSet<Digest>,
}

impl Known {
    /// Why it can't be told whether a digest belongs to a recorded release.
    pub fn uncertain(&self, service: &Service) -> Option<String> {
        match (self.unasked.first(), &service.registry, self.gone.first()) {
            (Some((_, fault)), ..) => Some(fault.to_string()),
            (None, None, _) => Some("no registry is configured that could tell".to_owned()),
            (None, Some(_), Some(gone)) => Some(format!("the registry has no {}", gone.short())),
            (None, Some(_), None) => None,
        }
    }
}

/// What is kept of the newest `RELEASES` of these releases, given newest first; nobody is asked.
///
/// # Errors
/// As the store says.
pub async fn kept(db: &Pool, service: &ServiceId, releases: &[Release]) -> Result<Images> {
    let manifests = store::manifests::of_service(db, service, RELEASES).await?;
    let most = usize::try_from(RELEASES).unwrap_or(usize::MAX);
    let newest = releases.iter().take(most).map(|release| release.artifact.digest.clone());
    Ok(Images::new(newest, manifests))
}

/// The newest releases, with what the registry says of those that it was never asked about.
///
/// # Errors
/// As the store says. A registry that can't be asked is no error: see `Known::unasked`.
pub async fn recorded(engine: &Engine, service: &Service) -> Result<Known> {
    let db = engine.store.reader();
    let releases = store::releases::newest(db, &service.id, RELEASES).await?;
    let images = kept(db, &service.id, &releases).await?;
    let newest: Vec<_> = images.recorded().iter().take(MOST).cloned().collect();
    let mut known = Known { images, releases, unasked: Vec::new(), gone: BTreeSet::new() };
    learn(engine, service, &mut known, newest).await?;
    Ok(known)
}

/// Learns what is not known yet of these digests, at most `MOST` of them.
///
/// # Errors
/// As `recorded`.
pub async fn learn(
    engine: &Engine,
    service: &Service,
    known: &mut Known,
    digests: Vec<Digest>,
) -> Result<()> {
    let Some(registry) = &service.registry else { return Ok(()) };
    let mut unknown = Vec::new();
    for digest in digests.into_iter().take(MOST) {
        if known.images.is_known(&digest) || unknown.contains(&digest) {
            continue;
        }
        match store::manifests::of_digest(engine.store.reader(), &digest).await? {
            Some(manifests) => known.images.learn(digest, manifests),
            None => unknown.push(digest),
        }
    }
    if let Some((_, fault)) = known.unasked.first().cloned() {
        // It did not answer a moment ago: nobody is kept waiting once more.
        known.unasked.extend(unknown.into_iter().map(|digest| (digest, fault.clone())));
        return Ok(());
    }
    let mut learned = Vec::new();
    for (digest, answer) in ask(&**registry, unknown).await {
        match answer {
            Ok(manifests) => learned.push((digest, manifests)),
            Err(Fault::NotFound(_)) => drop(known.gone.insert(digest)),
            Err(fault) => known.unasked.push((digest, fault)),
        }
    }
    if !learned.is_empty() {
        write!(engine.store, |tx| {
            for (digest, manifests) in &learned {
                tx.keep_manifests(digest, manifests).await?;
            }
            Ok(())
        })?;
    }
    for (digest, manifests) in learned {
        known.images.learn(digest, manifests);
    }
    Ok(())
}

type Answer = std::result::Result<BTreeSet<Digest>, Fault>;

async fn ask(registry: &dyn Registry, digests: Vec<Digest>) -> Vec<(Digest, Answer)> {
    let until = Instant::now() + WITHIN;
    let asking = stream::iter(digests).map(|digest| async move {
        let late = |_| Err(Fault::Unavailable(format!("no answer of the registry within {WITHIN:?}")));
        let answer = timeout_at(until, registry.manifests(&digest)).await.unwrap_or_else(late);
        (digest, answer)
    });
    asking.buffer_unordered(TOGETHER).collect().await
}
