//! Deliveries to the app: over one of its sockets, or signed by HTTP. Events are tried up to four times in all; commands and
//! clicks once, and the person sees that the app did not answer.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{sync::oneshot, time::timeout};

use super::{
    Slack, WITHIN,
    state::{Delivered, Route, SIGNING_SECRET},
    trouble::Forged,
};

/// Tries of an event.
const TRIES: u32 = 4;

/// `v0=…` over version, time stamp and raw body (docs.slack.dev, Verifying requests from Slack).
pub fn sign(secret: &str, at: u64, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("any length is a key");
    mac.update(format!("v0:{at}:{body}").as_bytes());
    let hex: String = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("v0={hex}")
}

/// Since 1970.
#[expect(clippy::disallowed_methods, reason = "Slack has a clock of its own")]
pub fn micros() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros()).unwrap()
}

/// Since 1970.
pub fn seconds() -> u64 {
    micros() / 1_000_000
}

impl Slack {
    /// Whether the app acknowledged it in time.
    pub(super) async fn deliver(&self, kind: &'static str, payload: &Value) -> bool {
        let tries = if kind == "events_api" { TRIES } else { 1 };
        let began = Instant::now();
        for number in 1..=tries {
            let route = match &self.state().route {
                Route::Sockets => None,
                Route::Http(base) => Some(base.clone()),
            };
            let acknowledged = match route {
                None => self.by_socket(kind, payload, number).await,
                Some(base) => self.http(kind, payload, number, &base, None).await == 200,
            };
            if acknowledged {
                let delivered = Delivered { kind, acknowledged: Some(began.elapsed()), tries: number };
                self.state().delivered.push(delivered);
                self.show();
                return true;
            }
        }
        self.state().delivered.push(Delivered { kind, acknowledged: None, tries });
        self.show();
        false
    }

    async fn by_socket(&self, kind: &str, payload: &Value, number: u32) -> bool {
        // Without any socket Slack waits a while for one, for events.
        if kind == "events_api" {
            self.until_sockets(1).await;
        }
        let (acknowledge, acknowledged) = oneshot::channel();
        {
            let mut state = self.state();
            let envelope = format!("envelope{}", state.number());
            let named = if kind == "echo" { "events_api" } else { kind };
            let mut frame = json!({ "envelope_id": envelope, "type": named, "payload": payload,
                "accepts_response_payload": kind != "events_api" });
            if kind == "events_api" {
                frame["retry_attempt"] = (number - 1).into();
                frame["retry_reason"] = if number > 1 { "timeout" } else { "" }.into();
            }
            if state.sockets.is_empty() {
                return false;
            }
            let chosen = usize::try_from(state.number()).unwrap() % state.sockets.len();
            state.sockets[chosen].frames.send(frame.to_string()).ok();
            state.waiting.insert(envelope, acknowledge);
        }
        matches!(timeout(WITHIN, acknowledged).await, Ok(Ok(_)))
    }

    /// The status; 0 when nothing came in time.
    async fn http(
        &self,
        kind: &str,
        payload: &Value,
        number: u32,
        base: &str,
        forged: Option<Forged>,
    ) -> u16 {
        let (door, media_type, body) = match kind {
            "events_api" | "echo" => ("events", "application/json", payload.to_string()),
            "interactive" => {
                let form = url::form_urlencoded::Serializer::new(String::new())
                    .append_pair("payload", &payload.to_string())
                    .finish();
                ("interactivity", "application/x-www-form-urlencoded", form)
            }
            _ => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                for (name, value) in payload.as_object().expect("a command's fields") {
                    form.append_pair(name, value.as_str().unwrap_or_default());
                }
                ("commands", "application/x-www-form-urlencoded", form.finish())
            }
        };
        let at = if forged == Some(Forged::Old) { seconds() - 301 } else { seconds() };
        let secret = if forged == Some(Forged::WrongSecret) { "somebody else's" } else { SIGNING_SECRET };
        let signature = sign(secret, at, &body);
        let body = if forged == Some(Forged::Tampered) { body + " " } else { body };
        let mut request = self.0.http.post(format!("{base}/{door}")).timeout(WITHIN).body(body);
        request =
            request.header("content-type", media_type).header("x-slack-request-timestamp", at.to_string());
        if forged != Some(Forged::Unsigned) {
            request = request.header("x-slack-signature", signature);
        }
        if number > 1 {
            request = request.header("x-slack-retry-num", (number - 1).to_string());
            request = request.header("x-slack-retry-reason", "http_timeout");
        }
        request.send().await.map_or(0, |answer| answer.status().as_u16())
    }

    /// A command that Slack did not send; the status that its sender gets.
    pub async fn forge(&self, base: &str, forged: Option<Forged>, payload: &Value) -> u16 {
        self.http("slash_commands", payload, 1, base, forged).await
    }

    /// What Slack asks of an address before it sends anything there.
    pub async fn verify_address(&self, base: &str) -> Value {
        let challenge = base64::engine::general_purpose::STANDARD.encode(seconds().to_string());
        let body = json!({ "type": "url_verification", "token": "x", "challenge": challenge }).to_string();
        let at = seconds();
        let request = self.0.http.post(format!("{base}/events")).timeout(Duration::from_secs(3));
        let request = request.header("x-slack-request-timestamp", at.to_string());
        let request = request.header("x-slack-signature", sign(SIGNING_SECRET, at, &body)).body(body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.headers()["content-type"], "application/json");
        let answer: Value = answer.json().await.unwrap();
        assert_eq!(answer["challenge"], challenge.as_str());
        answer
    }
}
