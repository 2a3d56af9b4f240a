//! Working off a delivery: read, handed to the product, answered privately. An answer that can't be given is no reason to do
//! the thing again: repeating the click gives the same answer.

use std::sync::Arc;

use lastgood_core::card::{Card, Colour};

use super::{
    payload::Payload,
    read::{Context, Read, read},
};
use crate::{
    Fault,
    chat::{
        Answer, Inbox, What,
        slack::{Slack, draw},
    },
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    AtOnce,
    /// After another process ended: too late to open a form.
    Late,
}

pub(super) async fn off(slack: Slack, inbox: Arc<dyn Inbox>, payload: Payload, when: When) {
    let delivery = payload.delivery();
    let Some(read) = read(&slack, &payload).await else {
        tracing::warn!(delivery, kind = ?payload.kind, "Slack delivered what can't be read; set aside");
        return inbox.done(&delivery).await;
    };
    match inbox.take(read.incoming.clone()).await {
        Ok(answer) => {
            if let Err(fault) = give(&slack, &read, answer, when).await {
                tracing::warn!(%fault, delivery, "the answer could not be shown");
            }
            inbox.done(&delivery).await;
        }
        Err(error) => {
            // Kept, and not done: it is handed out again in a while.
            tracing::error!(%error, delivery, "could not be taken now; tried again later");
            let card = Card::new(Colour::Warning, "Stored, not done yet")
                .line("The database can't be written to now; it is done as soon as that passes. No need to repeat it.");
            let told = slack.answer_private(&read.place, &card).await;
            if let Err(fault) = told {
                tracing::warn!(%fault, delivery, "nor could that be said");
            }
        }
    }
}

async fn give(slack: &Slack, read: &Read, answer: Answer, when: When) -> Result<(), Fault> {
    match (&read.incoming.what, answer) {
        // Nobody to answer: programs don't read.
        (What::Posted(_), _) => Ok(()),
        (What::Home, Answer::Private(card)) => slack.publish_home(&read.place.user, &card).await,
        (_, Answer::Private(card)) => slack.answer_private(&read.place, &card).await,
        (_, Answer::Ask { action, form }) => {
            let context = Context { place: read.place.clone(), thread: read.incoming.thread.clone() };
            let context = serde_json::to_string(&context).unwrap_or_default();
            let view = draw::modal(&action, &form, &context);
            let opened = match (&read.trigger, when) {
                (Some(trigger), When::AtOnce) => slack.open_modal(trigger, view).await,
                _ => Err(Fault::Unavailable("the bot was restarted meanwhile".to_owned())),
            };
            let Err(fault) = opened else { return Ok(()) };
            let card = Card::new(Colour::Warning, "Nothing was changed")
                .line(format!("The form could not be opened ({fault}). Press again."));
            slack.answer_private(&read.place, &card).await
        }
        // A button's card shows what became of it; a command leaves nothing to look at.
        (What::Press { .. } | What::Home, Answer::Done) => Ok(()),
        (What::Command { .. } | What::Chosen { .. } | What::Pointed(_), Answer::Done) => {
            let card = Card::new(Colour::Good, "Done").line("The thread shows what follows.");
            slack.answer_private(&read.place, &card).await
        }
    }
}
