//! PagerDuty's Events API v2, as its developer documentation describes it (Events API v2: Overview; Send an Alert Event).
//! It refuses what the real one refuses, with the real one's shape of answer, and deduplicates as it does: a trigger for
//! an open key joins it and rings nobody, a resolve closes it, and a trigger after that opens another. An incident calls one
//! person after the other until somebody acknowledges it, there or by an event (`people`); it is told of by webhooks (`hook`)
//! and answers questions (`rest`).

mod hook;
mod people;
mod rest;

use std::{
    collections::{BTreeMap, VecDeque},
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use serde_json::{Value, json};

/// What the next event gets instead of an ordinary answer.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// 429, with `Retry-After` when given. The event is not taken.
    RateLimited(Option<u64>),
    /// This status, in a proxy's words. The event is not taken.
    Broken(u16),
    /// The event is taken, and the connection closed without an answer.
    Dropped,
    /// The event is taken, and answered after this long.
    Slow(Duration),
    /// 202 in somebody else's words. The event is not taken.
    Impostor,
}

/// One alert that was opened; unless the service groups them, it has an incident of its own, and somebody's telephone rang.
#[derive(Debug, Clone)]
pub struct Page {
    pub key: String,
    pub summary: String,
    pub open: bool,
    /// Triggers that joined it, the first included.
    pub triggers: usize,
    /// The event that opened it.
    pub event: Value,
    /// The incident's id.
    pub incident: String,
}

pub use hook::Sent;
pub use people::{Incident, Status};

/// How an account and its services are set up. A service for every routing key.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Puts every alert into the newest open incident of its service, if there is one.
    pub groups: bool,
    /// Says `incident_key: null` in webhooks.
    pub keyless: bool,
    /// The escalation policy: whom it calls, one after the other. It is not repeated.
    pub people: Vec<String>,
    /// How long it waits for an acknowledgement before it calls the next one; none: it calls the first one only.
    pub escalates_after: Option<Duration>,
    /// Where webhooks go, and what they are signed with.
    pub webhook: Option<(String, String)>,
    /// What the REST API takes.
    pub token: Option<String>,
    /// Integrations of other programs in each service.
    pub others: usize,
    /// Of each service: `active`, `disabled`, `maintenance`.
    pub status: String,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            groups: false,
            keyless: false,
            people: vec!["Ana".to_owned()],
            escalates_after: None,
            webhook: None,
            token: None,
            others: 0,
            status: "active".to_owned(),
        }
    }
}

#[derive(Default)]
struct Account {
    setup: Setup,
    keys: Vec<String>,
    events: Vec<Value>,
    pages: Vec<Page>,
    incidents: BTreeMap<String, Incident>,
    sent: Vec<Sent>,
    troubles: VecDeque<Trouble>,
}

/// The account, and what tells those who wait that it changed.
#[derive(Clone, Default)]
struct Shared {
    account: Arc<Mutex<Account>>,
    changed: Arc<tokio::sync::Notify>,
    /// Webhooks are sent in order.
    hooks: Arc<tokio::sync::Mutex<()>>,
}

/// A running stand-in. It ends with the test's runtime.
#[derive(Clone)]
pub struct PagerDuty {
    at: SocketAddr,
    shared: Shared,
}

impl PagerDuty {
    /// Starts one that knows these routing keys.
    pub async fn start(routing_keys: &[&str]) -> Self {
        Self::set_up(routing_keys, Setup::default()).await
    }

    /// As `start`, with an account that is set up like this.
    pub async fn set_up(routing_keys: &[&str], setup: Setup) -> Self {
        let keys = routing_keys.iter().map(|&key| key.to_owned()).collect();
        let account = Arc::new(Mutex::new(Account { keys, setup, ..Account::default() }));
        let shared = Shared { account, ..Shared::default() };
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let at = listener.local_addr().unwrap();
        let app = Router::new()
            .route("/v2/enqueue", post(enqueue))
            .route("/incidents/{id}/alerts", get(rest::alerts))
            .route("/services", get(rest::services))
            .route("/alert_grouping_settings", get(rest::grouping))
            .with_state(shared.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { at, shared }
    }

    /// Changes how the account is set up.
    pub fn change(&self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.shared.account.lock().unwrap().setup);
    }

    /// For the configuration's `url`, and its `api_url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.at)
    }

    /// The next `times` events get this; what was asked for earlier comes first.
    pub fn next(&self, times: usize, trouble: Trouble) {
        self.shared.account.lock().unwrap().troubles.extend(std::iter::repeat_n(trouble, times));
    }

    /// Every event that was taken, in order.
    pub fn events(&self) -> Vec<Value> {
        self.shared.account.lock().unwrap().events.clone()
    }

    /// Every incident that was opened, in order.
    pub fn pages(&self) -> Vec<Page> {
        self.shared.account.lock().unwrap().pages.clone()
    }

    /// Those that still ring.
    pub fn open(&self) -> Vec<Page> {
        self.pages().into_iter().filter(|page| page.open).collect()
    }
}

async fn enqueue(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    let trouble = shared.account.lock().unwrap().troubles.pop_front();
    match trouble {
        Some(Trouble::RateLimited(after)) => {
            let body = Json(json!({ "status": "throttle exceeded", "message": "Event rate is too high" }));
            match after {
                Some(after) => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", after.to_string())], body)
                    .into_response(),
                None => (StatusCode::TOO_MANY_REQUESTS, body).into_response(),
            }
        }
        Some(Trouble::Broken(status)) => {
            (StatusCode::from_u16(status).unwrap(), "<html>Bad Gateway</html>").into_response()
        }
        Some(Trouble::Impostor) => (StatusCode::ACCEPTED, "OK").into_response(),
        Some(Trouble::Dropped) => {
            shared.take(&headers, &body);
            // Unwinds the connection's own task, which closes it; quietly, as no panic hook runs.
            std::panic::resume_unwind(Box::new("hang up"))
        }
        Some(Trouble::Slow(length)) => {
            let answer = shared.take(&headers, &body);
            tokio::time::sleep(length).await;
            answer
        }
        None => shared.take(&headers, &body),
    }
}

impl Shared {
    /// Judges an event and, when it is valid, does what it says.
    fn take(&self, headers: &HeaderMap, body: &Bytes) -> Response {
        let json =
            headers.get("content-type").is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
        let event: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let mut errors = if json { vec![] } else { vec!["Content-Type is not application/json".to_owned()] };
        if body.len() > 512 * 1024 {
            errors.push("the event is larger than 512 KB".to_owned());
        }
        errors.extend(faults(&event));
        let mut account = self.account.lock().unwrap();
        if errors.is_empty() && !account.keys.iter().any(|key| event["routing_key"] == **key) {
            errors.push("Invalid routing key".to_owned());
        }
        if !errors.is_empty() {
            let answer =
                json!({ "status": "invalid event", "message": "Event object is invalid", "errors": errors });
            return (StatusCode::BAD_REQUEST, Json(answer)).into_response();
        }
        // An event without a key gets one of its own, which only the answer tells.
        let own = format!("generated-{}", account.events.len());
        let key = event["dedup_key"].as_str().unwrap_or(&own).to_owned();
        self.apply(&mut account, &key, &event);
        account.events.push(event);
        drop(account);
        self.changed.notify_waiters();
        let answer = json!({ "status": "success", "message": "Event processed", "dedup_key": key });
        (StatusCode::ACCEPTED, Json(answer)).into_response()
    }

    fn apply(&self, account: &mut Account, key: &str, event: &Value) {
        let sender = &event["routing_key"];
        let open = account.pages.iter().position(|page| {
            // Events of another integration never touch this one's incidents.
            page.open && page.key == key && page.event["routing_key"] == *sender
        });
        let incident = |account: &Account, at: usize| account.pages[at].incident.clone();
        match (event["event_action"].as_str().unwrap(), open) {
            // A line in the alert's log: nobody is called.
            ("trigger", Some(at)) => account.pages[at].triggers += 1,
            ("trigger", None) => {
                let incident = self.triggered(account, event);
                let summary = event["payload"]["summary"].as_str().unwrap().to_owned();
                let (key, event) = (key.to_owned(), event.clone());
                account.pages.push(Page { key, summary, open: true, triggers: 1, event, incident });
            }
            ("acknowledge", Some(at)) => {
                let incident = incident(account, at);
                self.acknowledged(account, &incident, None);
            }
            ("resolve", Some(at)) => {
                account.pages[at].open = false;
                let incident = incident(account, at);
                self.alert_resolved(account, &incident);
            }
            // Dropped: nothing is open under this key.
            _ => {}
        }
    }
}

/// What is wrong with an event, in the real one's manner of speaking.
fn faults(event: &Value) -> Vec<String> {
    let mut errors = vec![];
    let Some(members) = event.as_object() else {
        return vec!["the body is no JSON object".to_owned()];
    };
    match members.get("routing_key").and_then(Value::as_str) {
        None => errors.push("'routing_key' is missing or blank".to_owned()),
        Some(key) if key.len() != 32 => {
            errors.push("Length of 'routing_key' is incorrect (should be 32 characters)".to_owned());
        }
        Some(_) => {}
    }
    let action = members.get("event_action").and_then(Value::as_str).unwrap_or_default();
    if !["trigger", "acknowledge", "resolve"].contains(&action) {
        errors.push(
            "'event_action' is missing or invalid (should be trigger, acknowledge or resolve)".to_owned(),
        );
    }
    match members.get("dedup_key") {
        Some(Value::String(key)) if key.chars().count() <= 255 && !key.is_empty() => {}
        Some(_) => errors.push("'dedup_key' is too long (maximum is 255 characters) or no text".to_owned()),
        None if action == "trigger" => {}
        None => errors.push("'dedup_key' is missing or blank".to_owned()),
    }
    if action == "trigger" {
        errors.extend(payload_faults(&event["payload"]));
    }
    for link in event["links"].as_array().into_iter().flatten() {
        if link["href"].as_str().is_none_or(|href| !href.starts_with("http")) {
            errors.push("'links' has an element without 'href'".to_owned());
        }
    }
    errors
}

fn payload_faults(payload: &Value) -> Vec<String> {
    let mut errors = vec![];
    let text = |name: &str| payload[name].as_str().unwrap_or_default();
    for name in ["summary", "source", "severity"] {
        if text(name).trim().is_empty() {
            errors.push(format!("'payload.{name}' is missing or blank"));
        }
    }
    if text("summary").chars().count() > 1024 {
        errors.push("'summary' is too long (maximum is 1024 characters)".to_owned());
    }
    if !text("severity").is_empty() && !["critical", "error", "warning", "info"].contains(&text("severity")) {
        errors.push("'payload.severity' is invalid (must be one of the following: 'critical', 'warning', 'error' or 'info')".to_owned());
    }
    if !payload["custom_details"].is_null() && !payload["custom_details"].is_object() {
        errors.push("'payload.custom_details' is no object".to_owned());
    }
    errors
}
