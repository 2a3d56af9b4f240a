//! Where people's clicks and commands arrive, from whatever platform: looked up, put to the engine, answered. A click is never
//! silently ignored.

mod alerts;
mod commands;
mod given_up;
mod heard;
mod kept;
mod overview;
mod pauses;
mod pointed;
mod standing;
mod suggest;

use std::collections::BTreeMap;

use async_trait::async_trait;
use lastgood_adapters::chat::{Answer, Asking, Inbox, Incoming, Kept, NotTaken, Suggestion, What};
use lastgood_core::{Actor, IncidentId, incident::Closing, rollback::Rollback};

use crate::{
    command,
    delivery::{Chats, Scene},
    engine::{
        Engine,
        acts::{Act, Delivery},
    },
    render::{
        self,
        action::{self, Action, Verb, input},
    },
    service::{Room, Service},
    store::{self, StoreError, write},
};

/// Answers one platform.
pub struct Desk {
    engine: Engine,
    chats: Chats,
    /// The platform whose people are answered.
    platform: String,
    /// A command line that acts although chat is down: the reason given for it.
    break_glass: Option<String>,
    /// Whom the person at a command line is mapped to.
    acting_as: Option<Actor>,
}

type Inputs = BTreeMap<String, String>;

impl Desk {
    pub fn new(engine: Engine, chats: Chats, platform: impl Into<String>) -> Self {
        Self { engine, chats, platform: platform.into(), break_glass: None, acting_as: None }
    }

    /// Lifts the two-person rule, for a reason that everybody reads.
    #[must_use]
    pub fn breaking_glass(mut self, reason: Option<String>) -> Self {
        self.break_glass = reason;
        self
    }

    /// Takes everything as done by this person.
    #[must_use]
    pub fn acting_as(mut self, actor: Actor) -> Self {
        self.acting_as = Some(actor);
        self
    }

    async fn press(&self, incoming: &Incoming, pressed: &str, inputs: &Inputs) -> Result<Answer, StoreError> {
        if pressed == pointed::PROPOSE {
            return self.asked(incoming, inputs).await;
        }
        let action: Action = match pressed.parse() {
            Ok(action) => action,
            Err(error) => return Ok(private(&format!("{error}; look at the newest card"))),
        };
        let scene = match Scene::load(&self.engine, action.rollback).await {
            Ok(scene) => scene,
            Err(StoreError::NotFound(text)) => return Ok(private(&text)),
            Err(error) => return Err(error),
        };
        if inputs.is_empty() {
            // A button that asks something first: the form is drawn from the state as it is now.
            let current = scene.root().buttons.into_iter().find(|button| button.action == pressed);
            if let Some(form) = current.and_then(|button| button.form) {
                return Ok(Answer::Ask { action: pressed.to_owned(), form });
            }
        }
        if action.verb == Verb::CloseIncident {
            return self.close_incident(&scene, incoming, inputs).await;
        }
        if let Verb::Resume | Verb::ResumeAnyway = action.verb {
            return self.resume(&scene, incoming, action.verb == Verb::ResumeAnyway).await;
        }
        let Some(act) = act(action.verb, inputs, scene.state()) else {
            return Ok(private("that choice is not on offer any more; look at the newest card"));
        };
        self.act(&scene, action.revision, &act, incoming).await
    }

    async fn act(
        &self,
        scene: &Scene,
        revision: u32,
        act: &Act,
        incoming: &Incoming,
    ) -> Result<Answer, StoreError> {
        let service = self.engine.service(&scene.state().service.0)?;
        let asked = standing::of(&self.chats, &service, &incoming.actor).await;
        if let Some(barred) = &asked.barred {
            return self.turned_away(&service, &incoming.actor, act.word(), barred).await;
        }
        let mut allowed = asked.standing.clone();
        allowed.break_glass.clone_from(&self.break_glass);
        let delivery = self.delivery(incoming);
        let answered =
            self.engine.act(scene.state().id, revision, act, &incoming.actor, &allowed, &delivery).await?;
        Ok(match answered {
            Ok(()) => Answer::Done,
            // Who is no approver learns who is.
            Err(text) if !allowed.approver => Answer::Private(standing::refusal(&text, &service, &asked)),
            Err(text) => private(&text),
        })
    }

    async fn close_incident(
        &self,
        scene: &Scene,
        incoming: &Incoming,
        inputs: &Inputs,
    ) -> Result<Answer, StoreError> {
        let by = &incoming.actor;
        let thread = scene.state().thread;
        let Some(incident) = store::incidents::of_thread(self.engine.store.reader(), thread).await? else {
            return Ok(private("no incident is open here"));
        };
        let said = Closing {
            root_cause: inputs.get(input::ROOT_CAUSE).cloned().unwrap_or_default(),
            not_the_release: inputs.get(input::WAS_RELEASE).is_some_and(|answer| answer == "no"),
        };
        if let Some(refusal) = self.may_not_close(scene, incident.id, &said, by).await? {
            return Ok(refusal);
        }
        match self.engine.close_incident(incident.id, &said, by, Some(&self.delivery(incoming))).await {
            Ok(_) => Ok(Answer::Done),
            Err(StoreError::Invalid(text) | StoreError::NotFound(text)) => Ok(private(&text)),
            Err(error) => Err(error),
        }
    }
}

impl Desk {
    fn delivery(&self, incoming: &Incoming) -> Delivery {
        Delivery { source: self.platform.clone(), id: incoming.delivery.clone() }
    }

    /// The room of a service that something happened in, as configured or with its platform in front.
    fn room_of<'a>(&self, service: &'a Service, named: &str) -> Option<&'a Room> {
        let here = |room: &&Room| {
            room.platform == self.platform && (room.name == named || room.to_string() == named)
        };
        service.rooms.iter().find(here)
    }

    /// What was refused before the engine was asked is in the audit all the same.
    async fn turned_away(
        &self,
        service: &Service,
        by: &Actor,
        what: &str,
        why: &str,
    ) -> Result<Answer, StoreError> {
        let at = self.engine.now();
        let detail = format!("{why} (refused)");
        write!(self.engine.store, |tx| tx.audit(at, &by.id, &service.id.0, what, &detail).await)?;
        Ok(private(why))
    }

    /// Somebody presses the button that lets those go on who stand still.
    async fn resume(&self, scene: &Scene, incoming: &Incoming, anyway: bool) -> Result<Answer, StoreError> {
        let by = &incoming.actor;
        if let Some(refusal) = self.may_not(scene, "resume what was suspended", by).await? {
            return Ok(refusal);
        }
        let answered = self.engine.resume(scene.state(), anyway, by, &self.delivery(incoming)).await?;
        Ok(answered.map_or_else(|text| private(&text), |()| Answer::Done))
    }

    /// Whoever is in command may close; saying that the release was innocent lifts its mark, and that takes an approver.
    async fn may_not_close(
        &self,
        scene: &Scene,
        id: IncidentId,
        said: &Closing,
        by: &Actor,
    ) -> Result<Option<Answer>, StoreError> {
        if !said.not_the_release {
            return self.may_not(scene, &format!("close {id}"), by).await;
        }
        let service = self.engine.service(&scene.state().service.0)?;
        let what = format!("close {id} as “not the release”");
        let why = ": it lifts the mark, and the artifact may be deployed again. Who is in command may close it as “it was \
                   the release”; an approver can lift the mark later";
        self.not_approver(&service, by, &what, why).await
    }

    /// Why somebody may not do what only approvers may. `why` goes on with the sentence.
    async fn not_approver(
        &self,
        service: &Service,
        by: &Actor,
        what: &str,
        why: &str,
    ) -> Result<Option<Answer>, StoreError> {
        let asked = standing::of(&self.chats, service, by).await;
        if let Some(barred) = &asked.barred {
            return self.turned_away(service, by, what, barred).await.map(Some);
        }
        if asked.standing.approver {
            return Ok(None);
        }
        let text = format!("{by}, only an approver of {} may {what}{why}", service.id);
        self.turned_away(service, by, what, &text).await?;
        Ok(Some(Answer::Private(standing::refusal(&text, service, &asked))))
    }

    /// Why somebody may not do what commander and approvers may.
    async fn may_not(&self, scene: &Scene, what: &str, by: &Actor) -> Result<Option<Answer>, StoreError> {
        let service = self.engine.service(&scene.state().service.0)?;
        let asked = standing::of(&self.chats, &service, by).await;
        if let Some(barred) = &asked.barred {
            return self.turned_away(&service, by, what, barred).await.map(Some);
        }
        let commands = scene.state().commander.as_ref().is_some_and(|commander| commander.id == by.id);
        if asked.standing.approver || asked.standing.commander || commands {
            return Ok(None);
        }
        let text = format!("{by}, only the incident commander or an approver of {} may {what}", service.id);
        self.turned_away(&service, by, what, &text).await?;
        Ok(Some(Answer::Private(standing::refusal(&text, &service, &asked))))
    }
}

fn private(text: &str) -> Answer {
    Answer::Private(render::refusal(text))
}

/// What a button means, with what its form asked for.
fn act(verb: Verb, inputs: &Inputs, state: &Rollback) -> Option<Act> {
    let reason = inputs.get(input::REASON).map(|text| text.trim().to_owned()).filter(|text| !text.is_empty());
    Some(match verb {
        Verb::Approve => Act::Approve { confirmed: false, reason },
        Verb::ApproveAnyway => Act::Approve { confirmed: true, reason },
        Verb::Reject => Act::Reject { reason },
        Verb::Choose => {
            let chosen = inputs.get(input::CANDIDATE)?;
            Act::Choose { digest: action::chosen(state.proposal.as_ref()?, chosen)? }
        }
        Verb::ProposeAnyway => Act::ProposeAnyway,
        Verb::PageCommander => Act::PageCommander,
        Verb::Acknowledge => Act::Acknowledge,
        Verb::Stop => Act::Stop,
        Verb::Retry => Act::Retry,
        Verb::Override => Act::Override { reason: reason.unwrap_or_default() },
        Verb::Next => Act::Next,
        Verb::Undo => Act::Undo { reason },
        Verb::HandOver => Act::HandOver,
        Verb::CloseIncident | Verb::Resume | Verb::ResumeAnyway => return None,
    })
}

#[async_trait]
impl Inbox for Desk {
    async fn keep(&self, kept: &Kept) -> Result<bool, NotTaken> {
        self.keep_delivery(kept).await.map_err(|error| {
            tracing::error!(%error, delivery = kept.delivery, "could not be kept");
            NotTaken(format!("it was not taken, try again: {error}"))
        })
    }

    async fn suggest(&self, asking: &Asking) -> Vec<Suggestion> {
        suggest::or_none(self.suggestions(asking).await)
    }

    async fn done(&self, delivery: &str) {
        if let Err(error) = self.delivery_done(delivery).await {
            // Worked off once more, which changes nothing.
            tracing::error!(%error, delivery, "that it is done could not be noted");
        }
    }

    async fn take(&self, mut incoming: Incoming) -> Result<Answer, NotTaken> {
        if let Some(actor) = &self.acting_as {
            incoming.actor = actor.clone();
        }
        let answer = match &incoming.what {
            What::Press { action, inputs } => self.press(&incoming, action, inputs).await,
            What::Command { text } => self.command(&incoming, command::parse(text)).await,
            What::Chosen { group, command, values } => {
                self.command(&incoming, command::chosen(group, command, values)).await
            }
            What::Posted(posted) => self.heard(&incoming, posted).await.map(|()| Answer::Done),
            What::Pointed(posted) => self.pointed(&incoming, posted).await,
            What::Home => match self.outsider(&incoming.actor).await {
                Some(refusal) => Ok(refusal),
                None => self.home().await,
            },
        };
        answer.map_err(|error| {
            tracing::error!(%error, actor = incoming.actor.id, "could not be taken");
            NotTaken(format!("it was not taken, try again: {error}"))
        })
    }
}
