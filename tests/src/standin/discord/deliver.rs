//! Interactions on their way to the application: over the gateway, or signed to an address of its own.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use ed25519_dalek::{Signer as _, SigningKey};
use serde_json::{Value, json};

use super::{
    Discord, WITHIN, rules,
    state::{APP, GUILD, Interaction},
};

/// What is wrong with a request in Discord's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forged {
    Unsigned,
    WrongKey,
    /// Signed five minutes and a second ago.
    Old,
    /// Changed after it was signed.
    Tampered,
}

/// Since 1970.
#[expect(clippy::disallowed_methods, reason = "Discord has a clock of its own")]
fn seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

impl Discord {
    /// Interactions come to the bot's own server from now on: `base` is `http://…/chat/discord`.
    pub fn by_http(&self, base: &str) {
        self.state().route = Some(base.to_owned());
    }

    /// Sends an interaction; its token. What is common to all of them is filled in.
    pub(super) async fn interact(&self, user: &str, channel: &str, mut payload: Value) -> String {
        let (token, id) = {
            let mut state = self.state();
            let id = state.id();
            let token = format!("aW50ZXJhY3Rpb246{id}");
            let one = Interaction {
                id: id.clone(),
                user: user.to_owned(),
                at: Instant::now(),
                first: None,
                original: None,
                private: Vec::new(),
                expired: false,
            };
            state.interactions.insert(token.clone(), one);
            let channel = state.channel(channel).expect("a channel that is there");
            payload["channel"] = json!({ "id": channel.id, "type": channel.kind, "parent_id": channel.parent,
                "name": channel.name, "guild_id": GUILD });
            payload["channel_id"] = channel.id.clone().into();
            payload["member"] = state.users[user].json();
            (token, id)
        };
        for (key, value) in
            [("id", id.as_str()), ("application_id", APP), ("token", &token), ("guild_id", GUILD)]
        {
            payload[key] = value.into();
        }
        for (key, value) in [("version", json!(1)), ("locale", json!("en-GB")), ("entitlements", json!([]))] {
            payload[key] = value;
        }
        let route = self.state().route.clone();
        match route {
            Some(base) => self.call(&base, &token, &payload).await,
            None if self.is_connected() => self.tell("INTERACTION_CREATE", &payload),
            None => {}
        }
        token
    }

    /// The application's answer is the first answer.
    async fn call(&self, base: &str, token: &str, payload: &Value) {
        let Some((200, body)) = self.signed(base, payload, None).await else { return };
        let late = self.state().trouble.knows_late;
        tokio::time::sleep(late).await;
        let judged = rules::callback(&body);
        let mut state = self.state();
        match judged {
            Ok(()) => state.interactions.get_mut(token).unwrap().first = Some(body),
            Err(why) => state.refused.push(format!("answer: {why}")),
        }
        drop(state);
        self.show();
    }

    async fn signed(&self, base: &str, payload: &Value, forged: Option<Forged>) -> Option<(u16, Value)> {
        let body = payload.to_string();
        let at = if forged == Some(Forged::Old) { seconds() - 301 } else { seconds() };
        let other = SigningKey::from_bytes(&[7; 32]);
        let key = if forged == Some(Forged::WrongKey) { &other } else { &self.0.key };
        let signature = key.sign(format!("{at}{body}").as_bytes()).to_bytes();
        let hex: String = signature.iter().map(|byte| format!("{byte:02x}")).collect();
        let body = if forged == Some(Forged::Tampered) { body + " " } else { body };
        let mut request = self.0.http.post(format!("{base}/interactions")).timeout(WITHIN).body(body);
        request = request.header("content-type", "application/json");
        request = request.header("x-signature-timestamp", at.to_string());
        if forged != Some(Forged::Unsigned) {
            request = request.header("x-signature-ed25519", hex);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.json().await.unwrap_or_default()))
    }

    /// A request that Discord did not send; the status that its sender gets.
    pub async fn forge(&self, base: &str, forged: Forged) -> u16 {
        self.signed(base, &json!({ "type": 1 }), Some(forged)).await.map_or(0, |(status, _)| status)
    }

    /// What Discord asks of an address before it sends anything there: an answer to a ping, and none to a forgery.
    pub async fn verify_address(&self, base: &str) {
        assert_eq!(self.forge(base, Forged::WrongKey).await, 401);
        let answered = self.signed(base, &json!({ "type": 1, "id": "1", "token": "x" }), None).await;
        assert_eq!(answered, Some((200, json!({ "type": 1 }))));
        self.endpoint(Some(&format!("{base}/interactions")));
    }
}
