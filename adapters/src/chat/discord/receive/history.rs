//! Messages of rooms: as they come, and what came while nobody listened. A new session brings nothing of the time before it, so
//! the rooms' own history is read; what was heard already is known by its id.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use serenity::http::Route;

use super::{
    payload::Payload,
    posted::{id_at, sent_at},
};
use crate::{
    Fault,
    chat::{
        Inbox,
        discord::{Discord, id, rooms::channel_id},
        json::text,
    },
};

/// What is older is no news, in milliseconds.
const AT_MOST: i64 = 3_600_000;
/// Of 100 messages each.
const PAGES: usize = 10;

#[derive(Default)]
pub(in crate::chat::discord) struct Heard {
    /// The newest message of each channel.
    newest: Mutex<HashMap<String, u64>>,
    /// Something was not kept, or could not be asked for.
    behind: AtomicBool,
    asking: AtomicBool,
}

/// A message came over the gateway.
pub(super) fn came(discord: &Discord, inbox: &Arc<dyn Inbox>, payload: Payload) {
    let (discord, inbox) = (discord.clone(), inbox.clone());
    tokio::spawn(async move {
        if let Err(why) = take(&discord, &inbox, payload).await {
            tracing::error!(why, "a message was not heard; the room is read again soon");
            discord.0.heard.behind.store(true, Ordering::Relaxed);
        }
    });
}

async fn take(discord: &Discord, inbox: &Arc<dyn Inbox>, payload: Payload) -> Result<(), String> {
    let me = discord.me().await.map_err(|fault| fault.to_string())?;
    let (channel, message) =
        (payload.text("/channel_id").to_owned(), id(payload.text("/id")).unwrap_or_default());
    let matters = payload.matters(&me.user, &me.application.to_string());
    if matters && (payload.is_said_to(&me.user) || in_a_room(discord, &channel).await?) {
        super::hear(discord, inbox, payload).await.map_err(|error| error.to_string())?;
    }
    let mut newest = discord.0.heard.newest.lock().unwrap_or_else(PoisonError::into_inner);
    let seen = newest.entry(channel).or_default();
    *seen = message.max(*seen);
    Ok(())
}

/// What programs post elsewhere is nobody's business, and not kept.
async fn in_a_room(discord: &Discord, channel: &str) -> Result<bool, String> {
    match discord.0.rooms.place(&discord.0.api, channel).await {
        Ok((room, _)) => Ok(discord.0.rooms.configured().contains(&room)),
        Err(Fault::Denied(_) | Fault::NotFound(_)) => Ok(false),
        Err(fault) => Err(fault.to_string()),
    }
}

/// Reads what the rooms hold that was not heard.
pub(super) fn catch_up(discord: &Discord, inbox: &Arc<dyn Inbox>) {
    if !discord.0.settings.reads_messages || discord.0.heard.asking.swap(true, Ordering::AcqRel) {
        return;
    }
    let (discord, inbox) = (discord.clone(), inbox.clone());
    tokio::spawn(async move {
        discord.0.heard.behind.store(false, Ordering::Relaxed);
        for room in discord.0.rooms.configured() {
            if let Err(why) = read(&discord, &inbox, room).await {
                tracing::warn!(room, why, "what was said meanwhile can't be read; tried again soon");
                discord.0.heard.behind.store(true, Ordering::Relaxed);
            }
        }
        discord.0.heard.asking.store(false, Ordering::Release);
    });
}

/// Once more, if something is missing.
pub(super) fn again(discord: &Discord, inbox: &Arc<dyn Inbox>) {
    if discord.0.heard.behind.load(Ordering::Relaxed) {
        catch_up(discord, inbox);
    }
}

async fn read(discord: &Discord, inbox: &Arc<dyn Inbox>, room: &str) -> Result<(), String> {
    let told = |fault: Fault| fault.to_string();
    let channel = discord.0.rooms.id(&discord.0.api, room).await.map_err(told)?;
    if discord.0.rooms.channel(&discord.0.api, &channel).await.map_err(told)?.is_forum() {
        return Ok(());
    }
    let known = discord.0.heard.newest.lock().unwrap_or_else(PoisonError::into_inner).get(&channel).copied();
    let mut after = known.unwrap_or_default().max(oldest());
    for _ in 0..PAGES {
        let from = after.to_string();
        let route = Route::ChannelMessages { channel_id: channel_id(&channel).map_err(told)? };
        let asked = [("limit", "100"), ("after", from.as_str())];
        let page =
            discord.0.api.get("reading a room", route, &asked).await.map_err(|failed| told(failed.into()))?;
        let mut messages = page.as_array().cloned().unwrap_or_default();
        messages.sort_by_key(|message| id(text(message, "/id")));
        let Some(newest) = messages.last().and_then(|message| id(text(message, "/id"))) else {
            return Ok(());
        };
        for message in messages {
            take(discord, inbox, Payload::Message(message)).await?;
        }
        after = newest;
    }
    Ok(())
}

/// The id that a message of an hour ago would have.
#[expect(clippy::disallowed_methods, reason = "Discord's ids are times of day")]
fn oldest() -> u64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    let now = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    id_at((now - AT_MOST).max(sent_at("1")))
}
