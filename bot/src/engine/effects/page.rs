//! Calling the incident commander.

use std::collections::BTreeSet;

use lastgood_adapters::{Fault, pager::Call};
use lastgood_core::{
    Actor, Millis, ServiceId,
    rollback::{Event, Page, Rollback},
    words::spell,
};

use super::Job;
use crate::{
    engine::{
        executor::Outcome,
        pages::{self, Assigned, Calls},
    },
    service::Service,
    store::{self, StoreError},
};

/// How long one target is tried before the next one is, in milliseconds.
const WITHIN: Millis = 20_000;
/// How long it is tried to write down which page a call goes to, before it is made without that.
const WRITTEN_WITHIN: Millis = 5_000;
/// How long it is tried to tell that somebody came, or that a page has ended.
const TELL_WITHIN: Millis = 30 * 60_000;

pub(super) async fn page(job: &Job<'_>, escalation: u32, target: u32, why: &str) -> Outcome {
    let done = |failed| Outcome::Event(Event::Paged { escalation, target, failed });
    let Some((name, pager)) = usize::try_from(target).ok().and_then(|at| job.service.pagers.get(at)) else {
        return done(Some(format!("the configuration names no pager number {}", target + 1)));
    };
    if !job.state.active() {
        // Its end was told to the pager already; ringing after that would wake somebody for nothing.
        return done(Some("the run had ended before the call was made".into()));
    }
    let asked = job.state.pages.iter().find(|page| page.escalation == escalation);
    if asked.is_some_and(|page| page.acknowledged.is_some()) {
        return done(Some("somebody came before the call was made".into()));
    }
    let first = asked.map_or(escalation, Page::first);
    let taken = |page: &&Page| (page.first(), page.target, page.delivered) == (first, target, Some(true));
    let repeated = job.state.pages.iter().any(|page| taken(&page));
    let calls = Calls { run: &job.state, escalation: first, target, pager: name, repeated };
    let (assigned, together) = match assign(job, &calls).await {
        Ok(assigned) => assigned,
        Err(later) => return later,
    };
    if !assigned.rings {
        return done(None);
    }
    let incident = store::incidents::of_thread(job.engine.store.reader(), job.state.thread).await;
    let incident = incident.ok().flatten().map(|incident| incident.id.to_string());
    let all = assigned.services.union(&together).cloned().collect();
    let call = call(job, &assigned, &all, why, incident);
    match pager.page(&call).await {
        Ok(()) => done(None),
        Err(fault) => {
            tracing::warn!(%fault, pager = name, escalation, "page not delivered");
            job.again(&fault, WITHIN).unwrap_or_else(|| done(Some(format!("{name}: {fault}"))))
        }
    }
}

/// The page that the calls go to, and whose services alert together with theirs.
async fn assign(job: &Job<'_>, calls: &Calls<'_>) -> Result<(Assigned, BTreeSet<ServiceId>), Outcome> {
    let together = match job.engine.alerting_with(&job.state).await {
        Ok(together) => together,
        Err(error) => {
            // Whether others alert, too, is no reason to call nobody.
            tracing::warn!(%error, "who alerts together can't be read; the page is this run's own");
            BTreeSet::new()
        }
    };
    match job.engine.assign_page(calls, &together).await {
        Ok(assigned) => Ok((assigned, together)),
        Err(error) => match job.again(&Fault::Unavailable(error.to_string()), WRITTEN_WITHIN) {
            Some(later) => Err(later),
            None => {
                // Called twice is better than not at all.
                tracing::error!(%error, "a page can't be written down; it is this run's own, and can't be shared");
                Ok((Assigned::unwritten(calls), together))
            }
        },
    }
}

/// Somebody came: told to the pager, so that it calls nobody else, and to the other runs of a shared page.
pub(super) async fn acknowledge(job: &Job<'_>, first: u32, target: u32) -> Outcome {
    let Some((name, pager)) = usize::try_from(target).ok().and_then(|at| job.service.pagers.get(at)) else {
        return Outcome::Nothing("the configuration names no such pager any more".into());
    };
    let calls = Calls { run: &job.state, escalation: first, target, pager: name, repeated: true };
    let by =
        job.state.pages.iter().find(|page| page.first() == first).and_then(|page| page.acknowledged.clone());
    let key = match came_to_all(job, &calls, by.as_ref()).await {
        Ok(key) => key,
        Err(error) => return unwritten(job, &error),
    };
    told(job, name, pager.acknowledge(&key).await, "acknowledged")
}

/// Gives what the pager knows the page by.
async fn came_to_all(job: &Job<'_>, calls: &Calls<'_>, by: Option<&Actor>) -> store::Result<String> {
    let Some((page, members)) = job.engine.close_page(calls).await? else {
        return Ok(pages::key(&job.state, calls.escalation));
    };
    if let Some(by) = by {
        for member in members.iter().filter(|member| !member.ended && member.rollback != job.state.id) {
            job.engine.came_to(member, by).await?;
        }
    }
    Ok(page.key)
}

pub(super) async fn resolve(job: &Job<'_>, first: u32, target: u32) -> Outcome {
    let Some((name, pager)) = usize::try_from(target).ok().and_then(|at| job.service.pagers.get(at)) else {
        return Outcome::Nothing("the configuration names no such pager any more".into());
    };
    let calls = Calls { run: &job.state, escalation: first, target, pager: name, repeated: true };
    match job.engine.leave_page(&calls).await {
        Ok((_, false)) => Outcome::Nothing("other runs need somebody still".into()),
        Ok((key, true)) => told(job, name, pager.resolve(&key).await, "resolved"),
        Err(error) => unwritten(job, &error),
    }
}

fn unwritten(job: &Job<'_>, error: &StoreError) -> Outcome {
    let fault = Fault::Unavailable(error.to_string());
    job.again(&fault, TELL_WITHIN).unwrap_or_else(|| Outcome::Nothing(fault.to_string()))
}

fn told(job: &Job<'_>, pager: &str, told: Result<(), Fault>, what: &str) -> Outcome {
    match told {
        Ok(()) => Outcome::Nothing(what.into()),
        Err(fault) => {
            tracing::warn!(%fault, pager, what, "a change of a page could not be told");
            job.again(&fault, TELL_WITHIN).unwrap_or_else(|| Outcome::Nothing(fault.to_string()))
        }
    }
}

/// `all`: services that the page is for, and those that alert together with them.
fn call(
    job: &Job<'_>,
    assigned: &Assigned,
    all: &BTreeSet<ServiceId>,
    why: &str,
    incident: Option<String>,
) -> Call {
    let (state, service, now) = (&job.state, &job.service, job.engine.now());
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
    if all.len() > 1 {
        add("alerting together", Some(names(all, usize::MAX)));
    }
    Call {
        key: assigned.page.key.clone(),
        tag: assigned.page.tag.clone(),
        summary: summary(state, service, all, why),
        source: format!("{} ({})", service.id, service.environment),
        component: service.id.to_string(),
        link: service
            .public_url
            .as_ref()
            .map(|url| format!("{}/rollbacks/{}", url.trim_end_matches('/'), state.id)),
        details,
    }
}

fn summary(state: &Rollback, service: &Service, all: &BTreeSet<ServiceId>, why: &str) -> String {
    let own = format!("{} ({}): {}: {why}", service.id, service.environment, state.id);
    if all.len() > 1 {
        return format!(
            "{} services alert together, a shared cause is likely: {}. First: {own}",
            all.len(),
            names(all, NAMED)
        );
    }
    own
}

/// Services that a summary names: it is read out on a telephone.
const NAMED: usize = 12;

fn names(all: &BTreeSet<ServiceId>, most: usize) -> String {
    let named = all.iter().take(most).map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match all.len().saturating_sub(most) {
        0 => named,
        more => format!("{named} and {more} more"),
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
