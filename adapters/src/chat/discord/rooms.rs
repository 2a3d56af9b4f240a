//! Rooms: configured by name or id, known to Discord by id. Threads are channels of their own, below the one that is a room.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde_json::Value;
use serenity::{
    http::Route,
    model::id::{ChannelId, GuildId},
};

use super::api::Api;
use crate::{
    Fault,
    chat::{
        MessageRef,
        json::{some, text},
        remembered::Cache,
    },
};

/// Channels that are remembered; a server has 500, and any number of threads.
const MOST: usize = 20_000;

pub(super) struct Rooms {
    guild: GuildId,
    /// As configured: `#incidents`, an id.
    configured: Vec<String>,
    list: Cache<Arc<Vec<Channel>>>,
    /// What a channel is never changes.
    seen: Mutex<HashMap<String, Channel>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Channel {
    pub id: String,
    pub name: String,
    kind: u64,
    pub parent: Option<String>,
    /// Who opened it, of a thread.
    pub owner: Option<String>,
}

impl Channel {
    pub fn of(of: &Value) -> Self {
        Self {
            id: text(of, "/id").to_owned(),
            name: text(of, "/name").to_owned(),
            kind: of.get("type").and_then(Value::as_u64).unwrap_or_default(),
            parent: some(of, "/parent_id"),
            owner: some(of, "/owner_id"),
        }
    }

    pub fn is_thread(&self) -> bool {
        matches!(self.kind, 10..=12)
    }

    /// Holds threads only; also media channels.
    pub fn is_forum(&self) -> bool {
        matches!(self.kind, 15 | 16)
    }

    /// Text, announcements, forums and media: what threads can be in.
    pub fn can_be_a_room(&self) -> bool {
        matches!(self.kind, 0 | 5) || self.is_forum()
    }
}

impl Rooms {
    pub fn new(guild: GuildId, configured: Vec<String>) -> Self {
        Self { guild, configured, list: Cache::default(), seen: Mutex::default() }
    }

    pub fn configured(&self) -> &[String] {
        &self.configured
    }

    /// A configured room's id.
    ///
    /// # Errors
    /// `Denied` when there is no such channel, or more than one: a person has to correct something.
    pub async fn id(&self, api: &Api, room: &str) -> Result<String, Fault> {
        if super::id(room).is_some() {
            return Ok(room.to_owned());
        }
        let name = room.trim_start_matches('#');
        let all = self.all(api).await?;
        let mut named = all.iter().filter(|channel| channel.name == name && channel.can_be_a_room());
        match (named.next(), named.next()) {
            (Some(only), None) => Ok(only.id.clone()),
            (None, _) => Err(Fault::Denied(format!(
                "the server has no channel #{name} that the bot can see: create it, or give the bot's role \"View Channel\" there"
            ))),
            _ => Err(Fault::Denied(format!(
                "the server has several channels #{name}: configure the one by its id (\"Copy Channel ID\")"
            ))),
        }
    }

    async fn all(&self, api: &Api) -> Result<Arc<Vec<Channel>>, Fault> {
        let asked = async {
            let route = Route::GuildChannels { guild_id: self.guild };
            let listed = api.get("listing channels", route, &[]).await?;
            let all: Vec<_> = listed.as_array().into_iter().flatten().map(Channel::of).collect();
            Ok(Arc::new(all))
        };
        self.list.get("", asked).await
    }

    /// # Errors
    /// `NotFound` when it is gone.
    pub async fn channel(&self, api: &Api, id: &str) -> Result<Channel, Fault> {
        if let Some(known) = self.seen.lock().unwrap_or_else(PoisonError::into_inner).get(id) {
            return Ok(known.clone());
        }
        let route = Route::Channel { channel_id: channel_id(id)? };
        let channel = Channel::of(&api.get("looking at a channel", route, &[]).await?);
        self.seen(&channel);
        Ok(channel)
    }

    /// Discord told it along with something else.
    pub fn told(&self, of: &Value) {
        let channel = Channel::of(of);
        if !channel.id.is_empty() && channel.kind != 0 {
            self.seen(&channel);
        }
    }

    fn seen(&self, channel: &Channel) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST {
            seen.clear();
        }
        seen.insert(channel.id.clone(), channel.clone());
    }

    /// What the room that a channel is (in) is called in the configuration, or its id; and the root of the thread that the
    /// channel is.
    ///
    /// # Errors
    /// When Discord can't be asked now; `Denied` and `NotFound` of a channel that the bot can't see.
    pub async fn place(&self, api: &Api, id: &str) -> Result<(String, Option<MessageRef>), Fault> {
        let channel = self.channel(api, id).await?;
        let Some(parent) = channel.parent.clone().filter(|_| channel.is_thread()) else {
            return Ok((self.named(api, id).await?, None));
        };
        let forum = self.channel(api, &parent).await?.is_forum();
        // A thread has the id of the message that it began with; in a forum that message is inside.
        let root = super::reference(if forum { id } else { &parent }, id);
        Ok((self.named(api, &parent).await?, Some(root)))
    }

    async fn named(&self, api: &Api, id: &str) -> Result<String, Fault> {
        if self.configured.iter().any(|room| room == id) {
            return Ok(id.to_owned());
        }
        for room in &self.configured {
            match self.id(api, room).await {
                Ok(of) if of == id => return Ok(room.clone()),
                // A room that is wrong in the configuration is not this one.
                Ok(_) | Err(Fault::Denied(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(id.to_owned())
    }

    /// The channel to which replies in the thread of this message go.
    ///
    /// # Errors
    /// As `channel`.
    pub async fn inside(&self, api: &Api, channel: &str, message: &str) -> Result<String, Fault> {
        match self.channel(api, channel).await?.is_thread() {
            true => Ok(channel.to_owned()),
            false => Ok(message.to_owned()),
        }
    }
}

pub(super) fn channel_id(id: &str) -> Result<ChannelId, Fault> {
    super::id(id).map(ChannelId::new).ok_or_else(|| Fault::Invalid(format!("{id:?} is no channel's id")))
}
