//! The methods that the bot calls, each as its page documents it.

use std::time::Instant;

use serde_json::{Value, json};

use super::{
    Slack, WITHIN,
    messages::{Message, Shown},
    rules,
    state::{APP, BOT, BOT_USER, Channel, Ephemeral, State, TEAM, User},
    web::{Answered, Asked, refuse},
};

fn text<'a>(asked: &'a Asked, name: &str) -> &'a str {
    asked.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn value<'a>(asked: &'a Asked, name: &str) -> &'a Value {
    asked.get(name).unwrap_or(&Value::Null)
}

fn flag(asked: &Asked, name: &str) -> bool {
    match value(asked, name) {
        Value::Bool(flag) => *flag,
        Value::String(text) => text == "true" || text == "1",
        _ => false,
    }
}

pub fn call(slack: &Slack, state: &mut State, method: &str, asked: &Asked) -> Answered {
    match method {
        "auth.test" => Ok(json!({ "url": "https://shop.slack.com/", "team": "Shop", "user": "lastgood",
            "team_id": TEAM, "user_id": BOT_USER, "bot_id": BOT, "is_enterprise_install": false })),
        "apps.connections.open" => {
            let ticket = format!("ticket{}", state.number());
            state.tickets.insert(ticket.clone());
            Ok(json!({ "url": format!("{}/link/?ticket={ticket}&app_id={APP}", slack.0.sockets) }))
        }
        "chat.postMessage" => post(state, asked),
        "chat.update" => update(state, asked),
        "chat.postEphemeral" => ephemeral(state, asked),
        "conversations.list" => match text(asked, "limit").parse().unwrap_or(100_u32) {
            1..1_000 => Ok(list(state, asked)),
            _ => Err(refuse("invalid_limit")),
        },
        "conversations.info" => {
            let channel = state.channel(text(asked, "channel")).ok_or_else(|| refuse("channel_not_found"))?;
            Ok(json!({ "channel": shown(channel) }))
        }
        "conversations.history" => history(state, asked, None),
        "conversations.replies" => {
            let ts = text(asked, "ts").to_owned();
            history(state, asked, Some(&ts))
        }
        "users.info" => {
            let user = state.users.get(text(asked, "user")).ok_or_else(|| refuse("user_not_found"))?;
            Ok(json!({ "user": person(user) }))
        }
        "usergroups.list" => {
            let groups = state.groups.iter();
            let groups =
                groups.map(|(handle, (id, _))| json!({ "id": id, "handle": handle, "name": handle }));
            Ok(json!({ "usergroups": groups.collect::<Vec<_>>() }))
        }
        "usergroups.users.list" => {
            let asked = text(asked, "usergroup");
            let group = state.groups.values().find(|(id, _)| id == asked);
            let (_, users) = group.ok_or_else(|| refuse("no_such_subteam"))?;
            Ok(json!({ "users": users }))
        }
        "views.open" => open(state, asked),
        "views.publish" => publish(state, asked),
        "files.getUploadURLExternal" => {
            if text(asked, "filename").is_empty() || text(asked, "length").parse::<u64>().is_err() {
                return Err(refuse("invalid_arguments"));
            }
            let id = format!("F{:08}", state.number());
            Ok(json!({ "upload_url": format!("{}/upload/{id}", slack.0.address), "file_id": id }))
        }
        "files.completeUploadExternal" => complete(state, asked),
        _ => Err(refuse("unknown_method")),
    }
}

fn shown(channel: &Channel) -> Value {
    json!({ "id": channel.id, "name": channel.name, "is_member": channel.member,
            "is_archived": channel.archived, "is_private": channel.private })
}

fn person(user: &User) -> Value {
    json!({ "id": user.id, "team_id": user.team, "name": user.name, "deleted": user.deleted,
            "is_bot": user.bot, "is_restricted": user.guest, "is_ultra_restricted": false,
            "is_stranger": user.team != TEAM,
            "real_name": user.name, "profile": { "display_name": user.name, "team": user.team } })
}

fn list(state: &State, asked: &Asked) -> Value {
    // Small pages, so that whoever forgets the cursor misses some.
    let from: usize = text(asked, "cursor").parse().unwrap_or_default();
    let archived = !flag(asked, "exclude_archived");
    let all: Vec<_> = state.channels.iter().filter(|channel| archived || !channel.archived).collect();
    let page: Vec<_> = all.iter().skip(from).take(2).map(|channel| shown(channel)).collect();
    let next = if from + 2 < all.len() { (from + 2).to_string() } else { String::new() };
    json!({ "channels": page, "response_metadata": { "next_cursor": next } })
}

fn writable<'a>(state: &'a State, asked: &Asked) -> Result<&'a Channel, (String, Value)> {
    let channel = state.channel(text(asked, "channel")).ok_or_else(|| refuse("channel_not_found"))?;
    match channel {
        Channel { archived: true, .. } => Err(refuse("is_archived")),
        Channel { member: false, .. } => Err(refuse("not_in_channel")),
        channel => Ok(channel),
    }
}

fn content(state: &mut State, asked: &Asked) -> Result<Shown, (String, Value)> {
    let (words, blocks) = (text(asked, "text").to_owned(), value(asked, "blocks").clone());
    if words.is_empty() && blocks.is_null() {
        return Err(refuse("no_text"));
    }
    if words.chars().count() > 40_000 {
        return Err(refuse("msg_too_long"));
    }
    if !blocks.is_null() {
        rules::blocks(&blocks, 50, false).map_err(|why| {
            ("invalid_blocks".to_owned(), json!({ "response_metadata": { "messages": [why] } }))
        })?;
        state.sent.push(("message", blocks.clone()));
    }
    rules::metadata(value(asked, "metadata")).map_err(refuse)?;
    Ok(Shown { text: words, blocks })
}

fn post(state: &mut State, asked: &Asked) -> Answered {
    let channel = writable(state, asked)?.id.clone();
    let shown = content(state, asked)?;
    let thread = Some(text(asked, "thread_ts").to_owned()).filter(|ts| !ts.is_empty());
    if let Some(root) = &thread {
        let parent = state.message(&channel, root).ok_or_else(|| refuse("thread_not_found"))?;
        if parent.thread_ts.as_ref().is_some_and(|of| of != root) {
            return Err(refuse("cannot_reply_to_message"));
        }
    }
    let ts = state.ts();
    state.messages.push(Message {
        channel: channel.clone(),
        ts: ts.clone(),
        thread_ts: thread,
        by: BOT.to_owned(),
        name: "lastgood".to_owned(),
        bot: true,
        ours: true,
        broadcast: flag(asked, "reply_broadcast"),
        deleted: false,
        metadata: value(asked, "metadata").clone(),
        attachments: Value::Null,
        revisions: vec![shown],
    });
    Ok(json!({ "channel": channel, "ts": ts }))
}

fn update(state: &mut State, asked: &Asked) -> Answered {
    let channel = writable(state, asked)?.id.clone();
    let shown = content(state, asked)?;
    let ts = text(asked, "ts");
    let message = state.message(&channel, ts).ok_or_else(|| refuse("message_not_found"))?;
    if !message.ours {
        return Err(refuse("cant_update_message"));
    }
    if *message.now() != shown {
        message.revisions.push(shown);
    }
    Ok(json!({ "channel": channel, "ts": ts, "text": text(asked, "text") }))
}

fn ephemeral(state: &mut State, asked: &Asked) -> Answered {
    let channel = writable(state, asked)?.id.clone();
    let user = text(asked, "user").to_owned();
    if !state.users.contains_key(&user) {
        return Err(refuse("user_not_in_channel"));
    }
    let shown = content(state, asked)?;
    let content = json!({ "text": shown.text, "blocks": shown.blocks });
    state.ephemerals.push(Ephemeral { channel, user, content });
    let ts = state.ts();
    Ok(json!({ "message_ts": ts }))
}

/// A room's messages, the newest first; a thread's, the oldest first.
fn history(state: &State, asked: &Asked, thread: Option<&str>) -> Answered {
    let channel = state.channel(text(asked, "channel")).ok_or_else(|| refuse("channel_not_found"))?;
    if !channel.member {
        return Err(refuse("not_in_channel"));
    }
    let metadata = flag(asked, "include_all_metadata");
    let there = state.messages.iter().filter(|message| message.channel == channel.id && !message.deleted);
    let mut found: Vec<&Message> = match thread {
        None => there.filter(|message| message.thread_ts.is_none() || message.broadcast).collect(),
        Some(root) => there.filter(|message| message.root() == root).collect(),
    };
    if thread.is_some() && found.is_empty() {
        return Err(refuse("thread_not_found"));
    }
    if thread.is_none() {
        found.reverse();
    }
    let limit = text(asked, "limit").parse().unwrap_or(100_usize).min(3);
    let from: usize = text(asked, "cursor").parse().unwrap_or_default();
    let next = if from + limit < found.len() { (from + limit).to_string() } else { String::new() };
    let page: Vec<_> = found.iter().skip(from).take(limit).map(|message| message.json(metadata)).collect();
    Ok(
        json!({ "messages": page, "has_more": !next.is_empty(), "response_metadata": { "next_cursor": next } }),
    )
}

fn open(state: &mut State, asked: &Asked) -> Answered {
    let trigger = text(asked, "trigger_id");
    let view = value(asked, "view").clone();
    let known = state.interactions.get(trigger).ok_or_else(|| refuse("invalid_trigger_id"))?;
    if known.form.is_some() {
        return Err(refuse("exchanged_trigger_id"));
    }
    if Instant::now() - known.at > WITHIN {
        return Err(refuse("expired_trigger_id"));
    }
    rules::view(&view).map_err(invalid)?;
    state.sent.push(("modal", view.clone()));
    let id = format!("V{:08}", state.number());
    state.views.insert(id.clone(), view);
    state.interactions.get_mut(trigger).expect("seen above").form = Some(id.clone());
    Ok(json!({ "view": { "id": id } }))
}

fn publish(state: &mut State, asked: &Asked) -> Answered {
    let view = value(asked, "view").clone();
    let user = text(asked, "user_id").to_owned();
    if !state.users.contains_key(&user) {
        return Err(refuse("user_not_found"));
    }
    rules::view(&view).map_err(invalid)?;
    state.sent.push(("home", view.clone()));
    state.homes.insert(user, view);
    Ok(json!({ "view": {} }))
}

fn invalid(why: String) -> (String, Value) {
    ("invalid_arguments".to_owned(), json!({ "response_metadata": { "messages": [why] } }))
}

fn complete(state: &mut State, asked: &Asked) -> Answered {
    let channel =
        state.channel(text(asked, "channel_id")).ok_or_else(|| refuse("channel_not_found"))?.id.clone();
    let thread = Some(text(asked, "thread_ts").to_owned()).filter(|ts| !ts.is_empty());
    let files = value(asked, "files").as_array().cloned().unwrap_or_default();
    for file in &files {
        let id = file["id"].as_str().unwrap_or_default();
        if !state.files.contains_key(id) {
            return Err(refuse("file_not_found"));
        }
        let ts = state.ts();
        let words = format!("(picture {id}: {})", file["title"].as_str().unwrap_or_default());
        state.messages.push(Message {
            channel: channel.clone(),
            ts,
            thread_ts: thread.clone(),
            by: BOT.to_owned(),
            name: "lastgood".to_owned(),
            bot: true,
            ours: true,
            broadcast: false,
            deleted: false,
            metadata: Value::Null,
            attachments: Value::Null,
            revisions: vec![Shown { text: words, blocks: Value::Null }],
        });
    }
    Ok(json!({ "files": files }))
}
