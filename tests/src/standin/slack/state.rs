//! What Slack knows.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::{Duration, Instant},
};

use serde_json::Value;
use tokio::sync::mpsc;

use super::{Slack, messages::Message, trouble::Trouble};

pub const BOT_TOKEN: &str = "xoxb-1-standin";
pub const APP_TOKEN: &str = "xapp-1-standin";
pub const SIGNING_SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
pub const TEAM: &str = "T0LASTGOOD";
pub const APP: &str = "A0LASTGOOD";
pub const BOT_USER: &str = "U0LASTGOOD";
pub const BOT: &str = "B0LASTGOOD";
/// Of another organisation.
pub const OTHER_TEAM: &str = "T0ELSEWHERE";

pub struct Channel {
    pub id: String,
    pub name: String,
    pub member: bool,
    pub archived: bool,
    pub private: bool,
}

#[derive(Debug, Clone)]
pub struct User {
    pub id: String,
    pub name: String,
    pub team: String,
    pub guest: bool,
    pub bot: bool,
    pub deleted: bool,
}

/// A click or a command, and what came back for it.
pub struct Interaction {
    pub at: Instant,
    pub user: String,
    pub channel: String,
    /// Uses of its response address: Slack takes five.
    pub used: u32,
    /// The form that was opened for it, by its id.
    pub form: Option<String>,
    /// What was answered privately.
    pub private: Vec<Value>,
}

pub struct Ephemeral {
    pub channel: String,
    pub user: String,
    pub content: Value,
}

/// A delivery as the bot acknowledged it.
#[derive(Debug, Clone)]
pub struct Delivered {
    pub kind: &'static str,
    /// None: never.
    pub acknowledged: Option<Duration>,
    pub tries: u32,
}

pub struct Socket {
    pub id: u64,
    pub frames: mpsc::UnboundedSender<String>,
}

/// Where deliveries go.
pub enum Route {
    Sockets,
    Http(String),
}

pub struct State {
    pub channels: Vec<Channel>,
    pub users: BTreeMap<String, User>,
    /// Handle → id and members.
    pub groups: BTreeMap<String, (String, BTreeSet<String>)>,
    pub messages: Vec<Message>,
    pub ephemerals: Vec<Ephemeral>,
    /// By trigger id.
    pub interactions: BTreeMap<String, Interaction>,
    pub views: BTreeMap<String, Value>,
    pub homes: BTreeMap<String, Value>,
    pub files: BTreeMap<String, Vec<u8>>,
    /// Everything drawable that the bot sent, for an independent judge: `(message|modal|home, content)`.
    pub sent: Vec<(&'static str, Value)>,
    pub refused: Vec<String>,
    pub calls: BTreeMap<String, u32>,
    pub scopes: BTreeSet<String>,
    pub sockets: Vec<Socket>,
    pub tickets: BTreeSet<String>,
    pub waiting: BTreeMap<String, tokio::sync::oneshot::Sender<Value>>,
    pub delivered: Vec<Delivered>,
    pub route: Route,
    pub trouble: Trouble,
    pub posts: BTreeMap<String, VecDeque<Instant>>,
    pub edits: VecDeque<Instant>,
    pub limits: bool,
    pub limited: u32,
    numbers: u64,
    last_ts: u64,
}

impl State {
    pub fn new() -> Self {
        let scopes = [
            "app_mentions:read",
            "channels:history",
            "channels:read",
            "chat:write",
            "commands",
            "files:write",
            "groups:history",
            "groups:read",
            "usergroups:read",
            "users:read",
        ];
        Self {
            channels: Vec::new(),
            users: BTreeMap::new(),
            groups: BTreeMap::new(),
            messages: Vec::new(),
            ephemerals: Vec::new(),
            interactions: BTreeMap::new(),
            views: BTreeMap::new(),
            homes: BTreeMap::new(),
            files: BTreeMap::new(),
            sent: Vec::new(),
            refused: Vec::new(),
            calls: BTreeMap::new(),
            scopes: scopes.into_iter().map(str::to_owned).collect(),
            sockets: Vec::new(),
            tickets: BTreeSet::new(),
            waiting: BTreeMap::new(),
            delivered: Vec::new(),
            route: Route::Sockets,
            trouble: Trouble::default(),
            posts: BTreeMap::new(),
            edits: VecDeque::new(),
            limits: false,
            limited: 0,
            numbers: 0,
            last_ts: 0,
        }
    }

    /// Never the same twice.
    pub fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    /// A message's time stamp: seconds with six digits, unique in the workspace.
    pub fn ts(&mut self) -> String {
        self.last_ts = super::deliver::micros().max(self.last_ts + 1);
        format!("{}.{:06}", self.last_ts / 1_000_000, self.last_ts % 1_000_000)
    }

    /// By id or name.
    pub fn channel(&self, asked: &str) -> Option<&Channel> {
        self.channels
            .iter()
            .find(|channel| channel.id == asked || channel.name == asked.trim_start_matches('#'))
    }

    pub fn message(&mut self, channel: &str, ts: &str) -> Option<&mut Message> {
        self.messages
            .iter_mut()
            .find(|message| message.channel == channel && message.ts == ts && !message.deleted)
    }
}

impl Slack {
    /// Adds a channel, or says anew whether the bot is in it.
    pub fn channel(&self, name: &str, member: bool) {
        let mut state = self.state();
        let name = name.trim_start_matches('#').to_owned();
        if let Some(known) = state.channels.iter_mut().find(|channel| channel.name == name) {
            known.member = member;
            return;
        }
        let id = format!("C{:08}", state.number());
        state.channels.push(Channel { id, name, member, archived: false, private: false });
    }

    pub fn archive(&self, name: &str) {
        let name = name.trim_start_matches('#');
        let mut state = self.state();
        state.channels.iter_mut().find(|channel| channel.name == name).unwrap().archived = true;
    }

    /// A channel's id.
    pub fn id_of(&self, channel: &str) -> String {
        self.state().channel(channel).expect("a channel that is there").id.clone()
    }
}
