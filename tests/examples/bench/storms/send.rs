//! Senders of alerts: each request goes out when it is due, whether the ones before were answered or not.

use std::{sync::Arc, time::Duration};

use lastgood::clock::{self, Clock as _};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use crate::world::TOKEN;

/// What is turned away comes again after this, as `Retry-After` and a pause of Alertmanager's are both longer than nothing.
const AGAIN: Duration = Duration::from_secs(1);
/// After the last one was due.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
pub struct Sender {
    pub http: reqwest::Client,
    pub base: Arc<str>,
}

/// What became of a request.
#[derive(Clone, Copy)]
pub struct Sent {
    /// From when it was due to its last answer.
    pub took: Duration,
    /// Alerts in it.
    pub alerts: usize,
    /// The last answer; none when none came.
    pub status: Option<u16>,
    /// How often it was turned away before.
    pub turned_away: u32,
}

impl Sent {
    pub fn is_taken(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }
}

/// One alert that fires.
pub fn alert(service: &str, name: &str) -> Value {
    json!({
        "status": "firing", "labels": { "alertname": name, "service": service, "severity": "page" },
        "annotations": {
            "summary": format!("{service}: too many answers with 5xx ({name})"),
            "description": "The share of answers with 5xx has been above 5 % for two minutes.",
            "runbook_url": "https://runbooks.example.com/5xx",
        },
        "startsAt": clock::rfc3339(clock::System.now()), "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus.example.com/graph", "fingerprint": format!("{service}/{name}"),
    })
}

/// A notification of Alertmanager's.
pub fn group(alerts: &[Value]) -> String {
    let payload = json!({
        "version": "4", "status": "firing", "receiver": "bench", "groupKey": "{}", "truncatedAlerts": 0,
        "groupLabels": {}, "commonLabels": {}, "commonAnnotations": {}, "externalURL": "http://alerts.example.com",
        "alerts": alerts,
    });
    payload.to_string()
}

impl Sender {
    /// Until it is taken, refused for good, or `end`.
    pub async fn alerts(&self, body: String, alerts: usize, due: Instant, end: Instant) -> Sent {
        let mut turned_away = 0;
        loop {
            let status = self.post("/v1/alerts/alertmanager", body.clone(), end).await;
            let again = status.is_none_or(|status| status >= 500);
            if !again || Instant::now() + AGAIN >= end {
                return Sent { took: due.elapsed(), alerts, status, turned_away };
            }
            turned_away += 1;
            tokio::time::sleep(AGAIN).await;
        }
    }

    /// The status; none when the connection broke or the time was up.
    pub async fn post(&self, path: &str, body: String, end: Instant) -> Option<u16> {
        let request = self.http.post(format!("{}{path}", self.base)).bearer_auth(TOKEN).body(body);
        let answer = tokio::time::timeout_at(end, request.send()).await.ok()?.ok()?;
        let status = answer.status().as_u16();
        // The answer is whole only when its body came.
        tokio::time::timeout_at(end, answer.bytes()).await.ok()?.ok()?;
        Some(status)
    }

    /// Sends all, evenly over the time.
    pub async fn storm(&self, requests: Vec<Vec<Value>>, lasts: Duration) -> Vec<Sent> {
        let start = Instant::now();
        let (count, end) = (u32::try_from(requests.len()).unwrap(), start + lasts + PATIENCE);
        let mut under_way = JoinSet::new();
        for (number, alerts) in (0_u32..).zip(requests) {
            let due = start + lasts * number / count;
            tokio::time::sleep_until(due).await;
            let sender = self.clone();
            under_way.spawn(async move { sender.alerts(group(&alerts), alerts.len(), due, end).await });
        }
        under_way.join_all().await
    }
}
