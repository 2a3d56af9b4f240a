//! Any server of the user's as a shifter: the contract of `contract` over HTTP. Every request is signed as the Standard
//! Webhooks describe (<https://www.standardwebhooks.com>), so that its receivers have libraries in every language, and
//! carries an idempotency key that stays the same when a request is repeated.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use async_trait::async_trait;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac as _};
use lastgood_core::{Artifact, Strategy};
use serde::Deserialize;
use sha2::Sha256;

use super::{
    CALL_LIMIT, Move, Observation, Preflight, Progress, Said, Section, Shifter,
    contract::{Answer, Complaint, Operation, Service, checked, pools_for},
};
use crate::{
    BuildError, Check, Fault, Secret,
    client::{self, Address, ask, limit, quote},
    duration::Span,
    secret::Source,
};

const MOST: usize = 1 << 20;

/// ```toml
/// url = "https://deploy.example.com/lastgood"
/// pools = ["blue", "green"]
/// secret = { env = "SHIFTER_SECRET" }
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Requests go to this address with `/observe`, `/preflight`, `/apply` or `/progress` behind it.
    pub url: Address,
    #[serde(default)]
    pub pools: Vec<String>,
    /// Signs every request: `whsec_` and base64, as the Standard Webhooks write it, or any text.
    pub secret: Source,
    /// What one call may take; `traffic::CALL_LIMIT` unless given.
    pub timeout: Option<Span>,
}

pub struct Http {
    url: Address,
    service: Service,
    key: Vec<u8>,
    /// Not to be repeated when the other side repeats it.
    secret: Secret,
    http: reqwest::Client,
    limit: Duration,
    asked: AtomicU64,
}

impl Section for Config {
    fn pools(&self) -> Vec<&str> {
        self.pools.iter().map(String::as_str).collect()
    }

    fn misfit(&self, strategy: Strategy) -> Option<String> {
        pools_for(strategy, &self.pools)
    }

    fn build(&self, service: &str, http: &reqwest::Client) -> Result<Arc<dyn Shifter>, BuildError> {
        let secret = BuildError::read("secret", &self.secret)?;
        let key = match secret.reveal().strip_prefix("whsec_") {
            Some(coded) => BASE64_STANDARD
                .decode(coded)
                .map_err(|_| BuildError::invalid("secret", "after whsec_ it has to be base64"))?,
            None => secret.reveal().as_bytes().to_vec(),
        };
        if key.len() < 24 {
            return Err(BuildError::invalid("secret", "too short to sign with: 24 bytes or more"));
        }
        let service = Service { name: service.to_owned(), pools: self.pools.clone() };
        let limit = limit(self.timeout, CALL_LIMIT)?;
        let (url, http) = (self.url.clone(), http.clone());
        Ok(Arc::new(Http { url, service, key, secret, http, limit, asked: AtomicU64::new(0) }))
    }

    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        vec![("secret", &self.secret)]
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the receiver compares it with its own clock; nothing is decided by it here"
)]
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// `v1,` and the base64 of HMAC-SHA256 over `id.timestamp.body` (Standard Webhooks, "Verifying signatures").
fn signature(key: &[u8], id: &str, timestamp: u64, body: &[u8]) -> Option<String> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes())))
}

impl Http {
    /// A change keeps its key however often it is asked for; a question has one of its own.
    fn id(&self, operation: Operation, wanted: Option<&Move>, now: Duration) -> String {
        match (operation, wanted) {
            (Operation::Apply, Some(wanted)) if !wanted.key.is_empty() => wanted.key.clone(),
            _ => {
                let number = self.asked.fetch_add(1, Ordering::Relaxed);
                format!("{}-{}-{number}", operation.word(), now.as_micros())
            }
        }
    }

    async fn call(&self, operation: Operation, wanted: Option<&Move>, said: &Said) -> Result<Answer, Fault> {
        let who = format!("{} /{}", self.url, operation.word());
        let invalid = |why: String| Fault::Invalid(format!("{who}: {why}"));
        let body = serde_json::to_vec(&self.service.request(operation, wanted))
            .map_err(|error| invalid(format!("the request can't be written: {error}")))?;
        let now = now();
        let (id, timestamp) = (self.id(operation, wanted, now), now.as_secs());
        let signed = signature(&self.key, &id, timestamp, &body);
        let signed = signed.ok_or_else(|| invalid("it can't be signed".to_owned()))?;
        let request = self
            .http
            .post(self.url.join(operation.word()))
            .header("content-type", "application/json")
            .header("webhook-id", &id)
            .header("webhook-timestamp", timestamp.to_string())
            .header("webhook-signature", signed)
            .header("idempotency-key", &id)
            .body(body);
        let answer = ask(request, self.limit, MOST).await.map_err(|lost| match operation {
            Operation::Apply => lost.of_change(&who),
            _ => lost.of_question(&who),
        })?;
        self.understood(operation, &answer, who, said)
    }

    fn understood(
        &self,
        operation: Operation,
        answer: &client::Answer,
        who: String,
        said: &Said,
    ) -> Result<Answer, Fault> {
        if !answer.status.is_success() {
            // Its own words for it are better than what a status can say.
            if let Ok(complaint) = serde_json::from_slice::<Complaint>(&answer.body) {
                let hidden = quote(&complaint.detail, &[&self.secret]);
                return Err(Complaint { detail: hidden, ..complaint }.fault(&who));
            }
            let fault = match answer.status.as_u16() {
                404 | 410 => Fault::NotFound(format!("{who}: {}", answer.status)),
                409 | 412 => Fault::Conflict(format!("{who}: {}", quote(&answer.text(), &[&self.secret]))),
                _ => answer.fault(format!("{who}: {}", quote(&answer.text(), &[&self.secret]))),
            };
            return Err(match fault {
                // A server that fails in the middle of a change may have made it.
                Fault::Unavailable(text) => operation.lost(text),
                other => other,
            });
        }
        let value = match serde_json::from_slice::<serde_json::Value>(&answer.body) {
            Ok(value) => value,
            // A change that was accepted needs no words.
            Err(_) if operation == Operation::Apply => serde_json::Value::Null,
            Err(error) => {
                return Err(Fault::Invalid(format!("{who}: its answer makes no sense: {error}")));
            }
        };
        if let Some(progress) = value.get("progress").and_then(serde_json::Value::as_str) {
            said.send_replace(progress.to_owned());
        }
        Ok(Answer { who, value })
    }

    async fn ask(&self, operation: Operation, wanted: Option<&Move>) -> Result<Answer, Fault> {
        self.call(operation, wanted, &Said::default()).await
    }
}

#[async_trait]
impl Shifter for Http {
    async fn observe(&self) -> Result<Observation, Fault> {
        self.service.observation(&self.ask(Operation::Observe, None).await?)
    }

    async fn preflight(&self, wanted: &Move) -> Result<Preflight, Fault> {
        if let Some(reason) = self.service.senseless(wanted) {
            return Ok(Preflight::Refused { reasons: vec![reason] });
        }
        self.service.preflight(&self.ask(Operation::Preflight, Some(wanted)).await?)
    }

    async fn apply(&self, wanted: &Move, said: &Said) -> Result<(), Fault> {
        if let Some(reason) = self.service.senseless(wanted) {
            return Err(Fault::Invalid(reason));
        }
        self.call(Operation::Apply, Some(wanted), said).await.map(drop)
    }

    async fn progress(&self, wanted: &Move) -> Result<Progress, Fault> {
        if let Some(reason) = self.service.senseless(wanted) {
            return Err(Fault::Invalid(reason));
        }
        self.service.progress(&self.ask(Operation::Progress, Some(wanted)).await?)
    }

    fn pool_of(&self, artifact: &Artifact) -> Option<String> {
        self.service.pool_of(artifact)
    }

    async fn check(&self) -> Vec<Check> {
        vec![checked(format!("http {}", self.url), self.observe().await)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification (standard-webhooks, spec/standard-webhooks.md, "Signature scheme").
    #[test]
    fn a_request_is_signed_as_the_standard_webhooks_say() {
        let key = BASE64_STANDARD.decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signed = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body).unwrap();
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
