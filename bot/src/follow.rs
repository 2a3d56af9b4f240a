//! A thread told to one terminal, beside whatever chats there are: for the command line while chat is down. It reads what was
//! committed, by this process or another one, and keeps nothing.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use lastgood_adapters::chat::{Answer, Chat, Inbox as _, Incoming, MessageRef, Outgoing, What};
use lastgood_core::{
    Actor, RollbackId, ThreadId,
    card::Card,
    rollback::{Phase, Rollback},
};
use rand::Rng as _;

use crate::{
    delivery::Scene,
    desk::Desk,
    engine::Engine,
    render::action::{Action, Verb, input},
    store,
};

/// How soon what another process committed is seen.
const POLL: Duration = Duration::from_millis(300);
/// Proposals of one run that are approved by themselves: each was superseded by the next.
const MAX_APPROVALS: u32 = 3;

/// Shows one thread.
pub struct Follower {
    engine: Engine,
    chat: Arc<dyn Chat>,
    room: String,
    thread: ThreadId,
    root: Option<(MessageRef, Card)>,
    seen: BTreeMap<RollbackId, i64>,
    sent: u64,
}

impl Follower {
    pub fn new(engine: Engine, chat: Arc<dyn Chat>, room: impl Into<String>, thread: ThreadId) -> Self {
        Self { engine, chat, room: room.into(), thread, root: None, seen: BTreeMap::new(), sent: 0 }
    }

    /// Shows what is new; returns the thread's newest run.
    ///
    /// # Errors
    /// As the store or the terminal say.
    pub async fn show(&mut self) -> anyhow::Result<Rollback> {
        let newest = store::rollbacks::newest_in(self.engine.store.reader(), self.thread).await?;
        let newest = newest.context("the thread has no rollback")?.state;
        let mut ids: Vec<RollbackId> = self.seen.keys().copied().collect();
        if !ids.contains(&newest.id) {
            ids.push(newest.id);
        }
        for id in ids {
            let scene = Scene::load(&self.engine, id).await?;
            if id == newest.id {
                self.draw(scene.root()).await?;
            }
            let after = self.seen.get(&id).copied().unwrap_or(0);
            for (_, posts) in scene.posts_after(after) {
                for post in posts {
                    let thread = self.root.as_ref().map(|(root, _)| root.clone());
                    let message = self.outgoing(post.card, thread);
                    self.chat.post(&message).await?;
                }
            }
            self.seen.insert(id, scene.seq());
        }
        Ok(newest)
    }

    async fn draw(&mut self, card: Card) -> anyhow::Result<()> {
        match &self.root {
            Some((_, shown)) if *shown == card => {}
            Some((root, _)) => {
                let root = root.clone();
                self.chat.update(&root, &card).await?;
                self.root = Some((root, card));
            }
            None => {
                let message = self.outgoing(card.clone(), None);
                self.root = Some((self.chat.post(&message).await?, card));
            }
        }
        Ok(())
    }

    fn outgoing(&mut self, card: Card, thread: Option<MessageRef>) -> Outgoing {
        self.sent += 1;
        Outgoing {
            room: self.room.clone(),
            thread,
            nonce: self.sent.to_string(),
            card,
            broadcast: false,
            last: false,
        }
    }

    /// Shows everything until `done` says so of the newest run.
    ///
    /// # Errors
    /// As `show`.
    pub async fn until(
        &mut self,
        mut done: impl AsyncFnMut(&Rollback) -> anyhow::Result<bool>,
    ) -> anyhow::Result<Rollback> {
        let mut committed = self.engine.store.committed();
        loop {
            committed.mark_unchanged();
            let newest = self.show().await?;
            if done(&newest).await? {
                self.show().await?;
                return Ok(newest);
            }
            tokio::select! {
                changed = committed.changed() => changed.context("the store ended")?,
                () = tokio::time::sleep(POLL) => {}
            }
        }
    }
}

/// A person who approves whatever is proposed: `--yes`.
pub struct Yes {
    desk: Arc<Desk>,
    actor: Actor,
    room: String,
    reason: Option<String>,
    approved: u32,
    /// Of this process: what another one was answered is no answer to this one.
    nonce: String,
}

impl Yes {
    pub fn new(desk: Arc<Desk>, actor: Actor, room: impl Into<String>, reason: Option<String>) -> Self {
        let nonce = format!("{:016x}", rand::rng().random::<u64>());
        Self { desk, actor, room: room.into(), reason, approved: 0, nonce }
    }

    /// Approves if something is to be approved. True when nothing more happens without another choice.
    ///
    /// # Errors
    /// When the approval is refused, with the reason.
    pub async fn press(&mut self, state: &Rollback) -> anyhow::Result<bool> {
        match &state.phase {
            Phase::Proposed { confirming } => {
                if self.approved >= MAX_APPROVALS {
                    bail!(
                        "{} was approved {MAX_APPROVALS} times and is proposed again: look at it",
                        state.id
                    );
                }
                self.approved += 1;
                self.approve(state, *confirming).await?;
                Ok(false)
            }
            Phase::Ended { .. } => Ok(true),
            Phase::Escalated { .. } => Ok(state.pages.iter().all(|page| page.delivered.is_some())),
            _ => Ok(false),
        }
    }

    async fn approve(&self, state: &Rollback, confirming: bool) -> anyhow::Result<()> {
        let doubted = state.proposal.as_ref().is_some_and(|p| p.doubt.is_some());
        if doubted {
            self.take(state, Verb::ProposeAnyway).await?;
        }
        self.take(state, if confirming { Verb::ApproveAnyway } else { Verb::Approve }).await
    }

    async fn take(&self, state: &Rollback, verb: Verb) -> anyhow::Result<()> {
        let action = Action { rollback: state.id, revision: state.revision, verb };
        let reason = self.reason.clone().unwrap_or_default();
        let press = Incoming {
            delivery: format!("yes-{}-{}-{action}-{}", self.actor.id, self.nonce, self.approved),
            actor: self.actor.clone(),
            room: self.room.clone(),
            thread: None,
            what: What::Press {
                action: action.to_string(),
                inputs: [(input::REASON.to_owned(), reason)].into(),
            },
        };
        match self.desk.take(press).await? {
            Answer::Private(card) => bail!("not approved: {}", card.plain()),
            _ => Ok(()),
        }
    }
}
