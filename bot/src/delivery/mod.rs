//! From committed events to people. Projection renders events into a durable queue, in transactions of its own, so that
//! nothing here can hold up a rollback; sending works the queue off, room by room, in the order of each thread.

mod project;
mod rooms;
mod send;
mod together;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lastgood_adapters::chat::Chat;
use lastgood_core::RollbackId;
use tokio::{sync::watch, task::JoinSet};

pub use project::Scene;
pub(crate) use project::nonce;
pub use together::announce;

use crate::{
    engine::Engine,
    store::{self, Purpose, Result, StoreError, write},
};

/// The chats of this process, by platform.
#[derive(Clone, Default)]
pub struct Chats(Arc<BTreeMap<String, Arc<dyn Chat>>>);

impl Chats {
    pub fn new(chats: impl IntoIterator<Item = (String, Arc<dyn Chat>)>) -> Self {
        Self(Arc::new(chats.into_iter().collect()))
    }

    pub fn get(&self, platform: &str) -> Option<&Arc<dyn Chat>> {
        self.0.get(platform)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Arc<dyn Chat>)> {
        self.0.iter()
    }
}

/// Whether everything that was committed about a run is with the platforms.
///
/// # Errors
/// As the store says.
pub async fn caught_up(engine: &Engine, id: RollbackId) -> Result<bool> {
    let db = engine.store.reader();
    let behind = store::rollbacks::is_behind(db, id).await?;
    Ok(!behind && store::messages::waiting_rooms(db).await?.is_empty())
}

/// The poll that alone suffices.
const POLL: Duration = Duration::from_secs(1);

pub struct Delivery {
    engine: Engine,
    chats: Chats,
}

impl Delivery {
    pub fn new(engine: Engine, chats: Chats) -> Self {
        engine.lease().tells();
        Self { engine: engine.on(Purpose::Delivery), chats }
    }

    /// Works until `stop` turns true. Does nothing while another replica has this role.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut committed = self.engine.store.committed();
        let mut rooms = rooms::Rooms::default();
        let mut sending: JoinSet<(String, rooms::Pause)> = JoinSet::new();
        loop {
            // Noted before anything is read: what is committed meanwhile is looked for in another round.
            let commits = *committed.borrow_and_update();
            self.engine.lease().tells();
            if self.engine.lease().delivers()
                && let Err(error) = self.round(&mut rooms, commits, &mut sending).await
            {
                tracing::error!(%error, "chat is behind: events can't be projected now");
            }
            tokio::select! {
                () = async { drop(stop.wait_for(|stop| *stop).await) } => break,
                Ok(()) = committed.changed() => {}
                Some(Ok((room, pause))) = sending.join_next() => rooms.done(&room, &pause),
                () = tokio::time::sleep(rooms.wake().min(POLL)) => {}
            }
        }
        // A message on its way gets its answer noted; the others wait in the database.
        let all = async { while sending.join_next().await.is_some() {} };
        if tokio::time::timeout(Duration::from_secs(5), all).await.is_err() {
            tracing::warn!(
                "a chat did not answer before the end; its message is looked for at the next start"
            );
        }
    }

    async fn round(
        &self,
        rooms: &mut rooms::Rooms,
        commits: u64,
        sending: &mut JoinSet<(String, rooms::Pause)>,
    ) -> Result<()> {
        let services: Vec<_> = self.engine.services.iter().map(|service| service.id.clone()).collect();
        let db = self.engine.store.reader();
        for (rollback, news) in store::rollbacks::behind(db, &services, self.engine.now()).await? {
            match project::project(&self.engine, rollback, news).await {
                Ok(()) => {}
                Err(error) if error.is_outage() && !error.is_about_a_lock() => return Err(error),
                Err(error) => self.set_aside(rollback, news, &error).await?,
            }
            self.engine.lease().tells();
        }
        for room in store::messages::waiting_rooms(self.engine.store.reader()).await? {
            let platform = room.split(':').next().unwrap_or_default();
            let Some(chat) = self.chats.get(platform) else { continue };
            if let Some(turn) = rooms.begin(&room, commits) {
                let worker = send::Worker {
                    engine: self.engine.clone(),
                    chat: chat.clone(),
                    room: room.clone(),
                    posts: turn.posts,
                };
                sending.spawn(async move {
                    let pause = worker.work_off().await;
                    (room, pause)
                });
            }
        }
        Ok(())
    }

    /// What can't be drawn waits, and keeps nobody else waiting.
    async fn set_aside(&self, rollback: RollbackId, news: i64, error: &StoreError) -> Result<()> {
        tracing::error!(%error, %rollback, "can't be drawn; it is tried again later, and its rollback goes on");
        let (at, why) = (self.engine.now(), error.to_string());
        write!(self.engine.store, |tx| tx.not_told(rollback, news, at, &why).await)
    }
}
