//! What people do: press buttons, fill in forms, type commands. Strict for them, too: nobody presses what isn't drawn
//! or submits a form that the platform would not let go.

use std::{collections::BTreeMap, time::Instant};

use lastgood_adapters::chat::{Answer, Incoming, MessageRef, NotTaken, What};
use lastgood_core::{
    Actor,
    card::{Card, Form},
};
use std::time::Duration;

use super::{PATIENCE, Platform, card_limits, form_limits, thread::on};

/// Slack and Discord both give up on an interaction that is not answered by then.
const ANSWER_WITHIN: Duration = Duration::from_secs(3);

impl Platform {
    /// Presses a button, by action or label: as the message is now, or, where that has no such button, as it was when
    /// it last had one (somebody's screen was behind). Gives what the product answers, which can be to ask for more.
    pub async fn press(&self, actor: &Actor, button: &str, at: &MessageRef) -> Answer {
        let message = self.message(at);
        let pressed = message.revisions.iter().rev().find_map(|card| on(card, button));
        let Some(pressed) = pressed else {
            panic!("{} never had a button {button:?}:\n{}", at.0, message.card().plain());
        };
        self.send(actor, &message.room, &pressed.action, BTreeMap::new()).await
    }

    /// Presses a button as it was drawn before the message was last edited: for a click that was overtaken.
    pub async fn press_old(&self, actor: &Actor, button: &str, at: &MessageRef) -> Answer {
        let message = self.message(at);
        let old = &message.revisions[..message.revisions.len() - 1];
        let Some(pressed) = old.iter().rev().find_map(|card| on(card, button)) else {
            panic!("{} had no button {button:?} before its last edit", at.0);
        };
        self.send(actor, &message.room, &pressed.action, BTreeMap::new()).await
    }

    /// Presses a button that asks for more and submits that, by input id or label.
    pub async fn press_and_fill(
        &self,
        actor: &Actor,
        button: &str,
        at: &MessageRef,
        fill: &[(&str, &str)],
    ) -> Answer {
        match self.press(actor, button, at).await {
            Answer::Ask { action, form } => {
                let inputs = filled(&form, fill);
                self.send(actor, &self.message(at).room, &action, inputs).await
            }
            other => panic!("{button:?} asks for nothing, but answers {other:?}"),
        }
    }

    /// Submits a form that an answer asked for.
    pub async fn submit(
        &self,
        actor: &Actor,
        room: &str,
        action: &str,
        form: &Form,
        fill: &[(&str, &str)],
    ) -> Answer {
        self.send(actor, room, action, filled(form, fill)).await
    }

    /// Types a command in a room, with or without its slash.
    pub async fn command(&self, actor: &Actor, room: &str, text: &str) -> Answer {
        let text = text.strip_prefix('/').unwrap_or(text).to_owned();
        self.taken(actor, room, What::Command { text }).await
    }

    async fn send(
        &self,
        actor: &Actor,
        room: &str,
        action: &str,
        inputs: BTreeMap<String, String>,
    ) -> Answer {
        self.taken(actor, room, What::Press { action: action.to_owned(), inputs }).await
    }

    async fn taken(&self, actor: &Actor, room: &str, what: What) -> Answer {
        let incoming = self.new_delivery(actor, room, what);
        self.deliver(incoming.clone())
            .await
            .unwrap_or_else(|error| panic!("{incoming:?} was not taken: {error}"))
    }

    /// A delivery with an id of its own, for `deliver`.
    pub fn new_delivery(&self, actor: &Actor, room: &str, what: What) -> Incoming {
        let mut state = self.state();
        assert!(state.rooms.contains(room), "{} has no room {room}", self.name);
        state.deliveries += 1;
        let delivery = format!("{}-{}", self.name, state.deliveries);
        Incoming { delivery, actor: actor.clone(), room: room.to_owned(), thread: None, what }
    }

    /// The last delivery once more, under the same id, as platforms do that missed the acknowledgement.
    pub async fn deliver_again(&self) -> Result<Answer, NotTaken> {
        let last = self.state().last_delivery.clone().expect("something was delivered");
        self.deliver(last).await
    }

    /// Hands something in as soon as the product listens.
    ///
    /// # Errors
    /// When the product could not store it.
    pub async fn deliver(&self, incoming: Incoming) -> Result<Answer, NotTaken> {
        self.state().last_delivery = Some(incoming.clone());
        let mut listening = self.inbox.subscribe();
        let inbox = tokio::time::timeout(PATIENCE, listening.wait_for(Option::is_some)).await;
        let inbox = inbox.expect("the product listens").unwrap().clone().expect("waited for");
        let since = Instant::now();
        let answer = inbox.take(incoming).await?;
        let took = since.elapsed();
        assert!(took < ANSWER_WITHIN, "no platform waits {took:?} for an answer");
        match &answer {
            Answer::Done => {}
            Answer::Private(card) => private(card),
            Answer::Ask { form, .. } => {
                form_limits(form).unwrap_or_else(|rule| panic!("no platform takes this form: {rule}"))
            }
        }
        Ok(answer)
    }
}

fn private(card: &Card) {
    card_limits(card).unwrap_or_else(|rule| panic!("no platform takes this answer: {rule}"));
}

/// What the platform sends for a form that was filled in: every input, empty ones included.
fn filled(form: &Form, fill: &[(&str, &str)]) -> BTreeMap<String, String> {
    for (name, _) in fill {
        let there = form.inputs.iter().any(|input| input.id == *name || input.label == *name);
        assert!(there, "the form {:?} has no input {name:?}: {:?}", form.title, form.inputs);
    }
    let one = |input: &lastgood_core::card::Input| {
        let given = fill.iter().find(|(name, _)| input.id == *name || input.label == *name);
        let given = given.map_or("", |(_, value)| *value);
        let picked = input.options.iter().find(|(value, label)| value == given || label == given);
        let value = match picked {
            Some((value, _)) => value.as_str(),
            None => given,
        };
        assert!(
            !(input.required && value.is_empty()),
            "the form {:?} requires {:?}",
            form.title,
            input.label
        );
        let free = input.options.is_empty() || value.is_empty() || picked.is_some();
        assert!(free, "{:?} offers no {given:?}: {:?}", input.label, input.options);
        (input.id.clone(), value.to_owned())
    };
    form.inputs.iter().map(one).collect()
}
