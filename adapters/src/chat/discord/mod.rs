//! Discord: cards as embeds, typed commands, buttons and forms, over the gateway or HTTP. What comes in is read in `receive`,
//! what goes out is drawn in `draw`; how Discord's answers are understood is in `api` and `fault`.

mod api;
mod check;
mod commands;
mod config;
mod draw;
mod fault;
mod patience;
mod people;
mod receive;
mod rooms;
mod send;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use lastgood_core::{Actor, At, card::Card};
use serenity::{http::Route, model::id::ApplicationId};

use super::{
    Abilities, Chat, Inbox, Kept, MessageRef, Offered, Outgoing, Person,
    json::{some, text},
};
use crate::{Check, Fault, client::BuildError};

use api::Api;
use config::Settings;
pub use config::{Config, Mode, Scope};
use people::People;
use receive::Heard;
use rooms::Rooms;

/// The platform's name in rooms and people.
pub const NAME: &str = "discord";

/// The `Chat` port on Discord. Cheap to clone.
#[derive(Clone)]
pub struct Discord(Arc<Inner>);

struct Inner {
    api: Api,
    rooms: Rooms,
    people: People,
    settings: Settings,
    offered: Vec<Offered>,
    heard: Heard,
    me: RwLock<Option<Me>>,
}

/// The bot itself.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Me {
    application: ApplicationId,
    user: String,
    name: String,
}

/// A message's reference: channel and id, which together are Discord's address of it.
fn reference(channel: &str, id: &str) -> MessageRef {
    MessageRef(format!("{channel}/{id}"))
}

/// Milliseconds since 1970: Discord's ids and signatures are times of day.
#[expect(
    clippy::disallowed_methods,
    reason = "compared with Discord's own times, and decides nothing about a rollback"
)]
fn now() -> At {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    At::try_from(since.as_millis()).unwrap_or(At::MAX)
}

/// Discord's ids are numbers, and never zero.
fn id(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|id| digits && *id > 0)
}

impl Config {
    /// `rooms` are the configured rooms' names; `offered` is what people can ask for.
    ///
    /// # Errors
    /// Secrets that can't be read, a token that is none, what the mode needs and is missing.
    pub fn build(&self, rooms: Vec<String>, offered: Vec<Offered>) -> Result<Discord, BuildError> {
        let settings = self.read()?;
        let api = Api::new(&settings)?;
        Ok(Discord(Arc::new(Inner {
            api,
            rooms: Rooms::new(settings.guild, rooms),
            people: People::default(),
            settings,
            offered,
            heard: Heard::default(),
            me: RwLock::new(None),
        })))
    }
}

impl Discord {
    async fn me(&self) -> Result<Me, Fault> {
        if let Some(me) = self.0.me.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(me);
        }
        let application = self.application().await?;
        let user = self.0.api.get("asking who the bot is", Route::UserMe, &[]).await?;
        let number = id(text(&application, "/id"));
        let missing =
            || Fault::Unavailable("asking which application the bot is: no answer to it".to_owned());
        let me = Me {
            application: ApplicationId::new(number.ok_or_else(missing)?),
            user: text(&user, "/id").to_owned(),
            name: some(&user, "/username").unwrap_or_default(),
        };
        *self.0.me.write().unwrap_or_else(PoisonError::into_inner) = Some(me.clone());
        Ok(me)
    }

    async fn application(&self) -> Result<serde_json::Value, Fault> {
        Ok(self
            .0
            .api
            .get("asking which application the bot is", Route::Oauth2ApplicationCurrent, &[])
            .await?)
    }
}

/// A user's id as Discord knows it.
fn user_of(id: &str) -> &str {
    id.strip_prefix("discord:").unwrap_or(id)
}

#[async_trait]
impl Chat for Discord {
    fn abilities(&self) -> Abilities {
        // How often is for each channel's bucket to say: `RateLimited`.
        Abilities { finds: true, edits: true, pace: Duration::ZERO }
    }

    async fn post(&self, message: &Outgoing) -> Result<MessageRef, Fault> {
        self.post_card(message).await
    }

    async fn update(&self, at: &MessageRef, card: &Card) -> Result<(), Fault> {
        self.update_card(at, card).await
    }

    async fn find(&self, message: &Outgoing) -> Result<Option<MessageRef>, Fault> {
        self.find_card(message).await
    }

    async fn belongs(&self, actor: &Actor, group: &str) -> Result<bool, Fault> {
        self.0.people.belongs(&self.0.api, self.0.settings.guild, user_of(&actor.id), group).await
    }

    async fn person(&self, id: &str) -> Result<Person, Fault> {
        let member = self.0.people.member(&self.0.api, self.0.settings.guild, user_of(id)).await?;
        Ok(member.person.clone())
    }

    fn link(&self, at: &MessageRef) -> Option<String> {
        let (channel, message) = send::address(at).ok()?;
        Some(format!("https://discord.com/channels/{}/{channel}/{message}", self.0.settings.guild))
    }

    async fn listen(&self, inbox: Arc<dyn Inbox>) {
        tokio::join!(commands::keep_registered(self), receive::listen(self, inbox));
    }

    async fn receive(
        &self,
        door: &str,
        request: http::Request<Bytes>,
        inbox: Arc<dyn Inbox>,
    ) -> http::Response<Bytes> {
        receive::receive(self, door, request, inbox).await
    }

    async fn resume(&self, kept: Kept, inbox: Arc<dyn Inbox>) {
        receive::resume(self, kept, inbox).await;
    }

    async fn check(&self, rooms: &[String]) -> Vec<Check> {
        self.check_all(rooms).await
    }
}
