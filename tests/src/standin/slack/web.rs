//! The Web API: who may call, trouble, limits; then the method itself.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Bytes,
    extract::{Path, Query, State as Held},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::{any, post},
};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::standin::losses::Loss;

use super::{
    Slack, answers, methods,
    state::{APP_TOKEN, BOT_TOKEN, State},
};

pub async fn serve(slack: Slack, listener: TcpListener) {
    let router = Router::new()
        .route("/api/{method}", any(call))
        .route("/answer/{trigger}", post(answers::answer))
        .route("/upload/{file}", post(answers::upload))
        .route("/services/{program}", post(hook))
        .with_state(slack);
    axum::serve(listener, router).await.unwrap();
}

/// What each method asks for (docs.slack.dev, the methods' pages). Some take any of several.
const SCOPES: &[(&str, &[&str])] = &[
    ("chat.postMessage", &["chat:write"]),
    ("chat.postEphemeral", &["chat:write"]),
    ("chat.update", &["chat:write"]),
    ("conversations.list", &["channels:read"]),
    ("conversations.info", &["channels:read"]),
    ("conversations.history", &["channels:history"]),
    ("conversations.replies", &["channels:history"]),
    ("users.info", &["users:read"]),
    ("usergroups.list", &["usergroups:read"]),
    ("usergroups.users.list", &["usergroups:read"]),
    ("files.getUploadURLExternal", &["files:write"]),
    ("files.completeUploadExternal", &["files:write"]),
];

pub type Asked = serde_json::Map<String, Value>;
/// A method's answer, less `ok`; or its error, with what else the answer then holds.
pub type Answered = Result<Value, (String, Value)>;

pub fn refuse(error: &str) -> (String, Value) {
    (error.to_owned(), json!({}))
}

async fn call(
    Held(slack): Held<Slack>,
    Path(method): Path<String>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let (loss, slow) = {
        let mut state = slack.state();
        if state.trouble.down {
            return dropped();
        }
        *state.calls.entry(method.clone()).or_default() += 1;
        let loss = state.trouble.losses.next(&method);
        (loss, state.trouble.slow)
    };
    match loss {
        Some(Loss::Request) => return dropped(),
        Some(Loss::Error) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        Some(Loss::Answer) | None => {}
    }
    let asked = match asked(&headers, query, &body) {
        Ok(asked) => asked,
        Err(error) => return told(&slack, &method, Err(refuse(error))),
    };
    let answer = {
        let mut state = slack.state();
        if let Some(seconds) = limited(&mut state, &method, &asked) {
            let answer = json!({ "ok": false, "error": "ratelimited" });
            let header = [("retry-after", seconds.to_string())];
            return (StatusCode::TOO_MANY_REQUESTS, header, axum::Json(answer)).into_response();
        }
        allowed(&state, &method, &headers).and_then(|()| methods::call(&slack, &mut state, &method, &asked))
    };
    slack.show();
    if let Ok(answer) = &answer {
        echo(&slack, &method, answer);
    }
    if !slow.is_zero() {
        tokio::time::sleep(slow).await; // the trouble that was asked for
    }
    if loss == Some(Loss::Answer) {
        return dropped();
    }
    told(&slack, &method, answer)
}

/// An app is in the channel, so it hears of its own messages and edits, too.
fn echo(slack: &Slack, method: &str, answer: &Value) {
    let edited = method == "chat.update";
    if !edited && method != "chat.postMessage" {
        return;
    }
    let (channel, ts) = (text(&answer["channel"]), text(&answer["ts"]));
    let Some(message) = slack.state().message(channel, ts).map(|message| message.json(true)) else { return };
    let event = match edited {
        true => {
            json!({ "type": "message", "subtype": "message_changed", "channel": channel, "message": message })
        }
        false => {
            let mut event = message;
            event["channel"] = channel.into();
            event
        }
    };
    let slack = slack.clone();
    tokio::spawn(async move { slack.heard_by_itself(&event).await });
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The connection ends in the middle of an answer.
fn dropped() -> Response {
    let broken = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut off")) });
    (StatusCode::OK, [("content-length", "100")], axum::body::Body::from_stream(broken)).into_response()
}

fn told(slack: &Slack, method: &str, answer: Answered) -> Response {
    let body = match answer {
        Ok(mut answer) => {
            answer["ok"] = true.into();
            answer
        }
        Err((error, mut more)) => {
            let malformed =
                ["invalid_", "msg_", "no_text", "metadata_", "view_", "not_json", "unknown_method"];
            if malformed.iter().any(|start| error.starts_with(start)) {
                slack.state().refused.push(format!("{method}: {error} {more}"));
            }
            more["ok"] = false.into();
            more["error"] = error.into();
            more
        }
    };
    let scopes = slack.state().scopes.iter().cloned().collect::<Vec<_>>().join(",");
    ([("x-oauth-scopes", scopes)], axum::Json(body)).into_response()
}

fn asked(headers: &HeaderMap, query: BTreeMap<String, String>, body: &Bytes) -> Result<Asked, &'static str> {
    let kind = headers.get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let mut asked: Asked = query.into_iter().map(|(name, value)| (name, Value::String(value))).collect();
    // Slack's own clients say JSON also of no body at all.
    if kind.starts_with("application/json") && !body.is_empty() {
        match serde_json::from_slice(body) {
            Ok(Value::Object(fields)) => asked.extend(fields),
            _ => return Err("invalid_json"),
        }
    } else if !body.is_empty() {
        let form = url::form_urlencoded::parse(body).into_owned();
        // In a form, structured arguments are JSON in a text.
        asked.extend(form.map(|(name, value)| {
            let parsed = matches!(name.as_str(), "blocks" | "metadata" | "view" | "files");
            let value = if parsed {
                serde_json::from_str(&value).unwrap_or(Value::Null)
            } else {
                Value::String(value)
            };
            (name, value)
        }));
    }
    Ok(asked)
}

fn allowed(state: &State, method: &str, headers: &HeaderMap) -> Result<(), (String, Value)> {
    let header = headers.get("authorization").and_then(|header| header.to_str().ok()).unwrap_or_default();
    let Some(token) = header.strip_prefix("Bearer ") else { return Err(refuse("not_authed")) };
    let wanted = if method == "apps.connections.open" { APP_TOKEN } else { BOT_TOKEN };
    match token {
        token if token == wanted => {}
        BOT_TOKEN | APP_TOKEN => return Err(refuse("not_allowed_token_type")),
        _ => return Err(refuse("invalid_auth")),
    }
    let needed = SCOPES.iter().find(|(of, _)| *of == method).map_or(&[][..], |(_, scopes)| scopes);
    match needed.iter().find(|scope| !state.scopes.contains(**scope)) {
        Some(missing) => {
            let provided = state.scopes.iter().cloned().collect::<Vec<_>>().join(",");
            Err(("missing_scope".to_owned(), json!({ "needed": missing, "provided": provided })))
        }
        None => Ok(()),
    }
}

/// Seconds to wait.
fn limited(state: &mut State, method: &str, asked: &Asked) -> Option<u64> {
    if let Some((calls, seconds)) = state.trouble.limited.get_mut(method)
        && *calls > 0
    {
        *calls -= 1;
        return Some(*seconds);
    }
    if !state.limits {
        return None;
    }
    let now = Instant::now();
    // Short bursts are let through: three posts, and 60 edits in a minute.
    let (window, most, seen) = match method {
        "chat.postMessage" => {
            let channel = asked.get("channel").and_then(Value::as_str).unwrap_or_default();
            (Duration::from_secs(3), 4, state.posts.entry(channel.to_owned()).or_default())
        }
        "chat.update" => (Duration::from_secs(60), 75, &mut state.edits),
        _ => return None,
    };
    while seen.front().is_some_and(|at| now - *at > window) {
        seen.pop_front();
    }
    if seen.len() < most {
        seen.push_back(now);
        return None;
    }
    state.limited += 1;
    Some(1)
}

/// An incoming webhook of another program's.
async fn hook(Held(slack): Held<Slack>, Path(program): Path<String>, body: Bytes) -> Response {
    let Ok(content) = serde_json::from_slice::<Value>(&body) else {
        return (StatusCode::BAD_REQUEST, "invalid_payload").into_response();
    };
    let channel = content["channel"].as_str().unwrap_or_default().to_owned();
    if slack.state().channel(&channel).is_none() {
        return (StatusCode::NOT_FOUND, "channel_not_found").into_response();
    }
    let named = content["username"].as_str().unwrap_or(&program).to_owned();
    // Whether the bot hears it is no concern of the program's.
    tokio::spawn(async move { slack.posts(&named, &channel, &content).await });
    "ok".into_response()
}
