//! `POST /v1/pagers/{name}/webhook`: somebody acknowledged a page in the pager, and not in the thread. The pager signs;
//! no token is needed.

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use lastgood_adapters::pager::{
    pagerduty_webhook::{self, Happened, Rejected, SIGNATURE_HEADER, What},
    tag_in,
};
use lastgood_core::{
    Actor, At, RollbackId,
    rollback::{Rollback, Standing},
};
use serde_json::{Value, json};

use super::{Problem, body};
use crate::{
    app::App,
    engine::acts::{Act, Answered, Delivery},
    store,
};

/// What is said back of a delivery that was understood. The pager must not repeat it, whatever came of it.
type Noted = Result<Json<Value>, Problem>;

pub async fn webhook(
    State(app): State<App>,
    Path(name): Path<String>,
    headers: HeaderMap,
    sent: Body,
) -> Noted {
    let pager = app.config.pagers.get(&name).ok_or_else(|| {
        Problem::new(StatusCode::NOT_FOUND, format!("no pager is called {name:?} in the configuration"))
    })?;
    let secret = pager.webhook_secret.as_ref().ok_or_else(|| {
        let detail = format!("pager {name:?} takes no webhooks: set pagers.{name}.webhook_secret");
        Problem::new(StatusCode::UNAUTHORIZED, detail)
    })?;
    let sent = body::read(sent).await?;
    let signature = headers.get(SIGNATURE_HEADER).and_then(|header| header.to_str().ok()).unwrap_or_default();
    pagerduty_webhook::verify(secret, signature, &sent)?;
    let Some(happened) = pagerduty_webhook::parse(&sent)? else {
        return note("nothing to do for this kind of event");
    };
    match happened.what {
        What::Resolved => note("a page's end changes nothing here"),
        What::Acknowledged => acknowledge(&app, &name, &happened).await,
    }
}

/// Calls that a page stands for: a run, and the first call for its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Calls {
    rollback: RollbackId,
    escalation: u32,
    /// The page stands for other runs as well.
    shared: bool,
}

async fn acknowledge(app: &App, pager: &str, happened: &Happened) -> Noted {
    // Our own acknowledgements come back, too, and automation acknowledges without anybody having looked.
    let Some(agent) = happened.agent.as_ref().filter(|agent| agent.person) else {
        return note("no person acknowledged it: lastgood goes on calling");
    };
    let calls = match named(app, pager, happened).await? {
        Named::Ours(calls) => calls,
        Named::Another => return note("a page of another lastgood"),
        Named::Unknown => match asked_for(app, pager, happened).await? {
            Some(calls) => calls,
            None => return note("not a page of lastgood"),
        },
    };
    let by = Actor::new(format!("pagerduty:{}", agent.id), agent.name.clone());
    let mut said = "that page does not ring any more".to_owned();
    let mut came = false;
    for calls in calls {
        match come_to(app, pager, happened, calls, &by).await? {
            Some(Ok(())) => came = true,
            Some(Err(why)) => said = why,
            None => {}
        }
    }
    note(if came { "acknowledged" } else { &said })
}

/// None: the run rings no more, or for something newer.
async fn come_to(
    app: &App,
    pager: &str,
    happened: &Happened,
    calls: Calls,
    by: &Actor,
) -> Result<Option<Answered>, Problem> {
    let saved = store::rollbacks::get(app.engine.store.reader(), calls.rollback).await?;
    let Some(saved) = saved.filter(|saved| counts(&saved.state, calls, happened)) else { return Ok(None) };
    // One delivery may be about several runs, and is answered for each.
    let id = format!("{}/{}", happened.id, calls.rollback);
    let delivery = Delivery { source: format!("pagerduty/{pager}"), id };
    let (act, standing) = (Act::Acknowledge, Standing::default());
    let taken = app.engine.act(calls.rollback, saved.state.revision, &act, by, &standing, &delivery).await?;
    Ok(Some(taken))
}

/// Whoever came to any call of a run came to the run, but not to a reason that it rings for only since then: deliveries may
/// come days late.
fn counts(run: &Rollback, calls: Calls, happened: &Happened) -> bool {
    let Some(ringing) = run.ringing().filter(|_| run.active()) else { return false };
    let called = run.pages.iter().any(|page| page.first() == calls.escalation);
    let newest = ringing.first();
    let since = run.pages.iter().find(|page| page.escalation == newest).map_or(ringing.at, |page| page.at);
    let at = happened.at.as_deref().and_then(|at| at.parse::<jiff::Timestamp>().ok());
    // What somebody read on a page of several runs says nothing of a reason that one of them has of its own.
    let own = !calls.shared;
    called && (newest == calls.escalation || own && at.is_none_or(|at| at.as_millisecond() >= since))
}

enum Named {
    Ours(Vec<Calls>),
    /// It looks like ours.
    Another,
    Unknown,
}

/// What the delivery itself says: the page's key or, where PagerDuty keeps that to itself, the tag in its title.
async fn named(app: &App, pager: &str, happened: &Happened) -> Result<Named, Problem> {
    let tag = happened.title.as_deref().and_then(tag_in);
    let mut another = false;
    for name in happened.key.as_deref().into_iter().chain(tag) {
        match by_name(app, pager, name).await? {
            Named::Unknown => {}
            Named::Another => another = true,
            ours @ Named::Ours(_) => return Ok(ours),
        }
    }
    Ok(if another { Named::Another } else { Named::Unknown })
}

async fn by_name(app: &App, pager: &str, name: &str) -> Result<Named, Problem> {
    let db = app.engine.store.reader();
    let (mut calls, mut known) = (vec![], false);
    // Whoever can write into another account's incidents comes to none of these.
    let pages = store::pages::named(db, name).await?.into_iter().filter(|page| page.pager == pager);
    for page in pages {
        let members = store::pages::members(db, &page).await?;
        let shared =
            members.iter().zip(members.iter().skip(1)).any(|(one, other)| one.rollback != other.rollback);
        let open = members.into_iter().filter(|member| !member.ended);
        calls.extend(open.map(|m| Calls { rollback: m.rollback, escalation: m.escalation, shared }));
        known = true;
    }
    if known {
        return Ok(Named::Ours(calls));
    }
    // An earlier build kept no pages: its keys say all.
    let Some(key) = Key::parse(name) else { return Ok(Named::Unknown) };
    let saved = store::rollbacks::get(db, key.rollback).await?;
    // Several installations may share a pager, and see each other's pages.
    let ours = |saved: &store::rollbacks::Saved| {
        saved.state.service.0 == key.service && saved.state.opened_at == key.opened_at
    };
    Ok(match saved.filter(ours) {
        Some(_) => {
            Named::Ours(vec![Calls { rollback: key.rollback, escalation: key.escalation, shared: false }])
        }
        None => Named::Another,
    })
}

/// What PagerDuty has put into the incident, where it can be asked: a service that groups alerts opens an incident for the
/// first of them only.
async fn asked_for(app: &App, pager: &str, happened: &Happened) -> Result<Option<Vec<Calls>>, Problem> {
    let port = app.services.iter().flat_map(|service| &service.pagers).find(|(name, _)| name == pager);
    let (Some((_, port)), Some(incident)) = (port, happened.incident.as_deref()) else { return Ok(None) };
    let keys = match port.keys_of(incident).await {
        Ok(Some(keys)) => keys,
        Ok(None) => return Ok(None),
        Err(fault) if fault.passes() => {
            let detail =
                format!("whether {incident} is a page of lastgood can't be asked now: {fault}; try again");
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail));
        }
        Err(fault) => {
            tracing::error!(%fault, pager, incident, "an acknowledged incident's alerts can't be read");
            return Ok(None);
        }
    };
    let mut all = vec![];
    for key in keys {
        if let Named::Ours(calls) = by_name(app, pager, &key).await? {
            all.extend(calls);
        }
    }
    Ok(Some(all).filter(|all| !all.is_empty()))
}

fn note(text: &str) -> Noted {
    Ok(Json(json!({ "note": text })))
}

/// `lastgood/SERVICE/RB-n/OPENED/CALL`, as a run's own page is keyed.
#[derive(Debug, PartialEq, Eq)]
struct Key {
    service: String,
    rollback: RollbackId,
    opened_at: At,
    escalation: u32,
}

impl Key {
    fn parse(text: &str) -> Option<Self> {
        let parts: Vec<_> = text.split('/').collect();
        let ["lastgood", service, rollback, opened_at, escalation] = parts.as_slice() else { return None };
        Some(Self {
            service: (*service).to_owned(),
            rollback: rollback.parse().ok()?,
            opened_at: opened_at.parse().ok()?,
            escalation: escalation.parse().ok()?,
        })
    }
}

impl From<Rejected> for Problem {
    fn from(error: Rejected) -> Self {
        let status = match error {
            Rejected::Unsigned | Rejected::Forged => StatusCode::UNAUTHORIZED,
            Rejected::Malformed(_) => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pages_own_key_is_read() {
        let key = Key::parse("lastgood/checkout/RB-42/1800000000000/3").unwrap();
        assert_eq!((key.rollback, key.opened_at, key.escalation), (RollbackId(42), 1_800_000_000_000, 3));
        for other in ["", "RB-42/1", "lastgood/checkout/RB-42/x/3", "nagios/checkout/RB-42/1/3"] {
            assert_eq!(Key::parse(other), None, "{other}");
        }
    }
}
