//! A chat platform inside the test: behaves like Slack and Discord where they agree, refuses what either refuses, and
//! can be as unreliable as they are. The product talks to it through the `Chat` port; people act on it by `press` and
//! `command`, and what they would see is in `thread` and `transcript`.

mod limits;
mod people;
mod port;
mod programs;
mod thread;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use lastgood_adapters::chat::{Abilities, Inbox, Incoming, MessageRef};
use lastgood_core::Actor;
use tokio::sync::watch;

pub use limits::{card_limits, form_limits};
pub use thread::{Message, Thread};

/// How long the people in a test wait for something to show before they give up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The platform. Shared by the product (as `Arc<dyn Chat>`) and the test.
pub struct Platform {
    name: String,
    state: Mutex<State>,
    /// Increases with every change that people could see.
    changed: watch::Sender<u64>,
    inbox: watch::Sender<Option<Arc<dyn Inbox>>>,
}

struct State {
    abilities: Abilities,
    rooms: BTreeSet<String>,
    groups: BTreeMap<String, BTreeSet<String>>,
    /// In the order in which they were posted.
    messages: Vec<Message>,
    last_post: BTreeMap<String, Instant>,
    repeats: Vec<String>,
    refused: Vec<String>,
    calls: Calls,
    trouble: Trouble,
    deliveries: u64,
    last_delivery: Option<Incoming>,
}

/// How often the product called; those that ended badly included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    pub posts: u64,
    pub updates: u64,
    pub finds: u64,
    pub belongs: u64,
}

/// What happens to a post whose answer never comes: to its caller both are the same unknown outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Loss {
    /// It took effect.
    Answer,
    /// It never arrived.
    Request,
}

#[derive(Default)]
struct Trouble {
    down: bool,
    limited: u32,
    after: Duration,
    /// For the coming posts in turn.
    losses: VecDeque<Option<Loss>>,
    membership: bool,
    slow: Duration,
    denied: BTreeSet<String>,
}

impl Platform {
    /// `name` is the first part of its people's ids (`slack:UANA`).
    pub fn start(name: &str, rooms: &[&str]) -> Arc<Self> {
        Arc::new(Self {
            name: name.to_owned(),
            state: Mutex::new(State {
                abilities: Abilities { finds: true, edits: true, pace: Duration::ZERO },
                rooms: rooms.iter().map(|room| (*room).to_owned()).collect(),
                groups: BTreeMap::new(),
                messages: Vec::new(),
                last_post: BTreeMap::new(),
                repeats: Vec::new(),
                refused: Vec::new(),
                calls: Calls::default(),
                trouble: Trouble::default(),
                deliveries: 0,
                last_delivery: None,
            }),
            changed: watch::Sender::new(0),
            inbox: watch::Sender::new(None),
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn show(&self) {
        self.changed.send_modify(|count| *count += 1);
    }

    /// Another kind of platform. A pace is also enforced: posts to a room that come faster are rate limited.
    pub fn set_abilities(&self, abilities: Abilities) {
        self.state().abilities = abilities;
    }

    /// Somebody with an account here: `ana` is `slack:UANA`.
    pub fn person(&self, name: &str) -> Actor {
        Actor::new(format!("{}:U{}", self.name, name.to_uppercase()), name)
    }

    /// A group and exactly who belongs to it from now on.
    pub fn group(&self, group: &str, members: &[&Actor]) {
        let members = members.iter().map(|actor| actor.id.clone()).collect();
        self.state().groups.insert(group.to_owned(), members);
    }

    // Trouble.

    /// Nothing can be reached until it is set to false.
    pub fn down(&self, down: bool) {
        self.state().trouble.down = down;
    }

    /// The next calls, of whatever kind, are rate limited; each is told to come back after `after`.
    pub fn rate_limit(&self, calls: u32, after: Duration) {
        let trouble = &mut self.state().trouble;
        (trouble.limited, trouble.after) = (calls, after);
    }

    /// The nth post from now (1 is the next) takes effect, but its sender never learns.
    pub fn lose_answer(&self, nth: usize) {
        self.lose(nth, Loss::Answer);
    }

    /// The nth post from now (1 is the next) never arrives, and its sender never learns.
    pub fn lose_request(&self, nth: usize) {
        self.lose(nth, Loss::Request);
    }

    fn lose(&self, nth: usize, what: Loss) {
        assert!(nth > 0, "the next post is number 1");
        let losses = &mut self.state().trouble.losses;
        losses.resize(losses.len().max(nth), None);
        losses[nth - 1] = Some(what);
    }

    /// Nobody can be told who belongs to a group until it is set to false.
    pub fn membership_fails(&self, fails: bool) {
        self.state().trouble.membership = fails;
    }

    /// Every answer comes this much after the call took effect.
    pub fn slow(&self, delay: Duration) {
        self.state().trouble.slow = delay;
    }

    /// The bot was removed from a room (or is back).
    pub fn deny(&self, room: &str, denied: bool) {
        let rooms = &mut self.state().trouble.denied;
        if denied {
            rooms.insert(room.to_owned())
        } else {
            rooms.remove(room)
        };
    }

    /// Somebody deletes a message.
    pub fn delete(&self, at: &MessageRef) {
        self.state().message_mut(at).expect("a message that is there").deleted = true;
        self.show();
    }

    // What was seen.

    /// Nonces that were shown more than once in a room, once for every time too many.
    pub fn repeats(&self) -> Vec<String> {
        self.state().repeats.clone()
    }

    /// What was refused because no real platform takes it. A scenario that did not ask for it should find none.
    pub fn refused(&self) -> Vec<String> {
        self.state().refused.clone()
    }

    pub fn calls(&self) -> Calls {
        self.state().calls
    }

    pub fn message(&self, at: &MessageRef) -> Message {
        self.state().message_mut(at).expect("a message that is there").clone()
    }
}

impl State {
    /// One that is still there.
    fn message_mut(&mut self, at: &MessageRef) -> Option<&mut Message> {
        self.messages.iter_mut().find(|message| message.at == *at && !message.deleted)
    }
}
