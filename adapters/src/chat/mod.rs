//! Talking with people, whatever the platform. Shaped by what Slack and Discord both really offer: messages with cards
//! that can be edited, threads under a message, buttons with an opaque id, forms opened by a click, private answers, and
//! groups whose membership must be asked.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lastgood_core::{
    Actor,
    card::{Card, Form},
};
use serde::{Deserialize, Serialize};

use crate::{Check, Fault};

pub mod terminal;

/// A message that was sent: opaque outside its adapter (Slack: channel and ts; Discord: channel and message id).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MessageRef(pub String);

/// What the platform can do, where platforms differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Abilities {
    /// `find` really looks: after a lost answer a message can be found by its nonce.
    pub finds: bool,
    /// Messages can be replaced in place.
    pub edits: bool,
    /// At least this much time lies between two messages to one room.
    pub pace: Duration,
}

/// One message to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The room's name within the platform, as configured: `#incidents`, a channel id.
    pub room: String,
    /// The root message of the thread it goes into; none for a root.
    pub thread: Option<MessageRef>,
    /// Stored before the first try; sent along, so that the platform or `find` can tell a repetition.
    pub nonce: String,
    pub card: Card,
    /// Also show it in the room itself (outcomes).
    pub broadcast: bool,
}

/// Chat port. Every call is bounded by the adapter's own time limit.
#[async_trait]
pub trait Chat: Send + Sync {
    fn abilities(&self) -> Abilities;

    /// Sends a message once. With the same nonce it may be repeated only after `find` found nothing.
    ///
    /// # Errors
    /// `Unknown` when the answer was lost; `NotFound` when the thread's root is gone; `RateLimited`; `Denied` and
    /// `Invalid` are permanent for this message.
    async fn post(&self, message: &Outgoing) -> Result<MessageRef, Fault>;

    /// Replaces a message's card. Safe to repeat.
    ///
    /// # Errors
    /// As `post`; `NotFound` when the message was deleted.
    async fn update(&self, at: &MessageRef, card: &Card) -> Result<(), Fault>;

    /// Looks for an own message by its nonce, after an unknown outcome.
    ///
    /// # Errors
    /// `Unavailable`, `RateLimited`; `Invalid` where the platform can't look.
    async fn find(&self, message: &Outgoing) -> Result<Option<MessageRef>, Fault>;

    /// Whether the actor is this user or belongs to this group now (`@sre-oncall`, a role, an id).
    ///
    /// # Errors
    /// `Unavailable` when the platform can't say; the caller then denies.
    async fn belongs(&self, actor: &Actor, group: &str) -> Result<bool, Fault>;

    /// Receives until the process ends, reconnecting as needed; hands everything to the inbox.
    async fn listen(&self, inbox: Arc<dyn Inbox>);

    async fn check(&self, rooms: &[String]) -> Vec<Check>;
}

/// Something a person did in chat.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Incoming {
    /// The platform's own id of this delivery: the same id twice is handled once and answered the same.
    pub delivery: String,
    pub actor: Actor,
    /// The room it happened in, as the platform names it.
    pub room: String,
    pub what: What,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// A button, by its action; `inputs` are a submitted form's values by input id.
    Press { action: String, inputs: std::collections::BTreeMap<String, String> },
    /// A command's text, without its leading slash: `rollback checkout v2.4.0 "checkout is down"`.
    Command { text: String },
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

/// Where chat adapters hand in what people do. Implemented by the product: what it takes is committed before it returns.
#[async_trait]
pub trait Inbox: Send + Sync {
    /// # Errors
    /// When it could not be committed: the adapter must not acknowledge it to the platform.
    async fn take(&self, incoming: Incoming) -> Result<Answer, NotTaken>;
}

/// What came in could not be stored; the text is for the person who acted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotTaken(pub String);
