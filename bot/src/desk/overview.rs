//! What runs and what is open: for `status`, `incident list`, and the bot's own page.

use lastgood_adapters::chat::{Answer, MessageRef};
use lastgood_core::{ServiceId, ThreadId};

use super::Desk;
use crate::{
    render::{self, Listed},
    store::{self, StoreError},
};

impl Desk {
    pub(super) async fn status(&self) -> Result<Answer, StoreError> {
        let (runs, incidents) = (self.running().await?, self.open().await?);
        let pauses = store::pauses::in_force(self.engine.store.reader()).await?;
        Ok(Answer::Private(render::status(&runs, &incidents, &pauses, self.engine.now())))
    }

    pub(super) async fn home(&self) -> Result<Answer, StoreError> {
        let (runs, incidents) = (self.running().await?, self.open().await?);
        let pauses = store::pauses::in_force(self.engine.store.reader()).await?;
        Ok(Answer::Private(render::home(&runs, &incidents, &pauses, self.engine.now())))
    }

    pub(super) async fn incidents(&self) -> Result<Answer, StoreError> {
        Ok(Answer::Private(render::incidents(&self.open().await?, self.engine.now())))
    }

    async fn running(&self) -> Result<Vec<Listed>, StoreError> {
        let mut all = Vec::new();
        for service in self.engine.services.iter() {
            let saved = store::rollbacks::active(self.engine.store.reader(), &service.id).await?;
            let Some(saved) = saved else { continue };
            let state = saved.state;
            all.push(Listed {
                name: state.id.to_string(),
                link: self.link_to(state.thread, &state.service).await?,
                service: state.service,
                word: state.phase.word(),
                since: state.opened_at,
                commander: state.commander,
            });
        }
        Ok(all)
    }

    async fn open(&self) -> Result<Vec<Listed>, StoreError> {
        let db = self.engine.store.reader();
        let mut all = Vec::new();
        for incident in store::incidents::list(db, false).await? {
            let newest = store::rollbacks::newest_in(db, incident.thread).await?;
            all.push(Listed {
                name: incident.id.to_string(),
                link: self.link_to(incident.thread, &incident.service).await?,
                service: incident.service,
                word: "open",
                since: incident.opened_at,
                commander: newest.and_then(|saved| saved.state.commander),
            });
        }
        // Whose incident is closed, and who still stands still: somebody forgot.
        for truce in store::truces::in_force(db).await? {
            let incident = store::incidents::of_thread(db, truce.thread).await?;
            if incident.is_some_and(|incident| incident.closed_at.is_none()) {
                continue;
            }
            all.push(Listed {
                name: truce.who,
                link: self.link_to(truce.thread, &truce.service).await?,
                service: truce.service,
                word: "suspended",
                since: truce.at,
                commander: None,
            });
        }
        Ok(all)
    }

    /// Where a thread's first card can be opened.
    pub(super) async fn link_to(
        &self,
        thread: ThreadId,
        service: &ServiceId,
    ) -> Result<Option<String>, StoreError> {
        let (Some(service), Some(chat)) = (self.engine.services.get(service), self.chats.get(&self.platform))
        else {
            return Ok(None);
        };
        let Some(room) = service.rooms.iter().find(|room| room.platform == self.platform) else {
            return Ok(None);
        };
        let root = store::messages::root_of(self.engine.store.reader(), thread, &room.to_string()).await?;
        Ok(root.and_then(|root| chat.link(&MessageRef(root))))
    }
}
