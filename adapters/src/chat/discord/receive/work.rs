//! Working off a delivery: acknowledged at once, read, handed to the product, answered. Discord shows a form only as the first
//! answer; so what may open one is asked before it is acknowledged, and everything else after.

use std::{sync::Arc, time::Duration};

use lastgood_core::card::{Card, Colour};
use serde_json::{Value, json};
use serenity::{http::Route, model::id::InteractionId};
use tokio::{sync::oneshot, time::timeout};

use super::{
    payload::{Kind, Payload},
    read,
};
use crate::{
    Fault,
    chat::{
        Answer, Inbox, Incoming, NotTaken, What,
        discord::{Discord, draw, fault::code, rooms::channel_id},
        legible::cut,
    },
};

/// Types of first answers (Receiving and Responding, Interaction Callback Type).
mod callback {
    pub const MESSAGE: u8 = 4;
    pub const THINKING: u8 = 5;
    pub const UNCHANGED: u8 = 6;
    pub const CHOICES: u8 = 8;
    pub const FORM: u8 = 9;
}

/// Discord waits three seconds for the first answer, the way there and back included.
const FORM_WITHIN: Duration = Duration::from_millis(1_500);
/// Tries of an answer, when Discord takes none at the moment.
const TRIES: u32 = 4;
const CHOICES: usize = 25;
const CHOICE: usize = 100;

/// The way that the first answer goes.
pub(super) enum First {
    Call,
    /// It is what Discord's own request gets.
    Response(oneshot::Sender<Value>),
}

/// What was shown first, and so where the answer goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// The message stays as it is; an answer is a message of its own.
    Unchanged,
    /// "lastgood is thinking…", which becomes the answer.
    Thinking,
}

impl Shown {
    fn of(payload: &Payload) -> Self {
        if payload.is_on_a_message() { Self::Unchanged } else { Self::Thinking }
    }

    fn first(self) -> Value {
        match self {
            Self::Unchanged => json!({ "type": callback::UNCHANGED }),
            Self::Thinking => json!({ "type": callback::THINKING, "data": { "flags": draw::EPHEMERAL } }),
        }
    }
}

/// An interaction, from its coming to its answer.
pub(super) async fn off(discord: Discord, inbox: Arc<dyn Inbox>, payload: Payload, first: First) {
    let delivery = payload.delivery();
    if payload.kind() == Kind::Autocomplete {
        return answer_first(&discord, &payload, first, suggested(&discord, &inbox, &payload).await).await;
    }
    if payload.text("/guild_id") != discord.0.settings.guild.to_string() {
        let card = Card::new(Colour::Warning, "Nothing was changed")
            .line("lastgood answers in its own server only.");
        return answer_first(&discord, &payload, first, private_first(&card)).await;
    }
    match inbox.keep(&payload.kept()).await {
        Ok(true) => {}
        // Another replica, or another session, answers.
        Ok(false) => {
            if let First::Response(_) = first {
                answer_first(&discord, &payload, first, Shown::of(&payload).first()).await;
            }
            return;
        }
        Err(error) => return tracing::error!(%error, delivery, "not acknowledged: Discord tells the person"),
    }
    if payload.may_open_a_form() {
        return with_form(discord, inbox, payload, first).await;
    }
    let shown = Shown::of(&payload);
    answer_first(&discord, &payload, first, shown.first()).await;
    if let Some(answer) = take(&discord, &inbox, &payload).await {
        finish(&discord, &inbox, &payload, shown, answer).await;
    }
}

/// Asked first, for a form can't come later; acknowledged when asking takes too long.
async fn with_form(discord: Discord, inbox: Arc<dyn Inbox>, payload: Payload, first: First) {
    let (asked, wanted) = (discord.clone(), inbox.clone());
    let of = payload.clone();
    // In a task of its own: what was begun is finished whatever the clock says.
    let mut taking = tokio::spawn(async move { take(&asked, &wanted, &of).await });
    let shown = Shown::of(&payload);
    match timeout(FORM_WITHIN, &mut taking).await {
        Ok(Ok(Some(Ok(answer)))) => {
            let body = match &answer {
                Answer::Ask { action, form } => {
                    json!({ "type": callback::FORM, "data": draw::modal(action, payload.target(), form) })
                }
                Answer::Private(card) => private_first(card),
                Answer::Done if shown == Shown::Unchanged => shown.first(),
                Answer::Done => private_first(&done()),
            };
            answer_first(&discord, &payload, first, body).await;
            inbox.done(&payload.delivery()).await;
        }
        Ok(ended) => {
            answer_first(&discord, &payload, first, shown.first()).await;
            if let Ok(Some(answer)) = ended {
                finish(&discord, &inbox, &payload, shown, answer).await;
            }
        }
        Err(_) => {
            answer_first(&discord, &payload, first, shown.first()).await;
            if let Ok(Some(answer)) = taking.await {
                finish(&discord, &inbox, &payload, shown, answer).await;
            }
        }
    }
}

/// What a process that ended had kept. Whether it was acknowledged is not known; a form is too late.
pub(super) async fn late(discord: Discord, inbox: Arc<dyn Inbox>, payload: Payload) {
    if let Some(answer) = take(&discord, &inbox, &payload).await {
        finish(&discord, &inbox, &payload, Shown::of(&payload), answer).await;
    }
}

/// None: it can't be read, and is set aside.
async fn take(
    discord: &Discord,
    inbox: &Arc<dyn Inbox>,
    payload: &Payload,
) -> Option<Result<Answer, NotTaken>> {
    let Some(incoming) = read::read(discord, payload).await else {
        tracing::warn!(delivery = payload.delivery(), "Discord delivered what can't be read; set aside");
        inbox.done(&payload.delivery()).await;
        return None;
    };
    Some(inbox.take(incoming).await)
}

fn done() -> Card {
    Card::new(Colour::Good, "Done").line("The thread shows what follows.")
}

fn not_stored() -> Card {
    Card::new(Colour::Warning, "Stored, not done yet").line(
        "The database can't be written to now; it is done as soon as that passes. No need to repeat it.",
    )
}

/// The answer, after something was shown.
async fn finish(
    discord: &Discord,
    inbox: &Arc<dyn Inbox>,
    payload: &Payload,
    shown: Shown,
    answer: Result<Answer, NotTaken>,
) {
    let taken = answer.is_ok();
    let card = match answer {
        Ok(Answer::Done) if shown == Shown::Unchanged => None,
        Ok(Answer::Done) => Some(done()),
        Ok(Answer::Private(card)) => Some(card),
        Ok(Answer::Ask { .. }) => Some(
            Card::new(Colour::Warning, "Nothing was changed")
                .line("The form could not be opened in time. Press again."),
        ),
        Err(error) => {
            // Kept, and not done: it is handed out again in a while.
            tracing::error!(%error, delivery = payload.delivery(), "could not be taken now; tried again later");
            Some(not_stored())
        }
    };
    if let Some(card) = card
        && let Err(fault) = show(discord, payload, shown, &card).await
    {
        tracing::warn!(%fault, delivery = payload.delivery(), "the answer could not be shown");
    }
    if taken {
        inbox.done(&payload.delivery()).await;
    }
}

/// Privately for as long as the interaction's token lives; after that, where it happened, to the person.
async fn show(discord: &Discord, payload: &Payload, shown: Shown, card: &Card) -> Result<(), Fault> {
    let mut body = draw::private(card);
    let application_id = discord.me().await?.application;
    let token = payload.text("/token");
    if shown == Shown::Thinking {
        let route = Route::WebhookOriginalInteractionResponse { application_id, token };
        match again(|| discord.0.api.patch("answering", route, &body)).await {
            Err(Fault::NotFound(_)) => {}
            other => return other,
        }
    }
    body["flags"] = draw::EPHEMERAL.into();
    let route = Route::WebhookFollowupMessages { application_id, token };
    match again(|| discord.0.api.post("answering", route, &body)).await {
        Err(Fault::NotFound(_)) => {}
        other => return other,
    }
    let actor = payload.actor();
    let user = actor.id.trim_start_matches("discord:");
    let mut body = draw::private(card);
    body["content"] = format!("<@{user}>").into();
    body["allowed_mentions"] = json!({ "parse": [], "users": [user] });
    ordinary(discord, payload, body).await
}

/// A message that everybody sees; once, however often it is tried.
async fn ordinary(discord: &Discord, payload: &Payload, mut body: Value) -> Result<(), Fault> {
    body["nonce"] = format!("{}a", payload.text("/id")).into();
    body["enforce_nonce"] = true.into();
    let route = Route::ChannelMessages { channel_id: channel_id(payload.text("/channel_id"))? };
    again(|| discord.0.api.post("answering", route, &body)).await
}

/// While Discord takes nothing, it is tried a few times more.
async fn again<F, Ended>(mut call: F) -> Result<(), Fault>
where
    F: FnMut() -> Ended,
    Ended: Future<Output = Result<Value, crate::chat::discord::fault::Failed>>,
{
    let mut number = 1;
    loop {
        let wait = match call().await.map_err(Fault::from) {
            Ok(_) => return Ok(()),
            Err(fault) if number == TRIES => return Err(fault),
            Err(Fault::RateLimited { after, .. }) => {
                after.unwrap_or(Duration::from_secs(1)).min(Duration::from_secs(30))
            }
            Err(Fault::Unavailable(_)) => Duration::from_millis(500) * 2_u32.pow(number),
            Err(fault) => return Err(fault),
        };
        number += 1;
        tokio::time::sleep(wait).await;
    }
}

fn private_first(card: &Card) -> Value {
    let mut data = draw::private(card);
    data["flags"] = draw::EPHEMERAL.into();
    json!({ "type": callback::MESSAGE, "data": data })
}

async fn answer_first(discord: &Discord, payload: &Payload, first: First, body: Value) {
    match first {
        // Its receiver is gone when Discord hung up: it shows the person that nothing answered.
        First::Response(response) => drop(response.send(body)),
        First::Call => {
            if let Err(fault) = call(discord, payload, &body).await {
                tracing::warn!(%fault, delivery = payload.delivery(), "Discord did not take the first answer");
            }
        }
    }
}

async fn call(discord: &Discord, payload: &Payload, body: &Value) -> Result<(), Fault> {
    let unfit = || Fault::Invalid("an interaction without an id".to_owned());
    let number = crate::chat::discord::id(payload.text("/id")).ok_or_else(unfit)?;
    let route = Route::InteractionResponse {
        interaction_id: InteractionId::new(number),
        token: payload.text("/token"),
    };
    let mut tried = false;
    loop {
        match discord.0.api.post("acknowledging", route, body).await {
            Ok(_) => return Ok(()),
            // By the try before, whose answer was lost.
            Err(failed) if failed.code == code::ACKNOWLEDGED => return Ok(()),
            Err(failed) if !tried && matches!(failed.fault, Fault::Unknown(_) | Fault::Unavailable(_)) => {
                tried = true
            }
            Err(failed) => return Err(failed.fault),
        }
    }
}

async fn suggested(discord: &Discord, inbox: &Arc<dyn Inbox>, payload: &Payload) -> Value {
    let suggestions = match read::asking(discord, payload).await {
        Some(asking) => inbox.suggest(&asking).await,
        None => Vec::new(),
    };
    let fits = suggestions.iter().filter(|one| !one.value.is_empty() && one.value.chars().count() <= CHOICE);
    let choices: Vec<_> = fits
        .take(CHOICES)
        .map(|one| json!({ "name": cut(&one.label, CHOICE), "value": one.value }))
        .collect();
    json!({ "type": callback::CHOICES, "data": { "choices": choices } })
}

/// A program's message, or something said to the bot.
pub(super) async fn message(discord: Discord, inbox: Arc<dyn Inbox>, payload: Payload) {
    let delivery = payload.delivery();
    let Some(incoming) = read::read(&discord, &payload).await else {
        // Who the bot is could not be asked: it is handed out again.
        return tracing::warn!(delivery, "a message can't be read now; tried again later");
    };
    match inbox.take(incoming.clone()).await {
        Ok(answer) => {
            if let Err(fault) = reply(&discord, &payload, &incoming, answer).await {
                tracing::warn!(%fault, delivery, "the answer could not be shown");
            }
            inbox.done(&delivery).await;
        }
        Err(error) => tracing::error!(%error, delivery, "could not be taken now; tried again later"),
    }
}

/// What is said in a room is answered there: Discord has no private answer to it.
async fn reply(
    discord: &Discord,
    payload: &Payload,
    incoming: &Incoming,
    answer: Answer,
) -> Result<(), Fault> {
    if matches!(incoming.what, What::Posted(_)) {
        // Nobody to answer: programs don't read.
        return Ok(());
    }
    let card = match answer {
        Answer::Done => done(),
        Answer::Private(card) => card,
        Answer::Ask { .. } => Card::new(Colour::Warning, "Nothing was changed")
            .line("More is needed: type the command with a slash."),
    };
    let mut body = draw::private(&card);
    body["message_reference"] = json!({ "message_id": payload.text("/id"), "fail_if_not_exists": false });
    body["allowed_mentions"] = json!({ "parse": [], "replied_user": true });
    ordinary(discord, payload, body).await
}
