//! Reading the live set: routing from the router, versions from the pools, else from the inventory, else unknown.

use futures_util::future::{join_all, join3};
use lastgood_adapters::{Fault, traffic::Observation};
use lastgood_core::{
    Artifact, Digest,
    inventory::{
        Phase, Release,
        live::{Live, Running},
    },
};

use super::Job;
use crate::{
    engine::images,
    store::{self, Result},
};

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
    let recorded = images::recorded(job.engine, &job.service);
    let (observed, versions, known) = join3(job.service.shifter.observe(), versions(job), recorded).await;
    let observed = observed.map_err(Failed::Router)?;
    let mut known = known?;
    let reported = observed.runs.values().filter_map(|running| running.digest.as_ref()?.parse().ok());
    let seen = versions.iter().filter_map(|(_, seen)| seen.as_ref().ok().cloned()).chain(reported);
    let strange: Vec<Digest> = seen.filter(|digest| !known.images.is_recorded(digest)).collect();
    images::learn(job.engine, &job.service, &mut known, strange).await?;
    let mut reading = Reading { live: Live::default(), drift: vec![], notes: vec![] };
    reading.live.shares.clone_from(&observed.shares);
    reading.live.fluid = observed.fluid;
    routing_notes(&observed, &mut reading);
    let mut versions = versions;
    for pool in observed.shares.keys() {
        let asked = versions.iter().position(|(name, _)| name == pool).map(|at| versions.swap_remove(at).1);
        let seen = match asked {
            Some(asked) => Some(asked),
            None => told(&known, &observed, pool, &mut reading),
        };
        let serving = observed.shares.get(pool).is_some_and(|share| *share > 0);
        let running = settle(job, &known, (pool, serving), seen, &mut reading).await?;
        reading.live.pools.insert(pool.clone(), running);
    }
    believed_routing(job, &observed, &mut reading).await?;
    same_images(&known, &mut reading);
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
fn told(known: &images::Known, observed: &Observation, pool: &str, reading: &mut Reading) -> Option<Asked> {
    let running = observed.runs.get(pool)?;
    let digest: Option<Digest> = running.digest.as_ref().and_then(|digest| digest.parse().ok());
    let version = running.version.as_deref().unwrap_or(pool);
    if let Some(digest) = digest.clone().filter(|digest| known.images.is_recorded(digest)) {
        return Some(Ok(digest));
    }
    let by_version = known.releases.iter().find(|release| release.artifact.version == version);
    Some(match (by_version, digest) {
        (Some(release), digest) => {
            // A mirror, or a manifest that no registry could be asked about: or somebody moved the tag. A person has to know which.
            let runs = digest.map_or_else(|| "no digest that could be read".into(), |d| d.short().to_owned());
            reading.drift.push(format!(
                "pods of {version} run {runs}; the inventory knows that version as {}",
                release.artifact.digest.short()
            ));
            Ok(release.artifact.digest.clone())
        }
        (None, Some(digest)) => Ok(digest),
        (None, None) => Err(Fault::NotFound(format!(
            "no pod tells which bytes of {version} it runs, and no release is recorded by that version"
        ))),
    })
}

/// Where the registry can't be asked, an index and its manifests look like two artifacts.
fn same_images(known: &images::Known, reading: &mut Reading) {
    let Some((digest, fault)) = known.unasked.first().filter(|_| known.images.recorded().len() > 1) else {
        return;
    };
    let others = match known.unasked.len() {
        1 => String::new(),
        many => format!(" and {} other digests", many - 1),
    };
    reading.drift.push(format!(
        "whether {}{others} and what was recorded under another digest are one image can't be told: {fault}",
        digest.short()
    ));
}

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

/// The newest release that may have gone into a pool after its last record, with other bytes.
async fn unplaced(job: &Job<'_>, known: &images::Known, last: &Release) -> Result<Option<Release>> {
    let db = job.engine.store.reader();
    let unplaced = store::releases::unplaced_since(db, &job.service.id, Some(last)).await?;
    let other = |release: &Release| !known.images.are_one(&release.artifact.digest, &last.artifact.digest);
    Ok(unplaced.into_iter().find(other))
}

/// Why the last record of a pool no longer tells what it runs.
fn stale(pool: &str, believed: &Artifact, unplaced: &Artifact) -> String {
    format!(
        "{unplaced} was recorded without its pool after {believed}, the last record of {pool}, and may have gone there; record {} again with its pool",
        unplaced.version
    )
}

/// What a pool runs, with everything that is doubtful about it.
async fn settle(
    job: &Job<'_>,
    known: &images::Known,
    (pool, serving): (&str, bool),
    seen: Option<Asked>,
    reading: &mut Reading,
) -> Result<Running> {
    let db = job.engine.store.reader();
    let recorded = store::releases::last_in_pool(db, &job.service.id, pool).await?;
    if let (None | Some(Err(_)), Some(believed)) = (&seen, &recorded)
        && let Some(unplaced) = unplaced(job, known, believed).await?
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
            let of_another = |release: &Release| !known.images.are_one(&release.artifact.digest, &digest);
            let is_strange = !known.images.is_recorded(&digest) && !known.images.recorded().is_empty();
            let uncertain = known.uncertain(&job.service).filter(|_| is_strange && serving);
            if let Some(believed) = recorded.filter(of_another) {
                reading.drift.push(format!(
                    "{pool} runs {}, but the inventory says {} ({})",
                    digest.short(),
                    believed.artifact,
                    believed.artifact.digest.short()
                ));
            } else if let Some(why) = uncertain {
                reading.drift.push(format!(
                    "{pool} runs {}, which is no recorded digest; whether it is a recorded image by another one can't be told: {why}",
                    digest.short()
                ));
            }
            Ok(Running::Seen { digest: known.images.artifact(&digest).clone() })
        }
        (Some(Err(fault)), Some(believed)) => {
            reading.drift.push(format!(
                "what {pool} runs can't be read ({fault}); the last record says {}",
                believed.artifact
            ));
            Ok(Running::Recorded { digest: known.images.artifact(&believed.artifact.digest).clone() })
        }
        (Some(Err(fault)), None) => {
            reading.drift.push(format!("what {pool} runs is not known: {fault}"));
            Ok(Running::Unknown { why: fault.to_string() })
        }
        (None, Some(believed)) => {
            Ok(Running::Recorded { digest: known.images.artifact(&believed.artifact.digest).clone() })
        }
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
