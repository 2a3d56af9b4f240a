//! Answers to people: the first, within three seconds; what follows it privately; and, when Discord takes no private answer any
//! more, a message that calls them.

use std::time::Duration;

use lastgood_core::card::{Card, Colour};
use serde_json::{Value, json};
use serenity::{http::Route, model::id::InteractionId};
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use super::{payload::Payload, posted::sent_at};
use crate::{
    Fault,
    chat::discord::{
        Discord, draw,
        fault::{Failed, code},
        id, now,
        patience::{Again, patiently},
        rooms::channel_id,
    },
};

/// Types of first answers (Receiving and Responding, Interaction Callback Type).
pub(super) mod callback {
    pub const MESSAGE: u8 = 4;
    pub const THINKING: u8 = 5;
    pub const UNCHANGED: u8 = 6;
    pub const CHOICES: u8 = 8;
    pub const FORM: u8 = 9;
}

/// Discord waits three seconds for the first answer; later ones are for nobody.
const FIRST_WITHIN: Duration = Duration::from_secs(3);
/// Milliseconds for which an interaction takes answers.
const TOKEN_LIVES: i64 = 15 * 60 * 1_000;
/// An answer by HTTP is known to Discord's other servers a moment after it was given.
const KNOWN_WITHIN: Duration = Duration::from_secs(10);

/// The way that the first answer goes.
pub(super) enum First {
    Call,
    /// It is what Discord's own request gets.
    Response(oneshot::Sender<Value>),
}

/// What was shown first, and so where the answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shown {
    /// The message stays as it is; an answer is a message of its own.
    Unchanged,
    /// "lastgood is thinking…", which becomes the answer.
    Thinking,
}

impl Shown {
    pub fn of(payload: &Payload) -> Self {
        if payload.is_on_a_message() { Self::Unchanged } else { Self::Thinking }
    }

    pub fn first(self) -> Value {
        match self {
            Self::Unchanged => json!({ "type": callback::UNCHANGED }),
            Self::Thinking => json!({ "type": callback::THINKING, "data": { "flags": draw::EPHEMERAL } }),
        }
    }
}

pub(super) fn private_first(card: &Card) -> Value {
    let mut data = draw::private(card);
    data["flags"] = draw::EPHEMERAL.into();
    json!({ "type": callback::MESSAGE, "data": data })
}

/// Whether Discord took it, as far as can be known.
pub(super) async fn first(discord: &Discord, payload: &Payload, first: First, body: Value) -> bool {
    let taken = match first {
        // Its receiver is gone when Discord hung up: it shows the person that nothing answered.
        First::Response(response) => response.send(body).map_err(|_| "nobody waits for it".to_owned()),
        First::Call => match timeout(FIRST_WITHIN, call(discord, payload, &body)).await {
            Ok(called) => called.map_err(|fault| fault.to_string()),
            Err(_) => Err(format!("no answer within {} s", FIRST_WITHIN.as_secs())),
        },
    };
    if let Err(why) = &taken {
        tracing::warn!(why, delivery = payload.delivery(), "Discord did not take the first answer");
    }
    taken.is_ok()
}

async fn call(discord: &Discord, payload: &Payload, body: &Value) -> Result<(), Fault> {
    let unfit = || Fault::Invalid("an interaction without an id".to_owned());
    let number = id(payload.text("/id")).ok_or_else(unfit)?;
    let route = Route::InteractionResponse {
        interaction_id: InteractionId::new(number),
        token: payload.text("/token"),
    };
    match patiently(Again::Safe, || discord.0.api.post("acknowledging", route, body)).await {
        // By the try before, whose answer was lost.
        Err(failed) if failed.code != code::ACKNOWLEDGED => Err(failed.fault),
        _ => Ok(()),
    }
}

/// Privately for as long as the interaction's token lives; after that, where it happened, to the person.
pub(super) async fn show(
    discord: &Discord,
    payload: &Payload,
    shown: Shown,
    card: &Card,
) -> Result<(), Fault> {
    let until = Instant::now() + KNOWN_WITHIN;
    let mut wait = Duration::from_millis(250);
    let over = loop {
        let failed = match privately(discord, payload, shown, card).await {
            Ok(()) => return Ok(()),
            Err(failed) => failed,
        };
        let old = failed.code == code::TOKEN_OVER || now() - sent_at(payload.text("/id")) > TOKEN_LIVES;
        match failed.fault {
            Fault::NotFound(_) if old => break true,
            Fault::NotFound(_) if Instant::now() < until => {}
            Fault::NotFound(_) => break false,
            fault => return Err(fault),
        }
        tokio::time::sleep(wait).await;
        wait *= 2;
    };
    // What was meant for one person is not told to all of them only because Discord gave up waiting.
    let late = Card::new(Colour::Warning, "Taken, and not answered in time")
        .line("Discord had given up waiting for the answer. Look at the newest card, or do it again.");
    call_out(discord, payload, if over { card } else { &late }).await
}

async fn privately(discord: &Discord, payload: &Payload, shown: Shown, card: &Card) -> Result<(), Failed> {
    let mut body = draw::private(card);
    let application_id = discord.me().await?.application;
    let token = payload.text("/token");
    let api = &discord.0.api;
    if shown == Shown::Thinking {
        let route = Route::WebhookOriginalInteractionResponse { application_id, token };
        match patiently(Again::Safe, || api.patch("answering", route, &body)).await {
            Err(Failed { fault: Fault::NotFound(_), code }) if code != code::TOKEN_OVER => {}
            other => return other.map(drop),
        }
    }
    body["flags"] = draw::EPHEMERAL.into();
    let route = Route::WebhookFollowupMessages { application_id, token };
    patiently(Again::Twice, || api.post("answering", route, &body)).await.map(drop)
}

async fn call_out(discord: &Discord, payload: &Payload, card: &Card) -> Result<(), Fault> {
    let actor = payload.actor();
    let user = actor.id.trim_start_matches("discord:");
    let mut body = draw::private(card);
    body["content"] = format!("<@{user}>").into();
    body["allowed_mentions"] = json!({ "parse": [], "users": [user] });
    ordinary(discord, payload, body).await
}

/// A message that everybody sees; once, however often it is tried.
pub(super) async fn ordinary(discord: &Discord, payload: &Payload, mut body: Value) -> Result<(), Fault> {
    body["nonce"] = format!("{}a", payload.text("/id")).into();
    body["enforce_nonce"] = true.into();
    let route = Route::ChannelMessages { channel_id: channel_id(payload.text("/channel_id"))? };
    let posted = patiently(Again::Safe, || discord.0.api.post("answering", route, &body)).await;
    Ok(posted.map(drop)?)
}
