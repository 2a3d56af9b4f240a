//! The interface over HTTPS: who may call, trouble, limits; then the call itself.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, Bytes},
    extract::{Request, State as Held},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response},
};
use serde_json::{Value, json};

use crate::standin::losses::Loss;

use super::{Discord, answers, methods, multipart, state::BOT_TOKEN, tls};

/// A method's answer, or its error: status, Discord's code, and what else there is to say.
pub type Answered = Result<Value, (u16, i64, String)>;

pub fn refuse<T>(status: u16, code: i64, message: impl Into<String>) -> Result<T, (u16, i64, String)> {
    Err((status, code, message.into()))
}

/// One call, as the methods get it.
pub struct Call {
    pub method: String,
    /// Behind `/api/v10`.
    pub path: Vec<String>,
    pub query: BTreeMap<String, String>,
    pub body: Value,
    pub file: Option<Vec<u8>>,
}

impl Call {
    /// `POST messages`: the last part that is no id.
    pub fn name(&self) -> String {
        let word = |part: &&String| !part.bytes().all(|byte| byte.is_ascii_digit());
        let last = self.path.iter().rev().find(word).cloned().unwrap_or_default();
        let token = matches!(self.path.first().map(String::as_str), Some("webhooks")) && last.len() > 20;
        format!("{} {}", self.method, if token { "followup" } else { &last })
    }
}

pub async fn serve(discord: Discord, listener: tls::Listener) {
    let router = Router::new().fallback(answer).with_state(discord);
    axum::serve(listener, router).await.unwrap();
}

async fn answer(Held(discord): Held<Discord>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 30_000_000).await.unwrap_or_default();
    let call = read(head.method.as_str(), head.uri.path(), head.uri.query(), &head.headers, &bytes);
    let name = call.name();
    let (loss, slow) = {
        let mut state = discord.state();
        *state.calls.entry(name.clone()).or_default() += 1;
        if state.trouble.down {
            return broken();
        }
        (state.trouble.losses.next(&name), state.trouble.slow)
    };
    match loss {
        Some(Loss::Request) => return broken(),
        Some(Loss::Error) => return StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        _ => {}
    }
    if let Some(limited) = limited(&discord, &call, &name) {
        return limited;
    }
    let token = head.headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let answered = match token == format!("Bot {BOT_TOKEN}") {
        true => done(&discord, &call),
        false => refuse(401, 0, "401: Unauthorized"),
    };
    let mut response = told(&discord, &call, answered);
    count(&discord, &call, &name, &mut response);
    discord.show();
    if !slow.is_zero() {
        tokio::time::sleep(slow).await;
    }
    if loss == Some(Loss::Answer) { broken() } else { response }
}

fn read(method: &str, path: &str, query: Option<&str>, headers: &HeaderMap, bytes: &Bytes) -> Call {
    let path = path.trim_start_matches("/api/v10").trim_matches('/').split('/').map(str::to_owned).collect();
    let query = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()).into_owned().collect();
    let media = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let (body, file) = match media.starts_with("multipart/") {
        true => {
            let (body, files) = multipart::read(media, bytes).unwrap_or_default();
            (body, files.into_iter().next())
        }
        false => (serde_json::from_slice(bytes).unwrap_or_default(), None),
    };
    Call { method: method.to_owned(), path, query, body, file }
}

fn done(discord: &Discord, call: &Call) -> Answered {
    if !call.body.is_null() {
        let path = call.path.join("/");
        discord.state().sent.push((format!("{} {path}", call.method), call.body.clone()));
    }
    match call.path.first().map(String::as_str) {
        Some("interactions" | "webhooks") => answers::answer(discord, call),
        _ => methods::answer(discord, call),
    }
}

fn told(discord: &Discord, call: &Call, answered: Answered) -> Response {
    let mut state = discord.state();
    match answered {
        Ok(Value::Null) => StatusCode::NO_CONTENT.into_response(),
        Ok(value) => axum::Json(value).into_response(),
        Err((status, code, message)) => {
            if matches!(status, 401 | 403) {
                state.invalid += 1;
            }
            // What somebody could not know before asking is no mistake.
            if status != 404 && ![40_060, 160_004, 50_083, 50_001, 50_013].contains(&code) {
                state.refused.push(format!("{} {}: {code} {message}", call.method, call.path.join("/")));
            }
            let body = json!({ "code": code, "message": message });
            (StatusCode::from_u16(status).unwrap(), axum::Json(body)).into_response()
        }
    }
}

/// The connection ends in the middle of the answer.
fn broken() -> Response {
    let cut = futures_util::stream::once(async { Err::<Bytes, _>(std::io::Error::other("cut")) });
    Response::new(Body::from_stream(cut))
}

/// Calls of a bucket, and in how many seconds.
const BUCKET: (usize, u64) = (5, 5);

/// The bucket's state stands in every answer, for some.
fn count(discord: &Discord, call: &Call, name: &str, response: &mut Response) {
    let state = discord.state();
    let Some(bucket) = state.buckets.get(&key(call, name)).filter(|_| !state.silent) else { return };
    let Some(first) = bucket.front() else { return };
    let left = Duration::from_secs(BUCKET.1).saturating_sub(first.elapsed());
    let headers = response.headers_mut();
    headers.insert("x-ratelimit-limit", BUCKET.0.to_string().parse().unwrap());
    headers.insert("x-ratelimit-remaining", (BUCKET.0 - bucket.len()).to_string().parse().unwrap());
    headers.insert("x-ratelimit-reset-after", format!("{:.3}", left.as_secs_f64()).parse().unwrap());
}

fn key(call: &Call, name: &str) -> String {
    format!("{name} {}", call.path.get(1).cloned().unwrap_or_default())
}

fn limited(discord: &Discord, call: &Call, name: &str) -> Option<Response> {
    let mut state = discord.state();
    let now = Instant::now();
    if let Some(until) = state.trouble.global.filter(|until| *until > now) {
        state.invalid += 1;
        return Some(too_many((until - now).as_secs_f64(), true));
    }
    if let Some((calls, seconds)) = state.trouble.limited.get_mut(name).filter(|(calls, _)| *calls > 0) {
        *calls -= 1;
        let seconds = *seconds;
        state.invalid += 1;
        return Some(too_many(seconds, false));
    }
    if !matches!(name, "POST messages" | "PATCH messages") {
        return None;
    }
    let window = Duration::from_secs(BUCKET.1);
    let bucket = state.buckets.entry(key(call, name)).or_default();
    while bucket.front().is_some_and(|at| now.duration_since(*at) >= window) {
        bucket.pop_front();
    }
    if bucket.len() >= BUCKET.0 {
        let left = window - now.duration_since(bucket[0]);
        state.limited += 1;
        state.invalid += 1;
        return Some(too_many(left.as_secs_f64(), false));
    }
    bucket.push_back(now);
    None
}

fn too_many(seconds: f64, global: bool) -> Response {
    let body = json!({ "message": "You are being rate limited.", "retry_after": seconds, "global": global });
    let mut response = (StatusCode::TOO_MANY_REQUESTS, axum::Json(body)).into_response();
    let headers = response.headers_mut();
    headers.insert("retry-after", format!("{seconds:.3}").parse().unwrap());
    if global {
        headers.insert("x-ratelimit-global", "true".parse().unwrap());
    } else {
        headers.insert("x-ratelimit-limit", "5".parse().unwrap());
        headers.insert("x-ratelimit-remaining", "0".parse().unwrap());
        headers.insert("x-ratelimit-reset-after", format!("{seconds:.3}").parse().unwrap());
    }
    response
}
