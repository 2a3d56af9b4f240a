//! HTTP: Slack calls the bot's own server, for events, interactivity and commands. Every request is signed; what is not
//! signed by Slack, or older than five minutes, is refused before anything of it is read.

use crate::chat::json::text;
use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Map, Value, json};
use slack_morphism::{SlackSigningSecret, signature_verifier::SlackEventSignatureVerifier};

use super::payload::{Kind, Payload};
use crate::chat::{Inbox, slack::Slack};

type Answer = Result<Bytes, (StatusCode, &'static str)>;

pub(in crate::chat::slack) async fn receive(
    slack: &Slack,
    door: &str,
    request: Request<Bytes>,
    inbox: Arc<dyn Inbox>,
) -> Response<Bytes> {
    let (status, body) = match answer(slack, door, &request, &inbox).await {
        Ok(body) => (StatusCode::OK, body),
        Err((status, why)) => {
            tracing::warn!(door, %status, why, "a request in Slack's name was not taken");
            (status, Bytes::from_static(why.as_bytes()))
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = status;
    if response.body().first() == Some(&b'{') {
        // Without it, Slack would take all of it for the challenge.
        let kind = http::HeaderValue::from_static("application/json");
        response.headers_mut().insert(http::header::CONTENT_TYPE, kind);
    }
    response
}

async fn answer(slack: &Slack, door: &str, request: &Request<Bytes>, inbox: &Arc<dyn Inbox>) -> Answer {
    let secret = slack
        .signing_secret()
        .ok_or((StatusCode::NOT_FOUND, "Slack comes by socket here: set chats.slack.mode = \"http\""))?;
    let body = std::str::from_utf8(request.body()).map_err(|_| (StatusCode::BAD_REQUEST, "not UTF-8"))?;
    let header = |name| request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    verify(
        secret,
        header(SlackEventSignatureVerifier::SLACK_SIGNED_HASH_HEADER),
        body,
        header(SlackEventSignatureVerifier::SLACK_SIGNED_TIMESTAMP),
    )?;
    let (kind, value) = match door {
        "events" => (Kind::EventsApi, parse(body)?),
        "interactivity" => {
            let form = form(body);
            let payload = form.get("payload").ok_or((StatusCode::BAD_REQUEST, "there is no payload"))?;
            (Kind::Interactive, parse(payload)?)
        }
        "commands" => {
            let fields: Map<_, _> =
                form(body).into_iter().map(|(name, value)| (name, Value::String(value))).collect();
            if fields.contains_key("ssl_check") {
                return Ok(Bytes::new());
            }
            (Kind::SlashCommands, Value::Object(fields))
        }
        _ => return Err((StatusCode::NOT_FOUND, "Slack calls events, interactivity and commands")),
    };
    if kind == Kind::EventsApi && text(&value, "/type") == "url_verification" {
        return Ok(Bytes::from(json!({ "challenge": text(&value, "/challenge") }).to_string()));
    }
    let taken = super::accept(slack, inbox, Payload::new(kind, value)).await;
    taken.map_err(|_| (StatusCode::SERVICE_UNAVAILABLE, "it could not be stored; send it again"))?;
    // Empty: a command gets no message, a form closes.
    Ok(Bytes::new())
}

fn verify(
    secret: &crate::Secret,
    signature: &str,
    body: &str,
    at: &str,
) -> Result<(), (StatusCode, &'static str)> {
    let verifier = SlackEventSignatureVerifier::new(&SlackSigningSecret::new(secret.reveal().to_owned()));
    verifier.verify(signature, body, at).map_err(|_| {
        (StatusCode::UNAUTHORIZED, "not signed with this app's signing secret within the last five minutes")
    })
}

fn parse(body: &str) -> Result<Value, (StatusCode, &'static str)> {
    serde_json::from_str(body).map_err(|_| (StatusCode::BAD_REQUEST, "not JSON"))
}

fn form(body: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}
