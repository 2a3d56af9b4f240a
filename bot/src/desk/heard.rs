//! Messages of other programs in the rooms of services: alerts, when they tell one, and nothing otherwise.

use lastgood_adapters::chat::{Incoming, Posted};

use super::Desk;
use crate::{
    delivery,
    engine::alerts::{Alert, Taken},
    inbound::chat::{self, Heard},
    service::Room,
    store::StoreError,
};

impl Desk {
    /// Takes a message's alerts, one for each service that it is about.
    pub(super) async fn heard(&self, incoming: &Incoming, posted: &Posted) -> Result<(), StoreError> {
        let services: Vec<_> = self.engine.services.iter().cloned().collect();
        let declared: Vec<_> = services.iter().map(|service| service.id.0.as_str()).collect();
        let here: Vec<_> = services
            .iter()
            .filter_map(|service| Some((service, self.room_of(service, &incoming.room)?)))
            .collect();
        let listening: Vec<_> =
            here.iter().map(|(service, _)| (service.id.0.as_str(), &service.hears)).collect();
        for (name, heard) in chat::concerned(posted, &listening, &declared) {
            let Some((_, room)) = here.iter().find(|(service, _)| service.id.0 == name) else { continue };
            let became = self.engine.alert(&alert(name, room, heard, incoming, posted)).await?;
            if became == Taken::Opened {
                // The alert is taken; a summary that fails is only a summary.
                if let Err(error) = delivery::announce(&self.engine).await {
                    tracing::error!(%error, "the summary of many alerting services could not be queued");
                }
            }
        }
        Ok(())
    }
}

fn alert(service: &str, room: &Room, heard: Heard, incoming: &Incoming, posted: &Posted) -> Alert {
    let room = room.to_string();
    // A message that is a reply itself has no thread of its own: its root's is where people talk.
    let at = incoming.thread.as_ref().unwrap_or(&posted.at);
    Alert {
        service: service.into(),
        fingerprint: heard.fingerprint(&room),
        starts_at: heard.starts_at,
        ends_at: None,
        firing: heard.firing(),
        title: heard.title,
        annotations: heard.annotations,
        ignore: heard.ignore,
        names: heard.names,
        heard: Some(heard.sender.word().to_owned()),
        anchor: Some((room, at.0.clone())),
    }
}

#[cfg(test)]
mod tests;
