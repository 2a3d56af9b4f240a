//! Addresses that Slack gives out: for answers to an interaction, and for uploads.

use std::time::{Duration, Instant};

use axum::{
    body::Bytes,
    extract::{Path, State as Held},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde_json::Value;

use super::{Slack, rules};

/// Five answers within half an hour (docs.slack.dev, Handling user interaction).
const USES: u32 = 5;
const LIVES: Duration = Duration::from_secs(30 * 60);

pub async fn answer(Held(slack): Held<Slack>, Path(trigger): Path<String>, body: Bytes) -> Response {
    let answered = take(&slack, &trigger, &body);
    slack.show();
    match answered {
        Ok(()) => "ok".into_response(),
        Err((status, why)) => {
            slack.state().refused.push(format!("answer: {why}"));
            (status, why).into_response()
        }
    }
}

fn take(slack: &Slack, trigger: &str, body: &Bytes) -> Result<(), (StatusCode, String)> {
    let mut state = slack.state();
    if state.trouble.down {
        return Err((StatusCode::SERVICE_UNAVAILABLE, "down".to_owned()));
    }
    let content: Value =
        serde_json::from_slice(body).map_err(|_| (StatusCode::BAD_REQUEST, "invalid_payload".to_owned()))?;
    if !content["blocks"].is_null() {
        rules::blocks(&content["blocks"], 50, false).map_err(|why| (StatusCode::BAD_REQUEST, why))?;
        state.sent.push(("message", content["blocks"].clone()));
    }
    let gone = || (StatusCode::NOT_FOUND, "expired_url".to_owned());
    let interaction = state.interactions.get_mut(trigger).ok_or_else(gone)?;
    if interaction.used >= USES || Instant::now() - interaction.at > LIVES {
        return Err(gone());
    }
    interaction.used += 1;
    if content["response_type"] != "ephemeral" || content["replace_original"] != false {
        return Err((StatusCode::BAD_REQUEST, "an answer that others would see".to_owned()));
    }
    interaction.private.push(content);
    Ok(())
}

pub async fn upload(Held(slack): Held<Slack>, Path(file): Path<String>, body: Bytes) -> String {
    let length = body.len();
    slack.state().files.insert(file, body.to_vec());
    format!("OK - {length}")
}
