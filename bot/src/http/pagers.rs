//! `POST /v1/pagers/{name}/webhook`: somebody acknowledged a page in the pager, and not in the thread. The pager signs;
//! no token is needed.

use axum::{
    Json,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
};
use lastgood_adapters::pager::pagerduty_webhook::{self, Agent, Happened, Rejected, SIGNATURE_HEADER, What};
use lastgood_core::{Actor, At, RollbackId, rollback::Standing};
use serde_json::{Value, json};

use super::{Problem, body};
use crate::{
    app::App,
    engine::acts::{Act, Delivery},
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

async fn acknowledge(app: &App, pager: &str, happened: &Happened) -> Noted {
    let Some(key) = happened.key.as_deref().and_then(Key::parse) else {
        return note("not a page of lastgood");
    };
    let saved = store::rollbacks::get(app.engine.store.reader(), key.rollback).await?;
    // Several installations may share a pager, and see each other's pages.
    let ours = |saved: &store::rollbacks::Saved| {
        saved.state.service.0 == key.service && saved.state.opened_at == key.opened_at
    };
    let Some(saved) = saved.filter(ours) else { return note("a page of another lastgood") };
    if saved.state.ringing().is_none_or(|page| page.escalation != key.escalation) {
        return note("that page does not ring any more");
    }
    let by = actor(happened.agent.as_ref());
    let delivery = Delivery { source: format!("pagerduty/{pager}"), id: happened.id.clone() };
    let (act, standing) = (Act::Acknowledge, Standing::default());
    match app.engine.act(key.rollback, saved.state.revision, &act, &by, &standing, &delivery).await? {
        Ok(()) => note("acknowledged"),
        Err(why) => note(&why),
    }
}

fn note(text: &str) -> Noted {
    Ok(Json(json!({ "note": text })))
}

fn actor(agent: Option<&Agent>) -> Actor {
    match agent {
        Some(agent) => Actor::new(format!("pagerduty:{}", agent.id), agent.name.clone()),
        None => Actor::new("pagerduty:unknown", "somebody in PagerDuty"),
    }
}

/// `lastgood/SERVICE/RB-n/OPENED/CALL`, as pages are keyed.
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
