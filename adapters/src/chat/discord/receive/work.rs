//! Working off a delivery: acknowledged, read, handed to the product, answered. Discord shows a form only as the first answer; so
//! what may open one is asked before it is acknowledged. Everything else is acknowledged at once, and meanwhile done.

use std::{sync::Arc, time::Duration};

use lastgood_core::card::{Card, Colour};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{
    answer::{First, Shown, callback, first as answer_first, ordinary, private_first, show},
    payload::{Kind, Payload},
    read,
};
use crate::{
    Fault,
    chat::{
        Answer, Inbox, Incoming, NotTaken, Suggestion, What,
        discord::{Discord, draw},
        legible::cut,
    },
};

/// Discord waits three seconds for the first answer, the way there and back included.
const FORM_WITHIN: Duration = Duration::from_millis(1_500);
const CHOICES: usize = 25;
const CHOICE: usize = 100;

/// An interaction, from its coming to its answer.
pub(super) async fn off(discord: Discord, inbox: Arc<dyn Inbox>, payload: Payload, first: First) {
    let delivery = payload.delivery();
    let ours = payload.text("/guild_id") == discord.0.settings.guild.to_string();
    let at_once = match payload.kind() {
        Kind::Autocomplete if ours => Some(suggested(&discord, &inbox, &payload).await),
        Kind::Autocomplete => Some(choices(&[])),
        _ if ours => None,
        _ => Some(private_first(
            &Card::new(Colour::Warning, "Nothing was changed")
                .line("lastgood answers in its own server only."),
        )),
    };
    if let Some(body) = at_once {
        answer_first(&discord, &payload, first, body).await;
        return;
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
    // What was clicked does not wait for Discord to hear that it was.
    let (_, taken) = tokio::join!(
        answer_first(&discord, &payload, first, shown.first()),
        take(&discord, &inbox, &payload)
    );
    if let Some(answer) = taken {
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
            match answer_first(&discord, &payload, first, body).await {
                true => inbox.done(&payload.delivery()).await,
                false => finish(&discord, &inbox, &payload, shown, Ok(answer)).await,
            }
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
    match read::read(discord, payload).await {
        Ok(Some(incoming)) => Some(inbox.take(incoming).await),
        Ok(None) => {
            tracing::warn!(delivery = payload.delivery(), "Discord delivered what can't be read; set aside");
            inbox.done(&payload.delivery()).await;
            None
        }
        Err(fault) => Some(Err(NotTaken(format!("where it happened can't be asked now: {fault}")))),
    }
}

fn done() -> Card {
    Card::new(Colour::Good, "Done").line("The thread shows what follows.")
}

fn not_stored() -> Card {
    Card::new(Colour::Warning, "Stored, not done yet").line(
        "The database, or Discord itself, can't be asked now; it is done as soon as that passes. No need to repeat it.",
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

async fn suggested(discord: &Discord, inbox: &Arc<dyn Inbox>, payload: &Payload) -> Value {
    let suggestions = match read::asking(discord, payload).await {
        Some(asking) => inbox.suggest(&asking).await,
        None => Vec::new(),
    };
    choices(&suggestions)
}

fn choices(suggestions: &[Suggestion]) -> Value {
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
    let incoming = match read::read(&discord, &payload).await {
        Ok(Some(incoming)) => incoming,
        Ok(None) => return inbox.done(&delivery).await,
        Err(fault) => {
            return tracing::warn!(%fault, delivery, "a message can't be read now; tried again later");
        }
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
