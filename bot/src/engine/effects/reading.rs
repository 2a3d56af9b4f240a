//! Reading the live set: routing from the router, versions from the pools, else from the inventory, else unknown.

use futures_util::future::join_all;
use lastgood_adapters::{Fault, traffic::Observation};
use lastgood_core::{
    Artifact, Digest,
    inventory::{
        Phase,
        live::{Live, Running},
    },
};

use super::Job;
use crate::store::{self, Result};

pub(super) struct Reading {
    pub live: Live,
    /// Where what runs is not what is believed, or can't be read.
    pub drift: Vec<String>,
    pub notes: Vec<String>,
}

pub(super) enum Failed {
    Router(Fault),
    Store(store::StoreError),
}

impl From<store::StoreError> for Failed {
    fn from(error: store::StoreError) -> Self {
        Self::Store(error)
    }
}

/// Reads router and pools at the same time.
pub(super) async fn read(job: &Job<'_>) -> std::result::Result<Reading, Failed> {
    let (observed, versions) = futures_util::future::join(job.service.shifter.observe(), versions(job)).await;
    let observed = observed.map_err(Failed::Router)?;
    let mut reading = Reading { live: Live::default(), drift: vec![], notes: vec![] };
    reading.live.shares.clone_from(&observed.shares);
    reading.live.fluid = observed.fluid;
    routing_notes(&observed, &mut reading);
    let mut versions = versions;
    for pool in observed.shares.keys() {
        let asked = versions.iter().position(|(name, _)| name == pool).map(|at| versions.swap_remove(at).1);
        let seen = match asked {
            Some(asked) => Some(asked),
            None => told(job, &observed, pool, &mut reading).await?,
        };
        let serving = observed.shares.get(pool).is_some_and(|share| *share > 0);
        let running = settle(job, pool, serving, seen, &mut reading).await?;
        reading.live.pools.insert(pool.clone(), running);
    }
    believed_routing(job, &observed, &mut reading).await?;
    Ok(reading)
}

type Asked = std::result::Result<lastgood_core::Digest, Fault>;

async fn versions(job: &Job<'_>) -> Vec<(String, Asked)> {
    let asked = job.service.pools.iter().filter_map(|(name, pool)| {
        let version = pool.version.clone()?;
        Some(async move { (name.clone(), version.running().await) })
    });
    join_all(asked).await
}

/// What the router itself says that a pool runs, by its digest or else by the tag under which it was recorded.
async fn told(
    job: &Job<'_>,
    observed: &Observation,
    pool: &str,
    reading: &mut Reading,
) -> Result<Option<Asked>> {
    let Some(running) = observed.runs.get(pool) else { return Ok(None) };
    let digest: Option<Digest> = running.digest.as_ref().and_then(|digest| digest.parse().ok());
    let version = running.version.as_deref().unwrap_or(pool);
    let db = job.engine.store.reader();
    let known = store::releases::newest(db, &job.service.id, TAGS).await?;
    if let Some(digest) = digest.clone().filter(|digest| known.iter().any(|r| r.artifact.digest == *digest)) {
        return Ok(Some(Ok(digest)));
    }
    let by_version = known.into_iter().find(|release| release.artifact.version == version);
    Ok(Some(match (by_version, digest) {
        (Some(release), digest) => {
            // A platform's own manifest, a mirror: or somebody moved the tag. A person has to know which.
            let runs = digest.map_or_else(|| "no digest that could be read".into(), |d| d.short().to_owned());
            reading.drift.push(format!(
                "pods of {version} run {runs}; the inventory knows that version as {}",
                release.artifact.digest.short()
            ));
            Ok(release.artifact.digest)
        }
        (None, Some(digest)) => Ok(digest),
        (None, None) => Err(Fault::NotFound(format!(
            "no pod tells which bytes of {version} it runs, and no release is recorded by that version"
        ))),
    }))
}

/// Releases that are looked at for a tag.
const TAGS: i64 = 200;

fn routing_notes(observed: &Observation, reading: &mut Reading) {
    for instance in &observed.unreachable {
        reading
            .drift
            .push(format!("router instance {} can't be reached: {}", instance.instance, instance.detail));
    }
    if let Some(disagreement) = &observed.disagreement {
        reading.drift.push(format!("router instances route differently: {disagreement}"));
    }
    reading.drift.extend(observed.warnings.iter().cloned());
    if observed.shares.values().all(|share| *share == 0) {
        reading.notes.push("no pool carries traffic now".into());
    }
}

/// Releases that are looked at for the newest one that names its pool: more than a canary's steps make.
const RECENT: i64 = 20;

/// Where the inventory says that traffic is, against where the router sends it: the newest full deployment is in a pool that
/// has all of it, or (while a canary goes on) most of it.
async fn believed_routing(job: &Job<'_>, observed: &Observation, reading: &mut Reading) -> Result<()> {
    let db = job.engine.store.reader();
    let newest = store::releases::newest(db, &job.service.id, RECENT).await?;
    let believed = newest.into_iter().find(|release| release.phase == Phase::Live);
    let believed = believed.and_then(|release| Some((release.artifact, release.pool?)));
    let believed = believed.filter(|(_, pool)| observed.shares.get(pool) == Some(&0));
    let served = observed.shares.values().any(|share| *share > 0);
    if let (Some((artifact, pool)), true) = (believed, served) {
        reading.drift.push(format!(
            "the inventory says that {artifact} went live in {pool}, but the router sends {pool} nothing: {}",
            reading.live.describe()
        ));
    }
    Ok(())
}

/// Why the last record of a pool no longer tells what it runs.
pub(crate) fn stale(pool: &str, believed: &Artifact, unplaced: &Artifact) -> String {
    format!(
        "{unplaced} was recorded without its pool after {believed}, the last record of {pool}, and may have gone there; record {} again with its pool",
        unplaced.version
    )
}

/// What a pool runs, with everything that is doubtful about it.
async fn settle(
    job: &Job<'_>,
    pool: &str,
    serving: bool,
    seen: Option<Asked>,
    reading: &mut Reading,
) -> Result<Running> {
    let db = job.engine.store.reader();
    let recorded = store::releases::last_in_pool(db, &job.service.id, pool).await?;
    if let (None | Some(Err(_)), Some(believed)) = (&seen, &recorded)
        && let Some(unplaced) = store::releases::unplaced_since(db, &job.service.id, Some(believed)).await?
    {
        let why = stale(pool, &believed.artifact, &unplaced.artifact);
        let asked = match &seen {
            Some(Err(fault)) => {
                format!("what {pool} runs can't be read ({fault}), and its records don't tell")
            }
            _ => format!("what {pool} runs is not known"),
        };
        reading.drift.push(format!("{asked}: {why}"));
        return Ok(Running::Unknown { why });
    }
    match (seen, recorded) {
        (Some(Ok(digest)), recorded) => {
            if let Some(believed) = recorded.filter(|r| r.artifact.digest != digest) {
                reading.drift.push(format!(
                    "{pool} runs {}, but the inventory says {} ({})",
                    digest.short(),
                    believed.artifact,
                    believed.artifact.digest.short()
                ));
            }
            Ok(Running::Seen { digest })
        }
        (Some(Err(fault)), Some(believed)) => {
            reading.drift.push(format!(
                "what {pool} runs can't be read ({fault}); the last record says {}",
                believed.artifact
            ));
            Ok(Running::Recorded { digest: believed.artifact.digest })
        }
        (Some(Err(fault)), None) => {
            reading.drift.push(format!("what {pool} runs is not known: {fault}"));
            Ok(Running::Unknown { why: fault.to_string() })
        }
        (None, Some(believed)) => Ok(Running::Recorded { digest: believed.artifact.digest }),
        (None, None) => {
            if serving {
                reading
                    .drift
                    .push(format!("what {pool} runs is not known: no version endpoint, and no record"));
            }
            Ok(Running::Unknown { why: "no version endpoint, and no record that names this pool".into() })
        }
    }
}
