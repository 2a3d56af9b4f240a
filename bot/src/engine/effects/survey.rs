//! Reading the world before a proposal, and again at the decision.

use std::collections::BTreeMap;

use lastgood_adapters::{
    Fault,
    traffic::{Foreseen, Move},
};
use lastgood_core::{
    Digest,
    inventory::{
        choice::{Candidate, Choice, InRegistry, Known, Question, Routes, choose},
        live::Live,
        target::Target,
    },
    rollback::{Decision, Event, Kind, Survey, Surveyed},
    words::spell,
};

use super::{
    Job, baseline, later,
    reading::{self, Failed, Reading},
};
use crate::{
    engine::{candidates, executor::Outcome},
    store::{self, Result},
};

/// How long reading may take, tries included, in milliseconds: seconds count.
const WITHIN: i64 = 10_000;
/// Releases looked at first, and at most.
const PAGES: [i64; 2] = [200, 2_000];
/// Candidates for which the registry is asked before the proposal.
const MAX_LOOKUPS: usize = 5;

pub(super) async fn survey(job: &Job<'_>) -> Outcome {
    let reading = match reading::read(job).await {
        Ok(reading) => reading,
        Err(Failed::Router(fault)) => {
            let unreadable =
                || Event::Surveyed { found: Surveyed::RouterUnreadable { detail: fault.to_string() } };
            return job.again(&fault, WITHIN).unwrap_or_else(|| Outcome::Event(unreadable()));
        }
        Err(Failed::Store(error)) => return later(500, error.to_string()),
    };
    match found(job, reading).await {
        Ok(survey) => Outcome::Event(Event::Surveyed { found: Surveyed::Found(Box::new(survey)) }),
        Err(error) => later(500, error.to_string()),
    }
}

async fn found(job: &Job<'_>, reading: Reading) -> Result<Survey> {
    let choice = choose_from(job, &reading.live).await?;
    let made_as = made_as(job);
    let mut drift = reading.drift;
    let foreseen = foresee(job, &choice, &reading.live, made_as.as_deref()).await;
    drift.extend(foreseen.caveats);
    let mut notes = reading.notes;
    notes.extend(foreseen.notes);
    notes.extend(dependencies(job).await?);
    notes.extend(small_share(job, &choice));
    let baselines = baseline::read(job, choice.failing.as_ref()).await?;
    Ok(Survey { drift, notes, doubt: doubt(job, &choice), choice, live: reading.live, made_as, baselines })
}

/// What an undo of a rollout is to run ends whole: where it was found half way, it can't be left there again.
fn made_as(job: &Job<'_>) -> Option<String> {
    let Kind::Undo { to, artifact, .. } = &job.state.kind else { return None };
    let half_way = to.values().all(|share| *share < 100);
    job.service.shifter.pool_of(artifact.as_ref().filter(|_| half_way)?)
}

fn chosen(choice: &Choice) -> Option<&Candidate> {
    choice.candidates.iter().find(|c| Some(&c.artifact.digest) == choice.chosen.as_ref())
}

/// The name of each artifact's pods, where the router makes them; it may know some of them only.
fn names(job: &Job<'_>, history: &[Known]) -> BTreeMap<Digest, String> {
    let artifacts = history.iter().map(|known| &known.release.artifact);
    let named = artifacts.filter_map(|of| Some((of.digest.clone(), job.service.shifter.pool_of(of)?)));
    named.collect()
}

/// What the router itself has to say of the move, before anybody approves it.
async fn foresee(job: &Job<'_>, choice: &Choice, live: &Live, made_as: Option<&str>) -> Foreseen {
    let (artifact, shares) = match &job.state.kind {
        Kind::Undo { to, artifact, .. } => {
            let Some(artifact) = artifact else { return Foreseen::default() };
            let made = made_as.map(|name| Target::made(artifact, name, live).routing().clone());
            (artifact, made.unwrap_or_else(|| to.clone()))
        }
        Kind::Back => match chosen(choice).and_then(|candidate| candidate.target.as_ref()) {
            Some(target) => (target.artifact(), target.routing().clone()),
            None => return Foreseen::default(),
        },
    };
    let wanted = Move {
        shares,
        digest: artifact.digest.to_string(),
        version: artifact.version.clone(),
        ..Move::default()
    };
    job.service.shifter.foresee(&wanted).await.unwrap_or_else(|fault| Foreseen {
        caveats: vec![format!("whether the move is possible could not be looked at: {fault}")],
        notes: Vec::new(),
    })
}

/// Chooses, asking the registry only about what would be chosen.
async fn choose_from(job: &Job<'_>, live: &Live) -> Result<Choice> {
    let mut choice = Choice::default();
    for page in PAGES {
        let db = job.engine.store.reader();
        let (service, now) = (&job.service, job.engine.now());
        let (mut history, more) =
            candidates::history(db, &service.id, now, page, service.alert_expires).await?;
        let names = names(job, &history);
        for _ in 0..MAX_LOOKUPS {
            choice = choose(&Question {
                history: &history,
                live,
                min_bake: job.service.min_bake,
                routes: if job.service.needs_pool { Routes::Pools } else { Routes::Made(&names) },
                alert_since: job.state.alert.as_ref().map(|alert| alert.since),
                suspect_within: job.service.suspect_within,
                must_pull: job.service.must_pull,
                tried: &job.state.tried,
                wanted: job.state.wanted.as_deref(),
            });
            let Some(digest) = choice.chosen.clone() else { break };
            let mut asked = None;
            for known in history.iter_mut().filter(|k| k.release.artifact.digest == digest) {
                if known.registry == InRegistry::NotAsked {
                    if asked.is_none() {
                        asked = Some(in_registry(job, &digest).await);
                    }
                    known.registry.clone_from(asked.as_ref().unwrap_or(&InRegistry::NotAsked));
                }
            }
            // Asked before, or nothing to ask: the choice stands.
            if asked.is_none() || asked == Some(InRegistry::NotAsked) {
                break;
            }
        }
        if choice.chosen.is_some() || !more {
            break;
        }
    }
    Ok(choice)
}

async fn in_registry(job: &Job<'_>, digest: &Digest) -> InRegistry {
    let Some(registry) = &job.service.registry else { return InRegistry::NotAsked };
    match registry.find(digest).await {
        Ok(_) => InRegistry::Present,
        Err(Fault::NotFound(_)) => InRegistry::Gone,
        Err(fault) => InRegistry::Unreadable(fault.to_string()),
    }
}

/// What the service as a whole measures says little about a few percent of its traffic (semantics, 6).
fn small_share(job: &Job<'_>, choice: &Choice) -> Option<String> {
    let failing = choice.failing.as_ref().filter(|failing| (1..50).contains(&failing.share))?;
    (!job.service.metrics.is_empty()).then(|| {
        format!(
            "{} has {} % of the traffic: the service's own error rate says little about it, before the shift as after",
            failing.artifact, failing.share
        )
    })
}

fn doubt(job: &Job<'_>, choice: &Choice) -> Option<String> {
    let alert = job.state.alert.as_ref()?;
    let failing = choice.failing.as_ref()?;
    let age = alert.since - failing.since?;
    (age > job.service.suspect_within).then(|| {
        format!(
            "{} has been live for {} before this alert: it may not be the release",
            failing.artifact,
            spell(age)
        )
    })
}

async fn dependencies(job: &Job<'_>) -> Result<Vec<String>> {
    let since = job.state.alert.as_ref().map_or(job.state.opened_at, |alert| alert.since);
    let mut notes = Vec::new();
    for name in &job.service.depends_on {
        let newest = store::releases::newest(job.engine.store.reader(), name, 1).await?;
        let recent = newest.into_iter().find(|r| (0..=job.service.suspect_within).contains(&(since - r.at)));
        notes.extend(recent.map(|r| {
            format!("{name}, which it depends on: {} went live {} before", r.artifact, spell(since - r.at))
        }));
    }
    Ok(notes)
}

pub(super) async fn reread(job: &Job<'_>) -> Outcome {
    let decided = |decision| Outcome::Event(Event::DecisionRead { decision });
    let reading = match reading::read(job).await {
        Ok(reading) => reading,
        Err(Failed::Router(fault)) => {
            let unreadable = || decided(Decision::RouterUnreadable { detail: fault.to_string() });
            return job.again(&fault, WITHIN).unwrap_or_else(unreadable);
        }
        Err(Failed::Store(error)) => return later(500, error.to_string()),
    };
    decided(compare(job, &reading.live))
}

/// What the decision was bound to, against what is so now.
fn compare(job: &Job<'_>, now: &Live) -> Decision {
    let Some(proposal) = &job.state.proposal else {
        return Decision::Changed { what: "there is no proposal".into() };
    };
    let Some(target) = &proposal.target else {
        return Decision::Changed { what: "the proposal has no target".into() };
    };
    if let Some(what) = target.differs_from(|pool| now.pools.get(pool)) {
        return Decision::Changed { what };
    }
    if job.state.is_there(&now.shares) {
        return Decision::AlreadyThere;
    }
    let to = target.routing();
    if proposal.live.has_newcomer(&now.shares, to) {
        let what = format!("traffic moved meanwhile: {}, was {}", now.describe(), proposal.live.describe());
        return Decision::Changed { what };
    }
    for (pool, running) in &proposal.live.pools {
        let (then, current) = (running.digest(), now.pools.get(pool));
        if proposal.live.fluid && current.is_none() {
            // Its last pod was replaced meanwhile.
            continue;
        }
        let matters = then.is_some()
            && (now.shares.get(pool).is_some_and(|s| *s > 0) || to.get(pool).is_some_and(|s| *s > 0));
        match current.and_then(|running| running.digest()) {
            Some(digest) if matters && Some(digest) != then => {
                return Decision::Changed { what: format!("{pool} runs {} now", digest.short()) };
            }
            None if matters => {
                return Decision::FailingUnreadable {
                    detail: format!("what {pool} runs can't be read any more"),
                };
            }
            _ => {}
        }
        let was_seen = matches!(running, lastgood_core::inventory::live::Running::Seen { .. });
        let is_seen = matches!(current, Some(lastgood_core::inventory::live::Running::Seen { .. }));
        if matters && was_seen && !is_seen {
            return Decision::FailingUnreadable { detail: format!("{pool} stopped telling its version") };
        }
    }
    Decision::Unchanged
}
