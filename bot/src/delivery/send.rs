//! Sending: one worker per room. Posts of a thread go in their order; of a card only the latest revision goes, as soon as it
//! can. A thread that was opened for somebody's message goes into that message's thread, root card and all. Before a
//! message leaves, that it does is written down; so after a crash or a lost answer it is looked for first, where the
//! platform lets us look, and sent again where it does not.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use lastgood_adapters::{
    Fault,
    chat::{Chat, MessageRef, Outgoing},
};
use lastgood_core::Millis;

use super::{
    project::{CLOSED, nonce},
    rooms::Pause,
};
use crate::{
    engine::Engine,
    store::{
        self, Result,
        messages::{Message, ROOT, Unreadable},
        write,
    },
};

/// Longest wait between two tries, in milliseconds.
const MAX_BACKOFF: Millis = 30_000;
/// Tries of one message before it is set aside: more than a day at the longest wait.
const MAX_ATTEMPTS: i64 = 3_000;

/// Edits in one go: cards come first, and where hundreds change new messages must not wait for all of them.
const EDITS: i64 = 10;

/// What a try came to, for the messages behind it.
enum Tried {
    Sent,
    /// The thread waits for this message.
    Held,
    /// Only this message waits: it is an edit, and nothing depends on it.
    Waits(Duration),
    /// The whole room waits.
    RoomHeld(Duration),
}

pub(super) struct Worker {
    pub engine: Engine,
    pub chat: Arc<dyn Chat>,
    pub room: String,
    /// New messages may go; while the room rests for its pace, only edits do.
    pub posts: bool,
}

impl Worker {
    /// Sends what can be sent now; says how long the room then rests.
    pub async fn work_off(&self) -> Pause {
        match self.try_all().await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, room = self.room, "messages can't be sent now");
                Pause::all(Duration::from_secs(1))
            }
        }
    }

    async fn try_all(&self) -> Result<Pause> {
        let (db, pace) = (self.engine.store.reader(), self.chat.abilities().pace);
        let mut held: HashSet<i64> = HashSet::new();
        let (mut posts, mut pause) = (self.posts, Pause::default());
        let now = self.engine.now();
        let mut open = store::messages::outdated(db, &self.room, now, EDITS).await?;
        if i64::try_from(open.len()).is_ok_and(|edits| edits == EDITS) {
            pause.look_again(Duration::ZERO);
        }
        if posts {
            open.extend(store::messages::unsent(db, &self.room, now).await?);
            if let Some(at) = store::messages::next_unsent(db, &self.room, now).await? {
                pause.look_again(Duration::from_millis((at - now).unsigned_abs()));
            }
        }
        for message in open {
            let message = match message {
                Ok(message) => message,
                Err(unreadable) => {
                    self.set_aside(&unreadable).await?;
                    continue;
                }
            };
            let edit = message.is_edit();
            if !edit && (!posts || held.contains(&message.thread.0)) {
                continue;
            }
            if self.engine.lease().remaining().is_none() || !self.engine.lease().delivers() {
                return Ok(Pause { all: Duration::from_secs(1), ..pause });
            }
            let tried = self.send(&message).await?;
            if !edit && !pace.is_zero() {
                // One at a time at the platform's pace; what becomes newer meanwhile is found in the next round.
                posts = false;
                pause.posts_from = Some(Instant::now() + pace);
            }
            match tried {
                Tried::Sent => {}
                Tried::Held => drop(held.insert(message.thread.0)),
                Tried::Waits(wait) => pause.look_again(wait),
                Tried::RoomHeld(all) => return Ok(Pause { all, ..pause }),
            }
        }
        Ok(pause)
    }

    async fn set_aside(&self, unreadable: &Unreadable) -> Result<()> {
        let Unreadable { id, rev, why } = unreadable;
        tracing::error!(message = id, error = why, room = self.room, "message set aside; the thread goes on");
        write!(self.engine.store, |tx| tx.message_refused(*id, *rev, why).await)
    }

    async fn send(&self, message: &Message) -> Result<Tried> {
        if let (true, Some(reference)) = (message.is_edit(), &message.reference) {
            let reference = MessageRef(reference.clone());
            return match self.chat.update(&reference, &message.card).await {
                Ok(()) => self.sent(message, &reference).await,
                Err(Fault::NotFound(_)) => self.anew(message.id).await,
                Err(fault) => self.failed(message, &fault, "sent").await,
            };
        }
        let anchor = self.anchor_of(message).await?;
        let thread = match (&anchor, message.slot == ROOT) {
            (Some(anchor), _) => Some(anchor.clone()),
            (None, true) => None,
            (None, false) => {
                store::messages::root_of(self.engine.store.reader(), message.thread, &self.room).await?
            }
        };
        let name = self.room.split_once(':').map_or("", |(_, name)| name);
        let outgoing = Outgoing {
            room: name.to_owned(),
            thread: thread.map(MessageRef),
            nonce: message.nonce.clone(),
            card: message.card.clone(),
            broadcast: message.broadcast,
            last: message.slot.ends_with(CLOSED),
        };
        if message.status == "sending" && self.chat.abilities().finds {
            match self.chat.find(&outgoing).await {
                // As it was sent then; a newer revision follows as an update.
                Ok(Some(reference)) => return self.found(message, &reference).await,
                // Where its thread is gone it is not, and posting it shows that again.
                Ok(None) | Err(Fault::NotFound(_)) => {}
                Err(fault) => return self.failed(message, &fault, "sending").await,
            }
        }
        let id = message.id;
        // Noted before the write: who stands still in it has no time left afterwards, and somebody else has sent the message.
        let owner = self.engine.lease().owner().unwrap_or_default();
        let until = self.engine.lease().held_until(&owner);
        write!(self.engine.store, |tx| tx.message_goes_out(id).await)?;
        if until.is_none_or(|until| until <= Instant::now()) {
            return Ok(Tried::RoomHeld(Duration::from_secs(1)));
        }
        match self.chat.post(&outgoing).await {
            Ok(reference) => self.sent(message, &reference).await,
            Err(Fault::NotFound(_)) if outgoing.thread.is_some() => self.root_gone(message, anchor).await,
            Err(fault @ Fault::Unknown(_)) => self.failed(message, &fault, "sending").await,
            Err(fault) => self.failed(message, &fault, "new").await,
        }
    }

    async fn sent(&self, message: &Message, reference: &MessageRef) -> Result<Tried> {
        let (id, rev, reference) = (message.id, message.wanted_rev, reference.0.clone());
        write!(self.engine.store, |tx| tx.message_sent(id, &reference, rev).await)?;
        Ok(Tried::Sent)
    }

    /// Which revision the found message shows is not known: an update makes it the latest.
    async fn found(&self, message: &Message, reference: &MessageRef) -> Result<Tried> {
        let (id, reference) = (message.id, reference.0.clone());
        let rev = if message.wanted_rev > 1 { 0 } else { 1 };
        write!(self.engine.store, |tx| tx.message_sent(id, &reference, rev).await)?;
        Ok(Tried::Sent)
    }

    /// Somebody deleted the message: it is posted anew.
    async fn anew(&self, id: i64) -> Result<Tried> {
        let nonce = nonce();
        write!(self.engine.store, |tx| tx.message_anew(id, &nonce).await)?;
        Ok(Tried::Held)
    }

    async fn anchor_of(&self, message: &Message) -> Result<Option<String>> {
        store::anchors::of(self.engine.store.reader(), message.thread, &self.room).await
    }

    /// The thread's root was deleted, or the message that the thread answered: the root is posted anew, in the room, and this
    /// message after it.
    async fn root_gone(&self, message: &Message, anchor: Option<String>) -> Result<Tried> {
        let (id, thread, room, nonce) = (message.id, message.thread, self.room.clone(), nonce());
        write!(self.engine.store, |tx| {
            if let Some(anchor) = &anchor {
                tx.unanchor(thread, &room, anchor).await?;
            }
            tx.root_anew(thread, &room, &nonce).await?;
            tx.message_later(id, "new", 0, "the thread's root was deleted").await
        })?;
        Ok(Tried::Held)
    }

    async fn failed(&self, message: &Message, fault: &Fault, back_to: &str) -> Result<Tried> {
        let id = message.id;
        let text = fault.to_string();
        if !fault.passes() || message.attempts >= MAX_ATTEMPTS {
            tracing::error!(%fault, room = self.room, slot = message.slot, "message set aside; the thread goes on");
            let rev = message.wanted_rev;
            write!(self.engine.store, |tx| tx.message_refused(id, rev, &text).await)?;
            return Ok(Tried::Sent);
        }
        let asked = match fault {
            Fault::RateLimited { after: Some(after), .. } => {
                i64::try_from(after.as_millis()).unwrap_or(MAX_BACKOFF)
            }
            _ => 0,
        };
        let backoff = (100_i64 << message.attempts.clamp(0, 9)).min(MAX_BACKOFF);
        let wait = asked.max(if back_to == "sending" { backoff.min(1_000) } else { backoff });
        let not_before = self.engine.now() + wait;
        write!(self.engine.store, |tx| tx.message_later(id, back_to, not_before, &text).await)?;
        let wait = Duration::from_millis(wait.unsigned_abs());
        Ok(match fault {
            // Platforms count edits apart from new messages: those go on.
            Fault::RateLimited { .. } | Fault::Unknown(_) if message.is_edit() => Tried::Waits(wait),
            Fault::Unknown(_) => Tried::Held,
            _ => Tried::RoomHeld(wait),
        })
    }
}
