//! Messages and their history.

use serde_json::Value;

#[derive(Debug, Clone)]
pub struct Message {
    pub channel: String,
    pub ts: String,
    pub thread_ts: Option<String>,
    /// Who posted: a user's id, or a bot's.
    pub by: String,
    pub name: String,
    pub bot: bool,
    /// By the app under test.
    pub ours: bool,
    pub broadcast: bool,
    pub deleted: bool,
    pub metadata: Value,
    pub attachments: Value,
    /// Text and blocks as first posted, then as edited.
    pub revisions: Vec<Shown>,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    pub text: String,
    pub blocks: Value,
}

impl Message {
    pub fn now(&self) -> &Shown {
        self.revisions.last().expect("a message is posted with something")
    }

    /// Root of the thread that it is in, or would open.
    pub fn root(&self) -> &str {
        self.thread_ts.as_deref().unwrap_or(&self.ts)
    }

    /// As the Web API and events give it.
    pub fn json(&self, with_metadata: bool) -> Value {
        let now = self.now();
        let mut json = serde_json::json!({
            "type": "message", "ts": self.ts, "text": now.text, "blocks": now.blocks,
        });
        if self.bot {
            json["bot_id"] = self.by.clone().into();
            json["bot_profile"] = serde_json::json!({ "id": self.by, "name": self.name });
            if self.ours {
                json["app_id"] = super::state::APP.into();
                json["user"] = super::state::BOT_USER.into();
            } else {
                json["username"] = self.name.clone().into();
            }
        } else {
            json["user"] = self.by.clone().into();
        }
        if let Some(thread) = &self.thread_ts {
            json["thread_ts"] = thread.clone().into();
        }
        if !self.attachments.is_null() {
            json["attachments"] = self.attachments.clone();
        }
        if with_metadata && !self.metadata.is_null() {
            json["metadata"] = self.metadata.clone();
        }
        json
    }
}

impl Shown {
    /// All buttons, as (label, action id, value).
    pub fn buttons(&self) -> Vec<(String, String, String)> {
        let blocks = self.blocks.as_array().map_or(&[][..], Vec::as_slice);
        let elements = blocks.iter().filter(|block| block["type"] == "actions");
        let elements = elements.flat_map(|block| block["elements"].as_array().into_iter().flatten());
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        elements
            .filter(|element| element["type"] == "button")
            .map(|button| (text(&button["text"]["text"]), text(&button["action_id"]), text(&button["value"])))
            .collect()
    }
}
