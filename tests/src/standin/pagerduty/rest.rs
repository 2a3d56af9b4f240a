//! The parts of the REST API v2 that are asked (PagerDuty's API reference): alerts of an incident, services, alert grouping
//! settings. Answers only those who authenticate as documented.

use std::collections::BTreeMap;

use axum::{
    Json,
    extract::{Path, RawQuery, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

use super::{Account, Shared, hook::service_id};

type Refused = (StatusCode, Json<Value>);

fn refused(status: StatusCode, code: u32, message: &str) -> Refused {
    (status, Json(json!({ "error": { "message": message, "code": code } })))
}

fn allowed(account: &Account, headers: &HeaderMap) -> Result<(), Refused> {
    let given = headers.get("authorization").and_then(|given| given.to_str().ok()).unwrap_or_default();
    let wanted = account.setup.token.as_ref().map(|token| format!("Token token={token}"));
    match wanted {
        Some(wanted) if wanted == given => Ok(()),
        _ => Err(refused(StatusCode::UNAUTHORIZED, 2006, "Invalid API key")),
    }
}

/// `limit` and `offset`, as classic pagination has them.
fn page(items: Vec<Value>, name: &str, query: Option<&str>) -> Value {
    let query: BTreeMap<_, _> =
        url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    let number = |name: &str, default| query.get(name).and_then(|text| text.parse().ok()).unwrap_or(default);
    let (limit, offset) = (number("limit", 25_usize).min(100), number("offset", 0_usize));
    let more = items.len() > offset + limit;
    let shown: Vec<_> = items.into_iter().skip(offset).take(limit).collect();
    json!({ name: shown, "limit": limit, "offset": offset, "more": more, "total": null })
}

pub(super) async fn alerts(
    State(shared): State<Shared>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let account = shared.account.lock().unwrap();
    if let Err(refused) = allowed(&account, &headers) {
        return refused.into_response();
    }
    if !account.incidents.contains_key(&id) {
        return refused(StatusCode::NOT_FOUND, 2100, "Not Found").into_response();
    }
    let alert = |page: &super::Page| {
        json!({ "id": "PALERT1", "type": "alert", "summary": page.summary, "alert_key": page.key,
            "status": if page.open { "triggered" } else { "resolved" } })
    };
    let alerts = account.pages.iter().filter(|page| page.incident == id).map(alert).collect();
    Json(page(alerts, "alerts", query.as_deref())).into_response()
}

pub(super) async fn services(
    State(shared): State<Shared>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let account = shared.account.lock().unwrap();
    if let Err(refused) = allowed(&account, &headers) {
        return refused.into_response();
    }
    let asked = query.as_deref().unwrap_or_default();
    let includes = |what: &str| {
        url::form_urlencoded::parse(asked.as_bytes())
            .any(|(name, value)| name == "include[]" && value == what)
    };
    let (integrations, policies) = (includes("integrations"), includes("escalation_policies"));
    let service = |key: &String| {
        let own = match integrations {
            true => {
                json!({ "id": "PINT001", "type": "events_api_v2_inbound_integration", "integration_key": key })
            }
            false => json!({ "id": "PINT001", "type": "events_api_v2_inbound_integration_reference" }),
        };
        let other = json!({ "id": "PINT002", "type": "nagios_inbound_integration" });
        let all: Vec<_> =
            std::iter::once(own).chain(std::iter::repeat_n(other, account.setup.others)).collect();
        let rules: Vec<_> =
            account.setup.people.iter().map(|name| json!({ "targets": [{ "summary": name }] })).collect();
        let policy = match policies {
            true => {
                json!({ "id": "PPOL001", "type": "escalation_policy", "num_loops": 0, "escalation_rules": rules })
            }
            false => json!({ "id": "PPOL001", "type": "escalation_policy_reference" }),
        };
        let grouping = account.setup.groups.then_some("time");
        json!({
            "id": service_id(&account, key), "type": "service", "name": "lastgood", "status": account.setup.status,
            "alert_creation": "create_alerts_and_incidents",
            "alert_grouping_parameters": { "type": grouping, "config": null },
            "integrations": all, "escalation_policy": policy,
        })
    };
    // An account has other services, too: more than fit into one answer.
    let other = json!({ "id": "PSVC999", "type": "service", "name": "other", "status": "active", "integrations": [] });
    let mut all = vec![other; 120];
    all.extend(account.keys.iter().map(service));
    Json(page(all, "services", query.as_deref())).into_response()
}

pub(super) async fn grouping(State(shared): State<Shared>, headers: HeaderMap) -> Response {
    let account = shared.account.lock().unwrap();
    if let Err(refused) = allowed(&account, &headers) {
        return refused.into_response();
    }
    Json(json!({ "alert_grouping_settings": [], "after": null, "before": null })).into_response()
}
