//! Slack's errors, told apart by what a caller does about them (docs.slack.dev, the errors of each method). No text of this
//! module holds a token, or an address that Slack gave out.

use hyper_util::client::legacy;
use serde_json::Value;
use slack_morphism::errors::{SlackClientApiError, SlackClientError};

use super::api::Effect;
use crate::Fault;

/// What one call's error means.
pub(super) fn of(method: &str, effect: Effect, error: &SlackClientError) -> Fault {
    match error {
        SlackClientError::ApiError(error) => api(method, effect, error),
        SlackClientError::RateLimitError(error) => {
            Fault::RateLimited { after: error.retry_after, detail: format!("Slack takes no {method} now") }
        }
        SlackClientError::HttpError(error)
            if error.status_code.is_server_error() || error.status_code.as_u16() == 408 =>
        {
            silent(method, effect, &format!("Slack answered {}", error.status_code))
        }
        SlackClientError::HttpError(error) if matches!(error.status_code.as_u16(), 401 | 403 | 407) => {
            Fault::Denied(format!("{method}: answered {}; is there a proxy in between?", error.status_code))
        }
        SlackClientError::HttpError(error) => {
            Fault::Invalid(format!("{method}: Slack answered {}", error.status_code))
        }
        SlackClientError::HttpProtocolError(error) => {
            let cause = error.cause.as_deref();
            let client = cause.and_then(|cause| cause.downcast_ref::<legacy::Error>());
            match client {
                Some(client) if client.is_connect() => {
                    Fault::Unavailable(format!("{method}: Slack can't be reached ({})", deepest(client)))
                }
                Some(client) => silent(method, effect, &deepest(client)),
                None => silent(method, effect, &cause.map_or_else(String::new, ToString::to_string)),
            }
        }
        SlackClientError::ProtocolError(error) => {
            silent(method, effect, &format!("the answer can't be read: {}", error.json_error))
        }
        SlackClientError::EndOfStream(_)
        | SlackClientError::SystemError(_)
        | SlackClientError::SocketModeProtocolError(_) => silent(method, effect, "the answer broke off"),
    }
}

/// No answer: what was to change may have changed.
pub(super) fn silent(method: &str, effect: Effect, why: &str) -> Fault {
    match effect {
        Effect::Reads => Fault::Unavailable(format!("{method}: {why}")),
        Effect::Writes => Fault::Unknown(format!("{method}: {why}")),
    }
}

fn deepest(error: &dyn std::error::Error) -> String {
    let mut deepest = error;
    while let Some(cause) = deepest.source() {
        deepest = cause;
    }
    deepest.to_string()
}

fn api(method: &str, effect: Effect, error: &SlackClientApiError) -> Fault {
    let body = error.http_response_body.as_deref().and_then(|body| serde_json::from_str::<Value>(body).ok());
    let said = |at: &str| body.as_ref().and_then(|body| body.pointer(at)).and_then(Value::as_str);
    let code = error.code.as_str();
    let text = |advice: &str| format!("{method}: {code}; {advice}");
    match code {
        "ratelimited" | "rate_limited" | "message_limit_exceeded" => {
            Fault::RateLimited { after: None, detail: format!("Slack takes no {method} now") }
        }
        "missing_scope" => Fault::Denied(text(&format!(
            "the app lacks the scope {}: add it under \"OAuth & Permissions\" and reinstall the app",
            said("/needed").unwrap_or("that it needs")
        ))),
        "not_authed" | "invalid_auth" | "token_revoked" | "token_expired" | "account_inactive" => {
            Fault::Denied(text(
                "the token is not valid (any more): copy the current one from \"Install App\"",
            ))
        }
        "not_allowed_token_type" => Fault::Denied(text(
            "this method wants another type of token: xoxb-… is for the bot, xapp-… for sockets",
        )),
        "not_in_channel" => {
            Fault::Denied(text("the bot is not in the channel: type `/invite @lastgood` there"))
        }
        "channel_not_found" => Fault::Denied(text(
            "no such channel, or a private one that the bot is not in: `/invite @lastgood`",
        )),
        "is_archived" => {
            Fault::Denied(text("the channel is archived: unarchive it, or configure another room"))
        }
        "restricted_action"
        | "restricted_action_read_only_channel"
        | "restricted_action_thread_locked"
        | "no_permission"
        | "access_denied"
        | "ekm_access_denied"
        | "team_access_not_granted"
        | "org_login_required" => Fault::Denied(text("the workspace's administrators don't allow it")),
        // Not gone: posting the card anew would leave the old one, with its buttons.
        "cant_update_message" | "edit_window_closed" => Fault::Denied(text(
            "the workspace does not let messages be edited (for long): cards can't be brought up to date",
        )),
        "message_not_found"
        | "cannot_reply_to_message"
        | "thread_not_found"
        | "user_not_found"
        | "users_not_found"
        | "no_such_subteam"
        | "subteam_not_found" => Fault::NotFound(format!("{method}: {code}")),
        "internal_error"
        | "update_failed"
        | "fatal_error"
        | "service_unavailable"
        | "request_timeout"
        | "team_added_to_org"
        | "external_channel_migrating" => silent(method, effect, code),
        _ => Fault::Invalid(format!("{method}: {code}{}", details(body.as_ref()))),
    }
}

/// What Slack says is wrong with blocks or arguments.
fn details(body: Option<&Value>) -> String {
    let lists = ["/response_metadata/messages", "/errors"];
    let messages = lists.iter().filter_map(|at| body?.pointer(at)?.as_array()).flatten();
    let texts: Vec<_> = messages.filter_map(Value::as_str).take(5).collect();
    if texts.is_empty() { String::new() } else { format!(" ({})", texts.join("; ")) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fault(body: &Value) -> Fault {
        let code = body["error"].as_str().unwrap().to_owned();
        let error = SlackClientApiError::new(code).with_http_response_body(body.to_string());
        of("chat.postMessage", Effect::Writes, &SlackClientError::ApiError(error))
    }

    #[test]
    fn errors_are_told_apart_by_what_to_do() {
        let scope = fault(&json!({ "ok": false, "error": "missing_scope", "needed": "usergroups:read" }));
        assert!(matches!(&scope, Fault::Denied(text) if text.contains("usergroups:read")), "{scope}");
        for (code, passes) in [("internal_error", true), ("ratelimited", true), ("invalid_blocks", false)] {
            assert_eq!(fault(&json!({ "error": code })).passes(), passes, "{code}");
        }
        let blocks = fault(&json!({ "error": "invalid_blocks",
            "response_metadata": { "messages": ["[ERROR] too long [json-pointer:/blocks/0/text]"] } }));
        assert_eq!(
            blocks,
            Fault::Invalid(
                "chat.postMessage: invalid_blocks ([ERROR] too long [json-pointer:/blocks/0/text])".into()
            )
        );
        // A room that is gone must not look like a thread's deleted root, which would be posted anew for ever.
        assert!(matches!(fault(&json!({ "error": "channel_not_found" })), Fault::Denied(_)));
        assert!(matches!(fault(&json!({ "error": "thread_not_found" })), Fault::NotFound(_)));
    }

    #[test]
    fn without_an_answer_a_write_is_unknown_and_a_read_is_not() {
        assert!(matches!(silent("m", Effect::Writes, "x"), Fault::Unknown(_)));
        assert!(matches!(silent("m", Effect::Reads, "x"), Fault::Unavailable(_)));
    }
}
