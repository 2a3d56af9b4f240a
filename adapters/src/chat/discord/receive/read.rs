//! From Discord's payloads to what a person did.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    payload::{Kind, Payload},
    posted::{plain, posted},
};
use crate::Fault;
use crate::chat::{
    Asking, Incoming, Offered, Typed, What,
    discord::{Discord, commands::option_name, draw, reference},
    json::{list, text},
};

/// What was done; none: nothing that anybody could answer.
///
/// # Errors
/// When Discord can't be asked now what is needed for it.
pub(super) async fn read(discord: &Discord, payload: &Payload) -> Result<Option<Incoming>, Fault> {
    let channel = payload.text("/channel_id");
    if let Some(told) = payload.body().get("channel") {
        discord.0.rooms.told(told);
    }
    let what = match payload {
        Payload::Interaction(_) => interaction(discord, payload, channel),
        Payload::Message(body) => Some(match payload.is_said_to(&discord.me().await?.user) {
            true => What::Command { text: said(payload.text("/content")) },
            false => What::Posted(posted(channel, body)),
        }),
    };
    let Some(what) = what else { return Ok(None) };
    let (room, inside) = match discord.0.rooms.place(&discord.0.api, channel).await {
        Ok(place) => place,
        // A button says itself what it is about; a room that the bot can't see is none of the configured ones.
        Err(fault)
            if matches!(what, What::Press { .. })
                || matches!(fault, Fault::Denied(_) | Fault::NotFound(_)) =>
        {
            tracing::warn!(%fault, "where something happened can't be asked");
            (channel.to_owned(), None)
        }
        Err(fault) => return Err(fault),
    };
    let on = match &what {
        What::Press { .. } => {
            let about = draw::submitted(payload.text("/data/custom_id")).1;
            about.or(Some(payload.text("/message/id")).filter(|id| !id.is_empty()))
        }
        What::Pointed(_) => payload.target(),
        _ => None,
    };
    Ok(Some(Incoming {
        delivery: payload.delivery(),
        actor: payload.actor(),
        room,
        thread: inside.or_else(|| on.map(|message| reference(channel, message))),
        what,
    }))
}

/// Everything after the bot's mention.
fn said(content: &str) -> String {
    let after = content.split_once('>').map_or("", |(_, after)| after);
    plain(after).0.trim().to_owned()
}

fn interaction(discord: &Discord, payload: &Payload, channel: &str) -> Option<What> {
    let data = payload.body().get("data")?;
    match payload.kind() {
        Kind::Component => {
            let (action, _) = draw::pressed(text(data, "/custom_id"));
            Some(What::Press { action: action.to_owned(), inputs: BTreeMap::new() })
        }
        Kind::Modal => {
            let (action, _) = draw::submitted(text(data, "/custom_id"));
            Some(What::Press { action: action.to_owned(), inputs: draw::filled(data) })
        }
        Kind::Command if !text(data, "/target_id").is_empty() => {
            let message = data.pointer(&format!("/resolved/messages/{}", text(data, "/target_id")))?;
            Some(What::Pointed(posted(channel, message)))
        }
        Kind::Command => {
            let (command, filled) = chosen(discord, data)?;
            let values = filled.into_iter().map(|filled| (filled.name, filled.value)).collect();
            Some(What::Chosen { group: command.group.to_owned(), command: command.name.to_owned(), values })
        }
        _ => None,
    }
}

/// An argument as it is filled in, under the name that it was offered by.
struct Filled {
    name: String,
    value: String,
    /// Somebody is typing it.
    focused: bool,
}

fn chosen<'a>(discord: &'a Discord, data: &Value) -> Option<(&'a Offered, Vec<Filled>)> {
    let sub = list(data, "options").first()?;
    let named =
        |one: &&Offered| one.group == text(data, "/name") && option_name(one.name) == text(sub, "/name");
    let command = discord.0.offered.iter().find(named)?;
    let filled = list(sub, "options").iter().filter_map(|option| {
        let argument = command.arguments.iter().find(|of| option_name(of.name) == text(option, "/name"))?;
        let value = match (option.get("value")?, argument.kind) {
            (Value::Bool(true), Typed::Flag) => argument.name.to_owned(),
            (Value::Bool(_), Typed::Flag) => return None,
            (Value::String(id), Typed::Person) => format!("@discord:{id}"),
            (Value::String(text), _) => text.trim().to_owned(),
            (other, _) => other.to_string(),
        };
        let focused = option.get("focused").and_then(Value::as_bool).unwrap_or(false);
        (focused || !value.is_empty()).then(|| Filled { name: argument.name.to_owned(), value, focused })
    });
    Some((command, filled.collect()))
}

/// What somebody is filling in.
pub(super) async fn asking(discord: &Discord, payload: &Payload) -> Option<Asking> {
    let (command, filled) = chosen(discord, payload.body().get("data")?)?;
    let focused = filled.iter().find(|filled| filled.focused)?;
    let room = discord.0.rooms.place(&discord.0.api, payload.text("/channel_id")).await;
    let given = filled.iter().filter(|filled| !filled.focused);
    Some(Asking {
        actor: payload.actor(),
        room: room.map(|(room, _)| room).unwrap_or_default(),
        group: command.group.to_owned(),
        command: command.name.to_owned(),
        argument: focused.name.clone(),
        typed: focused.value.clone(),
        given: given.map(|filled| (filled.name.clone(), filled.value.clone())).collect(),
    })
}
