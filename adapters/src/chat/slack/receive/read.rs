//! From Slack's payloads to what a person did.

use crate::chat::json::{some, text};
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    markup::plain,
    payload::{Kind, Payload},
    posted::{posted, thread_of},
};
use crate::chat::{
    Incoming, MessageRef, What,
    slack::{Place, Slack, draw, reference},
};

/// What was done, and how to answer it.
pub(super) struct Read {
    pub incoming: Incoming,
    pub place: Place,
    /// Opens a form, within three seconds.
    pub trigger: Option<String>,
}

/// What a form carries along, in its `private_metadata`: where it was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Context {
    pub place: Place,
    /// Root of the thread, as a reference.
    pub thread: Option<MessageRef>,
}

/// None: nothing that anybody could answer.
pub(super) async fn read(slack: &Slack, payload: &Payload) -> Option<Read> {
    let (what, context) = match payload.kind {
        Kind::SlashCommands => (command(payload), here(payload)),
        Kind::Interactive => interaction(payload)?,
        Kind::EventsApi => (event(payload)?, here(payload)),
    };
    let Context { place, thread } = context;
    let incoming = Incoming {
        delivery: payload.delivery(),
        actor: actor(payload, &what),
        room: match place.channel.as_str() {
            "" => String::new(),
            channel => slack.room_named(channel).await,
        },
        thread,
        what,
    };
    Some(Read { incoming, place, trigger: payload.some("/trigger_id") })
}

fn actor(payload: &Payload, what: &What) -> lastgood_core::Actor {
    match what {
        What::Posted(posted) => {
            let bot = payload.message().map_or("", |message| text(message, "/bot_id"));
            lastgood_core::Actor::new(format!("slack:{bot}"), posted.sender.clone())
        }
        _ => payload.actor(),
    }
}

fn here(payload: &Payload) -> Context {
    let channel = payload.channel();
    let root = payload.thread();
    let pressed = payload.some("/container/message_ts");
    // A private answer in a thread is seen by those who look at it: at a root card people look at the room.
    let inside = root.clone().filter(|root| pressed.as_ref() != Some(root));
    let actor = payload.actor().id;
    Context {
        place: Place {
            channel: channel.to_owned(),
            user: actor.trim_start_matches("slack:").to_owned(),
            thread: inside,
            response_url: payload.some("/response_url"),
        },
        thread: root.or(pressed).map(|ts| reference(channel, &ts)),
    }
}

/// `/rollback checkout` is the command `rollback checkout`. An installation may have to name its commands otherwise
/// (`/lg-incident`), for names are taken workspace-wide.
fn command(payload: &Payload) -> What {
    let name = payload.text("/command").trim_start_matches('/');
    let group = if name.ends_with("incident") { "incident" } else { "rollback" };
    let (rest, _) = plain(payload.text("/text"));
    What::Command { text: format!("{group} {rest}").trim().to_owned() }
}

fn interaction(payload: &Payload) -> Option<(What, Context)> {
    match payload.text("/type") {
        "block_actions" => {
            let pressed = payload.body.pointer("/actions/0")?;
            let action = some(pressed, "/value").or_else(|| some(pressed, "/action_id"))?;
            // Buttons that are links only are reported, too.
            let link = some(pressed, "/url").is_some();
            (!link).then(|| (What::Press { action, inputs: BTreeMap::new() }, here(payload)))
        }
        "view_submission" => {
            let (action, carried, inputs) = draw::read_form(payload.body.get("view")?)?;
            let context = serde_json::from_str(&carried).unwrap_or_else(|_| here(payload));
            Some((What::Press { action, inputs }, context))
        }
        "message_action" => {
            let (message, channel) = (payload.body.get("message")?, payload.channel());
            let mut context = here(payload);
            context.thread = thread_of(channel, message);
            context.place.thread = some(message, "/thread_ts");
            Some((What::Pointed(posted(channel, message)), context))
        }
        _ => None,
    }
}

fn event(payload: &Payload) -> Option<What> {
    match payload.text("/event/type") {
        "app_home_opened" => Some(What::Home),
        "app_mention" => Some(What::Command { text: mentioned(payload) }),
        "message" => Some(What::Posted(posted(payload.channel(), payload.message()?))),
        _ => None,
    }
}

/// What was said to the bot: everything after its mention.
fn mentioned(payload: &Payload) -> String {
    let said = payload.text("/event/text");
    let own = format!("<@{}", payload.text("/authorizations/0/user_id"));
    let from = said.find(&own).or_else(|| said.find("<@")).unwrap_or(0);
    let after = said[from..].split_once('>').map_or("", |(_, after)| after);
    let (text, _) = plain(after);
    text.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn slash(command: &str, text: &str) -> What {
        let body = json!({ "command": command, "text": text, "user_id": "U1", "channel_id": "C1" });
        super::command(&Payload::new(Kind::SlashCommands, body))
    }

    #[test]
    fn commands_are_named_by_their_group() {
        for (command, text, read) in [
            ("/rollback", "checkout v2.4.0 \"down\"", "rollback checkout v2.4.0 \"down\""),
            ("/rollback", "", "rollback"),
            ("/incident", "list", "incident list"),
            ("/lg-incident", "show INC-3", "incident show INC-3"),
            ("/lastgood", "status", "rollback status"),
            ("/rollback", "commander <@U024BE7LH|ana>", "rollback commander @slack:U024BE7LH"),
            ("/rollback", "checkout a &gt; b", "rollback checkout a > b"),
        ] {
            assert_eq!(slash(command, text), What::Command { text: read.into() }, "{command} {text}");
        }
    }

    #[test]
    fn a_mention_is_read_from_behind_it() {
        for (said, read) in [
            ("<@UBOT> rollback checkout", "rollback checkout"),
            ("hey <@UBOT|lastgood> status please", "status please"),
            ("<@U1> told me: <@UBOT> stop checkout", "stop checkout"),
            ("<@UBOT>", ""),
        ] {
            let body = json!({ "authorizations": [{ "user_id": "UBOT" }],
                               "event": { "type": "app_mention", "text": said, "user": "U1" } });
            assert_eq!(mentioned(&Payload::new(Kind::EventsApi, body)), read, "{said}");
        }
    }

    fn press(container: Value, channel: &str) -> Context {
        let body = json!({ "type": "block_actions", "user": { "id": "U1" }, "channel": { "id": channel },
                           "container": container, "response_url": "http://r",
                           "actions": [{ "action_id": "x", "value": "rb1.1.approve" }] });
        let (what, context) = interaction(&Payload::new(Kind::Interactive, body)).unwrap();
        assert_eq!(what, What::Press { action: "rb1.1.approve".into(), inputs: BTreeMap::new() });
        context
    }

    #[test]
    fn an_answer_is_shown_where_the_person_looks() {
        let root = press(json!({ "message_ts": "1.0", "thread_ts": "1.0" }), "C1");
        assert_eq!((root.place.thread, root.thread), (None, Some(MessageRef("C1/1.0".into()))));
        let reply = press(json!({ "message_ts": "2.0", "thread_ts": "1.0" }), "C1");
        assert_eq!(
            (reply.place.thread.as_deref(), reply.thread),
            (Some("1.0"), Some(MessageRef("C1/1.0".into())))
        );
        let alone = press(json!({ "message_ts": "3.0" }), "C1");
        assert_eq!((alone.place.thread, alone.thread), (None, Some(MessageRef("C1/3.0".into()))));
        assert_eq!(alone.place.response_url.as_deref(), Some("http://r"));
    }

    #[test]
    fn a_link_button_is_no_press() {
        let body = json!({ "type": "block_actions", "actions": [{ "action_id": "a", "url": "https://x" }] });
        assert!(interaction(&Payload::new(Kind::Interactive, body)).is_none());
    }
}
