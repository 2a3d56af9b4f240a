//! Version 3 webhooks (PagerDuty's developer documentation, Webhooks: Overview, Behavior, Signatures): signed, in order, one
//! event each, repeated until they are taken.

use std::{fmt::Write as _, time::Duration};

use hmac::{Hmac, Mac as _};
use lastgood::clock::{Clock as _, System, rfc3339};
use serde_json::{Value, json};
use sha2::Sha256;

use super::{Account, PagerDuty, Shared};

/// PagerDuty waits no longer for an answer.
const WAITS: Duration = Duration::from_secs(5);
/// PagerDuty repeats for two days; a test is over before.
const TRIES: usize = 20;

/// A webhook, with what the first taker answered.
#[derive(Debug, Clone)]
pub struct Sent {
    pub event: Value,
    pub status: u16,
    pub answer: String,
    pub tries: usize,
}

impl Shared {
    pub(super) fn hook(&self, account: &Account, kind: &str, id: &str, by: Option<&str>) {
        let Some((url, secret)) = account.setup.webhook.clone() else { return };
        let incident = &account.incidents[id];
        let agent = match by {
            Some(person) => json!({ "id": format!("P{}", person.to_uppercase()), "summary": person,
                "type": "user_reference", "html_url": "https://shop.pagerduty.com/users/P" }),
            None => json!({ "id": "PINT001", "summary": "Events API V2",
                "type": "events_api_v2_inbound_integration_reference", "html_url": null }),
        };
        let key = if account.setup.keyless { Value::Null } else { incident.key.clone().into() };
        let event = json!({ "event": {
            "id": format!("01{:024}", account.events.len() * 1_000 + account.sent.len() + kind.len()) + id,
            "event_type": kind,
            "resource_type": "incident",
            "occurred_at": rfc3339(System.now()),
            "agent": agent,
            "client": { "name": "lastgood" },
            "data": {
                "id": id, "type": "incident", "status": kind.split('.').next_back(), "number": 1,
                "incident_key": key, "title": incident.title, "urgency": "high",
                "service": { "id": service_id(account, &incident.service), "type": "service_reference" },
            },
        }});
        tokio::spawn(self.clone().send(url, secret, event));
    }

    async fn send(self, url: String, secret: String, event: Value) {
        let _in_order = self.hooks.lock().await;
        let body = event.to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(body.as_bytes());
        let signature = mac.finalize().into_bytes().iter().fold("v1=".to_owned(), |mut hex, byte| {
            write!(hex, "{byte:02x}").unwrap();
            hex
        });
        let client = lastgood_adapters::client::client().unwrap();
        for tries in 1..=TRIES {
            let request = client.post(&url).timeout(WAITS).header("X-PagerDuty-Signature", &signature);
            let answered = request.header("Content-Type", "application/json").body(body.clone()).send().await;
            let (status, answer) = match answered {
                Ok(answer) => (answer.status().as_u16(), answer.text().await.unwrap_or_default()),
                Err(error) => (0, error.to_string()),
            };
            // No answer, 5xx and 429 are repeated; any other refusal is final.
            if matches!(status, 0 | 429 | 500..) && tries < TRIES {
                tokio::time::sleep(Duration::from_millis(300)).await;
                continue;
            }
            self.account.lock().unwrap().sent.push(Sent { event, status, answer, tries });
            self.changed.notify_waiters();
            return;
        }
    }
}

pub(super) fn service_id(account: &Account, routing_key: &str) -> String {
    let at = account.keys.iter().position(|key| key == routing_key).unwrap_or_default();
    format!("PSVC{at:03}")
}

impl PagerDuty {
    /// Webhooks that were answered, in order.
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.account.lock().unwrap().sent.clone()
    }
}
