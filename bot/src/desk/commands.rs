//! Commands as text, from a chat or a terminal.

use lastgood_adapters::chat::{Answer, Incoming};

use super::{Desk, private};
use crate::{
    command::{self, Command},
    delivery::Scene,
    engine::{acts::Act, propose::Ask},
    render,
    store::{self, StoreError},
};

impl Desk {
    pub(super) async fn command(&self, incoming: &Incoming, text: &str) -> Result<Answer, StoreError> {
        let command = match command::parse(text) {
            Ok(command) => command,
            Err(error) => return Ok(private(&error.to_string())),
        };
        match self.obey(incoming, command).await {
            Err(StoreError::NotFound(text) | StoreError::Busy(text) | StoreError::Invalid(text)) => {
                Ok(private(&text))
            }
            other => other,
        }
    }

    async fn obey(&self, incoming: &Incoming, command: Command) -> Result<Answer, StoreError> {
        match command {
            Command::Help => Ok(Answer::Private(render::answer("Commands", &command::help()))),
            Command::Rollback { service, version, reason } => {
                let ask = Ask { service, by: incoming.actor.clone(), wanted: version, reason };
                let id = self.engine.propose(&ask).await?;
                Ok(Answer::Private(render::answer(
                    &id.to_string(),
                    "Reading what is live; the proposal follows here.",
                )))
            }
            Command::Stop { service } => {
                let scene = self.active(&service).await?;
                self.act(&scene, 0, &Act::Stop, incoming).await
            }
            Command::Commander { service, commander } => {
                let scene = self.active(&service).await?;
                self.act(&scene, 0, &Act::Command { commander }, incoming).await
            }
            Command::Status => {
                let recent = store::rollbacks::recent(self.engine.store.reader(), None, 10).await?;
                let lines: Vec<_> = recent
                    .iter()
                    .map(|saved| {
                        format!("{}  {}  {}", saved.state.id, saved.state.service, saved.state.phase.word())
                    })
                    .collect();
                let text = if lines.is_empty() { "No rollback yet.".to_owned() } else { lines.join("\n") };
                Ok(Answer::Private(render::answer("Rollbacks", &text)))
            }
        }
    }

    async fn active(&self, service: &str) -> Result<Scene, StoreError> {
        let service = self.engine.service(service)?;
        let none = || StoreError::NotFound(format!("no rollback of {} is running", service.id));
        let saved =
            store::rollbacks::active(self.engine.store.reader(), &service.id).await?.ok_or_else(none)?;
        Scene::load(&self.engine, saved.state.id).await
    }
}
