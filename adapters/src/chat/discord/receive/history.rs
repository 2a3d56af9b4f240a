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
        discord::{Discord, id, now, rooms::channel_id},
        json::text,
    },
};

/// What is older is no news, in milliseconds.
const AT_MOST: i64 = 3_600_000;
/// Of 100 messages each.
const PAGES: usize = 10;

#[derive(Default)]
pub(in crate::chat::discord) struct Heard {
    /// Up to which message each room's history was read. What comes live does not move it: something may have come before.
    read: Mutex<HashMap<String, u64>>,
    /// Something was not kept, or could not be asked for.
    behind: AtomicBool,
    asking: AtomicBool,
}

/// A message came over the gateway.
pub(super) fn came(discord: &Discord, inbox: &Arc<dyn Inbox>, payload: Payload) {
    let (discord, inbox) = (discord.clone(), inbox.clone());
    tokio::spawn(async move {
        let channel = payload.text("/channel_id").to_owned();
        if let Err(why) = take(&discord, &inbox, payload).await {
            tracing::error!(why, "a message was not heard; the room is read again soon");
            // From an hour ago: it may be an old one that was edited.
            reading(&discord).remove(&channel);
            discord.0.heard.behind.store(true, Ordering::Relaxed);
        }
    });
}

async fn take(discord: &Discord, inbox: &Arc<dyn Inbox>, payload: Payload) -> Result<(), String> {
    let me = discord.me().await.map_err(|fault| fault.to_string())?;
    // A history names no server: rooms are in ours.
    let guild = payload.text("/guild_id");
    if !guild.is_empty() && guild != discord.0.settings.guild.to_string() {
        return Ok(());
    }
    let channel = payload.text("/channel_id").to_owned();
    let matters = payload.matters(&me.user, &me.application.to_string());
    if matters && (payload.is_said_to(&me.user) || in_a_room(discord, &channel).await?) {
        super::hear(discord, inbox, payload).await.map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn reading(discord: &Discord) -> std::sync::MutexGuard<'_, HashMap<String, u64>> {
    discord.0.heard.read.lock().unwrap_or_else(PoisonError::into_inner)
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
    if !discord.0.settings.reads_messages {
        return;
    }
    if discord.0.heard.asking.swap(true, Ordering::AcqRel) {
        // What came since it began is read another time.
        return discord.0.heard.behind.store(true, Ordering::Relaxed);
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
    let known = reading(discord).get(&channel).copied();
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
        reading(discord).insert(channel.clone(), newest);
    }
    Ok(())
}

/// The id that a message of an hour ago would have.
fn oldest() -> u64 {
    id_at((now() - AT_MOST).max(sent_at("1")))
}
