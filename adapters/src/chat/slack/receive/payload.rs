//! What Slack delivers, in one shape for both ways in: a kind and its JSON. Read with types of our own, leniently: an
//! unknown or missing field must never cost an incident its click.

use lastgood_core::Actor;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::chat::{
    Kept,
    json::{some, text},
};

/// As Socket Mode's envelopes name them; over HTTP the address says which it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    EventsApi,
    Interactive,
    SlashCommands,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Payload {
    pub kind: Kind,
    pub body: Value,
}

impl Payload {
    pub fn new(kind: Kind, body: Value) -> Self {
        Self { kind, body }
    }

    pub fn text(&self, pointer: &str) -> &str {
        text(&self.body, pointer)
    }

    pub fn some(&self, pointer: &str) -> Option<String> {
        some(&self.body, pointer)
    }

    /// What names this delivery, whichever way and however often it comes.
    ///
    /// Events carry an id that stays the same over retries; commands and interactions a `trigger_id` of their own. A
    /// mention is named by its message and edit: whoever corrects a mistyped command says it anew.
    pub fn delivery(&self) -> String {
        if self.text("/event/type") == "app_mention" {
            let edited = self.some("/event/edited/ts").map(|ts| format!("/{ts}")).unwrap_or_default();
            return format!("mention/{}/{}{edited}", self.text("/event/channel"), self.text("/event/ts"));
        }
        let id = match self.kind {
            Kind::EventsApi => self.text("/event_id"),
            Kind::Interactive | Kind::SlashCommands => self.text("/trigger_id"),
        };
        if !id.is_empty() {
            return id.to_owned();
        }
        let digest = Sha256::digest(self.body.to_string());
        digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Whether there is anything to do. Most messages in a busy room are people talking, and none of the bot's business.
    pub fn matters(&self) -> bool {
        match self.kind {
            Kind::SlashCommands => true,
            Kind::Interactive => {
                matches!(self.text("/type"), "block_actions" | "view_submission" | "message_action")
            }
            Kind::EventsApi => match self.text("/event/type") {
                // The bot's page has other tabs too.
                "app_home_opened" => self.text("/event/tab") == "home",
                "app_mention" => self.some("/event/bot_id").is_none() && !self.text("/event/user").is_empty(),
                "message" => self.message().is_some_and(|message| !self.ours(message)),
                _ => false,
            },
        }
    }

    /// A program's message, new or edited.
    pub fn message(&self) -> Option<&Value> {
        let event = self.body.get("event")?;
        let message = match text(event, "/subtype") {
            // Old integrations post as `bot_message`; apps post without any subtype.
            "" | "bot_message" => event,
            // A thread's broadcast is in the thread already.
            "message_changed" => event.get("message")?,
            _ => return None,
        };
        some(message, "/bot_id").is_some().then_some(message)
    }

    /// Of this app, from whichever replica; or of another installation of lastgood.
    fn ours(&self, message: &Value) -> bool {
        let app = self.text("/api_app_id");
        let theirs = [text(message, "/app_id"), text(message, "/bot_profile/app_id")];
        (!app.is_empty() && theirs.contains(&app))
            || text(message, "/metadata/event_type").starts_with(super::super::METADATA_PREFIX)
    }

    pub fn channel(&self) -> &str {
        let at = match self.kind {
            Kind::EventsApi => "/event/channel",
            Kind::Interactive => "/channel/id",
            Kind::SlashCommands => "/channel_id",
        };
        match self.text(at) {
            "" => self.text("/container/channel_id"),
            channel => channel,
        }
    }

    /// The root of the thread that it happened in, as its time stamp.
    pub fn thread(&self) -> Option<String> {
        ["/event/thread_ts", "/event/message/thread_ts", "/container/thread_ts", "/message/thread_ts"]
            .into_iter()
            .find_map(|at| self.some(at))
    }

    pub fn actor(&self) -> Actor {
        let (id, names): (&str, &[&str]) = match self.kind {
            Kind::EventsApi => ("/event/user", &[]),
            Kind::Interactive => ("/user/id", &["/user/username", "/user/name"]),
            Kind::SlashCommands => ("/user_id", &["/user_name"]),
        };
        let id = self.text(id);
        let name = names.iter().map(|at| self.text(at)).find(|name| !name.is_empty()).unwrap_or(id);
        Actor::new(format!("slack:{id}"), name)
    }

    /// As it is kept until it is worked off.
    pub fn kept(&self) -> Kept {
        Kept { delivery: self.delivery(), body: serde_json::json!(self).to_string() }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(event: Value) -> Payload {
        Payload::new(Kind::EventsApi, json!({ "event_id": "Ev1", "api_app_id": "A1", "event": event }))
    }

    #[test]
    fn only_programs_messages_matter() {
        for (message, matters) in [
            (json!({ "type": "message", "text": "hi", "user": "U1" }), false),
            (json!({ "type": "message", "text": "x", "user": "U9", "bot_id": "B1" }), true),
            (json!({ "type": "message", "subtype": "bot_message", "bot_id": "B1" }), true),
            (json!({ "type": "message", "bot_id": "B2", "app_id": "A1" }), false),
            (json!({ "type": "message", "bot_id": "B2", "bot_profile": { "app_id": "A1" } }), false),
            (
                json!({ "type": "message", "bot_id": "B2", "metadata": { "event_type": "lastgood_message" } }),
                false,
            ),
            (json!({ "type": "message", "subtype": "message_changed", "message": { "bot_id": "B1" } }), true),
            (json!({ "type": "message", "subtype": "message_changed", "message": { "user": "U1" } }), false),
            (json!({ "type": "message", "subtype": "message_deleted" }), false),
            (json!({ "type": "message", "subtype": "channel_join", "bot_id": "B1" }), false),
            (json!({ "type": "app_mention", "user": "U1" }), true),
            (json!({ "type": "app_mention", "user": "U9", "bot_id": "B1" }), false),
            (json!({ "type": "app_home_opened", "tab": "home", "user": "U1" }), true),
            (json!({ "type": "app_home_opened", "tab": "messages", "user": "U1" }), false),
            (json!({ "type": "reaction_added" }), false),
            (Value::Null, false),
        ] {
            assert_eq!(event(message.clone()).matters(), matters, "{message}");
        }
    }

    #[test]
    fn a_delivery_keeps_its_name_over_retries() {
        assert_eq!(event(json!({ "type": "message" })).delivery(), "Ev1");
        let mention = json!({ "type": "app_mention", "channel": "C1", "ts": "1.2", "text": "a" });
        let edited = json!({ "type": "app_mention", "channel": "C1", "ts": "1.2", "text": "b" });
        assert_eq!(event(mention.clone()).delivery(), event(edited.clone()).delivery());
        let mut corrected = edited;
        corrected["edited"] = json!({ "user": "U1", "ts": "3.0" });
        assert_ne!(event(mention).delivery(), event(corrected).delivery());
        let command = Payload::new(Kind::SlashCommands, json!({ "trigger_id": "13.7" }));
        assert_eq!(command.delivery(), "13.7");
        let bare = |text: &str| Payload::new(Kind::SlashCommands, json!({ "text": text })).delivery();
        assert_eq!(bare("a"), bare("a"));
        assert_ne!(bare("a"), bare("b"));
    }

    #[test]
    fn an_organisation_wide_event_without_a_team_is_read() {
        let event = event(json!({ "type": "app_mention", "user": "U1", "team": null, "channel": "C1" }));
        assert!(event.matters());
        assert_eq!(event.actor(), Actor::new("slack:U1", "U1"));
        assert_eq!(event.channel(), "C1");
    }
}
