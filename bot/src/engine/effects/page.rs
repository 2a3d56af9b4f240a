//! Calling the incident commander.

use lastgood_adapters::pager::Call;
use lastgood_core::{Millis, rollback::Event, rollback::Rollback, words::spell};

use super::Job;
use crate::{engine::executor::Outcome, service::Service, store};

/// How long one target is tried before the next one is, in milliseconds.
const WITHIN: Millis = 20_000;
/// How long the end of a page is tried to be told.
const RESOLVE_WITHIN: Millis = 30 * 60_000;

/// Rollback and call number: a repetition rings once, a relapse rings again. The opening time keeps two installations that
/// share a pager apart.
pub fn key(state: &Rollback, escalation: u32) -> String {
    format!("lastgood/{}/{}/{}/{escalation}", state.service, state.id, state.opened_at)
}

pub(super) async fn page(job: &Job<'_>, escalation: u32, target: u32, why: &str) -> Outcome {
    let done = |failed| Outcome::Event(Event::Paged { escalation, target, failed });
    let Some((name, pager)) = usize::try_from(target).ok().and_then(|at| job.service.pagers.get(at)) else {
        return done(Some(format!("the configuration names no pager number {}", target + 1)));
    };
    if !job.state.active() {
        // Its end was told to the pager already; ringing after that would wake somebody for nothing.
        return done(Some("the run had ended before the call was made".into()));
    }
    let incident = store::incidents::of_thread(job.engine.store.reader(), job.state.thread).await;
    let incident = incident.ok().flatten().map(|incident| incident.id.to_string());
    let call = call(&job.state, &job.service, escalation, why, incident, job.engine.now());
    match pager.page(&call).await {
        Ok(()) => done(None),
        Err(fault) => {
            tracing::warn!(%fault, pager = name, escalation, "page not delivered");
            job.again(&fault, WITHIN).unwrap_or_else(|| done(Some(format!("{name}: {fault}"))))
        }
    }
}

pub(super) async fn resolve(job: &Job<'_>, escalation: u32, target: u32) -> Outcome {
    let Some((name, pager)) = usize::try_from(target).ok().and_then(|at| job.service.pagers.get(at)) else {
        return Outcome::Nothing("the configuration names no such pager any more".into());
    };
    match pager.resolve(&key(&job.state, escalation)).await {
        Ok(()) => Outcome::Nothing("resolved".into()),
        Err(fault) => {
            tracing::warn!(%fault, pager = name, escalation, "the end of a page could not be told");
            job.again(&fault, RESOLVE_WITHIN).unwrap_or_else(|| Outcome::Nothing(fault.to_string()))
        }
    }
}

fn call(
    state: &Rollback,
    service: &Service,
    escalation: u32,
    why: &str,
    incident: Option<String>,
    now: lastgood_core::At,
) -> Call {
    let mut details = vec![("what is wrong".to_owned(), why.to_owned())];
    let mut add =
        |name: &str, value: Option<String>| details.extend(value.map(|value| (name.to_owned(), value)));
    add("alert", state.alert.as_ref().map(|alert| alert.title.clone()));
    add(
        "failing version",
        state.failing().map(|f| format!("{} ({})", f.artifact, f.artifact.digest.short())),
    );
    add("target version", state.target().map(|t| format!("{t} ({})", t.digest.short())));
    add("what was tried", Some(tried(state)));
    add(
        "traffic",
        state.shares.as_ref().map(|shares| {
            lastgood_core::inventory::live::Live { shares: shares.clone(), ..Default::default() }.describe()
        }),
    );
    add("warnings", (!state.warnings.is_empty()).then(|| state.warnings.join("; ")));
    add("since", Some(format!("{} ago", spell(state.age(now)))));
    add("incident", incident);
    add("rooms", Some(service.rooms.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")));
    Call {
        key: key(state, escalation),
        summary: format!("{} ({}): {}: {why}", service.id, service.environment, state.id),
        source: format!("{} ({})", service.id, service.environment),
        component: service.id.to_string(),
        link: service
            .public_url
            .as_ref()
            .map(|url| format!("{}/rollbacks/{}", url.trim_end_matches('/'), state.id)),
        details,
    }
}

fn tried(state: &Rollback) -> String {
    match (state.moved, state.approved_at, state.target()) {
        (true, _, Some(target)) => format!("traffic was moved to {target}"),
        (false, Some(_), Some(target)) => {
            format!("going back to {target} was approved; no traffic was moved")
        }
        (_, None, Some(target)) => format!("going back to {target} is proposed; nobody approved it yet"),
        _ => "nothing yet".into(),
    }
}
