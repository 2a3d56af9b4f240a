//! Reading the world before a proposal, and again at the decision.

use lastgood_adapters::{
    Fault,
    traffic::{Foreseen, Move},
};
use lastgood_core::{
    Artifact, Digest,
    inventory::{
        choice::{Choice, InRegistry, Question, choose},
        live::{Live, all_to},
    },
    rollback::{Decision, Event, Kind, Survey, Surveyed},
    words::spell,
};

use super::{
    Job, later,
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
    let to = routing(job, &choice, &reading.live);
    let mut drift = reading.drift;
    let foreseen = foresee(job, &choice, &to).await;
    drift.extend(foreseen.caveats);
    let mut notes = reading.notes;
    notes.extend(foreseen.notes);
    notes.extend(dependencies(job).await?);
    notes.extend(small_share(job, &choice));
    Ok(Survey { to, drift, notes, doubt: doubt(job, &choice), choice, live: reading.live })
}

fn routing(job: &Job<'_>, choice: &Choice, live: &Live) -> lastgood_core::Shares {
    let all_of = |artifact: &Artifact| {
        let named = job.service.shifter.pool_of(artifact)?;
        let others = live.shares.keys().map(|other| (other.clone(), 0));
        Some(others.chain([(named, 100)]).collect())
    };
    if let Kind::Undo { to, artifact, .. } = &job.state.kind {
        // What rolls ends whole: where it was found half way, it can't be left there again.
        let whole = artifact.as_ref().filter(|_| to.values().all(|share| *share < 100)).and_then(all_of);
        return whole.unwrap_or_else(|| to.clone());
    }
    if let Some(to) = chosen(choice).filter(|_| !job.service.needs_pool).and_then(all_of) {
        return to;
    }
    let pools = choice
        .candidates
        .iter()
        .find(|c| Some(&c.artifact.digest) == choice.chosen.as_ref())
        .map(|c| c.pools.clone())
        .unwrap_or_default();
    // The pool that carries most of it already has the least to take on.
    let pool = pools.iter().max_by_key(|pool| live.shares.get(*pool).copied().unwrap_or(0));
    pool.map(|pool| all_to(pool, &live.shares)).unwrap_or_default()
}

fn chosen(choice: &Choice) -> Option<&Artifact> {
    let chosen = choice.candidates.iter().find(|c| Some(&c.artifact.digest) == choice.chosen.as_ref());
    chosen.map(|candidate| &candidate.artifact)
}

/// What the router itself has to say of the move, before anybody approves it.
async fn foresee(job: &Job<'_>, choice: &Choice, to: &lastgood_core::Shares) -> Foreseen {
    let undone = match &job.state.kind {
        Kind::Undo { artifact, .. } => artifact.as_ref(),
        Kind::Back => None,
    };
    let Some(artifact) = undone.or_else(|| chosen(choice)).filter(|_| !to.is_empty()) else {
        return Foreseen::default();
    };
    let wanted = Move {
        shares: to.clone(),
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
        for _ in 0..MAX_LOOKUPS {
            choice = choose(&Question {
                history: &history,
                live,
                min_bake: job.service.min_bake,
                needs_pool: job.service.needs_pool,
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
    if job.state.is_there(&now.shares) {
        return Decision::AlreadyThere;
    }
    if proposal.live.moved(&now.shares, &proposal.to) {
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
            && (now.shares.get(pool).is_some_and(|s| *s > 0)
                || proposal.to.get(pool).is_some_and(|s| *s > 0));
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
