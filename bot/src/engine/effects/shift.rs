//! Fetch, preflight, apply, read back.

use std::{collections::BTreeMap, time::Duration};

use futures_util::future::join_all;
use lastgood_adapters::{
    Fault,
    traffic::{Move, Observation, Preflight, Progress, Said},
};
use lastgood_core::{
    Digest, Millis, Shares,
    rollback::{Applied, Event, Fetched, Preflighted, ShiftReading},
};

use tokio::sync::watch;

use super::{
    Job, later,
    reading::{self, Failed},
    truce,
};
use crate::{engine::executor::Outcome, store::write};

/// How long passing errors are tried again, in milliseconds.
const WITHIN: Millis = 10_000;
/// Between a bad answer of a health check and the question that decides. A check has no event to wait for.
const BEFORE_SECOND_LOOK: Duration = Duration::from_secs(1);
/// Between two looks at a shift under way.
const EVERY: Millis = 250;
/// Between two lines of progress that are shown while a call lasts: each makes a chat platform edit a message.
const SHOWN_EVERY: Duration = Duration::from_secs(1);
/// Characters of such a line.
const LONGEST: usize = 300;

pub(super) async fn fetch(job: &Job<'_>, digest: &Digest) -> Outcome {
    let done = |fetched| Outcome::Event(Event::Fetched { fetched });
    let Some(registry) = &job.service.registry else {
        let detail = "no registry is configured; nothing has to be pulled".to_owned();
        return done(Fetched::Present { detail });
    };
    let must_pull = job.service.must_pull;
    match registry.find(digest).await {
        Ok(found) => {
            done(Fetched::Present { detail: format!("{} ({} bytes)", found.media_type, found.size) })
        }
        Err(fault) => {
            // What already runs in a pool is not kept waiting by a registry.
            let within = if must_pull { WITHIN } else { 0 };
            if let Some(again) = job.again(&fault, within) {
                return again;
            }
            let detail = match &fault {
                Fault::NotFound(_) => format!("the registry no longer has {}", digest.short()),
                other => format!("the registry could not be asked for {}: {other}", digest.short()),
            };
            done(if must_pull { Fetched::Missing { detail } } else { Fetched::Warned { detail } })
        }
    }
}

fn wanted(job: &Job<'_>, to: &Shares, digest: &Digest, without: &[String]) -> Move {
    let version =
        job.state.target().filter(|target| target.digest == *digest).map(|target| target.version.clone());
    let version = version.unwrap_or_default();
    Move {
        shares: to.clone(),
        digest: digest.to_string(),
        note: format!("{}: back to {version}", job.claimed.rollback),
        version,
        without: without.to_vec(),
        ..Move::default()
    }
}

pub(super) async fn preflight(
    job: &Job<'_>,
    to: &Shares,
    digest: &Digest,
    without: &[String],
    first: Option<&Shares>,
) -> Outcome {
    let done = |preflight| Outcome::Event(Event::PreflightDone { preflight });
    let wanted = wanted(job, to, digest, without);
    // One after the other: a router's control socket takes few connections at a time. What the pools run is read with it,
    // right before the first change: nothing is shifted to bytes that nobody voted for.
    let router = async {
        let before = reading::read(job).await;
        let whole = job.service.shifter.preflight(&wanted).await;
        (before, and_first(job, whole, &wanted, first).await)
    };
    let ((before, answer), sick) = futures_util::future::join(router, sick_targets(job, to)).await;
    let refused = |fault: &Fault| done(Preflighted::Refused { reasons: vec![fault.to_string()] });
    let (answer, before) = match (answer, before) {
        (Ok(answer), Ok(before)) => (answer, before.live),
        (_, Err(Failed::Store(error))) => return later(500, error.to_string()),
        (Err(fault), _) | (_, Err(Failed::Router(fault))) => {
            return job.again(&fault, WITHIN).unwrap_or_else(|| refused(&fault));
        }
    };
    done(match answer {
        Preflight::Unreachable { instances } => Preflighted::Unreachable {
            detail: instances
                .iter()
                .map(|i| format!("{}: {}", i.instance, i.detail))
                .collect::<Vec<_>>()
                .join("; "),
            instances: instances.into_iter().map(|i| i.instance).collect(),
        },
        Preflight::AlreadyThere => Preflighted::AlreadyThere,
        Preflight::Refused { mut reasons } => {
            reasons.extend(sick);
            Preflighted::Refused { reasons }
        }
        Preflight::Ready { .. } if !sick.is_empty() => Preflighted::Refused { reasons: sick },
        Preflight::Ready { warnings } => {
            Preflighted::Ready { before: before.shares, warnings, pools: before.pools }
        }
    })
}

/// Where it goes in steps, the first of them has to be possible as well: not every router can split traffic.
async fn and_first(
    job: &Job<'_>,
    whole: Result<Preflight, Fault>,
    wanted: &Move,
    first: Option<&Shares>,
) -> Result<Preflight, Fault> {
    let (Ok(Preflight::Ready { .. }), Some(first)) = (&whole, first) else { return whole };
    let step = Move { shares: first.clone(), ..wanted.clone() };
    match job.service.shifter.preflight(&step).await? {
        refused @ Preflight::Refused { .. } => Ok(refused),
        _ => whole,
    }
}

/// Health checks of the pools that traffic is about to move to. As between two steps of a shift, one bad answer is none: what
/// is bad is asked once more.
async fn sick_targets(job: &Job<'_>, to: &Shares) -> Vec<String> {
    let targets = to.iter().filter(|(_, share)| **share > 0);
    let checks = targets.filter_map(|(name, _)| Some((name, job.service.pools.get(name)?))).flat_map(
        |(name, pool)| {
            pool.health.iter().map(move |check| async move {
                check.probe().await.err()?;
                tokio::time::sleep(BEFORE_SECOND_LOOK).await;
                let failed = check.probe().await.err()?;
                Some(format!("{name} is not healthy, twice in a row: {}: {failed}", check.name()))
            })
        },
    );
    join_all(checks).await.into_iter().flatten().collect()
}

pub(super) async fn apply(
    job: &Job<'_>,
    to: &Shares,
    digest: &Digest,
    without: &[String],
    from: Option<&Shares>,
) -> Outcome {
    let done = |applied| Outcome::Event(Event::Applied { applied });
    let held = match job.time_for_change().await {
        Ok(time) => tokio::time::timeout(time, truce::hold(job)).await,
        Err(instead) => return instead,
    };
    match held {
        Ok(Ok(())) => {}
        Ok(Err(fault)) => {
            let detail = format!(
                "this change was not made, since who applies it from Git could not be suspended: {fault}"
            );
            return job.again(&fault, WITHIN).unwrap_or_else(|| done(Applied::Failed { detail }));
        }
        Err(_) => return later(250, "suspending who applies it from Git took too long"),
    }
    // The last safe point: from here on traffic may move.
    let time = match job.time_for_change().await {
        Ok(time) => time,
        Err(instead) => return instead,
    };
    let wanted =
        Move { from: from.cloned(), key: job.claimed.id.clone(), ..wanted(job, to, digest, without) };
    let said = Said::default();
    let heard = said.subscribe();
    let applied = tokio::time::timeout(time, job.service.shifter.apply(&wanted, &said));
    let applied = tokio::select! {
        applied = applied => applied,
        never = tell(job, heard) => match never {},
    };
    match applied {
        Ok(Ok(())) => done(Applied::Accepted),
        Ok(Err(Fault::Unknown(detail))) => done(Applied::Unknown { detail }),
        Ok(Err(fault @ Fault::Conflict(_))) => done(Applied::Conflict { detail: fault.to_string() }),
        Ok(Err(fault)) => match job.again(&fault, WITHIN) {
            Some(again) => again,
            None => done(Applied::Failed { detail: fault.to_string() }),
        },
        Err(_) => done(Applied::Unknown { detail: format!("no answer within {} s", time.as_secs()) }),
    }
}

/// Shows what a long call says of itself, at most so often; ends with the call.
async fn tell(job: &Job<'_>, mut heard: watch::Receiver<String>) -> std::convert::Infallible {
    loop {
        if heard.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
        let line: String = heard.borrow_and_update().chars().take(LONGEST).collect();
        let rollback = job.claimed.rollback;
        let kept = write!(job.engine.store, |tx| {
            tx.lock(&job.claimed.service).await?;
            tx.set_progress(rollback, &line).await
        });
        if let Err(error) = kept {
            // The shift itself does not depend on it.
            tracing::warn!(%error, %rollback, "progress can't be shown");
        }
        tokio::time::sleep(SHOWN_EVERY).await;
    }
}

pub(super) async fn read(
    job: &Job<'_>,
    to: &Shares,
    digest: &Digest,
    without: &[String],
    once: bool,
) -> Outcome {
    let read = |reading| Outcome::Event(Event::ShiftRead { reading });
    let wanted = wanted(job, to, digest, without);
    match job.service.shifter.progress(&wanted).await {
        Ok(Progress::Settled(seen)) => {
            // And right after the last change: traffic is on what was voted for, or somebody has to know.
            let pools = match reading::read(job).await {
                Ok(reading) => reading.live.pools,
                Err(Failed::Store(error)) => return later(500, error.to_string()),
                Err(Failed::Router(fault)) => match job.again(&fault, WITHIN) {
                    Some(again) => return again,
                    None => BTreeMap::new(),
                },
            };
            read(ShiftReading::Settled { shares: seen.shares, warnings: seen.warnings, pools })
        }
        Ok(Progress::Moving { seen, detail }) if !once => {
            Outcome::Later { after: EVERY, progress: Some(under_way(&seen, to, &detail)), why: detail }
        }
        // Late, or stuck: no other hand is to blame.
        Ok(Progress::Moving { seen, detail } | Progress::Stuck { seen, detail }) => {
            read(ShiftReading::NotSettled { shares: seen.shares, detail, pending: true })
        }
        Ok(Progress::Failed { seen, detail }) => {
            read(ShiftReading::NotSettled { shares: seen.shares, detail, pending: false })
        }
        Err(fault) => {
            // Until the shift's own timer asks for one last look, reading goes on.
            let within = if once { WITHIN } else { job.state.policy.shift_within };
            let unreadable = || read(ShiftReading::Unreadable { detail: fault.to_string() });
            job.again(&fault, within).unwrap_or_else(unreadable)
        }
    }
}

fn under_way(seen: &Observation, to: &Shares, detail: &str) -> String {
    let target = to.iter().max_by_key(|(_, share)| **share).map(|(pool, _)| pool.clone()).unwrap_or_default();
    let share = seen.shares.get(&target).copied().unwrap_or(0);
    format!("{share} % on {target}: {detail}")
}

pub(super) async fn read_traffic(job: &Job<'_>) -> Outcome {
    let read = |shares, detail| Outcome::Event(Event::TrafficRead { shares, detail });
    match job.service.shifter.observe().await {
        Ok(seen) => {
            let live =
                lastgood_core::inventory::live::Live { shares: seen.shares.clone(), ..Default::default() };
            let mut detail = format!("traffic is on {}", live.describe());
            if let Some(disagreement) = seen.disagreement {
                detail.push_str(&format!("; router instances differ: {disagreement}"));
            }
            for warning in &seen.warnings {
                detail.push_str(&format!("; {warning}"));
            }
            read(Some(seen.shares), detail)
        }
        Err(fault) => {
            let unreadable = || read(None, format!("where traffic is can't be read: {fault}"));
            job.again(&fault, WITHIN).unwrap_or_else(unreadable)
        }
    }
}
