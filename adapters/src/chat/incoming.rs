//! What comes in from a chat, as every platform gives it, and where it is handed in.

use std::collections::BTreeMap;

use async_trait::async_trait;
use lastgood_core::{
    Actor, At,
    card::{Card, Form},
};
use serde::{Deserialize, Serialize};

use super::{Asking, MessageRef, Suggestion};

/// Something a person (or, for `Posted`, a program) did in chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incoming {
    /// The platform's own id of this delivery: the same id twice is handled once and answered the same.
    pub delivery: String,
    pub actor: Actor,
    /// The room it happened in: as configured where it is a configured one, else as the platform names it; empty where it
    /// happened in none.
    pub room: String,
    /// The root of the thread it happened in; none in the room itself.
    pub thread: Option<MessageRef>,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A button, by its action; `inputs` are a submitted form's values by input id.
    Press { action: String, inputs: BTreeMap<String, String> },
    /// A command's text, without its leading slash: `rollback checkout v2.4.0 "checkout is down"`. Somebody who was
    /// mentioned is `@platform:id`.
    Command { text: String },
    /// A command that the platform has read already: values by argument.
    Chosen { group: String, command: String, values: BTreeMap<String, String> },
    /// A program posted a message in a room, or changed it.
    Posted(Posted),
    /// Somebody pointed at a message and asked for a rollback because of it.
    Pointed(Posted),
    /// Somebody looks at the bot's own page; answered with its card.
    Home,
}

/// Somebody else's message, without a platform's markup.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Posted {
    pub at: MessageRef,
    /// Of the sending program or person: `Alertmanager`.
    pub sender: String,
    pub sent_at: At,
    /// The message's own text, then its parts.
    pub text: String,
    pub parts: Vec<Part>,
}

/// A part of a message set off from the others (Slack: an attachment, or the message's blocks; Discord: an embed).
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub title: String,
    /// Where the title leads.
    pub url: Option<String>,
    /// Paragraphs, one a line.
    pub text: String,
    pub fields: Vec<(String, String)>,
    /// Text and address of buttons and links in it.
    pub links: Vec<(String, String)>,
    pub footer: String,
    /// As the platform gives it: `danger`, `#a30200`.
    pub colour: String,
}

/// What the person who acted gets back, at once and privately.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Nothing needs saying: the card shows it.
    Done,
    /// A private message to the one who acted.
    Private(Card),
    /// Ask for more; submitting it comes back as the same action with inputs.
    Ask { action: String, form: Form },
}

/// A delivery as it came, to be worked off after it was acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// The platform's id of it.
    pub delivery: String,
    /// Whatever the adapter needs to work it off, in another process too.
    pub body: String,
}

/// Where chat adapters hand in what people do. Implemented by the product: what it takes is committed before it returns.
///
/// A platform that repeats what is not acknowledged within seconds is served in two steps: `keep`, acknowledge, then
/// `take`, answer, `done`. What was kept and is not done within a short time is handed to [`super::Chat::resume`].
#[async_trait]
pub trait Inbox: Send + Sync {
    /// Commits a delivery as it came. False: it was kept before, and there is nothing to do but acknowledge it.
    ///
    /// # Errors
    /// When it could not be committed: the adapter must not acknowledge it to the platform.
    async fn keep(&self, kept: &Kept) -> Result<bool, NotTaken>;

    /// The same delivery may be taken again: it happens once, and is answered the same.
    ///
    /// # Errors
    /// When it could not be committed.
    async fn take(&self, incoming: Incoming) -> Result<Answer, NotTaken>;

    /// What fits what somebody has typed so far; the best first.
    async fn suggest(&self, asking: &Asking) -> Vec<Suggestion> {
        let _ = asking;
        Vec::new()
    }

    /// A kept delivery was taken and answered.
    async fn done(&self, delivery: &str);
}

/// What came in could not be stored; the text is for the person who acted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotTaken(pub String);
