//! Others who would put a shift back: they stand still before it, and go on when the incident is over.

use lastgood_adapters::Fault;
use lastgood_core::{Actor, Millis, ThreadId};

use super::Job;
use crate::{
    engine::{Engine, executor::Outcome, truces::redraw},
    store::{self, effects::Claimed, truces::State, write},
};

/// How long letting go is tried again, in milliseconds: a shift that comes meanwhile waits for it.
const WITHIN: Millis = 8_000;

/// For whom they stand still: one for each thread, so that others' incidents are not ended with ours.
fn holder(job: &Job<'_>) -> String {
    format!("{}/{}/thread-{}", job.service.environment, job.service.id, job.state.thread.0)
}

/// Before each change. Written down before the first of them stands still: whatever comes then, somebody is told who to let go.
pub(super) async fn hold(job: &Job<'_>) -> Result<(), Fault> {
    let Some(others) = job.service.shifter.truce() else { return Ok(()) };
    let (rollback, thread, at) = (job.claimed.rollback, job.state.thread, job.engine.now());
    let names = others.would_hold().await?;
    if names.is_empty() {
        return Ok(());
    }
    let who = names.join(", ");
    let resuming = write!(job.engine.store, |tx| {
        tx.lock(&job.claimed.service).await?;
        if tx.truce(thread).await?.is_some_and(|truce| truce.state == State::Resuming) {
            return Ok(true);
        }
        tx.hold((thread, &job.claimed.service, rollback), &who, at).await?;
        redraw(tx, thread, rollback).await?;
        Ok(false)
    });
    match resuming {
        Ok(false) => others.hold(&holder(job)).await.map(drop),
        Ok(true) => Err(Fault::Unavailable(format!("{who} is being resumed just now"))),
        // Nobody would ever be reminded to let them go on.
        Err(error) => Err(Fault::Unavailable(format!("that {who} stands still could not be kept: {error}"))),
    }
}

pub(super) async fn resume(job: &Job<'_>, anyway: bool, by: &Actor) -> Outcome {
    let Some(others) = job.service.shifter.truce() else {
        let why = "the configuration no longer has gitops = \"suspend\": set it again, or resume by hand";
        return done(job, State::Failed, why, by).await;
    };
    let holder = holder(job);
    if !anyway {
        let held = match others.held(&holder).await {
            Ok(held) => held,
            Err(fault) => return failed(job, &fault, by).await,
        };
        let danger: Vec<String> = held.into_iter().filter_map(|one| one.danger).collect();
        if !danger.is_empty() {
            return done(job, State::Warned, &danger.join("; "), by).await;
        }
    }
    let time = match job.time_for_change().await {
        Ok(time) => time,
        Err(instead) => return instead,
    };
    match tokio::time::timeout(time, others.let_go(&holder)).await {
        Ok(Ok(gone)) if gone.on.is_empty() && gone.still.is_empty() => {
            let text = "nothing there says that it stands still for this rollback: look at it by hand";
            done(job, State::Resumed, text, by).await
        }
        Ok(Ok(gone)) if !gone.still.is_empty() => {
            let on = gone
                .on
                .iter()
                .map(|who| format!("{who} goes on"))
                .chain([format!("suspended for others: {}", gone.still.join(", "))]);
            done(job, State::Resumed, &on.collect::<Vec<_>>().join("; "), by).await
        }
        Ok(Ok(_)) => done(job, State::Resumed, "", by).await,
        Ok(Err(fault)) => failed(job, &fault, by).await,
        Err(_) => failed(job, &Fault::Unavailable("it took too long".to_owned()), by).await,
    }
}

/// It can't be done by this build, this configuration, or at all: there has to be a button for it again.
pub(super) async fn stuck(engine: &Engine, claimed: &Claimed, detail: &str) -> Outcome {
    match store::rollbacks::get(engine.store.reader(), claimed.rollback).await {
        Ok(Some(saved)) => end(engine, claimed, saved.state.thread, (State::Failed, detail), None).await,
        Ok(None) => Outcome::Nothing(detail.to_owned()),
        Err(error) => super::later(1_000, error.to_string()),
    }
}

async fn failed(job: &Job<'_>, fault: &Fault, by: &Actor) -> Outcome {
    match job.again(fault, WITHIN) {
        Some(again) => again,
        None => done(job, State::Failed, &fault.to_string(), by).await,
    }
}

async fn done(job: &Job<'_>, state: State, detail: &str, by: &Actor) -> Outcome {
    end(job.engine, job.claimed, job.state.thread, (state, detail), Some(by)).await
}

async fn end(
    engine: &Engine,
    claimed: &Claimed,
    thread: ThreadId,
    (state, detail): (State, &str),
    by: Option<&Actor>,
) -> Outcome {
    let at = engine.now();
    let kept = write!(engine.store, |tx| {
        tx.lock(&claimed.service).await?;
        // Only what was asked for: somebody may have been made to stand still anew.
        if tx.truce(thread).await?.is_some_and(|truce| truce.state == State::Resuming) {
            tx.set_truce(thread, state, detail, by, at).await?;
            redraw(tx, thread, claimed.rollback).await?;
        }
        Ok(())
    });
    match kept {
        Ok(()) => Outcome::Nothing(format!("{state:?} {detail}")),
        Err(error) => super::later(1_000, format!("what came of it could not be kept: {error}")),
    }
}
