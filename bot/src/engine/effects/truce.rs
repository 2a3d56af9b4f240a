//! Others who would put a shift back: they stand still before it, and go on when the incident is over.

use lastgood_adapters::Fault;
use lastgood_core::{Actor, Millis};

use super::Job;
use crate::{
    engine::{executor::Outcome, truces::redraw},
    store::{truces::State, write},
};

/// How long letting go is tried again, in milliseconds: nobody waits for it at night.
const WITHIN: Millis = 60_000;

/// Before the first change, and again before each: whoever was let go by hand meanwhile stands still again.
pub(super) async fn hold(job: &Job<'_>) -> Result<(), Fault> {
    if !job.service.shifter.holds() {
        return Ok(());
    }
    let (rollback, thread) = (job.claimed.rollback, job.state.thread);
    let names = job.service.shifter.hold(&rollback.to_string()).await?;
    if names.is_empty() {
        return Ok(());
    }
    let (who, at) = (names.join(", "), job.engine.now());
    let kept = write!(job.engine.store, |tx| {
        tx.lock(&job.claimed.service).await?;
        tx.hold((thread, &job.claimed.service, rollback), &who, at).await?;
        redraw(tx, thread, rollback).await
    });
    // Nobody would ever be reminded to let them go on.
    kept.map_err(|error| Fault::Unavailable(format!("that {who} stands still could not be kept: {error}")))
}

pub(super) async fn resume(job: &Job<'_>, anyway: bool, by: &Actor) -> Outcome {
    let shifter = &job.service.shifter;
    let held = match shifter.held().await {
        Ok(held) => held,
        Err(fault) => return failed(job, &fault, by).await,
    };
    if held.is_empty() {
        return done(job, State::Resumed, "somebody had resumed it before", by).await;
    }
    let danger: Vec<String> = held.into_iter().filter_map(|one| one.danger).collect();
    if !anyway && !danger.is_empty() {
        return done(job, State::Warned, &danger.join("; "), by).await;
    }
    if let Err(instead) = job.time_for_change().await {
        return instead;
    }
    match shifter.let_go().await {
        Ok(_) => done(job, State::Resumed, "", by).await,
        Err(fault) => failed(job, &fault, by).await,
    }
}

async fn failed(job: &Job<'_>, fault: &Fault, by: &Actor) -> Outcome {
    match job.again(fault, WITHIN) {
        Some(again) => again,
        None => done(job, State::Failed, &fault.to_string(), by).await,
    }
}

async fn done(job: &Job<'_>, state: State, detail: &str, by: &Actor) -> Outcome {
    let (thread, at) = (job.state.thread, job.engine.now());
    let kept = write!(job.engine.store, |tx| {
        tx.lock(&job.claimed.service).await?;
        tx.set_truce(thread, state, detail, Some(by), at).await?;
        redraw(tx, thread, job.claimed.rollback).await
    });
    match kept {
        Ok(()) => Outcome::Nothing(format!("{state:?} {detail}")),
        Err(error) => super::later(1_000, format!("what came of it could not be kept: {error}")),
    }
}
