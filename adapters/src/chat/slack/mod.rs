//! Slack: cards as Block Kit messages, commands, buttons and forms, over sockets or HTTP. What comes in is read in
//! `receive`, what goes out is drawn in `draw`; how Slack's answers are understood is in `api` and `fault`.

mod api;
mod check;
mod config;
mod draw;
mod edits;
mod fault;
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
use lastgood_core::{Actor, card::Card};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Abilities, Chat, Inbox, Kept, MessageRef, Outgoing, Person};
use crate::{Check, Fault, Secret, client::BuildError};

use super::json::{some, text};
use api::Api;
pub use config::{Config, Mode};
use config::{Delivered, Settings};
use edits::Edits;
use people::People;
use rooms::Rooms;

/// The platform's name in rooms and people.
pub const NAME: &str = "slack";
/// What the metadata of every message of every lastgood begins with.
const METADATA_PREFIX: &str = "lastgood";
/// About one new message a second in a channel (docs.slack.dev, Rate limits, chat.postMessage).
const PACE: Duration = Duration::from_secs(1);

/// The `Chat` port on Slack. Cheap to clone.
#[derive(Clone)]
pub struct Slack(Arc<Inner>);

struct Inner {
    api: Api,
    rooms: Rooms,
    people: People,
    edits: Edits,
    /// Slack tells a token's scopes in a header, which its client library keeps to itself: for `check` only.
    http: reqwest::Client,
    settings: Settings,
    me: RwLock<Option<Me>>,
}

/// The bot itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Me {
    user: String,
    team: String,
    enterprise: Option<String>,
    /// The workspace's, with a slash at its end.
    url: String,
}

/// Where an answer to somebody goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    channel: String,
    user: String,
    /// Time stamp of the root, for somebody who looks at a thread.
    thread: Option<String>,
    /// Slack's own address for answers, good for five within 30 minutes.
    response_url: Option<String>,
}

/// A message's reference: channel and time stamp, which together are Slack's name for it.
fn reference(channel: &str, ts: &str) -> MessageRef {
    MessageRef(format!("{channel}/{ts}"))
}

impl Config {
    /// `rooms` are the configured rooms' names.
    ///
    /// # Errors
    /// Secrets that can't be read, a token of the wrong type, what the mode needs and is missing.
    pub fn build(&self, http: reqwest::Client, rooms: Vec<String>) -> Result<Slack, BuildError> {
        let settings = self.read()?;
        let api = Api::new(&settings)?;
        Ok(Slack(Arc::new(Inner {
            api,
            rooms: Rooms::new(rooms),
            people: People::default(),
            edits: Edits::new(),
            http,
            settings,
            me: RwLock::new(None),
        })))
    }
}

impl Slack {
    async fn me(&self) -> Result<Me, Fault> {
        if let Some(me) = self.0.me.read().unwrap_or_else(PoisonError::into_inner).clone() {
            return Ok(me);
        }
        let answer = self.0.api.read("auth.test", &[]).await?;
        let me = Me {
            user: text(&answer, "/user").to_owned(),
            team: text(&answer, "/team_id").to_owned(),
            enterprise: some(&answer, "/enterprise_id"),
            url: text(&answer, "/url").to_owned(),
        };
        *self.0.me.write().unwrap_or_else(PoisonError::into_inner) = Some(me.clone());
        Ok(me)
    }

    async fn room_named(&self, channel: &str) -> String {
        self.0.rooms.named(&self.0.api, channel).await
    }

    fn sockets(&self) -> usize {
        match &self.0.settings.delivered {
            Delivered::Socket { sockets, .. } => *sockets,
            Delivered::Http { .. } => 0,
        }
    }

    fn signing_secret(&self) -> Option<&Secret> {
        match &self.0.settings.delivered {
            Delivered::Http { secret } => Some(secret),
            Delivered::Socket { .. } => None,
        }
    }

    /// Where a new socket connects to; the address is good once, and for seconds.
    async fn socket_address(&self) -> Result<String, Fault> {
        let Delivered::Socket { token, .. } = &self.0.settings.delivered else {
            return Err(Fault::Invalid("Slack comes by HTTP here".to_owned()));
        };
        let answer = self.0.api.as_app("apps.connections.open", token).await?;
        some(&answer, "/url")
            .ok_or_else(|| Fault::Unavailable("apps.connections.open: no address".to_owned()))
    }

    /// Seen by one person only, where they acted.
    async fn answer_private(&self, place: &Place, card: &Card) -> Result<(), Fault> {
        let mut body = send::content(card);
        if let Some(url) = &place.response_url {
            let mut here = body.clone();
            here["response_type"] = "ephemeral".into();
            here["replace_original"] = false.into();
            if let Some(thread) = &place.thread {
                // Else it is shown in the channel, to somebody who looks at a thread.
                here["thread_ts"] = thread.clone().into();
            }
            let sent = self
                .0
                .api
                .to("a private answer", url, "application/json; charset=utf-8", here.to_string().as_bytes())
                .await;
            match sent {
                Ok(()) => return Ok(()),
                Err(fault) => tracing::debug!(%fault, "not by its own address; tried otherwise"),
            }
        }
        if place.channel.is_empty() {
            return Err(Fault::Invalid("there is no room to answer in".to_owned()));
        }
        body["channel"] = place.channel.clone().into();
        body["user"] = place.user.clone().into();
        if let Some(thread) = &place.thread {
            body["thread_ts"] = thread.clone().into();
        }
        self.0.api.write("chat.postEphemeral", &body).await.map(drop)
    }

    async fn open_modal(&self, trigger: &str, view: Value) -> Result<(), Fault> {
        let body = json!({ "trigger_id": trigger, "view": view });
        self.0.api.write("views.open", &body).await.map(drop)
    }

    async fn publish_home(&self, user: &str, card: &Card) -> Result<(), Fault> {
        let body = json!({ "user_id": user, "view": draw::home(card) });
        self.0.api.write("views.publish", &body).await.map(drop)
    }
}

/// A user's id as Slack knows it.
fn user_of(id: &str) -> &str {
    id.strip_prefix("slack:").unwrap_or(id)
}

#[async_trait]
impl Chat for Slack {
    fn abilities(&self) -> Abilities {
        Abilities { finds: true, edits: true, pace: PACE }
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
        self.0.people.belongs(&self.0.api, user_of(&actor.id), group).await
    }

    async fn person(&self, id: &str) -> Result<Person, Fault> {
        let me = self.me().await?;
        self.0.people.person(&self.0.api, &me, user_of(id)).await
    }

    fn link(&self, at: &MessageRef) -> Option<String> {
        let me = self.0.me.read().unwrap_or_else(PoisonError::into_inner);
        let url = me.as_ref().map(|me| me.url.as_str()).filter(|url| !url.is_empty())?;
        let (channel, ts) = send::address(at).ok()?;
        Some(format!("{url}archives/{channel}/p{}", ts.replace('.', "")))
    }

    async fn listen(&self, inbox: Arc<dyn Inbox>) {
        // Links are made from the workspace's address.
        if let Err(fault) = self.me().await {
            tracing::warn!(%fault, "Slack can't be asked who the bot is");
        }
        match &self.0.settings.delivered {
            Delivered::Socket { .. } => receive::listen(self, inbox).await,
            // Slack comes to the bot's own server.
            Delivered::Http { .. } => std::future::pending().await,
        }
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
