//! Each effect, as one bounded call of the outside world. An effect never decides: it reports what it found, and the state
//! machine decides. Errors that pass are tried again here, with backoff and a limit; then they are reported too.

mod baseline;
mod observe;
mod page;
mod reading;
mod shift;
mod survey;
mod truce;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use lastgood_adapters::Fault;
use lastgood_core::{
    Millis,
    inventory::{Stability, choice::Skip},
    rollback::{Decision, Effect, Event, Kind, Rollback},
};

use super::{Engine, executor::Outcome};
use crate::{
    service::Service,
    store::{self, Result, Tx, effects::Claimed, releases::Mark},
};

/// Claims of one effect before a person has to look: more than any retry here makes, so only a crash loop gets there.
const MAX_CLAIMS: i64 = 2_000;

/// What an effect works with.
struct Job<'a> {
    engine: &'a Engine,
    claimed: &'a Claimed,
    service: Arc<Service>,
    state: Rollback,
}

/// An effect that can't be run any more is no event of a run that has ended.
pub(super) async fn run(engine: &Engine, claimed: &Claimed) -> Outcome {
    match attempt(engine, claimed).await {
        Outcome::Event(Event::EffectStuck { effect, detail }) if effect == RESUME => {
            truce::stuck(engine, claimed, &detail).await
        }
        outcome => outcome,
    }
}

/// As `Effect::kind` says it.
const RESUME: &str = "resume";

async fn attempt(engine: &Engine, claimed: &Claimed) -> Outcome {
    let stuck = |detail: String| Outcome::Event(Event::EffectStuck { effect: claimed.kind.clone(), detail });
    let effect = match &claimed.effect {
        Ok(effect) => effect,
        Err(error) => return stuck(format!("its row can't be decoded: {error}")),
    };
    if claimed.attempts > MAX_CLAIMS {
        return stuck(format!("it was begun {} times and never finished", claimed.attempts));
    }
    let Some(service) = engine.services.get(&claimed.service).cloned() else {
        return stuck(format!("{} is no longer in the configuration", claimed.service));
    };
    let state = match store::rollbacks::get(engine.store.reader(), claimed.rollback).await {
        Ok(Some(saved)) => saved.state,
        Ok(None) => return stuck("its rollback is gone from the database".into()),
        Err(error) if error.is_outage() => return later(1_000, error.to_string()),
        Err(error) => return stuck(error.to_string()),
    };
    let job = Job { engine, claimed, service, state };
    match effect {
        Effect::Survey { .. } => survey::survey(&job).await,
        Effect::Reread => survey::reread(&job).await,
        Effect::Fetch { digest } => shift::fetch(&job, digest).await,
        Effect::Preflight { to, digest, without, first } => {
            shift::preflight(&job, to, digest, without, first.as_ref()).await
        }
        Effect::Apply { to, digest, without, from } => {
            shift::apply(&job, to, digest, without, from.as_ref()).await
        }
        Effect::ReadShift { to, digest, without, once } => {
            shift::read(&job, to, digest, without, *once).await
        }
        Effect::Watch { to, target } => observe::watch(&job, to, *target).await,
        Effect::Observe { to, .. } => observe::observe(&job, to).await,
        Effect::ReadTraffic => shift::read_traffic(&job).await,
        Effect::Page { escalation, target, why } => page::page(&job, *escalation, *target, why).await,
        Effect::AcknowledgePage { escalation, target } => page::acknowledge(&job, *escalation, *target).await,
        Effect::ResolvePage { escalation, target } => page::resolve(&job, *escalation, *target).await,
        Effect::Resume { anyway, by } => truce::resume(&job, *anyway, by).await,
    }
}

/// Facts of the database that an outcome rests on, checked once more in the transaction that commits it.
pub(super) async fn recheck(tx: &mut Tx, effect: &Claimed, event: &Event) -> Result<Event> {
    // Everything that may go on from here.
    let goes_on = matches!(
        event,
        Event::DecisionRead {
            decision: Decision::Unchanged | Decision::AlreadyThere | Decision::FailingUnreadable { .. }
        }
    );
    if !goes_on {
        return Ok(event.clone());
    }
    let Some(saved) = tx.rollback(effect.rollback).await? else { return Ok(event.clone()) };
    let Some(target) = saved.state.target() else { return Ok(event.clone()) };
    let mark = tx.mark_of(&saved.state.service, &target.digest).await?;
    match mark.filter(|mark| !is_known(&saved.state, mark)).map(|mark| mark.stability) {
        Some(Stability::Unstable { why, .. }) => Ok(Event::DecisionRead {
            decision: Decision::Changed { what: format!("{target} was marked unstable meanwhile: {why}") },
        }),
        _ => Ok(event.clone()),
    }
}

/// Whether whoever approved was told of this mark: it is on the card as the reason for passing the target over, or it is what
/// the run that is to be undone made of it.
fn is_known(state: &Rollback, mark: &Mark) -> bool {
    if let Kind::Undo { of, .. } = &state.kind {
        return mark.rollback == Some(*of);
    }
    let Stability::Unstable { why, .. } = &mark.stability else { return true };
    let candidates = state.proposal.iter().flat_map(|proposal| &proposal.candidates);
    let told = candidates.filter(|candidate| candidate.artifact.digest == mark.digest);
    told.filter_map(|candidate| candidate.skip.as_ref())
        .any(|skip| matches!(skip, Skip::Unstable { why: told } if told == why))
}

fn later(after: Millis, why: impl Into<String>) -> Outcome {
    Outcome::Later { after, progress: None, why: why.into() }
}

impl Job<'_> {
    /// Tries again later, if what went wrong may pass and there is time left. `within` counts from when the effect was
    /// asked for.
    fn again(&self, fault: &Fault, within: Millis) -> Option<Outcome> {
        if !fault.passes() {
            return None;
        }
        let asked = match fault {
            Fault::RateLimited { after: Some(after), .. } => {
                i64::try_from(after.as_millis()).unwrap_or(i64::MAX)
            }
            _ => 0,
        };
        let backoff = 100_i64 << self.claimed.attempts.clamp(0, 6);
        let wait = backoff.max(asked);
        let spent = self.engine.now() - self.claimed.created_at;
        (spent.saturating_add(wait) <= within).then(|| later(wait, fault.to_string()))
    }

    /// Asked at the last safe point before a change of the outside world: how long the change may take. Otherwise what comes
    /// of the effect instead.
    async fn time_for_change(&self) -> std::result::Result<Duration, Outcome> {
        let expired = || later(250, "the lease has run out; somebody else may be at it");
        // Noted before the claim is read: whoever stands still between the two has no time left, and learns it.
        let until = self.engine.lease.held_until(&self.claimed.owner).ok_or_else(expired)?;
        let db = self.engine.store.reader();
        match store::effects::still_wanted(db, &self.claimed.id, &self.claimed.owner).await {
            Ok(true) => {}
            Ok(false) => return Err(Outcome::Nothing("called off before it began".into())),
            Err(error) => {
                return Err(later(1_000, format!("can't ask whether it is still wanted: {error}")));
            }
        }
        let left = until.saturating_duration_since(Instant::now());
        if left > Duration::from_millis(100) { Ok(left) } else { Err(expired()) }
    }
}
