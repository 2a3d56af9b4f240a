//! Messages and their history.

use serde_json::{Value, json};

use super::state::{APP, GUILD};

#[derive(Debug, Clone)]
pub struct Message {
    pub id: String,
    pub channel: String,
    /// Who posted.
    pub by: String,
    pub name: String,
    pub bot: bool,
    /// By a webhook, rather than by a bot's account.
    pub webhook: bool,
    /// By the application under test.
    pub ours: bool,
    pub deleted: bool,
    pub nonce: Option<String>,
    /// What it answers.
    pub reference: Value,
    /// As first posted, then as edited.
    pub revisions: Vec<Shown>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    pub content: String,
    pub embeds: Value,
    pub components: Value,
}

impl Shown {
    pub fn of(body: &Value) -> Self {
        let list = |key: &str| body.get(key).filter(|value| value.is_array()).cloned().unwrap_or(json!([]));
        Self {
            content: body["content"].as_str().unwrap_or_default().to_owned(),
            embeds: list("embeds"),
            components: list("components"),
        }
    }

    /// All buttons, as (label, custom id).
    pub fn buttons(&self) -> Vec<(String, String)> {
        let rows = self.components.as_array().into_iter().flatten();
        let all = rows.flat_map(|row| row["components"].as_array().into_iter().flatten());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        all.filter(|one| one["type"] == 2).map(|one| (text(&one["label"]), text(&one["custom_id"]))).collect()
    }
}

impl Message {
    pub fn now(&self) -> &Shown {
        self.revisions.last().expect("a message is posted with something")
    }

    /// As the interface and events give it; not everybody sees what it says.
    pub fn json(&self, with_content: bool) -> Value {
        let now = self.now();
        let mut json = json!({
            "id": self.id, "channel_id": self.channel, "guild_id": GUILD, "timestamp": "2026-01-01T00:00:00+00:00",
            "type": if self.reference.is_object() { 19 } else { 0 },
            "author": { "id": self.by, "username": self.name, "discriminator": "0", "global_name": null, "avatar": null },
            "content": now.content, "embeds": now.embeds, "components": now.components, "attachments": [],
            "edited_timestamp": null, "mentions": [], "mention_roles": [], "mention_everyone": false, "pinned": false,
            "tts": false, "flags": 0,
        });
        if self.revisions.len() > 1 {
            json["edited_timestamp"] =
                format!("2026-01-01T00:00:{:02}+00:00", self.revisions.len() % 60).into();
        }
        if self.bot {
            json["author"]["bot"] = true.into();
        }
        if self.webhook {
            json["webhook_id"] = self.by.clone().into();
        }
        if self.ours {
            json["application_id"] = APP.into();
        }
        if !self.reference.is_null() {
            json["message_reference"] = self.reference.clone();
        }
        if !with_content {
            (json["content"], json["embeds"], json["components"]) = ("".into(), json!([]), json!([]));
        }
        json
    }
}
