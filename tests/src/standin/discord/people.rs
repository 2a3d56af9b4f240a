//! What people and other programs do in the server, and what they then see.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{
    Discord, PATIENCE, WITHIN,
    messages::{Message, Shown},
    show,
    state::{APP, Role, User},
};

/// Somebody with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    pub id: String,
    pub name: String,
}

/// What somebody sees after a click or a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Saw {
    /// The message that they clicked on changed.
    Change,
    /// Text that only they see.
    Private(String),
    Form(Modal),
    /// Discord says that the application did not respond.
    NoAnswer,
}

impl Saw {
    pub fn private(self) -> String {
        match self {
            Self::Private(text) => text,
            other => panic!("no private answer: {other:?}"),
        }
    }

    pub fn form(self) -> Modal {
        match self {
            Self::Form(modal) => modal,
            other => panic!("no form: {other:?}"),
        }
    }
}

/// An opened form.
#[derive(Debug, Clone, PartialEq)]
pub struct Modal {
    pub data: Value,
    /// Where it was opened.
    channel: String,
    on: Option<(String, String)>,
}

impl Discord {
    pub fn person(&self, name: &str) -> Who {
        self.user(name, |_| {})
    }

    /// Has not accepted the server's rules yet.
    pub fn pending(&self, name: &str) -> Who {
        self.user(name, |user| user.pending = true)
    }

    /// Left the server, with an old window still open.
    pub fn outsider(&self, name: &str) -> Who {
        self.user(name, |user| user.member = false)
    }

    fn user(&self, name: &str, change: impl FnOnce(&mut User)) -> Who {
        let mut state = self.state();
        let id = state.id();
        let mut user = User {
            id: id.clone(),
            name: name.to_owned(),
            roles: BTreeSet::new(),
            member: true,
            pending: false,
        };
        change(&mut user);
        state.users.insert(id.clone(), user);
        Who { id, name: name.to_owned() }
    }

    /// A role and exactly who has it; its id.
    pub fn role(&self, name: &str, members: &[&Who]) -> String {
        let mut state = self.state();
        let known = state.roles.iter().find(|role| role.name == name).map(|role| role.id.clone());
        let id = match known {
            Some(id) => id,
            None => self.another_role_in(&mut state, name),
        };
        for user in state.users.values_mut() {
            user.roles.remove(&id);
        }
        for who in members {
            state.users.get_mut(&who.id).unwrap().roles.insert(id.clone());
        }
        id
    }

    /// One more of this name: Discord lets there be several.
    pub fn another_role(&self, name: &str) -> String {
        let mut state = self.state();
        self.another_role_in(&mut state, name)
    }

    fn another_role_in(&self, state: &mut super::state::State, name: &str) -> String {
        let id = state.id();
        state.roles.push(Role { id: id.clone(), name: name.to_owned() });
        id
    }

    /// The registered subcommand, as the composer shows it.
    fn subcommand(&self, command: &str) -> (String, Value) {
        let (group, name) = command.split_once(' ').expect("a group and a command");
        let commands = self.registered();
        let of = |list: &Value, name: &str| {
            let found = list.as_array().into_iter().flatten().find(|one| one["name"] == name).cloned();
            found.unwrap_or_else(|| panic!("nothing is called {name:?}: {list:#}"))
        };
        (group.to_owned(), of(&of(&commands, group)["options"], name))
    }

    fn filled(&self, sub: &Value, options: &[(&str, &str)], focused: Option<(&str, &str)>) -> Value {
        let known = |name: &str| {
            let mut all = sub["options"].as_array().into_iter().flatten();
            let found = all.find(|one| one["name"] == name).cloned();
            found.unwrap_or_else(|| panic!("no option {name:?}: {sub:#}"))
        };
        let mut filled: Vec<Value> = options
            .iter()
            .map(|(name, value)| {
                let option = known(name);
                let value = if option["type"] == 5 { json!(*value == "true") } else { json!(value) };
                json!({ "name": name, "type": option["type"], "value": value })
            })
            .collect();
        if let Some((name, typed)) = focused {
            assert_eq!(known(name)["autocomplete"], true);
            filled.push(json!({ "name": name, "type": 3, "value": typed, "focused": true }));
        }
        json!(filled)
    }

    /// Fills in a slash command (`rollback propose`) and sends it.
    pub async fn slash(&self, who: &Who, channel: &str, command: &str, options: &[(&str, &str)]) -> Saw {
        let (group, sub) = self.subcommand(command);
        for needed in sub["options"].as_array().into_iter().flatten().filter(|one| one["required"] == true) {
            let given = options.iter().any(|(name, _)| needed["name"] == *name);
            assert!(given, "Discord does not send it without {}", needed["name"]);
        }
        let filled = self.filled(&sub, options, None);
        let data = json!({ "id": "1", "name": group, "type": 1, "guild_id": super::GUILD,
            "options": [{ "name": sub["name"], "type": 1, "options": filled }] });
        let token = self.interact(&who.id, channel, json!({ "type": 2, "data": data })).await;
        self.saw(who, &token, channel, None).await
    }

    /// What is suggested while an option is filled in: (name, value).
    pub async fn complete(
        &self,
        who: &Who,
        channel: &str,
        command: &str,
        typing: (&str, &str),
        options: &[(&str, &str)],
    ) -> Vec<(String, String)> {
        let (group, sub) = self.subcommand(command);
        let filled = self.filled(&sub, options, Some(typing));
        let data = json!({ "id": "1", "name": group, "type": 1,
            "options": [{ "name": sub["name"], "type": 1, "options": filled }] });
        let token = self.interact(&who.id, channel, json!({ "type": 4, "data": data })).await;
        let first = self.until("suggestions", |state| state.interactions[&token].first.clone()).await;
        assert_eq!(first["type"], 8);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let choices = first["data"]["choices"].as_array().unwrap();
        choices.iter().map(|choice| (text(&choice["name"]), text(&choice["value"]))).collect()
    }

    /// Presses a button by its label: as the message is now, or else as it was when it last had one (a screen that was
    /// behind).
    pub async fn press(&self, who: &Who, message: &Message, label: &str) -> Saw {
        let now = self.now(message);
        let labelled = |shown: &Shown| shown.buttons().into_iter().find(|(of, _)| of == label);
        let Some((_, custom_id)) = now.revisions.iter().rev().find_map(labelled) else {
            panic!("there never was {label:?}\n{}", self.everything())
        };
        let payload = json!({ "type": 3, "data": { "component_type": 2, "custom_id": custom_id },
            "message": now.json(true) });
        let token = self.interact(&who.id, &message.channel, payload).await;
        self.saw(who, &token, &message.channel, Some(&now)).await
    }

    /// Fills in a form, by input, and submits it; what must be filled in has to be.
    pub async fn submit(&self, who: &Who, modal: &Modal, filled: &[(&str, &str)]) -> Saw {
        let filled: BTreeMap<_, _> = filled.iter().copied().collect();
        let labels = modal.data["components"].as_array().unwrap().iter().map(|label| {
            let component = &label["component"];
            let id = component["custom_id"].as_str().unwrap();
            let typed = filled.get(id).copied();
            assert!(typed.is_some() || component["required"] == false, "{id} has to be filled in");
            let submitted = match component["type"].as_u64() {
                Some(3) => {
                    let options = component["options"].as_array().unwrap();
                    let chosen = typed.map(|typed| {
                        let by = |option: &&Value| option["value"] == typed || option["label"] == typed;
                        options.iter().find(by).unwrap_or_else(|| panic!("no option {typed:?}: {options:?}"))
                            ["value"]
                            .clone()
                    });
                    json!({ "type": 3, "custom_id": id, "values": chosen.into_iter().collect::<Vec<_>>() })
                }
                _ => json!({ "type": 4, "custom_id": id, "value": typed.unwrap_or_default() }),
            };
            json!({ "type": 18, "id": 1, "component": submitted })
        });
        let data = json!({ "custom_id": modal.data["custom_id"], "components": labels.collect::<Vec<_>>() });
        let mut payload = json!({ "type": 5, "data": data });
        let on = modal.on.as_ref().and_then(|(channel, id)| self.state().message(channel, id).cloned());
        if let Some(message) = &on {
            payload["message"] = message.json(true);
        }
        let token = self.interact(&who.id, &modal.channel, payload).await;
        self.saw(who, &token, &modal.channel, on.as_ref()).await
    }

    /// Chooses a command in a message's menu.
    pub async fn point(&self, who: &Who, message: &Message, command: &str) -> Saw {
        let commands = self.registered();
        let mut all = commands.as_array().into_iter().flatten();
        assert!(all.any(|one| one["type"] == 3 && one["name"] == command), "{commands:#}");
        let mut resolved = json!({});
        resolved["messages"][&message.id] = self.now(message).json(true);
        let data =
            json!({ "id": "1", "name": command, "type": 3, "target_id": message.id, "resolved": resolved });
        let token = self.interact(&who.id, &message.channel, json!({ "type": 2, "data": data })).await;
        self.saw(who, &token, &message.channel, None).await
    }

    /// What comes of an interaction: a form, a private answer, or a change of the message.
    async fn saw(&self, who: &Who, token: &str, channel: &str, pressed: Option<&Message>) -> Saw {
        let acknowledged =
            self.seen_within(WITHIN, |state| state.interactions[token].first.clone().map(drop)).await;
        if acknowledged.is_none() {
            return Saw::NoAnswer;
        }
        let what = format!("what {} sees", who.name);
        let seen = self.seen_within(PATIENCE, |state| {
            let one = &state.interactions[token];
            let first = one.first.as_ref()?;
            let read = |content: &Value| Saw::Private(show::shown(&Shown::of(content)));
            match first["type"].as_u64() {
                Some(9) => {
                    let on = pressed.map(|message| (message.channel.clone(), message.id.clone()));
                    return Some(Saw::Form(Modal {
                        data: first["data"].clone(),
                        channel: channel.to_owned(),
                        on,
                    }));
                }
                Some(4) => return Some(read(&first["data"])),
                _ => {}
            }
            if let Some(content) = one.original.as_ref().or(one.private.first()) {
                return Some(read(content));
            }
            let pressed = pressed?;
            let now = state.message(&pressed.channel, &pressed.id)?;
            (now.revisions.len() > pressed.revisions.len()).then_some(Saw::Change)
        });
        seen.await.unwrap_or_else(|| panic!("never seen: {what}\n{}", self.everything()))
    }

    fn put(&self, channel: &str, by: &Who, bot: bool, body: &Value) -> Message {
        let message = {
            let mut state = self.state();
            let channel = state.channel(channel).expect("a channel that is there").id.clone();
            let message = Message {
                id: state.id(),
                channel,
                by: by.id.clone(),
                name: by.name.clone(),
                bot,
                webhook: bot,
                ours: false,
                deleted: false,
                nonce: None,
                reference: Value::Null,
                revisions: vec![Shown::of(body)],
            };
            state.messages.push(message.clone());
            message
        };
        self.happened("MESSAGE_CREATE", &message);
        self.show();
        message
    }

    /// Another program posts, by a webhook of the channel.
    pub fn posts(&self, program: &str, channel: &str, body: &Value) -> Message {
        let id = self.state().id();
        self.put(channel, &Who { id, name: program.to_owned() }, true, body)
    }

    /// A person says something that is nobody's business.
    pub fn says(&self, who: &Who, channel: &str, text: &str) -> Message {
        self.put(channel, who, false, &json!({ "content": text }))
    }

    /// Says something to the bot; what it answers.
    pub async fn mention(&self, who: &Who, channel: &str, text: &str) -> String {
        let message = self.put(channel, who, false, &json!({ "content": format!("<@{APP}> {text}") }));
        let answer = self.until("an answer", |state| {
            let answers = |of: &&Message| of.reference["message_id"] == message.id.as_str();
            state.messages.iter().find(answers).cloned()
        });
        answer.await.text()
    }

    /// The message to somebody that everybody sees, for want of another way.
    pub async fn called(&self, who: &Who, text: &str) -> Message {
        let mention = format!("<@{}>", who.id);
        self.until(text, |state| {
            let mut ours = state.messages.iter().filter(|message| message.ours);
            ours.find(|message| message.now().content == mention && message.says(text)).cloned()
        })
        .await
    }

    /// Somebody deletes a message.
    pub fn delete(&self, message: &Message) {
        self.state().message(&message.channel, &message.id).expect("a message that is there").deleted = true;
        self.show();
    }

    /// Nobody said anything in a thread for long.
    pub fn archive(&self, thread: &str) {
        self.state().channel(thread).expect("a thread that is there").archived = true;
    }

    /// Somebody deletes a thread, and everything in it.
    pub fn delete_thread(&self, thread: &str) {
        let mut state = self.state();
        state.channels.retain(|channel| channel.id != thread);
        state.messages.retain(|message| message.channel != thread);
    }
}
