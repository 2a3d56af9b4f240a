//! A server of the shifter contract (kind = "http"), before any other shifter: strict about what a receiver is told to be
//! strict about. Signatures are those of the Standard Webhooks, worked out here once more and not by the adapter's code.

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, Mac as _};
use lastgood_adapters::{
    Fault,
    traffic::{Move, Preflight, Progress, Said, Shifter},
};
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::{net::TcpListener, task::JoinHandle};

/// What it got, for tests to look at.
#[derive(Debug, Clone)]
pub struct Seen {
    pub operation: String,
    pub key: String,
}

struct Inner {
    behind: Arc<dyn Shifter>,
    seen: Mutex<Vec<Seen>>,
    /// Identifiers of questions: each is asked once.
    asked: Mutex<BTreeSet<String>>,
    /// Statuses to answer with instead, before anything is done.
    instead: Mutex<Vec<(u16, Value)>>,
}

pub struct Server {
    at: SocketAddr,
    inner: Arc<Inner>,
    serving: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Server {
    pub const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    pub async fn start(behind: Arc<dyn Shifter>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            behind,
            seen: Mutex::default(),
            asked: Mutex::default(),
            instead: Mutex::default(),
        });
        let app = Router::new().route("/shift/{operation}", post(serve)).with_state(inner.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { at, inner, serving }
    }

    pub fn url(&self) -> String {
        format!("http://{}/shift", self.at)
    }

    pub fn at(&self) -> SocketAddr {
        self.at
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.inner.seen.lock().unwrap().clone()
    }

    /// The next answer is this one, and nothing is done.
    pub fn answer_instead(&self, status: u16, body: Value) {
        self.inner.instead.lock().unwrap().push((status, body));
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    version: u32,
    operation: String,
    service: String,
    pools: Vec<String>,
    #[serde(rename = "move")]
    wanted: Option<Move>,
}

fn refuse(status: StatusCode, error: &str, detail: impl Into<String>) -> Response {
    (status, axum::Json(json!({"error": error, "detail": detail.into()}))).into_response()
}

#[expect(clippy::disallowed_methods, reason = "a server of somebody else has a clock of its own")]
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Who signed it, and when (Standard Webhooks, "Verifying signatures"; five minutes are usual).
fn signed(headers: &HeaderMap, body: &[u8]) -> Result<String, &'static str> {
    let header =
        |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).ok_or("a header is missing");
    let (id, timestamp) = (header("webhook-id")?, header("webhook-timestamp")?);
    let sent: u64 = timestamp.parse().map_err(|_| "the timestamp is no number")?;
    if now().abs_diff(sent) > 300 {
        return Err("too old");
    }
    let key = BASE64_STANDARD.decode(Server::SECRET.trim_start_matches("whsec_")).unwrap();
    let coded = header("webhook-signature")?.strip_prefix("v1,").ok_or("no signature of version 1")?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
    mac.update([id.as_bytes(), b".", timestamp.as_bytes(), b".", body].concat().as_slice());
    let given = BASE64_STANDARD.decode(coded).map_err(|_| "the signature is not base64")?;
    mac.verify_slice(&given).map_err(|_| "the signature does not fit")?;
    if header("idempotency-key")? != id {
        return Err("two keys");
    }
    Ok(id.to_owned())
}

async fn serve(
    State(inner): State<Arc<Inner>>,
    Path(operation): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let key = match signed(&headers, &body) {
        Ok(key) => key,
        Err(why) => return refuse(StatusCode::UNAUTHORIZED, "denied", why),
    };
    let request: Request = match serde_json::from_slice(&body) {
        Ok(request) => request,
        Err(error) => return refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", error.to_string()),
    };
    let sensible = request.version == 1
        && request.operation == operation
        && request.service == "checkout"
        && request.pools == ["blue", "green"]
        && request.wanted.is_some() == (operation != "observe");
    if !sensible {
        return refuse(StatusCode::UNPROCESSABLE_ENTITY, "invalid", "not as the contract says");
    }
    if operation != "apply" && !inner.asked.lock().unwrap().insert(key.clone()) {
        return refuse(StatusCode::CONFLICT, "invalid", "a question's key was used before");
    }
    inner.seen.lock().unwrap().push(Seen { operation: operation.clone(), key });
    let instead = inner.instead.lock().unwrap().pop();
    if let Some((status, body)) = instead {
        return (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response();
    }
    match done(&*inner.behind, &operation, request.wanted.unwrap_or_default()).await {
        Ok(answer) => axum::Json(answer).into_response(),
        Err(fault) => complaint(&fault),
    }
}

async fn done(behind: &dyn Shifter, operation: &str, wanted: Move) -> Result<Value, Fault> {
    Ok(match operation {
        "observe" => json!(behind.observe().await?),
        "preflight" => match behind.preflight(&wanted).await? {
            Preflight::Ready { warnings } => json!({"outcome": "ready", "warnings": warnings}),
            Preflight::AlreadyThere => json!({"outcome": "already_there"}),
            Preflight::Refused { reasons } => json!({"outcome": "refused", "reasons": reasons}),
            Preflight::Unreachable { instances } => json!({"outcome": "unreachable", "instances": instances}),
        },
        "apply" => {
            behind.apply(&wanted, &Said::default()).await?;
            json!({"progress": "taken"})
        }
        "progress" => match behind.progress(&wanted).await? {
            Progress::Settled(seen) => json!({"outcome": "settled", "seen": seen}),
            Progress::Moving { seen, detail } => json!({"outcome": "moving", "seen": seen, "detail": detail}),
            Progress::Stuck { seen, detail } => json!({"outcome": "stuck", "seen": seen, "detail": detail}),
            Progress::Failed { seen, detail } => json!({"outcome": "failed", "seen": seen, "detail": detail}),
        },
        other => return Err(Fault::Invalid(format!("there is no operation {other}"))),
    })
}

fn complaint(fault: &Fault) -> Response {
    let (status, error) = match fault {
        Fault::NotFound(_) => (404, "not_found"),
        Fault::Denied(_) => (403, "denied"),
        Fault::RateLimited { .. } => (429, "rate_limited"),
        Fault::Unavailable(_) => (503, "unavailable"),
        Fault::Unknown(_) => (502, "unknown"),
        Fault::Invalid(_) => (422, "invalid"),
        Fault::Conflict(_) => (409, "conflict"),
    };
    refuse(StatusCode::from_u16(status).unwrap(), error, fault.to_string())
}
