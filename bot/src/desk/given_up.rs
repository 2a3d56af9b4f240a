//! What could not be worked off, however often it was tried. The adapter reads it once more and answers the person, as it
//! would have; only that instead of being done, it is said that it was not: to them, and in the thread that it was about.

use std::sync::Arc;

use async_trait::async_trait;
use lastgood_adapters::chat::{Answer, Inbox, Incoming, Kept, NotTaken, What};
use lastgood_core::rollback::Rollback;

use super::Desk;
use crate::{
    command::{self, Command},
    delivery::{self, Scene},
    render::{self, action::Action},
    store::{StoreError, write},
};

/// Takes nothing any more: says so.
pub(super) struct GivenUp {
    pub desk: Arc<Desk>,
    /// How often it was tried.
    pub tries: i64,
}

#[async_trait]
impl Inbox for GivenUp {
    async fn keep(&self, kept: &Kept) -> Result<bool, NotTaken> {
        self.desk.keep(kept).await
    }

    async fn take(&self, incoming: Incoming) -> Result<Answer, NotTaken> {
        self.say(&incoming).await.map_err(|error| {
            tracing::error!(%error, delivery = incoming.delivery, "that it was given up could not be told");
            NotTaken(format!("that it was not done could not be written down: {error}"))
        })
    }

    async fn done(&self, delivery: &str) {
        self.desk.done(delivery).await;
    }
}

impl GivenUp {
    /// Remembered as the delivery's answer: whoever is at it still does nothing more.
    async fn say(&self, incoming: &Incoming) -> Result<Answer, StoreError> {
        let desk = &self.desk;
        let (asked, run) = (name(&incoming.what), desk.about(incoming).await);
        let text = format!(
            "{asked} could not be carried out: {} tries failed, and lastgood gave up. Nothing came of it. Look at the newest \
             card, and press or say it again; if that fails, too, use `lastgood` on its server's command line, and look into its log.",
            self.tries
        );
        let card = render::given_up(&asked, &incoming.actor, run.as_ref().map(|run| run.id), self.tries);
        let rooms: Vec<String> = match &run {
            Some(run) => desk.engine.service(&run.service.0)?.rooms.iter().map(ToString::to_string).collect(),
            None => vec![],
        };
        let (at, of) = (desk.engine.now(), desk.delivery(incoming));
        let slot = format!("{}/{}/given-up", of.source, of.id);
        let before = write!(desk.engine.store, |tx| {
            if let Some(run) = &run {
                tx.lock(&run.service).await?;
            }
            if let Some(before) = tx.answered(&of.source, &of.id).await? {
                return Ok(Some(before));
            }
            tx.keep_inbox(&of.source, &of.id, "given up", &text, at).await?;
            if let Some(run) = &run {
                tx.audit(at, &incoming.actor.id, &run.service.0, "given up", &format!("{}: {asked}", run.id))
                    .await?;
                for room in &rooms {
                    tx.put_message(run.thread, room, &slot, &delivery::nonce(), &card, false).await?;
                }
            }
            Ok(None)
        })?;
        Ok(match before {
            None => Answer::Private(render::refusal(&text)),
            // It was done after all, or told before; only the answer got lost.
            Some(before) if before.is_empty() => Answer::Done,
            Some(before) if before == text => Answer::Private(render::refusal(&text)),
            Some(before) => Answer::Private(render::answer("What came of it", &before)),
        })
    }
}

impl Desk {
    /// The run that something was about, as far as that can be told.
    async fn about(&self, incoming: &Incoming) -> Option<Rollback> {
        let scene = match &incoming.what {
            What::Press { action, .. } => {
                let action: Action = action.parse().ok()?;
                Scene::load(&self.engine, action.rollback).await
            }
            What::Command { text } => {
                self.meant(incoming, service(command::parse(text).ok()?)?.as_deref()).await
            }
            What::Chosen { group, command, values } => {
                let command = command::chosen(group, command, values).ok()?;
                self.meant(incoming, service(command)?.as_deref()).await
            }
            What::Posted(_) | What::Pointed(_) | What::Home => return None,
        };
        match scene {
            Ok(scene) => Some(scene.state().clone()),
            Err(StoreError::NotFound(_) | StoreError::Invalid(_)) => None,
            Err(error) => {
                tracing::warn!(%error, delivery = incoming.delivery, "what it was about can't be read");
                None
            }
        }
    }
}

/// The service whose run a command is about; none within: the one in the room.
fn service(command: Command) -> Option<Option<String>> {
    match command {
        Command::Propose { service, .. }
        | Command::Mark { service, .. }
        | Command::EndAlert { service, .. }
        | Command::Pause { service: Some(service), .. }
        | Command::Resume { service: Some(service) } => Some(Some(service)),
        Command::Stop { service } | Command::Commander { service, .. } => Some(service),
        Command::Status
        | Command::History { .. }
        | Command::Alerts { .. }
        | Command::Pause { service: None, .. }
        | Command::Resume { service: None }
        | Command::Incidents
        | Command::Incident { .. }
        | Command::Close { .. }
        | Command::Help => None,
    }
}

/// What somebody did, in words.
fn name(what: &What) -> String {
    match what {
        What::Press { action, .. } => match action.parse::<Action>() {
            Ok(action) => format!("“{}” of {}", action.verb.as_str().replace('-', " "), action.rollback),
            Err(_) => "what you pressed".to_owned(),
        },
        What::Command { text } => format!("“{text}”"),
        What::Chosen { group, command, .. } => format!("“{group} {command}”"),
        What::Posted(posted) => format!("the message of {}", posted.sender),
        What::Pointed(_) => "the rollback that you asked for".to_owned(),
        What::Home => "the page".to_owned(),
    }
}
