//! What PagerDuty's REST API v2 tells (PagerDuty's API reference: List alerts for an incident, List services, List alert
//! grouping settings). Only read from; a read-only key does.

use std::time::Duration;

use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    Check, Fault, Secret,
    client::{Address, ask, quote},
};

/// PagerDuty repeats a webhook that is not answered within 5 s; asking back must leave time for the answer.
const ASK_BACK: Duration = Duration::from_secs(3);
/// Results in one answer, and the most that PagerDuty pages through.
const PAGE: usize = 100;
const MOST: usize = 10_000;
const BODY: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub struct Rest {
    pub url: Address,
    pub token: Secret,
    pub limit: Duration,
    pub http: reqwest::Client,
}

#[derive(Deserialize)]
struct Alerts {
    alerts: Vec<Alert>,
    #[serde(default)]
    more: bool,
}

#[derive(Deserialize)]
struct Alert {
    alert_key: Option<String>,
}

#[derive(Deserialize)]
struct Services {
    services: Vec<Service>,
    #[serde(default)]
    more: bool,
}

#[derive(Deserialize)]
struct Service {
    id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    status: String,
    alert_grouping_parameters: Option<Kind>,
    alert_grouping: Option<String>,
    #[serde(default)]
    integrations: Vec<Integration>,
    escalation_policy: Option<Policy>,
}

#[derive(Deserialize)]
struct Kind {
    #[serde(rename = "type")]
    kind: Option<String>,
}

#[derive(Deserialize)]
struct Integration {
    integration_key: Option<String>,
}

/// Whole only if it was asked for, and else a reference without these.
#[derive(Deserialize)]
struct Policy {
    num_loops: Option<u64>,
    escalation_rules: Option<Vec<serde_json::Value>>,
}

#[derive(Deserialize)]
struct Settings {
    alert_grouping_settings: Vec<Kind>,
}

impl Rest {
    async fn get<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &[(&str, String)],
        limit: Duration,
    ) -> Result<T, Fault> {
        let asked = format!("pagerduty {}: {path}", self.url);
        let mut url = self.url.join(path);
        url.query_pairs_mut().extend_pairs(query);
        let request = self.http.get(url).header("Accept", "application/json");
        let request = request.header("Authorization", format!("Token token={}", self.token.reveal()));
        let answer = ask(request, limit, BODY).await.map_err(|lost| lost.of_question(&asked))?;
        match answer.status.as_u16() {
            200 => serde_json::from_slice(&answer.body)
                .map_err(|why| Fault::Invalid(format!("{asked}: not what PagerDuty answers: {why}"))),
            404 => Err(Fault::NotFound(asked)),
            _ => Err(answer.fault(format!("{asked}: {}", quote(&answer.text(), &[&self.token])))),
        }
    }

    /// The keys of an incident's alerts: several where the service groups them.
    pub async fn alert_keys(&self, incident: &str) -> Result<Vec<String>, Fault> {
        if incident.is_empty() || !incident.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Err(Fault::Invalid(format!("{:?} is no incident's id", quote(incident, &[]))));
        }
        let path = format!("incidents/{incident}/alerts");
        let all = async {
            let mut keys = vec![];
            for offset in (0..MOST).step_by(PAGE) {
                let query = [("limit", PAGE.to_string()), ("offset", offset.to_string())];
                let found: Alerts = self.get(&path, &query, ASK_BACK).await?;
                keys.extend(found.alerts.into_iter().filter_map(|alert| alert.alert_key));
                if !found.more {
                    break;
                }
            }
            Ok(keys)
        };
        let in_time = tokio::time::timeout(ASK_BACK, all).await;
        in_time.unwrap_or_else(|_| {
            Err(Fault::Unavailable(format!("pagerduty {}: {path}: no answer within {ASK_BACK:?}", self.url)))
        })
    }

    async fn service_of(&self, routing_key: &Secret) -> Result<Option<Service>, Fault> {
        for offset in (0..MOST).step_by(PAGE) {
            let query = [
                ("include[]", "integrations".to_owned()),
                ("include[]", "escalation_policies".to_owned()),
                ("limit", PAGE.to_string()),
                ("offset", offset.to_string()),
            ];
            let found: Services = self.get("services", &query, self.limit).await?;
            let ours = |service: &Service| {
                let keys = service.integrations.iter().filter_map(|of| of.integration_key.as_deref());
                keys.into_iter().any(|key| key == routing_key.reveal())
            };
            if let Some(service) = found.services.into_iter().find(ours) {
                return Ok(Some(service));
            }
            if !found.more {
                break;
            }
        }
        Ok(None)
    }

    /// How the service groups alerts, if it does. Its own field is deprecated, and may be gone one day.
    async fn grouping(&self, service: &Service) -> Result<Option<String>, Fault> {
        let own = service.alert_grouping_parameters.as_ref().and_then(|of| of.kind.clone());
        if let Some(kind) = own.or_else(|| service.alert_grouping.clone()) {
            return Ok(Some(kind));
        }
        let query = [("service_ids[]", service.id.clone())];
        let found: Settings = self.get("alert_grouping_settings", &query, self.limit).await?;
        Ok(found.alert_grouping_settings.into_iter().find_map(|setting| setting.kind))
    }

    /// Whether a call surely calls somebody: the service behind the key opens an incident for each, and calls until
    /// somebody comes.
    pub async fn check_service(&self, routing_key: &Secret) -> Vec<Check> {
        let what = format!("pagerduty {}: the service behind the routing key", self.url);
        let service = match self.service_of(routing_key).await {
            Ok(Some(service)) => service,
            Ok(None) => {
                let seen = "no service that api_token may read has an integration with this key";
                let advice = "use an Events API V2 integration of a service, and a key that may read that service; else look yourself that its alerts are not grouped";
                return vec![Check::warning(what, seen, advice)];
            }
            Err(fault) => return vec![unread(what, &fault)],
        };
        let grouping = match self.grouping(&service).await {
            Ok(kind) => kind,
            Err(fault) => return vec![unread(what, &fault)],
        };
        judge(&service, grouping.as_deref(), &what)
    }
}

fn unread(what: String, fault: &Fault) -> Check {
    let advice = "api_token is a REST API key (read-only does) of the account that routing_key belongs to; in Europe, set api_url";
    Check::bad(what, fault.to_string(), advice)
}

fn judge(service: &Service, grouping: Option<&str>, what: &str) -> Vec<Check> {
    let name = quote(&service.name, &[]);
    let mut checks = vec![];
    if let Some(kind) = grouping {
        let seen = format!("{name} groups alerts ({}): a grouped call calls nobody", quote(kind, &[]));
        let advice = "give lastgood a service of its own in PagerDuty, with alert grouping turned off";
        checks.push(Check::bad(what, seen, advice));
    }
    match service.status.as_str() {
        "disabled" => {
            checks.push(Check::bad(what, format!("{name} is disabled: nobody is called"), "enable it"));
        }
        "maintenance" => {
            let seen = format!("{name} is in a maintenance window: nobody is called");
            checks.push(Check::warning(what, seen, "end the window, or know until when it lasts"));
        }
        _ => {}
    }
    let integrations = service.integrations.len();
    if integrations > 1 {
        let seen = format!("{name} has {integrations} integrations: others open incidents in it, too");
        checks.push(Check::warning(what, seen, "give lastgood a service of its own in PagerDuty"));
    }
    if let Some(Policy { num_loops: Some(0), escalation_rules: Some(rules) }) = &service.escalation_policy
        && rules.len() < 2
    {
        let seen = format!("{name}'s escalation policy has one level and is not repeated");
        let advice = "add a level, or let the policy repeat: a page that nobody acknowledges is not called again by lastgood, but by the policy";
        checks.push(Check::warning(what, seen, advice));
    }
    if checks.is_empty() {
        let seen = format!("{name} opens an incident for every call, and is lastgood's own");
        checks.push(Check::good(what, seen));
    }
    checks
}
