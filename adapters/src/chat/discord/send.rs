//! Messages out: posted once, edited, and found again after an answer got lost. Below a message is its thread, which has the
//! message's id; in a forum, a thread is all there is.

use lastgood_core::card::Card;
use serde_json::{Value, json};
use serenity::{http::Route, model::id::MessageId};

use super::{
    Discord, draw,
    fault::code,
    patience::{Again, patiently},
    reference,
    rooms::{Channel, channel_id},
};
use crate::{
    Fault,
    chat::{
        MessageRef, Outgoing,
        json::{list, text},
    },
};

/// Of 100 messages each, the newest first: a busy room has fewer in the time that an answer takes to get lost.
const PAGES: usize = 10;
/// Newest threads of a forum that are looked at.
const THREADS: usize = 5;
/// Minutes without a message until a thread folds away: a week.
const OPEN_FOR: u32 = 10_080;

/// Discord's names of a message.
pub(super) fn address(at: &MessageRef) -> Result<(&str, &str), Fault> {
    at.0.split_once('/').ok_or_else(|| Fault::Invalid(format!("{:?} is no message of Discord's", at.0)))
}

pub(super) fn message_id(id: &str) -> Result<MessageId, Fault> {
    super::id(id).map(MessageId::new).ok_or_else(|| Fault::Invalid(format!("{id:?} is no message's id")))
}

impl Discord {
    pub(super) async fn post_card(&self, message: &Outgoing) -> Result<MessageRef, Fault> {
        let room = self.0.rooms.id(&self.0.api, &message.room).await?;
        let mut body = draw::content(&message.card, Some(&message.nonce));
        let Some(root) = &message.thread else { return self.post_root(&room, message, body).await };
        body["nonce"] = message.nonce.clone().into();
        body["enforce_nonce"] = true.into();
        let (channel, id) = address(root)?;
        let thread = self.0.rooms.inside(&self.0.api, channel, id).await?;
        let sent = match self.create(&thread, &body, message).await {
            Err(failed) if failed.code == code::UNKNOWN_CHANNEL && thread != channel => {
                self.start_thread(channel, id, &message.card).await?;
                self.create(&thread, &body, message).await
            }
            other => other,
        };
        let at = named(text(&sent?, "/id")).map(|id| reference(&thread, id))?;
        self.afterwards(message, &room, &at).await;
        Ok(at)
    }

    /// A message in the room itself; in a forum, a thread that begins with it.
    async fn post_root(&self, room: &str, message: &Outgoing, mut body: Value) -> Result<MessageRef, Fault> {
        // A room that is gone must not look like a thread's deleted root, which would be posted anew for ever.
        let gone = |fault: Fault| match fault {
            Fault::NotFound(why) => Fault::Denied(format!("{why}: configure another room")),
            other => other,
        };
        let channel = self.0.rooms.channel(&self.0.api, room).await.map_err(gone)?;
        if channel.is_forum() {
            let body = json!({
                "name": draw::thread_name(&message.card.title),
                "auto_archive_duration": OPEN_FOR,
                "message": body,
            });
            let route = Route::ChannelForumPosts { channel_id: channel_id(room)? };
            let thread =
                self.0.api.post("opening a forum thread", route, &body).await.map_err(|f| gone(f.into()))?;
            let id = text(&thread, "/id");
            return named(id).map(|id| reference(id, id));
        }
        body["nonce"] = message.nonce.clone().into();
        body["enforce_nonce"] = true.into();
        let sent = self.create(room, &body, message).await.map_err(|failed| gone(failed.into()))?;
        named(text(&sent, "/id")).map(|id| reference(room, id))
    }

    async fn create(
        &self,
        channel: &str,
        body: &Value,
        message: &Outgoing,
    ) -> Result<Value, super::fault::Failed> {
        let route = Route::ChannelMessages { channel_id: channel_id(channel)? };
        match &message.card.picture {
            Some(picture) => self.0.api.upload("posting a message", route, body, picture).await,
            None => self.0.api.post("posting a message", route, body).await,
        }
    }

    /// Below somebody's message, named for what it is about.
    async fn start_thread(&self, channel: &str, id: &str, card: &Card) -> Result<(), Fault> {
        let (channel_id, message_id) = (channel_id(channel)?, message_id(id)?);
        // The root card tells better what a thread is about than its first reply.
        let root = self
            .0
            .api
            .get("looking at a thread's root", Route::ChannelMessage { channel_id, message_id }, &[])
            .await?;
        let ours = text(&root, "/author/id") == self.me().await?.user;
        let title = Some(text(&root, "/embeds/0/title")).filter(|title| ours && !title.is_empty());
        let body = json!({
            "name": draw::thread_name(title.unwrap_or(&card.title)),
            "auto_archive_duration": OPEN_FOR,
        });
        let route = Route::ChannelMessageThreads { channel_id, message_id };
        match self.0.api.post("opening a thread", route, &body).await {
            Err(failed) if failed.code == code::THREAD_EXISTS => Ok(()),
            other => Ok(other.map(drop)?),
        }
    }

    /// What follows a message in a thread. The message is there: sending it again for want of this would be worse.
    async fn afterwards(&self, message: &Outgoing, room: &str, at: &MessageRef) {
        if message.broadcast
            && let Err(fault) = self.also_in(room, at, message).await
        {
            tracing::warn!(%fault, "an outcome could not be shown in the room itself");
        }
        if message.last
            && let Err(fault) = self.close_thread(at, &message.card.title).await
        {
            tracing::warn!(%fault, "a thread could not be closed; that needs the permission \"Manage Threads\"");
        }
    }

    /// Once more in the room itself, without buttons, and where to find the rest. Discord's description of its interface knows no
    /// forwarded messages.
    async fn also_in(&self, room: &str, at: &MessageRef, message: &Outgoing) -> Result<(), Fault> {
        let (thread, _) = address(at)?;
        // In a forum there is nothing but threads.
        if thread == room || self.0.rooms.channel(&self.0.api, room).await?.is_forum() {
            return Ok(());
        }
        let nonce = format!("{}f", message.nonce);
        let card = Card { buttons: Vec::new(), picture: None, ..message.card.clone() };
        let mut body = draw::announcement(&card, &nonce);
        body["content"] = format!("<#{thread}>").into();
        body["nonce"] = nonce.into();
        body["enforce_nonce"] = true.into();
        let route = Route::ChannelMessages { channel_id: channel_id(room)? };
        let posted = patiently(Again::Safe, || self.0.api.post("posting an outcome", route, &body)).await;
        Ok(posted.map(drop)?)
    }

    /// Named for its end, folded away, and open to those who manage threads.
    async fn close_thread(&self, at: &MessageRef, title: &str) -> Result<(), Fault> {
        let (channel, _) = address(at)?;
        let route = Route::Channel { channel_id: channel_id(channel)? };
        let told = self.0.api.get("looking at a thread", route, &[]).await?;
        let thread = Channel::of(&told);
        // A thread that somebody else opened goes on without the incident.
        if !thread.is_thread() || thread.owner != Some(self.me().await?.user) {
            return Ok(());
        }
        let name = draw::thread_name(&format!("{title}: {}", thread.name));
        let closed = json!({ "name": name, "archived": true, "locked": true });
        match self.change_thread(channel, &closed).await {
            // Names may change twice in ten minutes only.
            Err(Fault::RateLimited { .. }) => {
                self.change_thread(channel, &json!({ "archived": true, "locked": true })).await
            }
            other => other,
        }
    }

    async fn change_thread(&self, thread: &str, change: &Value) -> Result<(), Fault> {
        let route = Route::Channel { channel_id: channel_id(thread)? };
        let changed = patiently(Again::Safe, || self.0.api.patch("changing a thread", route, change)).await;
        Ok(changed.map(drop)?)
    }

    pub(super) async fn update_card(&self, at: &MessageRef, card: &Card) -> Result<(), Fault> {
        let (channel, id) = address(at)?;
        let route = Route::ChannelMessage { channel_id: channel_id(channel)?, message_id: message_id(id)? };
        let body = draw::content(card, None);
        match self.0.api.patch("editing a message", route, &body).await {
            Err(failed) if failed.code == code::ARCHIVED => {
                self.change_thread(channel, &json!({ "archived": false })).await?;
                Ok(self.0.api.patch("editing a message", route, &body).await.map(drop)?)
            }
            other => Ok(other.map(drop)?),
        }
    }

    pub(super) async fn find_card(&self, message: &Outgoing) -> Result<Option<MessageRef>, Fault> {
        let room = self.0.rooms.id(&self.0.api, &message.room).await?;
        let Some(root) = &message.thread else {
            return match self.0.rooms.channel(&self.0.api, &room).await?.is_forum() {
                true => self.find_in_forum(&room, &message.nonce).await,
                false => self.find_in(&room, &message.nonce).await,
            };
        };
        let (channel, id) = address(root)?;
        let thread = self.0.rooms.inside(&self.0.api, channel, id).await?;
        let found = match self.find_in(&thread, &message.nonce).await {
            // No thread, no message.
            Err(Fault::NotFound(_)) => return Ok(None),
            other => other?,
        };
        if let Some(at) = &found {
            // What follows it may have been done as well: a nonce is known to Discord for minutes only.
            let told =
                message.broadcast && self.find_in(&room, &format!("{}f", message.nonce)).await?.is_some();
            let left = Outgoing { broadcast: message.broadcast && !told, ..message.clone() };
            self.afterwards(&left, &room, at).await;
        }
        Ok(found)
    }

    async fn find_in(&self, channel: &str, nonce: &str) -> Result<Option<MessageRef>, Fault> {
        let mut before = String::new();
        for _ in 0..PAGES {
            let mut asked = vec![("limit", "100")];
            if !before.is_empty() {
                asked.push(("before", before.as_str()));
            }
            let route = Route::ChannelMessages { channel_id: channel_id(channel)? };
            let page = self.0.api.get("looking for a message", route, &asked).await?;
            let Some(messages) = page.as_array().filter(|messages| !messages.is_empty()) else { break };
            if let Some(found) = messages.iter().find(|sent| has(sent, nonce)) {
                return Ok(Some(reference(channel, text(found, "/id"))));
            }
            before = messages.last().map(|oldest| text(oldest, "/id").to_owned()).unwrap_or_default();
            if messages.len() < 100 {
                break;
            }
        }
        Ok(None)
    }

    async fn find_in_forum(&self, forum: &str, nonce: &str) -> Result<Option<MessageRef>, Fault> {
        let route = Route::GuildThreadsActive { guild_id: self.0.settings.guild };
        let active = self.0.api.get("looking for a thread", route, &[]).await?;
        let here = list(&active, "threads").iter().filter(|thread| text(thread, "/parent_id") == forum);
        let mut ids: Vec<_> = here.filter_map(|thread| super::id(text(thread, "/id"))).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        for id in ids.into_iter().take(THREADS) {
            let id = id.to_string();
            let route = Route::ChannelMessage { channel_id: channel_id(&id)?, message_id: message_id(&id)? };
            match self.0.api.get("looking for a message", route, &[]).await.map_err(Fault::from) {
                Ok(sent) if has(&sent, nonce) => return Ok(Some(reference(&id, &id))),
                Ok(_) | Err(Fault::NotFound(_)) => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(None)
    }
}

/// Discord gives no nonce back later: it stands in the footer.
fn has(sent: &Value, nonce: &str) -> bool {
    list(sent, "embeds").iter().any(|embed| text(embed, "/footer/text") == draw::signature(nonce))
}

fn named(id: &str) -> Result<&str, Fault> {
    match id {
        "" => Err(Fault::Unknown("posting a message: the answer names no message".to_owned())),
        id => Ok(id),
    }
}
