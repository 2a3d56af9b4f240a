//! What people and other programs do in the workspace, and what they then see.

use std::{collections::BTreeMap, time::Instant};

use serde_json::{Value, json};

use super::{
    Slack,
    messages::{Message, Shown},
    show,
    state::{APP, BOT_USER, Interaction, OTHER_TEAM, State, TEAM, User},
};

/// Somebody with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Who {
    pub id: String,
    pub name: String,
}

/// Who posts: a person, or a program with its attachments.
#[derive(Clone, Copy)]
enum Author<'a> {
    Person(&'a Who),
    Program(&'a str, &'a Value),
}

/// What somebody sees after a click or a command.
#[derive(Debug, Clone, PartialEq)]
pub enum Saw {
    /// The message that they clicked on changed.
    Change,
    /// Text that only they see.
    Private(String),
    Form(Modal),
    /// Slack says that the app did not answer.
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
    pub id: String,
    pub view: Value,
}

impl Slack {
    pub fn person(&self, name: &str) -> Who {
        self.user(name, |_| {})
    }

    pub fn guest(&self, name: &str) -> Who {
        self.user(name, |user| user.guest = true)
    }

    /// Of another organisation, in a shared channel.
    pub fn stranger(&self, name: &str) -> Who {
        self.user(name, |user| OTHER_TEAM.clone_into(&mut user.team))
    }

    fn user(&self, name: &str, change: impl FnOnce(&mut User)) -> Who {
        let mut state = self.state();
        let id = format!("U{}00{}", name.to_uppercase(), state.number());
        let mut user = User {
            id: id.clone(),
            name: name.to_owned(),
            team: TEAM.to_owned(),
            guest: false,
            bot: false,
            deleted: false,
        };
        change(&mut user);
        state.users.insert(id.clone(), user);
        Who { id, name: name.to_owned() }
    }

    /// A user group (`@sre-oncall`) and exactly who is in it.
    pub fn group(&self, handle: &str, members: &[&Who]) {
        let mut state = self.state();
        let id = format!("S{:08}", state.number());
        let members = members.iter().map(|who| who.id.clone()).collect();
        state.groups.insert(handle.trim_start_matches('@').to_owned(), (id, members));
    }

    fn interaction(&self, who: &Who, channel: &str) -> (String, String, Value) {
        let mut state = self.state();
        let channel = state.channel(channel).map_or(String::new(), |channel| channel.id.clone());
        let trigger = format!("{}.{}", state.number(), state.number());
        let team = state.users[&who.id].team.clone();
        let began = Interaction {
            at: Instant::now(),
            user: who.id.clone(),
            channel: channel.clone(),
            used: 0,
            form: None,
            private: Vec::new(),
        };
        state.interactions.insert(trigger.clone(), began);
        let user = json!({ "id": who.id, "username": who.name, "name": who.name, "team_id": team });
        (channel, trigger, user)
    }

    fn response_url(&self, trigger: &str) -> String {
        format!("{}/answer/{trigger}", self.0.address)
    }

    /// Types a slash command.
    pub async fn slash(&self, who: &Who, channel: &str, typed: &str) -> Saw {
        let (command, text) = typed.split_once(' ').unwrap_or((typed, ""));
        let (channel, trigger, _) = self.interaction(who, channel);
        // With `should_escape`, people who are named arrive as their ids.
        let payload = json!({ "token": "x", "team_id": TEAM, "channel_id": channel, "user_id": who.id,
            "user_name": who.name, "command": command, "text": self.escaped(text), "api_app_id": APP,
            "is_enterprise_install": "false", "response_url": self.response_url(&trigger), "trigger_id": trigger });
        if !self.deliver("slash_commands", &payload).await {
            return Saw::NoAnswer;
        }
        self.saw(who, &trigger, None).await
    }

    /// `@ana` becomes `<@U…|ana>`, as Slack's own composer does it.
    fn escaped(&self, text: &str) -> String {
        let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        self.state().users.values().fold(text, |text, user| {
            text.replace(&format!("@{}", user.name), &format!("<@{}|{}>", user.id, user.name))
        })
    }

    /// Says something to the bot in a channel (or in a thread).
    pub async fn mention(&self, who: &Who, channel: &str, thread: Option<&str>, text: &str) -> Saw {
        let before = self.state().ephemerals.len();
        let escaped = self.escaped(text);
        let said = format!("<@{BOT_USER}> {escaped}");
        let message = self.put(channel, thread, Author::Person(who), &said);
        let mut event = message.json(false);
        event["channel"] = message.channel.clone().into();
        self.event(&event).await;
        event["type"] = "app_mention".into();
        if !self.event(&event).await {
            return Saw::NoAnswer;
        }
        let what = format!("what {} sees", who.name);
        let seen = self.until(&what, |state| {
            state.ephemerals.iter().skip(before).find(|one| one.user == who.id).map(|one| one.content.clone())
        });
        Saw::Private(show::content(&seen.await))
    }

    /// Not worth waiting for, if nobody listens.
    pub(super) async fn heard_by_itself(&self, event: &Value) {
        let listening = {
            let state = self.state();
            !state.sockets.is_empty() || matches!(state.route, super::state::Route::Http(_))
        };
        if listening {
            let payload = self.callback(event);
            self.deliver("echo", &payload).await;
        }
    }

    pub(super) async fn event(&self, event: &Value) -> bool {
        let payload = self.callback(event);
        self.deliver("events_api", &payload).await
    }

    fn callback(&self, event: &Value) -> Value {
        let id = self.state().number();
        json!({ "token": "x", "team_id": TEAM, "api_app_id": APP, "event": event,
            "type": "event_callback", "event_id": format!("Ev{id:08}"), "event_time": 1,
            "authorizations": [{ "team_id": TEAM, "user_id": BOT_USER, "is_bot": true }] })
    }

    /// Presses a button by its label: as the message is now, or else as it was when it last had one (a screen that was
    /// behind).
    pub async fn press(&self, who: &Who, message: &Message, label: &str) -> Saw {
        let now = self.now(message);
        let button = now.revisions.iter().rev().find_map(|shown| button(shown, label));
        let Some((_, action, value)) = button else {
            panic!("there never was {label:?}\n{}", self.everything())
        };
        let (channel, trigger, user) = self.interaction(who, &message.channel);
        let mut container = json!({ "type": "message", "message_ts": message.ts, "channel_id": channel,
            "is_ephemeral": false });
        if let Some(thread) = &message.thread_ts {
            container["thread_ts"] = thread.clone().into();
        }
        let payload = json!({ "type": "block_actions", "user": user, "api_app_id": APP, "token": "x",
            "container": container, "trigger_id": trigger, "team": { "id": TEAM },
            "channel": { "id": channel, "name": "x" }, "message": now.json(false),
            "response_url": self.response_url(&trigger),
            "actions": [{ "type": "button", "action_id": action, "block_id": "b", "value": value,
                          "text": { "type": "plain_text", "text": label }, "action_ts": "1.2" }] });
        if !self.deliver("interactive", &payload).await {
            return Saw::NoAnswer;
        }
        self.saw(who, &trigger, Some(&now)).await
    }

    /// Submits a form, by input id; what must be filled in has to be.
    pub async fn submit(&self, who: &Who, modal: &Modal, filled: &[(&str, &str)]) -> Submitted {
        let filled: BTreeMap<_, _> = filled.iter().copied().collect();
        let mut values = json!({});
        for block in modal.view["blocks"].as_array().unwrap() {
            let id = block["block_id"].as_str().unwrap();
            let typed = filled.get(id).copied();
            assert!(typed.is_some() || block["optional"] == true, "{id} has to be filled in");
            let action = block["element"]["action_id"].as_str().unwrap();
            values[id][action] = match block["element"]["type"].as_str().unwrap() {
                "static_select" => {
                    let options = block["element"]["options"].as_array().unwrap();
                    let chosen = typed.map(|typed| {
                        let by =
                            |option: &&Value| option["value"] == typed || option["text"]["text"] == typed;
                        options.iter().find(by).unwrap_or_else(|| panic!("no option {typed:?}: {options:?}"))
                    });
                    json!({ "type": "static_select", "selected_option": chosen })
                }
                kind => json!({ "type": kind, "value": typed }),
            };
        }
        let (_, trigger, user) = self.interaction(who, "");
        let mut view = modal.view.clone();
        view["id"] = modal.id.clone().into();
        view["state"] = json!({ "values": values });
        let payload = json!({ "type": "view_submission", "team": { "id": TEAM }, "user": user, "api_app_id": APP,
            "token": "x", "trigger_id": trigger, "view": view, "response_urls": [] });
        let before = self.private_count(who);
        let acknowledged = self.deliver("interactive", &payload).await;
        Submitted { acknowledged, before }
    }

    fn private_count(&self, who: &Who) -> usize {
        let state = self.state();
        privately(&state, who).len()
    }

    /// What somebody is told privately after a form was submitted.
    pub async fn told(&self, who: &Who, submitted: &Submitted) -> String {
        assert!(submitted.acknowledged, "the form was not taken");
        let what = format!("what {} is told", who.name);
        let seen = self.until(&what, |state| privately(state, who).get(submitted.before).cloned());
        show::content(&seen.await)
    }

    /// The private message to somebody that says this.
    pub async fn whispered(&self, who: &Who, text: &str) -> String {
        self.until(text, |state| {
            privately(state, who).iter().map(show::content).find(|content| content.contains(text))
        })
        .await
    }

    /// Chooses the message shortcut.
    pub async fn shortcut(&self, who: &Who, message: &Message, callback: &str) -> Saw {
        let (channel, trigger, user) = self.interaction(who, &message.channel);
        let payload = json!({ "type": "message_action", "callback_id": callback, "trigger_id": trigger,
            "user": user, "team": { "id": TEAM }, "channel": { "id": channel }, "api_app_id": APP, "token": "x",
            "message": self.now(message).json(false), "message_ts": message.ts,
            "response_url": self.response_url(&trigger) });
        if !self.deliver("interactive", &payload).await {
            return Saw::NoAnswer;
        }
        self.saw(who, &trigger, None).await
    }

    /// Looks at the bot's own page.
    pub async fn home(&self, who: &Who) -> String {
        self.state().homes.remove(&who.id);
        let event =
            json!({ "type": "app_home_opened", "user": who.id, "channel": "D00000001", "tab": "home" });
        assert!(self.event(&event).await, "not acknowledged");
        let page = self.until("the bot's page", |state| state.homes.get(&who.id).cloned()).await;
        show::content(&page)
    }

    /// What comes of an acknowledged interaction: a form, a private answer, or a change of the message.
    async fn saw(&self, who: &Who, trigger: &str, pressed: Option<&Message>) -> Saw {
        let ephemerals = self.state().ephemerals.len();
        let what = format!("what {} sees", who.name);
        let seen = self.until(&what, |state| {
            let interaction = &state.interactions[trigger];
            if let Some(id) = &interaction.form {
                return Some(Saw::Form(Modal { id: id.clone(), view: state.views[id].clone() }));
            }
            let posted = state.ephemerals.iter().skip(ephemerals).find(|one| one.user == who.id);
            let private = interaction.private.first().or(posted.map(|one| &one.content));
            if let Some(content) = private {
                return Some(Saw::Private(show::content(content)));
            }
            let pressed = pressed?;
            let now = state.message(&pressed.channel, &pressed.ts)?;
            (now.revisions.len() > pressed.revisions.len()).then_some(Saw::Change)
        });
        seen.await
    }

    /// A message as it is now.
    pub fn now(&self, message: &Message) -> Message {
        self.state().message(&message.channel, &message.ts).expect("a message that is there").clone()
    }

    fn put(&self, channel: &str, thread: Option<&str>, author: Author<'_>, text: &str) -> Message {
        let mut state = self.state();
        let channel = state.channel(channel).expect("a channel that is there").id.clone();
        let (by, name, attachments) = match author {
            Author::Person(who) => (who.id.clone(), who.name.clone(), Value::Null),
            Author::Program(name, attachments) => {
                (format!("B{}", name.to_uppercase()), name.to_owned(), attachments.clone())
            }
        };
        let message = Message {
            channel,
            ts: state.ts(),
            thread_ts: thread.map(str::to_owned),
            by,
            name,
            bot: matches!(author, Author::Program(..)),
            ours: false,
            broadcast: false,
            deleted: false,
            metadata: Value::Null,
            attachments,
            revisions: vec![Shown { text: text.to_owned(), blocks: Value::Null }],
        };
        state.messages.push(message.clone());
        drop(state);
        self.show();
        message
    }

    /// Another program posts, by an incoming webhook: `content` is the webhook's body.
    pub async fn posts(&self, program: &str, channel: &str, content: &Value) -> Message {
        let text = content["text"].as_str().unwrap_or_default();
        let message = self.put(channel, None, Author::Program(program, &content["attachments"]), text);
        let mut event = message.json(true);
        event["subtype"] = "bot_message".into();
        event["channel"] = message.channel.clone().into();
        assert!(self.event(&event).await, "not acknowledged");
        message
    }

    /// A person says something that is nobody's business.
    pub async fn says(&self, who: &Who, channel: &str, text: &str) -> Message {
        let message = self.put(channel, None, Author::Person(who), text);
        let mut event = message.json(false);
        event["channel"] = message.channel.clone().into();
        assert!(self.event(&event).await, "not acknowledged");
        message
    }

    /// Somebody deletes a message.
    pub fn delete(&self, message: &Message) {
        self.state().message(&message.channel, &message.ts).expect("a message that is there").deleted = true;
        self.show();
    }
}

/// What somebody was told, in the order of the telling as far as that is known.
fn privately(state: &State, who: &Who) -> Vec<Value> {
    let answers = state.interactions.values().filter(|one| one.user == who.id);
    let answers = answers.flat_map(|one| one.private.iter().cloned());
    let posted = state.ephemerals.iter().filter(|one| one.user == who.id).map(|one| one.content.clone());
    answers.chain(posted).collect()
}

fn button(shown: &Shown, label: &str) -> Option<(String, String, String)> {
    shown.buttons().into_iter().find(|(of, action, _)| of == label || action == label)
}

/// A submitted form.
#[derive(Debug, Clone, Copy)]
pub struct Submitted {
    pub acknowledged: bool,
    before: usize,
}
