//! What Discord delivers, in one shape for both ways in. Read with types of our own, leniently: serenity's models drop a whole
//! event for one field that is missing.

use lastgood_core::Actor;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::chat::{
    Kept,
    discord::{commands::POINTED, draw, people},
    json::{is, list, some, text},
};

/// Types of interactions (Receiving and Responding, Interaction Type).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Ping,
    Command,
    Component,
    Autocomplete,
    Modal,
    Unknown,
}

/// An interaction, or a message with what the gateway says about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Payload {
    Interaction(Value),
    Message(Value),
}

impl Payload {
    pub fn body(&self) -> &Value {
        match self {
            Self::Interaction(body) | Self::Message(body) => body,
        }
    }

    pub fn is_message(&self) -> bool {
        matches!(self, Self::Message(_))
    }

    pub fn text(&self, pointer: &str) -> &str {
        text(self.body(), pointer)
    }

    pub fn kind(&self) -> Kind {
        match self.body().get("type").and_then(Value::as_u64) {
            Some(1) => Kind::Ping,
            Some(2) => Kind::Command,
            Some(3) => Kind::Component,
            Some(4) => Kind::Autocomplete,
            Some(5) => Kind::Modal,
            _ => Kind::Unknown,
        }
    }

    /// What names this delivery, whichever way and however often it comes. An edited message is another one.
    pub fn delivery(&self) -> String {
        let id = self.text("/id");
        match self {
            Self::Interaction(_) => id.to_owned(),
            Self::Message(body) => match some(body, "/edited_timestamp") {
                Some(edited) => format!("message/{id}/{edited}"),
                None => format!("message/{id}"),
            },
        }
    }

    /// As it is kept until it is worked off.
    pub fn kept(&self) -> Kept {
        Kept { delivery: self.delivery(), body: serde_json::json!(self).to_string() }
    }

    pub fn actor(&self) -> Actor {
        let (id, name) = match self {
            Self::Interaction(body) => {
                let member = body.get("member").filter(|member| member.is_object()).unwrap_or(body);
                (text(member, "/user/id").to_owned(), people::name(member))
            }
            Self::Message(body) => {
                let names = ["/member/nick", "/author/global_name", "/author/username"];
                let name = names.iter().find_map(|at| some(body, at));
                let id = some(body, "/author/id").unwrap_or_default();
                (id.clone(), name.unwrap_or(id))
            }
        };
        Actor::new(format!("discord:{id}"), name)
    }

    /// Whether Discord would show a form in answer: then it wants it at once.
    pub fn may_open_a_form(&self) -> bool {
        match self.kind() {
            Kind::Component => draw::pressed(self.text("/data/custom_id")).1,
            Kind::Command => self.text("/data/name") == POINTED,
            _ => false,
        }
    }

    /// Pressed, or a form that was opened by pressing: the message that it was on can stay as it is.
    pub fn is_on_a_message(&self) -> bool {
        self.kind() == Kind::Component
            || (self.kind() == Kind::Modal && self.body().get("message").is_some_and(Value::is_object))
    }

    /// The message that was pointed at.
    pub fn target(&self) -> Option<&str> {
        Some(self.text("/data/target_id")).filter(|target| !target.is_empty())
    }

    /// Another program's message, or something said to the bot. Most messages in a busy room are people talking, and none of
    /// the bot's business.
    pub fn matters(&self, me: &str, application: &str) -> bool {
        let Self::Message(body) = self else { return true };
        // Replies and plain messages; others are Discord's own remarks.
        let plain = matches!(body.get("type").and_then(Value::as_u64), Some(0 | 19) | None);
        let ours = text(body, "/author/id") == me || text(body, "/application_id") == application;
        let signed =
            list(body, "embeds").iter().any(|of| text(of, "/footer/text").starts_with(draw::SIGNATURE));
        plain && !ours && !signed && (self.is_program() || self.is_said_to(me))
    }

    pub fn is_program(&self) -> bool {
        is(self.body(), "/author/bot") || !self.text("/webhook_id").is_empty()
    }

    /// A person begins with the bot's mention.
    pub fn is_said_to(&self, me: &str) -> bool {
        let said = self.text("/content").trim_start();
        !self.is_program()
            && self.text("/edited_timestamp").is_empty()
            && [format!("<@{me}>"), format!("<@!{me}>")].iter().any(|own| said.starts_with(own.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_programs_and_what_is_said_to_the_bot_matter() {
        for (message, matters) in [
            (json!({ "type": 0, "content": "hi", "author": { "id": "5" } }), false),
            (json!({ "type": 0, "content": "<@7> status", "author": { "id": "5" } }), true),
            (json!({ "type": 19, "content": "<@!7> status", "author": { "id": "5" } }), true),
            (json!({ "type": 0, "content": "ask <@7>", "author": { "id": "5" } }), false),
            (
                json!({ "type": 0, "content": "<@7> x", "author": { "id": "5" }, "edited_timestamp": "t" }),
                false,
            ),
            (json!({ "type": 0, "author": { "id": "6", "bot": true } }), true),
            (json!({ "type": 0, "author": { "id": "6" }, "webhook_id": "6" }), true),
            (json!({ "type": 0, "author": { "id": "7", "bot": true } }), false),
            (json!({ "type": 0, "author": { "id": "6", "bot": true }, "application_id": "8" }), false),
            (
                json!({ "author": { "id": "6", "bot": true }, "embeds": [{ "footer": { "text": "lastgood · 1" } }] }),
                false,
            ),
            (json!({ "type": 7, "author": { "id": "6", "bot": true } }), false),
        ] {
            assert_eq!(Payload::Message(message.clone()).matters("7", "8"), matters, "{message}");
        }
    }

    #[test]
    fn a_delivery_keeps_its_name() {
        assert_eq!(Payload::Interaction(json!({ "id": "1" })).delivery(), "1");
        assert_eq!(Payload::Message(json!({ "id": "1", "edited_timestamp": null })).delivery(), "message/1");
        assert_eq!(Payload::Message(json!({ "id": "1", "edited_timestamp": "t" })).delivery(), "message/1/t");
    }
}
