//! The platform as the product sees it: the `Chat` port.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use lastgood_adapters::{
    Check, Fault,
    chat::{Abilities, Chat, Inbox, MessageRef, Outgoing},
};
use lastgood_core::{Actor, card::Card};
use tokio::sync::watch;

use super::{Loss, Message, Platform, State, card_limits};

#[async_trait]
impl Chat for Platform {
    fn abilities(&self) -> Abilities {
        self.state().abilities
    }

    async fn post(&self, message: &Outgoing) -> Result<MessageRef, Fault> {
        let (outcome, slow) = {
            let mut state = self.state();
            state.calls.posts += 1;
            (state.reachable().and_then(|()| state.post(&self.name, message)), state.trouble.slow)
        };
        self.show();
        answer(outcome, slow).await
    }

    async fn update(&self, at: &MessageRef, card: &Card) -> Result<(), Fault> {
        let (outcome, slow) = {
            let mut state = self.state();
            state.calls.updates += 1;
            (state.reachable().and_then(|()| state.update(at, card)), state.trouble.slow)
        };
        self.show();
        answer(outcome, slow).await
    }

    async fn find(&self, message: &Outgoing) -> Result<Option<MessageRef>, Fault> {
        let (outcome, slow) = {
            let mut state = self.state();
            state.calls.finds += 1;
            (state.reachable().and_then(|()| state.find(message)), state.trouble.slow)
        };
        answer(outcome, slow).await
    }

    async fn belongs(&self, actor: &Actor, group: &str) -> Result<bool, Fault> {
        let (outcome, slow) = {
            let mut state = self.state();
            state.calls.belongs += 1;
            (state.reachable().and_then(|()| state.belongs(actor, group)), state.trouble.slow)
        };
        answer(outcome, slow).await
    }

    async fn listen(&self, inbox: Arc<dyn Inbox>) {
        self.inbox.send_replace(Some(inbox.clone()));
        // When the product ends, nobody listens any more, unless another one has taken over meanwhile.
        let _gone = Gone { at: &self.inbox, who: inbox };
        std::future::pending::<()>().await;
    }

    async fn check(&self, rooms: &[String]) -> Vec<Check> {
        let state = self.state();
        let one = |room: &String| match state.room(room) {
            Ok(()) => Check::good(format!("{} {room}", self.name), "the bot may post"),
            Err(fault) => Check::bad(format!("{} {room}", self.name), fault.to_string(), "invite the bot"),
        };
        rooms.iter().map(one).collect()
    }
}

struct Gone<'a> {
    at: &'a watch::Sender<Option<Arc<dyn Inbox>>>,
    who: Arc<dyn Inbox>,
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        self.at.send_if_modified(|inbox| {
            let mine = inbox.as_ref().is_some_and(|now| Arc::ptr_eq(now, &self.who));
            if mine {
                *inbox = None;
            }
            mine
        });
    }
}

async fn answer<T>(outcome: Result<T, Fault>, slow: Duration) -> Result<T, Fault> {
    if !slow.is_zero() {
        tokio::time::sleep(slow).await;
    }
    outcome
}

impl State {
    fn reachable(&mut self) -> Result<(), Fault> {
        let trouble = &mut self.trouble;
        if trouble.down {
            return Err(Fault::Unavailable("the platform is down".to_owned()));
        }
        if trouble.limited > 0 {
            trouble.limited -= 1;
            return Err(limited(trouble.after));
        }
        Ok(())
    }

    fn room(&self, room: &str) -> Result<(), Fault> {
        match self.rooms.contains(room) && !self.trouble.denied.contains(room) {
            true => Ok(()),
            false => Err(Fault::Denied(format!("the bot is not in a room {room}"))),
        }
    }

    fn invalid(&mut self, why: impl Into<String>) -> Fault {
        let why = why.into();
        self.refused.push(why.clone());
        Fault::Invalid(why)
    }

    fn post(&mut self, platform: &str, message: &Outgoing) -> Result<MessageRef, Fault> {
        let loss = self.trouble.losses.pop_front().flatten();
        if loss == Some(Loss::Request) {
            return Err(Fault::Unknown("the connection broke before an answer came".to_owned()));
        }
        self.room(&message.room)?;
        if message.nonce.is_empty() {
            return Err(self.invalid("a message has no nonce"));
        }
        if let Err(rule) = card_limits(&message.card) {
            return Err(self.invalid(rule));
        }
        if let Some(root) = &message.thread {
            let there = self.message_mut(root).map(|root| (root.thread.is_none(), root.room.clone()));
            match there {
                Some((true, room)) if room == message.room => {}
                Some((false, _)) => return Err(self.invalid(format!("{} is no root of a thread", root.0))),
                _ => return Err(Fault::NotFound(format!("{} has no thread {}", message.room, root.0))),
            }
        }
        self.paced(&message.room)?;
        if self.messages.iter().any(|old| old.room == message.room && old.nonce == message.nonce) {
            self.repeats.push(message.nonce.clone());
        }
        let at = MessageRef(format!("{platform}:{}/{}", message.room, self.messages.len() + 1));
        self.messages.push(Message {
            at: at.clone(),
            room: message.room.clone(),
            thread: message.thread.clone(),
            nonce: message.nonce.clone(),
            broadcast: message.broadcast,
            revisions: vec![message.card.clone()],
            deleted: false,
        });
        match loss {
            Some(Loss::Answer) => {
                Err(Fault::Unknown("the connection broke before an answer came".to_owned()))
            }
            _ => Ok(at),
        }
    }

    fn paced(&mut self, room: &str) -> Result<(), Fault> {
        let now = Instant::now();
        // A tenth is forgiven: arrivals are closer together than departures when the first one was held up.
        let next = self.last_post.get(room).map(|last| *last + self.abilities.pace * 9 / 10);
        if let Some(next) = next.filter(|next| *next > now) {
            return Err(limited(next - now));
        }
        self.last_post.insert(room.to_owned(), now);
        Ok(())
    }

    fn update(&mut self, at: &MessageRef, card: &Card) -> Result<(), Fault> {
        if !self.abilities.edits {
            return Err(self.invalid("messages can't be edited here"));
        }
        if let Err(rule) = card_limits(card) {
            return Err(self.invalid(rule));
        }
        let Some(room) = self.message_mut(at).map(|message| message.room.clone()) else {
            return Err(Fault::NotFound(format!("no message {}", at.0)));
        };
        self.room(&room)?;
        match self.message_mut(at) {
            Some(message) if message.card() != card => message.revisions.push(card.clone()),
            _ => {} // the same again: nobody sees a difference
        }
        Ok(())
    }

    fn find(&mut self, wanted: &Outgoing) -> Result<Option<MessageRef>, Fault> {
        if !self.abilities.finds {
            return Err(self.invalid("messages can't be looked up here"));
        }
        self.room(&wanted.room)?;
        let same = |message: &&Message| {
            message.room == wanted.room
                && message.thread == wanted.thread
                && message.nonce == wanted.nonce
                && !message.deleted
        };
        Ok(self.messages.iter().find(same).map(|message| message.at.clone()))
    }

    fn belongs(&self, actor: &Actor, group: &str) -> Result<bool, Fault> {
        if self.trouble.membership {
            return Err(Fault::Unavailable("membership can't be looked up".to_owned()));
        }
        let own = actor.id.split_once(':').map_or(actor.id.as_str(), |(_, own)| own);
        Ok(own == group || self.groups.get(group).is_some_and(|members| members.contains(&actor.id)))
    }
}

fn limited(after: Duration) -> Fault {
    Fault::RateLimited { after: Some(after), detail: format!("come back in {after:?}") }
}
