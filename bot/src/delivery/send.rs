//! Sending: one worker per room. Posts of a thread go in their order; of a card only the latest revision goes. Before a
//! message leaves, that it does is written down; so after a crash or a lost answer it is looked for first, where the
//! platform lets us look, and sent again where it does not.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::{Duration, Instant},
};

use lastgood_adapters::{
    Fault,
    chat::{Chat, MessageRef, Outgoing},
};
use lastgood_core::Millis;

use super::project::nonce;
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

/// How long a room rests.
pub(super) type Pause = Duration;

/// Rooms of this process: which are being worked off, and which rest until when.
#[derive(Default)]
pub(super) struct Rooms {
    busy: HashSet<String>,
    rest: HashMap<String, Instant>,
}

impl Rooms {
    /// Whether a worker may start on this room now.
    pub fn begin(&mut self, room: &str) -> bool {
        let rested = self.rest.get(room).is_none_or(|until| *until <= Instant::now());
        rested && self.busy.insert(room.to_owned())
    }

    pub fn done(&mut self, room: &str, pause: Pause) {
        self.busy.remove(room);
        self.rest.insert(room.to_owned(), Instant::now() + pause);
    }

    /// Until the next resting room may go on.
    pub fn wake(&self) -> Duration {
        let now = Instant::now();
        let waits = self.rest.values().map(|until| until.saturating_duration_since(now));
        waits.filter(|wait| !wait.is_zero()).min().unwrap_or(Duration::MAX)
    }
}

/// What a try came to, for the messages behind it.
enum Tried {
    Sent,
    /// The thread waits for this message.
    Held,
    /// The whole room waits.
    RoomHeld(Duration),
}

pub(super) struct Worker {
    pub engine: Engine,
    pub chat: Arc<dyn Chat>,
    pub room: String,
}

impl Worker {
    /// Sends what can be sent now; says how long the room then rests.
    pub async fn work_off(&self) -> Pause {
        match self.try_all().await {
            Ok(pause) => pause,
            Err(error) => {
                tracing::error!(%error, room = self.room, "messages can't be sent now");
                Duration::from_secs(1)
            }
        }
    }

    async fn try_all(&self) -> Result<Pause> {
        let pace = self.chat.abilities().pace;
        let mut held: HashSet<i64> = HashSet::new();
        let mut sent_before = false;
        let mut wait = None;
        for message in store::messages::open(self.engine.store.reader(), &self.room).await? {
            let message = match message {
                Ok(message) => message,
                Err(unreadable) => {
                    self.set_aside(&unreadable).await?;
                    continue;
                }
            };
            if held.contains(&message.thread.0) {
                continue;
            }
            let left = message.not_before - self.engine.now();
            if left > 0 {
                held.insert(message.thread.0);
                wait = Some(wait.map_or(left, |wait: Millis| wait.min(left)));
                continue;
            }
            if self.engine.lease().remaining().is_none() || !self.engine.lease().delivers() {
                return Ok(Duration::from_secs(1));
            }
            if sent_before && !pace.is_zero() {
                // One at a time at the platform's pace; what becomes newer meanwhile is found in the next round.
                return Ok(pace);
            }
            sent_before = true;
            match self.send(&message).await? {
                Tried::Sent => {}
                Tried::Held => drop(held.insert(message.thread.0)),
                Tried::RoomHeld(pause) => return Ok(pause),
            }
        }
        // Without a rest, a room of which everything waits would be looked through again at once, and again. Not for long: other
        // threads may get something to say meanwhile.
        let rest =
            wait.map_or(Duration::ZERO, |left| Duration::from_millis(left.clamp(10, 1_000).unsigned_abs()));
        Ok(if sent_before { pace.max(rest) } else { rest })
    }

    async fn set_aside(&self, unreadable: &Unreadable) -> Result<()> {
        let Unreadable { id, rev, why } = unreadable;
        tracing::error!(message = id, error = why, room = self.room, "message set aside; the thread goes on");
        write!(self.engine.store, |tx| tx.message_refused(*id, *rev, why).await)
    }

    async fn send(&self, message: &Message) -> Result<Tried> {
        let is_root = message.slot == ROOT;
        if let (true, Some(reference)) = (message.status == "sent", &message.reference) {
            let reference = MessageRef(reference.clone());
            return match self.chat.update(&reference, &message.card).await {
                Ok(()) => self.sent(message, &reference).await,
                Err(Fault::NotFound(_)) => self.anew(message.id).await,
                Err(fault) => self.failed(message, &fault, "sent").await,
            };
        }
        let root = if is_root {
            None
        } else {
            store::messages::root_of(self.engine.store.reader(), message.thread, &self.room).await?
        };
        let name = self.room.split_once(':').map_or("", |(_, name)| name);
        let outgoing = Outgoing {
            room: name.to_owned(),
            thread: root.map(MessageRef),
            nonce: message.nonce.clone(),
            card: message.card.clone(),
            broadcast: message.broadcast,
        };
        if message.status == "sending" && self.chat.abilities().finds {
            match self.chat.find(&outgoing).await {
                // As it was sent then; a newer revision follows as an update.
                Ok(Some(reference)) => return self.found(message, &reference).await,
                Ok(None) => {}
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
            Err(Fault::NotFound(_)) if outgoing.thread.is_some() => self.root_gone(message).await,
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

    /// The thread's root was deleted: the root is posted anew, and this message after it.
    async fn root_gone(&self, message: &Message) -> Result<Tried> {
        let (id, thread, room, nonce) = (message.id, message.thread, self.room.clone(), nonce());
        write!(self.engine.store, |tx| {
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
        Ok(if matches!(fault, Fault::Unknown(_)) { Tried::Held } else { Tried::RoomHeld(wait) })
    }
}
