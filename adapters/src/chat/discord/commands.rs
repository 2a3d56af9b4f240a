//! Commands as Discord knows them (Application Commands): registered at the start, and only when they are others than before.

use std::time::Duration;

use serde_json::{Value, json};
use serenity::{http::Route, model::id::CommandId};

use super::{Discord, config::Scope};
use crate::{
    Fault,
    chat::{
        Argument, Offered, Typed,
        json::text,
        legible::{cut, one_line},
    },
};

/// Points at a message.
pub(super) const POINTED: &str = "Propose a rollback";
const HELP: usize = 100;
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Tries of one start; the commands of the start before are there meanwhile.
const TRIES: u32 = 30;

const CHAT_INPUT: u8 = 1;
const MESSAGE: u8 = 3;
const SUB_COMMAND: u8 = 1;
const STRING: u8 = 3;
const BOOLEAN: u8 = 5;
const USER: u8 = 6;

/// Until they are registered.
pub(super) async fn keep_registered(discord: &Discord) {
    for number in 0..TRIES {
        match register(discord).await {
            Ok(true) => return tracing::info!("commands are registered with Discord"),
            Ok(false) => return,
            Err(fault @ (Fault::Denied(_) | Fault::Invalid(_))) => {
                return tracing::error!(%fault, "commands can't be registered with Discord; `lastgood check` says more");
            }
            Err(fault) => {
                tracing::warn!(%fault, "commands are not registered with Discord yet");
                tokio::time::sleep((Duration::from_millis(500) * 2_u32.pow(number.min(8))).min(LONGEST_WAIT))
                    .await;
            }
        }
    }
    tracing::error!(
        "commands are not registered with Discord: start lastgood again when Discord can be reached"
    );
}

/// Whether they were others.
async fn register(discord: &Discord) -> Result<bool, Fault> {
    let application_id = discord.me().await?.application;
    let guild_id = discord.0.settings.guild;
    let (guild, global) =
        (Route::GuildCommands { application_id, guild_id }, Route::Commands { application_id });
    let (here, elsewhere) = match discord.0.settings.commands {
        Scope::Guild => (guild, global),
        Scope::Global => (global, guild),
    };
    let ours = all(&discord.0.offered, discord.0.settings.commands);
    // Registered in both places, every command would be offered twice, one of them as it once was.
    for old in
        discord.0.api.get("asking for commands", elsewhere, &[]).await?.as_array().into_iter().flatten()
    {
        let ours = list(&ours).iter().any(|one| one["name"] == old["name"] && one["type"] == old["type"]);
        let Some(number) = super::id(text(old, "/id")).filter(|_| ours) else { continue };
        let command_id = CommandId::new(number);
        let route = match discord.0.settings.commands {
            Scope::Guild => Route::Command { application_id, command_id },
            Scope::Global => Route::GuildCommand { application_id, guild_id, command_id },
        };
        discord.0.api.delete("taking back a command", route).await?;
    }
    let theirs = discord.0.api.get("asking for commands", here, &[]).await?;
    if normal(&ours) == normal(&theirs) {
        return Ok(false);
    }
    discord.0.api.put("registering commands", here, &ours).await?;
    Ok(true)
}

fn list(of: &Value) -> &[Value] {
    of.as_array().map_or(&[], Vec::as_slice)
}

/// Commands by name, with what we say of them and nothing else: Discord adds fields, leaves out what is the default, and has an
/// order of its own for commands, though not for their options.
fn normal(commands: &Value) -> Vec<Value> {
    let mut all: Vec<_> = list(commands).iter().map(plain).collect();
    all.sort_by_key(|one| text(one, "/name").to_owned());
    all
}

fn plain(of: &Value) -> Value {
    let is = |key: &str| of.get(key).and_then(Value::as_bool).unwrap_or(false);
    json!({
        "type": of["type"],
        "name": of["name"],
        "description": text(of, "/description"),
        "required": is("required"),
        "autocomplete": is("autocomplete"),
        "choices": list(&of["choices"]).iter().map(|of| json!([of["name"], of["value"]])).collect::<Vec<_>>(),
        "options": list(&of["options"]).iter().map(plain).collect::<Vec<_>>(),
    })
}

/// One slash command a group, with a subcommand for each of its commands; and one for messages.
fn all(offered: &[Offered], scope: Scope) -> Value {
    let mut groups: Vec<&str> = Vec::new();
    for one in offered {
        if !groups.contains(&one.group) {
            groups.push(one.group);
        }
    }
    let mut all: Vec<Value> = groups
        .iter()
        .map(|group| {
            let commands = offered.iter().filter(|one| one.group == *group);
            json!({
                "type": CHAT_INPUT,
                "name": group,
                "description": help(&commands.clone().map(|one| one.name).collect::<Vec<_>>().join(", ")),
                "options": commands.map(subcommand).collect::<Vec<_>>(),
            })
        })
        .collect();
    all.push(json!({ "type": MESSAGE, "name": POINTED }));
    if scope == Scope::Global {
        // In servers only, and installed there; of commands of one server Discord keeps neither.
        for command in &mut all {
            command["contexts"] = json!([0]);
            command["integration_types"] = json!([0]);
        }
    }
    Value::Array(all)
}

fn help(text: &str) -> String {
    cut(&one_line(text), HELP)
}

/// Lower case, without spaces (Application Command Naming).
pub(super) fn option_name(name: &str) -> String {
    name.to_lowercase().replace(' ', "-")
}

fn subcommand(of: &Offered) -> Value {
    // What has to be filled in comes first.
    let (needed, others): (Vec<_>, Vec<_>) = of.arguments.iter().partition(|argument| argument.needed);
    let options: Vec<_> = needed.into_iter().chain(others).map(option).collect();
    json!({ "type": SUB_COMMAND, "name": option_name(of.name), "description": help(of.help), "options": options })
}

fn option(argument: &Argument) -> Value {
    let mut option = json!({
        "type": match argument.kind {
            Typed::Text | Typed::Suggested | Typed::OneOf(_) => STRING,
            Typed::Flag => BOOLEAN,
            Typed::Person => USER,
        },
        "name": option_name(argument.name),
        "description": help(argument.help),
        "required": argument.needed,
    });
    match argument.kind {
        Typed::Suggested => option["autocomplete"] = true.into(),
        Typed::OneOf(words) => {
            let choices: Vec<_> = words.iter().map(|word| json!({ "name": word, "value": word })).collect();
            option["choices"] = choices.into();
        }
        _ => {}
    }
    option
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARGUMENT: Argument =
        Argument { name: "root cause", help: "what it was", needed: true, kind: Typed::Text };

    fn offered() -> Vec<Offered> {
        let optional = Argument { name: "version", needed: false, kind: Typed::Suggested, ..ARGUMENT };
        vec![Offered {
            group: "incident",
            name: "close",
            help: "Closes it",
            arguments: vec![optional, ARGUMENT],
        }]
    }

    #[test]
    fn what_is_needed_comes_first() {
        let options = &all(&offered(), Scope::Global)[0]["options"][0]["options"];
        assert_eq!((&options[0]["name"], &options[0]["required"]), (&json!("root-cause"), &json!(true)));
        assert_eq!((&options[1]["name"], &options[1]["autocomplete"]), (&json!("version"), &json!(true)));
    }

    #[test]
    fn only_what_changed_is_registered_anew() {
        let ours = all(&offered(), Scope::Global);
        let mut theirs = ours.clone();
        theirs[0]["id"] = "1".into();
        theirs[0]["options"][0]["options"][1].as_object_mut().unwrap().remove("required");
        theirs[1]["options"] = Value::Null;
        let turned = json!([theirs[1], theirs[0]]);
        assert_eq!(normal(&ours), normal(&turned));
        let mut other = theirs.clone();
        // What we do not offer any more.
        other[0]["options"][0]["options"][0]["choices"] = json!([{ "name": "a", "value": "a" }]);
        assert_ne!(normal(&ours), normal(&other));
        let mut other = theirs.clone();
        if let Some(options) = other[0]["options"][0]["options"].as_array_mut() {
            options.reverse();
        }
        assert_ne!(normal(&ours), normal(&other));
        let mut other = theirs.clone();
        other[0]["options"][0]["description"] = "other".into();
        assert_ne!(normal(&ours), normal(&other));
        other.as_array_mut().unwrap().pop();
        assert_ne!(normal(&ours), normal(&other));
        theirs.as_array_mut().unwrap().push(json!({ "name": "old" }));
        assert_ne!(normal(&ours), normal(&theirs));
    }
}
