//! The chats of a serving process: which platforms it talks on, delivery to them, and the desk that answers their people.

use std::{collections::BTreeSet, sync::Arc};

use lastgood_adapters::chat::{Chat, terminal::Terminal};
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

/// Delivers and listens until `stop` turns true.
pub async fn run(app: &App, chats: Chats, stop: watch::Receiver<bool>) {
    let mut tasks = JoinSet::new();
    for (platform, chat) in chats.iter() {
        let desk = Arc::new(Desk::new(app.engine.clone(), chats.clone(), platform.clone()));
        tasks.spawn(desk.clone().work_off(chat.clone(), stop.clone()));
        let (chat, mut stop) = (chat.clone(), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = chat.listen(desk) => {}
                () = async { drop(stop.wait_for(|stop| *stop).await) } => {}
            }
        });
    }
    Delivery::new(app.engine.clone(), chats).run(stop).await;
    while tasks.join_next().await.is_some() {}
}
