//! `POST /v1/alerts/alertmanager`. Alertmanager repeats what is answered with 5xx, and drops what is answered with 4xx:
//! whatever could still be taken later must not get a 4xx.

use std::collections::BTreeMap;

use axum::{Extension, Json, body::Body, extract::State, http::StatusCode};
use lastgood_core::ServiceId;
use serde_json::{Value, json};

use super::{Problem, auth::Caller, body};
use crate::{
    app::App,
    config::May,
    delivery,
    engine::alerts::{Alert, Taken},
    inbound::alertmanager::{self, NotAlerts, Status},
};

/// `lastgood=ignore` makes no proposal.
const LABEL: &str = "lastgood";
const IGNORE: &str = "ignore";

pub async fn alertmanager(
    State(app): State<App>,
    caller: Caller,
    Extension(large): Extension<body::Large>,
    sent: Body,
) -> Result<(StatusCode, Json<Value>), Problem> {
    caller.must(May::Alert)?;
    let sent = large.read(sent).await?;
    let payload = alertmanager::read(&sent).map_err(|error| match error {
        NotAlerts::Json(_) => Problem::new(StatusCode::BAD_REQUEST, error.to_string()),
        NotAlerts::Field { field, what } => Problem::field(&field, what),
        NotAlerts::Large(what) => Problem::new(StatusCode::PAYLOAD_TOO_LARGE, what),
    })?;
    let _held = sent.into_slot();
    let mut notes = Vec::new();
    let left_out = left_out(payload.truncated);
    if let Some(left_out) = &left_out {
        tracing::warn!("{left_out}");
        notes.push(left_out.clone());
    }
    // Every alert with the services that it is about, in the order of both.
    let mut concerned = Vec::new();
    for alert in &payload.alerts {
        let before = concerned.len();
        let services = app.config.services.iter().filter(|(_, service)| service.matches(&alert.labels));
        concerned.extend(services.map(|(name, _)| concerning(name, alert, left_out.as_deref())));
        if concerned.len() == before {
            notes.push(format!("no service's `alerts` match {:?}", alert.title));
        }
    }
    let became = take(&app, &concerned).await?;
    let mut taken = Vec::new();
    for (alert, became) in concerned.iter().zip(became) {
        let (name, title) = (&alert.service, &alert.title);
        if became == Taken::Ignored {
            notes.push(format!("{name}: {title:?} is labelled {LABEL}={IGNORE}"));
        } else {
            taken.push(json!({ "service": name, "alert": title, "became": word(became) }));
        }
    }
    if payload.alerts.is_empty() {
        notes.push("it holds no alert".to_owned());
    }
    let status = if taken.is_empty() { StatusCode::OK } else { StatusCode::ACCEPTED };
    Ok((status, Json(json!({ "taken": taken, "notes": notes }))))
}

/// What was sent together about one service is taken together.
async fn take(app: &App, alerts: &[Alert]) -> Result<Vec<Taken>, Problem> {
    let mut of_service: BTreeMap<&ServiceId, Vec<usize>> = BTreeMap::new();
    for (index, alert) in alerts.iter().enumerate() {
        of_service.entry(&alert.service).or_default().push(index);
    }
    let mut became = vec![Taken::Repeated; alerts.len()];
    for (service, indices) in of_service {
        let some: Vec<_> = indices.iter().filter_map(|index| alerts.get(*index)).collect();
        let taken = app.engine.alerts(service, &some).await.map_err(|error| {
            tracing::error!(%error, %service, "alerts could not be taken");
            Problem::unavailable("the store can't take the alert now; send it again")
        })?;
        if taken.contains(&Taken::Opened)
            // The alert is taken; a summary that fails is only a summary.
            && let Err(error) = delivery::announce(&app.engine).await
        {
            tracing::error!(%error, "the summary of many alerting services could not be queued");
        }
        for (index, taken) in indices.into_iter().zip(taken) {
            if let Some(slot) = became.get_mut(index) {
                *slot = taken;
            }
        }
    }
    Ok(became)
}

/// What is said of alerts that the sender left out: nobody else tells that there are more.
fn left_out(truncated: u64) -> Option<String> {
    let more = if truncated == 1 { "1 more alert".to_owned() } else { format!("{truncated} more alerts") };
    (truncated > 0).then(|| {
        format!(
            "{more} of the same group were left out by Alertmanager (max_alerts): lastgood does not know them"
        )
    })
}

/// What was left out is said first beside the alert: of the rest the card shows what there is room for.
fn concerning(service: &str, alert: &alertmanager::Alert, left_out: Option<&str>) -> Alert {
    let left_out = left_out.map(|said| ("incomplete".to_owned(), said.to_owned()));
    let generator = alert.generator_url.iter().map(|url| ("source".to_owned(), url.clone()));
    let sender = alert.external_url.iter().map(|url| ("alertmanager".to_owned(), url.clone()));
    let annotations = alert.annotations.iter().map(|(name, text)| (name.clone(), text.clone()));
    Alert {
        service: service.into(),
        fingerprint: alert.fingerprint.clone(),
        starts_at: alert.starts_at,
        ends_at: alert.ends_at,
        firing: alert.status == Status::Firing,
        title: alert.title.clone(),
        annotations: left_out.into_iter().chain(annotations).chain(generator).chain(sender).collect(),
        ignore: alert.labels.get(LABEL).is_some_and(|value| value == IGNORE),
        names: alert.labels.get("alertname").into_iter().chain([&alert.title]).cloned().collect(),
        heard: None,
        anchor: None,
    }
}

fn word(taken: Taken) -> &'static str {
    match taken {
        Taken::Opened => "opened",
        Taken::Joined => "joined",
        Taken::Repeated => "repeated",
        Taken::Resolved => "resolved",
        Taken::Ignored => "ignored",
    }
}
