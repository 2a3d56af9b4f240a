//! The methods about servers, channels and messages.

use serde_json::{Value, json};

use super::{
    Discord,
    messages::{Message, Shown},
    rules,
    state::{ALLOWED, APP, BOT_ROLE, Channel, GUILD, State},
    web::{Answered, Call, refuse},
};

const VIEW: u64 = 1 << 10;
const SEND: u64 = 1 << 11;
const MANAGE_THREADS: u64 = 1 << 34;
const CREATE_THREADS: u64 = 1 << 35;
const SEND_IN_THREADS: u64 = 1 << 38;

pub fn answer(discord: &Discord, call: &Call) -> Answered {
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    match (call.method.as_str(), path.as_slice()) {
        ("GET", ["users", "@me"]) => Ok(json!({ "id": APP, "username": "lastgood", "bot": true })),
        ("GET", ["oauth2", "applications", "@me"] | ["applications", "@me"]) => {
            let state = discord.state();
            let flags = if state.privileged { 1 << 19 } else { 0 };
            Ok(json!({ "id": APP, "name": "lastgood", "flags": flags, "verify_key": discord.public_key(),
                "interactions_endpoint_url": state.endpoint }))
        }
        ("GET", ["gateway", "bot"]) => Ok(json!({ "url": discord.0.sockets, "shards": 1,
            "session_start_limit": { "total": 1000, "remaining": 999, "reset_after": 1, "max_concurrency": 1 } })),
        ("GET", ["guilds", GUILD]) => Ok(json!({ "id": GUILD, "name": "Shop" })),
        ("GET", ["guilds", GUILD, "channels"]) => {
            let state = discord.state();
            let all = state.channels.iter().filter(|channel| !channel.is_thread());
            Ok(all.map(Channel::json).collect())
        }
        ("GET", ["guilds", GUILD, "roles"]) => Ok(roles(&discord.state())),
        ("GET", ["guilds", GUILD, "threads", "active"]) => {
            let state = discord.state();
            let active = state.channels.iter().filter(|channel| channel.is_thread() && !channel.archived);
            Ok(json!({ "threads": active.map(Channel::json).collect::<Vec<_>>() }))
        }
        ("GET", ["guilds", GUILD, "members", id]) => member(&discord.state(), id),
        ("GET" | "PUT", ["applications", APP, "guilds", GUILD, "commands"]) => commands(discord, call),
        ("DELETE", ["applications", APP, "commands", id]) => {
            discord.state().global.retain(|command| command["id"] != *id);
            Ok(Value::Null)
        }
        ("GET", ["applications", APP, "commands"]) => Ok(Value::Array(discord.state().global.clone())),
        ("GET", ["channels", id]) => {
            seen(&discord.state(), id)?;
            Ok(discord.state().channel(id).unwrap().json())
        }
        ("PATCH", ["channels", id]) => change(discord, id, &call.body),
        ("GET", ["channels", channel, "messages"]) => history(&discord.state(), channel, call),
        ("GET", ["channels", channel, "messages", id]) => {
            let mut state = discord.state();
            seen(&state, channel)?;
            match state.message(channel, id) {
                Some(message) => Ok(message.json(true)),
                None => refuse(404, 10_008, "Unknown Message"),
            }
        }
        ("POST", ["channels", channel, "messages"]) => post(discord, channel, call),
        ("PATCH", ["channels", channel, "messages", id]) => edit(discord, channel, id, &call.body),
        ("POST", ["channels", channel, "messages", id, "threads"]) => {
            thread(discord, channel, id, &call.body)
        }
        ("POST", ["channels", channel, "threads"]) => forum_thread(discord, channel, &call.body),
        _ => {
            let what = format!("no such thing: {} {}", call.method, call.path.join("/"));
            discord.state().refused.push(what.clone());
            refuse(404, 0, what)
        }
    }
}

fn roles(state: &State) -> Value {
    let everyone = json!({ "id": GUILD, "name": "@everyone", "permissions": "0" });
    let others = state.roles.iter().map(|role| {
        let permissions = if role.id == BOT_ROLE { ALLOWED } else { 0 };
        json!({ "id": role.id, "name": role.name, "permissions": permissions.to_string() })
    });
    std::iter::once(everyone).chain(others).collect()
}

fn member(state: &State, id: &str) -> Answered {
    if id == APP {
        return Ok(
            json!({ "user": { "id": APP, "username": "lastgood", "bot": true }, "roles": [BOT_ROLE], "flags": 0 }),
        );
    }
    match state.users.get(id).filter(|user| user.member) {
        Some(user) => Ok(user.json()),
        None if state.users.contains_key(id) => refuse(404, 10_007, "Unknown Member"),
        None => refuse(404, 10_013, "Unknown User"),
    }
}

fn commands(discord: &Discord, call: &Call) -> Answered {
    if call.method == "PUT" {
        if let Err(why) = rules::commands(&call.body) {
            return refuse(400, 50_035, why);
        }
        let mut state = discord.state();
        state.registrations += 1;
        let mut all = call.body.as_array().cloned().unwrap_or_default();
        for command in &mut all {
            // As Discord fills in what was left out, and leaves out what is the default.
            command["id"] = state.id().into();
            command["application_id"] = APP.into();
            command["default_member_permissions"] = Value::Null;
            command["version"] = "1".into();
            command["nsfw"] = false.into();
            if command["type"] == 3 {
                command["description"] = "".into();
            }
            for sub in command["options"].as_array_mut().into_iter().flatten() {
                if sub["options"].as_array().is_some_and(Vec::is_empty) {
                    sub.as_object_mut().unwrap().remove("options");
                }
                for option in sub["options"].as_array_mut().into_iter().flatten() {
                    if option["required"] == false {
                        option.as_object_mut().unwrap().remove("required");
                    }
                }
            }
        }
        state.commands = Value::Array(all);
    }
    Ok(discord.state().commands.clone())
}

fn seen(state: &State, channel: &str) -> Result<(), (u16, i64, String)> {
    if !state.channels.iter().any(|of| of.id == channel) {
        return refuse(404, 10_003, "Unknown Channel");
    }
    may(state, channel, VIEW, 50_001)
}

fn may(state: &State, channel: &str, bit: u64, code: i64) -> Result<(), (u16, i64, String)> {
    match state.allowed(channel) & bit {
        0 => refuse(403, code, if code == 50_001 { "Missing Access" } else { "Missing Permissions" }),
        _ => Ok(()),
    }
}

fn change(discord: &Discord, id: &str, body: &Value) -> Answered {
    let mut state = discord.state();
    seen(&state, id)?;
    may(&state, id, MANAGE_THREADS, 50_013)?;
    let channel = state.channel(id).unwrap();
    if let Some(name) = body["name"].as_str() {
        if name.is_empty() || name.chars().count() > 100 {
            return refuse(400, 50_035, "name: 1 to 100 characters");
        }
        name.clone_into(&mut channel.name);
    }
    channel.archived = body["archived"].as_bool().unwrap_or(channel.archived);
    channel.locked = body["locked"].as_bool().unwrap_or(channel.locked);
    Ok(channel.json())
}

fn history(state: &State, channel: &str, call: &Call) -> Answered {
    seen(state, channel)?;
    let number = |key: &str| call.query.get(key).and_then(|text| text.parse::<u64>().ok());
    let limit = number("limit").unwrap_or(50);
    if !(1..=100).contains(&limit) {
        return refuse(400, 50_035, "limit: 1 to 100");
    }
    let id = |message: &Message| message.id.parse::<u64>().unwrap();
    let mut here: Vec<_> = state
        .messages
        .iter()
        .filter(|of| of.channel == channel && !of.deleted)
        .filter(|of| number("after").is_none_or(|after| id(of) > after))
        .filter(|of| number("before").is_none_or(|before| id(of) < before))
        .collect();
    here.sort_by_key(|of| id(of));
    // The newest, or those that follow: newest first in either case.
    let limit = usize::try_from(limit).unwrap();
    if call.query.contains_key("after") {
        here.truncate(limit);
    } else if here.len() > limit {
        here.drain(..here.len() - limit);
    }
    Ok(here.iter().rev().map(|of| of.json(true)).collect())
}

fn post(discord: &Discord, channel: &str, call: &Call) -> Answered {
    let body = &call.body;
    let message = {
        let mut state = discord.state();
        seen(&state, channel)?;
        let thread = state.channel(channel).unwrap().is_thread();
        if state.channel(channel).unwrap().kind == 15 {
            return refuse(400, 50_008, "Cannot send messages in a non-text channel");
        }
        may(&state, channel, if thread { SEND_IN_THREADS } else { SEND }, 50_013)?;
        if let Err(why) = rules::message(body) {
            return refuse(400, 50_035, why);
        }
        let nonce = body["nonce"].as_str().map(str::to_owned);
        let same =
            |of: &&Message| of.ours && of.channel == channel && of.nonce.is_some() && of.nonce == nonce;
        if let Some(known) = state.messages.iter().find(same).filter(|_| body["enforce_nonce"] == true) {
            let mut json = known.json(true);
            json["nonce"] = body["nonce"].clone();
            return Ok(json);
        }
        let place = state.channel(channel).unwrap();
        if place.locked && place.archived && place.allowed & MANAGE_THREADS == 0 {
            return refuse(403, 50_083, "Thread is archived");
        }
        place.archived = false;
        state.uploaded.extend(call.file.clone());
        own(&mut state, channel, body, nonce)
    };
    discord.happened("MESSAGE_CREATE", &message);
    let mut json = message.json(true);
    json["nonce"] = body["nonce"].clone();
    Ok(json)
}

fn own(state: &mut State, channel: &str, body: &Value, nonce: Option<String>) -> Message {
    let message = Message {
        id: state.id(),
        channel: channel.to_owned(),
        by: APP.to_owned(),
        name: "lastgood".to_owned(),
        bot: true,
        webhook: false,
        ours: true,
        deleted: false,
        nonce,
        reference: body["message_reference"].clone(),
        revisions: vec![Shown::of(body)],
    };
    state.messages.push(message.clone());
    message
}

fn edit(discord: &Discord, channel: &str, id: &str, body: &Value) -> Answered {
    let message = {
        let mut state = discord.state();
        seen(&state, channel)?;
        if state.channel(channel).unwrap().archived {
            return refuse(400, 50_083, "Thread is archived");
        }
        let Some(message) = state.message(channel, id) else { return refuse(404, 10_008, "Unknown Message") };
        if !message.ours {
            return refuse(403, 50_005, "Cannot edit a message authored by another user");
        }
        if let Err(why) = rules::message(body) {
            return refuse(400, 50_035, why);
        }
        message.revisions.push(Shown::of(body));
        message.clone()
    };
    discord.happened("MESSAGE_UPDATE", &message);
    Ok(message.json(true))
}

fn named(body: &Value) -> Result<String, (u16, i64, String)> {
    match body["name"].as_str().filter(|name| (1..=100).contains(&name.chars().count())) {
        Some(name) => Ok(name.to_owned()),
        None => refuse(400, 50_035, "name: 1 to 100 characters"),
    }
}

fn thread(discord: &Discord, channel: &str, id: &str, body: &Value) -> Answered {
    let mut state = discord.state();
    seen(&state, channel)?;
    may(&state, channel, CREATE_THREADS, 50_013)?;
    let name = named(body)?;
    if state.channel(channel).unwrap().kind != 0 {
        return refuse(400, 50_024, "Cannot execute action on this channel type");
    }
    if state.message(channel, id).is_none() {
        return refuse(404, 10_008, "Unknown Message");
    }
    if state.channel(id).is_some() {
        return refuse(400, 160_004, "A thread has already been created for this message");
    }
    let parent = Some(channel.to_owned());
    let thread = Channel {
        id: id.to_owned(),
        name,
        kind: 11,
        parent,
        own: true,
        archived: false,
        locked: false,
        allowed: ALLOWED,
    };
    let json = thread.json();
    state.channels.push(thread);
    Ok(json)
}

fn forum_thread(discord: &Discord, channel: &str, body: &Value) -> Answered {
    let mut state = discord.state();
    seen(&state, channel)?;
    may(&state, channel, SEND, 50_013)?;
    let name = named(body)?;
    if state.channel(channel).unwrap().kind != 15 {
        return refuse(400, 50_024, "Cannot execute action on this channel type");
    }
    if let Err(why) = rules::message(&body["message"]) {
        return refuse(400, 50_035, why);
    }
    let message = own(&mut state, "", &body["message"], None);
    // The thread and the message that it begins with have one id.
    let id = message.id.clone();
    state.messages.last_mut().unwrap().channel.clone_from(&id);
    let parent = Some(channel.to_owned());
    let thread =
        Channel { id, name, kind: 11, parent, own: true, archived: false, locked: false, allowed: ALLOWED };
    let mut json = thread.json();
    json["message"] = state.messages.last().unwrap().json(true);
    state.channels.push(thread);
    Ok(json)
}
