//! Commands as text, from a chat or a command line.

use lastgood_adapters::chat::{Answer, Incoming, Kind, Person};
use lastgood_core::{Actor, IncidentId, incident::Closing, inventory::Stability, rollback::Approval};

use super::{Desk, standing};
use crate::{
    command::{self, Command, NotACommand},
    delivery::Scene,
    engine::{acts::Act, alerts::Anchor, propose::Ask},
    render,
    service::Service,
    store::{self, StoreError},
};

pub(super) type Done = Result<Answer, StoreError>;

impl Desk {
    pub(super) async fn command(&self, incoming: &Incoming, read: Result<Command, NotACommand>) -> Done {
        let command = match read {
            Ok(command) => command,
            Err(error) => return Ok(private(&error.to_string())),
        };
        if let Some(refusal) = self.outsider(&incoming.actor).await {
            return Ok(refusal);
        }
        told(self.obey(incoming, command).await)
    }

    /// Guests and people of other organisations see what is in their rooms, and nothing of what lies behind. Nor does anybody of
    /// whom the platform can't say who they are, but for those who are named for that.
    pub(super) async fn outsider(&self, actor: &Actor) -> Option<Answer> {
        let platform = actor.id.split(':').next().unwrap_or_default();
        let fault = match self.chats.get(platform)?.person(&actor.id).await {
            Ok(Person { kind: Kind::Member, .. }) => return None,
            Ok(Person { name, .. }) => {
                let text = format!("{name}, only full members of the workspace can ask and act here");
                return Some(private(&text));
            }
            Err(fault) => fault,
        };
        let named = self.engine.services.iter().any(|of| of.fallback_approvers.contains(&actor.id));
        (!named).then(|| private(&format!("who you are could not be asked ({fault}); try again")))
    }

    async fn obey(&self, incoming: &Incoming, command: Command) -> Done {
        match command {
            Command::Help => Ok(Answer::Private(render::answer("Commands", &command::help()))),
            Command::Propose { service, version, reason } => {
                let ask = Ask { service, by: incoming.actor.clone(), wanted: version, reason };
                self.propose(incoming, ask).await
            }
            Command::Status => self.status().await,
            Command::History { service } => self.history(&service).await,
            Command::Mark { service, artifact, stable, reason } => {
                self.mark(incoming, &service, &artifact, stable, &reason).await
            }
            Command::Stop { service } => {
                let scene = self.meant(incoming, service.as_deref()).await?;
                self.not_before(incoming, &scene).await?;
                self.act(&scene, 0, &Act::Stop, incoming).await
            }
            Command::Commander { service, person } => {
                let scene = self.meant(incoming, service.as_deref()).await?;
                self.not_before(incoming, &scene).await?;
                let commander = self.somebody(&person).await?;
                self.act(&scene, 0, &Act::Command { commander }, incoming).await
            }
            Command::Alerts { service } => self.alerts(service.as_deref()).await,
            Command::EndAlert { service, alert } => self.end_alert(incoming, &service, &alert).await,
            Command::Pause { service, reason } => {
                self.pause(incoming, service.as_deref(), reason.as_deref()).await
            }
            Command::Resume { service } => self.unpause(incoming, service.as_deref()).await,
            Command::Incidents => self.incidents().await,
            Command::Incident { id } => self.incident(id).await,
            Command::Close { id, root_cause, not_the_release } => {
                self.close(incoming, id, &Closing { root_cause, not_the_release }).await
            }
        }
    }

    /// Opens a run for somebody; in the thread of what they pointed at or said it in, where a thread is opened at all.
    pub(super) async fn propose(&self, incoming: &Incoming, ask: Ask) -> Done {
        let service = self.engine.service(&ask.service).map_err(|error| or_a_command(&ask.service, error))?;
        let asked = standing::of(&self.chats, &service, &incoming.actor).await;
        // Where nobody has to click, asking is deciding.
        let unknown = asked
            .trouble
            .clone()
            .filter(|_| service.policy.approval == Approval::None && !asked.standing.approver);
        if let Some(why) = asked.barred.clone().or(unknown) {
            return self.turned_away(&service, &incoming.actor, "propose", &why).await;
        }
        if let Some(wanted) = &ask.wanted {
            self.engine.resolve(&service.id, wanted).await.map_err(|error| match error {
                StoreError::NotFound(text) => StoreError::NotFound(format!(
                    "{text}; if {wanted:?} begins the reason, put that in quotes"
                )),
                other => other,
            })?;
        }
        let room = self.room_of(&service, &incoming.room);
        let anchor: Option<Anchor> =
            room.zip(incoming.thread.as_ref()).map(|(room, thread)| (room.to_string(), thread.0.clone()));
        let id = self
            .engine
            .propose_at(&ask, &asked.standing, anchor.as_ref(), Some(&self.delivery(incoming)))
            .await?;
        let text = match room {
            Some(_) => "Reading what is live; the proposal follows here.".to_owned(),
            None => {
                let rooms: Vec<_> = service.rooms.iter().map(ToString::to_string).collect();
                format!("Reading what is live; the proposal follows in {}.", rooms.join(", "))
            }
        };
        Ok(Answer::Private(render::answer(&id.to_string(), &text)))
    }

    async fn history(&self, service: &str) -> Done {
        let service = self.engine.service(service)?;
        let db = self.engine.store.reader();
        let releases = store::releases::newest(db, &service.id, 15).await?;
        let marks = store::releases::marks(db, &service.id).await?;
        Ok(Answer::Private(render::history(&service.id, &releases, &|digest| {
            marks.iter().find(|mark| mark.digest == *digest).map(|mark| mark.stability.clone())
        })))
    }

    async fn mark(
        &self,
        incoming: &Incoming,
        service: &str,
        artifact: &str,
        stable: bool,
        reason: &str,
    ) -> Done {
        let service = self.engine.service(service)?;
        let refused = match stable {
            // It opens the gate.
            true => self.not_approver(&service, &incoming.actor, "mark its artifacts stable", "").await?,
            false => self.refused(&service, &incoming.actor).await?,
        };
        if let Some(refusal) = refused {
            return Ok(refusal);
        }
        let digest = self.engine.resolve(&service.id, artifact).await?;
        let (stability, word) = match stable {
            true => (Stability::Stable { by_person: true }, "stable"),
            false => (Stability::Unstable { why: reason.to_owned(), provisional: false }, "unstable"),
        };
        let (by, delivery) = (&incoming.actor, self.delivery(incoming));
        self.engine.mark(&service.id.0, &digest, &stability, reason, by, Some(&delivery)).await?;
        let text = format!("{artifact} ({}) of {} is marked {word}.", digest.short(), service.id);
        Ok(Answer::Private(render::answer("Marked", &text)))
    }

    async fn incident(&self, id: IncidentId) -> Done {
        let db = self.engine.store.reader();
        let missing =
            || StoreError::NotFound(format!("there is no {id}; `incident list` shows the open ones"));
        let incident = store::incidents::get(db, id).await?.ok_or_else(missing)?;
        let recent = store::rollbacks::recent(db, Some(&incident.service), 1_000).await?;
        let runs: Vec<_> = recent
            .into_iter()
            .filter(|saved| saved.state.thread == incident.thread)
            .map(|saved| saved.state)
            .collect();
        let link = self.link_to(incident.thread, &incident.service).await?;
        let shown = render::Incident { id, root_cause: incident.root_cause.as_deref() };
        let times = (incident.opened_at, incident.closed_at);
        Ok(Answer::Private(render::incident(shown, &incident.service, times, &runs, link)))
    }

    async fn close(&self, incoming: &Incoming, id: IncidentId, said: &Closing) -> Done {
        let missing =
            || StoreError::NotFound(format!("there is no {id}; `incident list` shows the open ones"));
        let db = self.engine.store.reader();
        let incident = store::incidents::get(db, id).await?.ok_or_else(missing)?;
        let newest = store::rollbacks::newest_in(db, incident.thread).await?.ok_or_else(missing)?;
        let scene = Scene::load(&self.engine, newest.state.id).await?;
        if let Some(refusal) = self.may_not_close(&scene, id, said, &incoming.actor).await? {
            return Ok(refusal);
        }
        let delivery = self.delivery(incoming);
        self.engine.close_incident(id, said, &incoming.actor, Some(&delivery)).await?;
        Ok(Answer::Private(render::answer(&format!("{id} is closed"), &said.root_cause)))
    }

    /// The run of a service, or the only one of this thread or room.
    pub(super) async fn meant(
        &self,
        incoming: &Incoming,
        service: Option<&str>,
    ) -> Result<Scene, StoreError> {
        if let Some(service) = service {
            let service = self.engine.service(service)?;
            let none = || StoreError::NotFound(format!("no rollback of {} is running", service.id));
            let db = self.engine.store.reader();
            let saved = store::rollbacks::active(db, &service.id).await?.ok_or_else(none)?;
            return Scene::load(&self.engine, saved.state.id).await;
        }
        let mut here = Vec::new();
        for service in self.engine.services.iter() {
            let Some(room) = self.room_of(service, &incoming.room) else { continue };
            let db = self.engine.store.reader();
            let Some(saved) = store::rollbacks::active(db, &service.id).await? else { continue };
            if let Some(thread) = &incoming.thread {
                let (of, room) = (saved.state.thread, room.to_string());
                let anchor = store::anchors::of(db, of, &room).await?;
                let root = store::messages::root_of(db, of, &room).await?;
                if anchor.or(root).is_some_and(|of| of == thread.0) {
                    return Scene::load(&self.engine, saved.state.id).await;
                }
            }
            here.push(saved.state);
        }
        // Said in a thread, it is about that thread, also when what was there has ended.
        if incoming.thread.is_some() {
            let text = "no rollback is running in this thread: name the service";
            return Err(StoreError::NotFound(text.to_owned()));
        }
        match here.as_slice() {
            [one] => Scene::load(&self.engine, one.id).await,
            [] => {
                Err(StoreError::NotFound("no rollback is running in this room: name the service".to_owned()))
            }
            many => {
                let names: Vec<_> = many.iter().map(|state| state.service.0.clone()).collect();
                let text =
                    format!("several rollbacks are running in this room: name one of {}", names.join(", "));
                Err(StoreError::Invalid(text))
            }
        }
    }

    /// What was said before a run began is not about it: a command that a dead process had kept may come minutes late.
    async fn not_before(&self, incoming: &Incoming, scene: &Scene) -> Result<(), StoreError> {
        let db = self.engine.store.reader();
        let said = store::deliveries::kept_at(db, &self.platform, &incoming.delivery).await?;
        let state = scene.state();
        match said.filter(|said| *said < state.opened_at) {
            Some(_) => Err(StoreError::Busy(format!("{} began after you said this: say it again", state.id))),
            None => Ok(()),
        }
    }

    /// Somebody who was named: `@slack:U024BE7LH`, `@ana`.
    async fn somebody(&self, named: &str) -> Result<Actor, StoreError> {
        let id = named.trim_start_matches('@');
        let (platform, name) = id.split_once(':').unwrap_or((self.platform.as_str(), id));
        let platform = if platform == crate::chat::TERMINAL { "os" } else { platform };
        let id = format!("{platform}:{name}");
        let Some(chat) = self.chats.get(platform) else { return Ok(Actor::new(id, name)) };
        match chat.person(&id).await {
            Ok(Person { kind: Kind::Member, name }) => Ok(Actor::new(id, name)),
            Ok(Person { name, .. }) => Err(StoreError::Invalid(format!(
                "{name} can't be in command: only full members of the workspace act here"
            ))),
            Err(lastgood_adapters::Fault::NotFound(_)) => Err(StoreError::NotFound(format!(
                "nobody is called {named:?} here: choose them from the list that opens after an @"
            ))),
            Err(fault) => {
                Err(StoreError::Busy(format!("who {named:?} is could not be asked ({fault}); try again")))
            }
        }
    }

    /// Why somebody who is neither approver nor commander may not mark anything.
    async fn refused(&self, service: &Service, by: &Actor) -> Result<Option<Answer>, StoreError> {
        let asked = standing::of(&self.chats, service, by).await;
        if let Some(barred) = &asked.barred {
            return self.turned_away(service, by, "mark", barred).await.map(Some);
        }
        if asked.standing.approver || asked.standing.commander {
            return Ok(None);
        }
        let text =
            format!("only an approver of {} or its commander may mark its artifacts unstable", service.id);
        self.turned_away(service, by, "mark", &text).await?;
        Ok(Some(Answer::Private(standing::refusal(&text, service, &asked))))
    }
}

/// A word that is no service may have been meant as a command.
fn or_a_command(word: &str, error: StoreError) -> StoreError {
    match (error, command::nearest(word)) {
        (StoreError::NotFound(text), Some(near)) => {
            StoreError::NotFound(format!("{text}; or did you mean the command {near:?}?"))
        }
        (error, _) => error,
    }
}

/// What a person can do something about is an answer.
pub(super) fn told(done: Done) -> Done {
    match done {
        Err(StoreError::NotFound(text) | StoreError::Busy(text) | StoreError::Invalid(text)) => {
            Ok(private(&text))
        }
        other => other,
    }
}

fn private(text: &str) -> Answer {
    super::private(text)
}
