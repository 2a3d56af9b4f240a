//! What Discord knows.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    time::{Instant, SystemTime, UNIX_EPOCH},
};

use serde_json::{Value, json};

use super::{Discord, gateway::Session, messages::Message, trouble::Trouble};

/// Shaped like a real one: the application's id in base64, a time stamp, a signature.
pub const BOT_TOKEN: &str = "MTAwMDAwMDAwMDAwMDAwMDE.GsTaNd.in_standin_standin_standin_standin-1234";
pub const GUILD: &str = "100000000000000001";
/// The application, and its bot user.
pub const APP: &str = "100000000000000002";
/// Who opened the threads that are there before the bot.
const SOMEBODY: &str = "100000000000000004";
/// The bot's own role.
pub const BOT_ROLE: &str = "100000000000000003";
/// Everything that the bot may need; see Permissions, Bitwise Permission Flags.
pub const ALLOWED: u64 =
    1 << 10 | 1 << 11 | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 34 | 1 << 35 | 1 << 38 | 1 << 31;
/// Discord's ids count from the first of January 2015 on.
const EPOCH: u128 = 1_420_070_400_000;

pub struct Channel {
    pub id: String,
    pub name: String,
    pub kind: u8,
    pub parent: Option<String>,
    /// Opened by the bot.
    pub own: bool,
    pub archived: bool,
    pub locked: bool,
    /// What the bot's role may do there.
    pub allowed: u64,
}

impl Channel {
    pub fn is_thread(&self) -> bool {
        matches!(self.kind, 10..=12)
    }

    pub fn json(&self) -> Value {
        let mut json = json!({ "id": self.id, "name": self.name, "type": self.kind, "guild_id": GUILD,
            "parent_id": self.parent });
        if self.is_thread() {
            json["thread_metadata"] = json!({ "archived": self.archived, "locked": self.locked });
            json["owner_id"] = if self.own { APP } else { SOMEBODY }.into();
        } else {
            json["permission_overwrites"] = json!([{ "id": BOT_ROLE, "type": 0, "allow": "0",
                "deny": (ALLOWED & !self.allowed).to_string() }]);
        }
        json
    }
}

#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    pub name: String,
    pub roles: BTreeSet<String>,
    pub member: bool,
    pub pending: bool,
}

impl User {
    pub fn json(&self) -> Value {
        json!({ "roles": self.roles, "nick": null, "avatar": null, "joined_at": "2024-01-01T00:00:00+00:00",
            "flags": 0, "pending": self.pending, "deaf": false, "mute": false, "permissions": "1",
            "user": { "id": self.id, "username": self.name, "global_name": null, "discriminator": "0", "avatar": null } })
    }
}

pub struct Role {
    pub id: String,
    pub name: String,
}

/// A click or a command, and what came back for it.
pub struct Interaction {
    pub id: String,
    pub user: String,
    pub at: Instant,
    /// The first answer.
    pub first: Option<Value>,
    /// What "is thinking…" became.
    pub original: Option<Value>,
    /// What was said after it, to one person.
    pub private: Vec<Value>,
    /// Its 15 minutes are over.
    pub expired: bool,
}

pub struct State {
    pub channels: Vec<Channel>,
    pub users: BTreeMap<String, User>,
    pub roles: Vec<Role>,
    pub messages: Vec<Message>,
    /// By token.
    pub interactions: BTreeMap<String, Interaction>,
    /// Registered for the server, and for the application everywhere.
    pub commands: Value,
    pub global: Vec<Value>,
    pub registrations: u32,
    pub endpoint: Option<String>,
    pub privileged: bool,
    pub sessions: Vec<Session>,
    pub connections: u32,
    pub identifies: u32,
    pub resumes: u32,
    pub intents: u64,
    pub deaf: bool,
    /// Milliseconds between heartbeats.
    pub heartbeat: u64,
    /// Interactions are delivered there, and not over the gateway.
    pub route: Option<String>,
    /// Everything that the bot sent, for an independent judge: method and route, body.
    pub sent: Vec<(String, Value)>,
    pub uploaded: Vec<Vec<u8>>,
    pub refused: Vec<String>,
    pub calls: BTreeMap<String, u32>,
    pub trouble: Trouble,
    pub buckets: HashMap<String, VecDeque<Instant>>,
    /// Answers tell nothing of their bucket.
    pub silent: bool,
    pub limited: u32,
    pub invalid: u32,
    last_id: u64,
}

impl State {
    pub fn new() -> Self {
        Self {
            channels: Vec::new(),
            users: BTreeMap::new(),
            roles: vec![Role { id: BOT_ROLE.to_owned(), name: "lastgood".to_owned() }],
            messages: Vec::new(),
            interactions: BTreeMap::new(),
            commands: json!([]),
            global: Vec::new(),
            registrations: 0,
            endpoint: None,
            privileged: true,
            sessions: Vec::new(),
            connections: 0,
            identifies: 0,
            resumes: 0,
            intents: 0,
            deaf: false,
            heartbeat: 41_250,
            route: None,
            sent: Vec::new(),
            uploaded: Vec::new(),
            refused: Vec::new(),
            calls: BTreeMap::new(),
            trouble: Trouble::default(),
            buckets: HashMap::new(),
            silent: false,
            limited: 0,
            invalid: 0,
            last_id: 0,
        }
    }

    /// Never the same twice, and later ones are greater.
    #[expect(clippy::disallowed_methods, reason = "Discord has a clock of its own")]
    pub fn id(&mut self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
        let id = u64::try_from(now - EPOCH).unwrap() << 22;
        self.last_id = id.max(self.last_id + 1);
        self.last_id.to_string()
    }

    /// By id or name.
    pub fn channel(&mut self, asked: &str) -> Option<&mut Channel> {
        let named = |of: &&mut Channel| of.id == asked || of.name == asked.trim_start_matches('#');
        self.channels.iter_mut().find(named)
    }

    pub fn message(&mut self, channel: &str, id: &str) -> Option<&mut Message> {
        let is = |of: &&mut Message| of.channel == channel && of.id == id && !of.deleted;
        self.messages.iter_mut().find(is)
    }

    /// What the bot may do in a channel, or in the one that a thread is in.
    pub fn allowed(&self, channel: &str) -> u64 {
        let of = |id: &str| self.channels.iter().find(|channel| channel.id == id);
        let Some(channel) = of(channel) else { return 0 };
        match channel.parent.as_deref().filter(|_| channel.is_thread()) {
            Some(parent) => of(parent).map_or(0, |parent| parent.allowed),
            None => channel.allowed,
        }
    }
}

impl Discord {
    pub(super) fn channel(&self, name: &str, kind: u8, parent: Option<String>) -> String {
        let mut state = self.state();
        let id = state.id();
        let name = name.trim_start_matches('#').to_owned();
        let channel = Channel {
            id: id.clone(),
            name,
            kind,
            parent,
            own: false,
            archived: false,
            locked: false,
            allowed: ALLOWED,
        };
        state.channels.push(channel);
        id
    }

    /// Another text channel of the same name: Discord lets there be several.
    pub fn channel_of_that_name(&self, name: &str) {
        self.channel(name, 0, None);
    }

    /// A channel that holds threads only.
    pub fn forum(&self, name: &str) -> String {
        self.channel(name, 15, None)
    }

    /// A thread that is there already; its id.
    pub fn thread(&self, parent: &str, name: &str) -> String {
        let parent = self.id_of(parent);
        self.channel(name, 11, Some(parent))
    }

    /// A channel's id.
    pub fn id_of(&self, channel: &str) -> String {
        self.state().channel(channel).expect("a channel that is there").id.clone()
    }

    /// Takes permissions from the bot's role in a channel.
    pub fn deny(&self, channel: &str, bits: u64) {
        self.state().channel(channel).expect("a channel that is there").allowed &= !bits;
    }

    /// What the bot has registered.
    pub fn registered(&self) -> Value {
        self.state().commands.clone()
    }

    /// An earlier start registered this slash command for the application everywhere.
    pub fn has_global(&self, name: &str) {
        let mut state = self.state();
        let id = state.id();
        state.global.push(json!({ "id": id, "type": 1, "name": name, "description": "old" }));
    }

    /// Slash commands of the application everywhere.
    pub fn global(&self) -> Vec<String> {
        self.state().global.iter().map(|command| command["name"].to_string()).collect()
    }

    pub fn registrations(&self) -> u32 {
        self.state().registrations
    }

    /// Waits for commands to fill in.
    pub async fn until_registered(&self) {
        self.until("registered commands", |state| (state.registrations > 0).then_some(())).await;
    }

    /// Where the application's settings say that interactions go.
    pub fn endpoint(&self, url: Option<&str>) {
        self.state().endpoint = url.map(str::to_owned);
    }
}
