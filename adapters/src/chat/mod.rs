//! Talking with people, whatever the platform. Shaped by what Slack and Discord both really offer: messages with cards
//! that can be edited, threads under a message, buttons with an opaque id, forms opened by a click, private answers, and
//! groups whose membership must be asked.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use lastgood_core::{Actor, card::Card};
use serde::{Deserialize, Serialize};

use crate::{Check, Fault};

pub mod discord;
mod incoming;
mod json;
mod legible;
mod offered;
mod remembered;
pub mod slack;
pub mod terminal;

pub use incoming::{Answer, Inbox, Incoming, Kept, NotTaken, Part, Posted, What};
pub use offered::{Argument, Asking, Offered, Suggestion, Typed};

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
    /// At least this much time lies between two new messages to one room. Edits are limited by the adapter, which answers
    /// `RateLimited`.
    pub pace: Duration,
}

/// One message to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The room's name within the platform, as configured: `#incidents`, a channel id.
    pub room: String,
    /// The root message of the thread it goes into; none for a root of our own. A root card goes into a thread when it
    /// answers somebody else's message.
    pub thread: Option<MessageRef>,
    /// Stored before the first try; sent along, so that the platform or `find` can tell a repetition.
    pub nonce: String,
    pub card: Card,
    /// Also show it in the room itself (outcomes).
    pub broadcast: bool,
    /// Nothing is expected in the thread after it: where a platform can, the thread is closed.
    pub last: bool,
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

    /// Who that is, for those who decide what somebody may do. Known for a short while, then asked again.
    ///
    /// # Errors
    /// `NotFound` when there is nobody of this id; `Unavailable` when the platform can't say: the caller then denies.
    async fn person(&self, id: &str) -> Result<Person, Fault> {
        let name = id.split_once(':').map_or(id, |(_, name)| name).to_owned();
        Ok(Person { kind: Kind::Member, name })
    }

    /// Where a message can be opened in a browser.
    fn link(&self, _at: &MessageRef) -> Option<String> {
        None
    }

    /// Receives until the process ends, reconnecting as needed; hands everything to the inbox.
    async fn listen(&self, inbox: Arc<dyn Inbox>);

    /// Answers a request that the platform sent to the bot's own HTTP server, at `…/NAME/{door}`. Verifies it, has the
    /// inbox keep it, answers at once; the work goes on after the answer.
    async fn receive(
        &self,
        door: &str,
        request: http::Request<Bytes>,
        inbox: Arc<dyn Inbox>,
    ) -> http::Response<Bytes> {
        let _ = (door, request, inbox);
        let mut nothing = http::Response::new(Bytes::new());
        *nothing.status_mut() = http::StatusCode::NOT_FOUND;
        nothing
    }

    /// Works off a delivery that was kept and acknowledged by a process that ended before it was done with it.
    async fn resume(&self, kept: Kept, inbox: Arc<dyn Inbox>) {
        inbox.done(&kept.delivery).await;
    }

    async fn check(&self, rooms: &[String]) -> Vec<Check>;
}

/// Somebody on the platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    pub kind: Kind,
    /// How people call them.
    pub name: String,
}

/// How far the platform vouches for somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A full member of the bot's own workspace.
    Member,
    /// Invited into some rooms.
    Guest,
    /// Of another organisation, in a shared room.
    Stranger,
    /// A program.
    Bot,
    /// The account was closed.
    Gone,
}
