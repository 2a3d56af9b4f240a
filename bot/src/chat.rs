//! The chats of a serving process: which platforms it talks on, delivery to them, and the desks that answer their people.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use lastgood_adapters::chat::{Chat, Inbox, terminal::Terminal};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    app::App,
    delivery::{Chats, Delivery},
    desk::Desk,
};

/// The platform that needs no account.
pub const TERMINAL: &str = "terminal";

/// The chats that the configured rooms are on.
pub fn configured(app: &App) -> Chats {
    let platforms: BTreeSet<&str> =
        app.services.iter().flat_map(|service| &service.rooms).map(|room| room.platform.as_str()).collect();
    let clock = app.engine.clock.clone();
    let terminal = platforms.contains(TERMINAL).then(|| {
        let chat: Arc<dyn Chat> = Arc::new(Terminal::stdio(Arc::new(move || clock.now())));
        (TERMINAL.to_owned(), chat)
    });
    Chats::new(terminal)
}

/// The chats, each with the desk that answers its people.
#[derive(Clone)]
pub struct Talk {
    chats: Chats,
    desks: Arc<BTreeMap<String, Arc<Desk>>>,
}

impl Talk {
    pub fn new(app: &App, chats: Chats) -> Self {
        let desk = |platform: &String| Desk::new(app.engine.clone(), chats.clone(), platform.clone());
        let desks = chats.iter().map(|(platform, _)| (platform.clone(), Arc::new(desk(platform)))).collect();
        Self { chats, desks: Arc::new(desks) }
    }

    /// A platform's chat, and where what comes from it goes.
    pub fn on(&self, platform: &str) -> Option<(Arc<dyn Chat>, Arc<dyn Inbox>)> {
        let desk: Arc<dyn Inbox> = self.desks.get(platform)?.clone();
        Some((self.chats.get(platform)?.clone(), desk))
    }

    /// Delivers and listens until `stop` turns true.
    pub async fn run(self, app: &App, stop: watch::Receiver<bool>) {
        let mut tasks = JoinSet::new();
        for (platform, chat) in self.chats.iter() {
            let Some(desk) = self.desks.get(platform).cloned() else { continue };
            tasks.spawn(desk.clone().work_off(chat.clone(), stop.clone()));
            let (chat, mut stop) = (chat.clone(), stop.clone());
            tasks.spawn(async move {
                tokio::select! {
                    () = chat.listen(desk) => {}
                    () = async { drop(stop.wait_for(|stop| *stop).await) } => {}
                }
            });
        }
        Delivery::new(app.engine.clone(), self.chats.clone()).run(stop).await;
        while tasks.join_next().await.is_some() {}
    }
}
