//! HTTP: Discord calls the bot's own server for every interaction. What is not signed by Discord, or older than five minutes,
//! is refused before anything of it is read (Receiving and Responding, Security and Authorization).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use serde_json::{Value, json};
use tokio::{sync::oneshot, time::timeout};

use super::{
    answer::First,
    payload::{Kind, Payload},
    work,
};
use crate::chat::{
    Inbox,
    discord::{Discord, now},
};

/// Whoever recorded a request has this long to send it again; it is done once all the same.
const WINDOW: u64 = 300;
/// Discord hangs up after three seconds.
const WITHIN: Duration = Duration::from_millis(2_800);

type Answer = Result<Value, (StatusCode, &'static str)>;

pub(in crate::chat::discord) async fn receive(
    discord: &Discord,
    door: &str,
    request: Request<Bytes>,
    inbox: Arc<dyn Inbox>,
) -> Response<Bytes> {
    let (status, body) = match answer(discord, door, &request, inbox).await {
        Ok(body) => (StatusCode::OK, Bytes::from(body.to_string())),
        Err((status, why)) => {
            tracing::warn!(door, %status, why, "a request in Discord's name was not taken");
            (status, Bytes::from_static(why.as_bytes()))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if status == StatusCode::OK {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    response
}

async fn answer(discord: &Discord, door: &str, request: &Request<Bytes>, inbox: Arc<dyn Inbox>) -> Answer {
    if door != "interactions" {
        return Err((StatusCode::NOT_FOUND, "Discord calls interactions"));
    }
    verify(discord, request)?;
    let body: Value =
        serde_json::from_slice(request.body()).map_err(|_| (StatusCode::BAD_REQUEST, "not JSON"))?;
    let payload = Payload::Interaction(body);
    match payload.kind() {
        Kind::Ping => return Ok(json!({ "type": 1 })),
        Kind::Unknown => return Err((StatusCode::BAD_REQUEST, "an interaction of no known type")),
        _ => {}
    }
    let (first, answered) = oneshot::channel();
    tokio::spawn(work::off(discord.clone(), inbox, payload, First::Response(first)));
    match timeout(WITHIN, answered).await {
        Ok(Ok(body)) => Ok(body),
        _ => Err((StatusCode::SERVICE_UNAVAILABLE, "it could not be stored; do it again")),
    }
}

fn verify(discord: &Discord, request: &Request<Bytes>) -> Result<(), (StatusCode, &'static str)> {
    let by_gateway = "Discord comes by the gateway here: set chats.discord.mode = \"http\"";
    let verifier = discord.0.settings.verifier.as_ref().ok_or((StatusCode::NOT_FOUND, by_gateway))?;
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let at = header("x-signature-timestamp");
    let fresh = at.parse::<i64>().is_ok_and(|at| at.abs_diff(now() / 1_000) <= WINDOW);
    let signed = verifier.verify(header("x-signature-ed25519"), at, request.body()).is_ok();
    match signed && fresh {
        true => Ok(()),
        false => Err((
            StatusCode::UNAUTHORIZED,
            "not signed with this application's key within the last five minutes",
        )),
    }
}
