//! The chats of a serving process: which platforms it talks on, delivery to them, and the desks that answer their people.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use lastgood_adapters::chat::{Chat, Inbox, discord, slack, terminal::Terminal};
use tokio::{sync::watch, task::JoinSet};

use crate::{
    app::{App, NotBuilt},
    command,
    config::Config,
    delivery::{Chats, Delivery},
    desk::Desk,
};

/// The platform that needs no account.
pub const TERMINAL: &str = "terminal";

/// The chats that the configured rooms are on.
///
/// # Errors
/// With the section that a chat can't be built from.
pub fn configured(app: &App) -> Result<Chats, NotBuilt> {
    let clock = app.engine.clock.clone();
    let mut chats: Vec<(String, Arc<dyn Chat>)> = Vec::new();
    if !rooms(app, TERMINAL).is_empty() {
        chats.push((TERMINAL.to_owned(), Arc::new(Terminal::stdio(Arc::new(move || clock.now())))));
    }
    if let Some(slack) = slack(&app.config, &app.client, rooms(app, slack::NAME))? {
        chats.push((slack::NAME.to_owned(), Arc::new(slack)));
    }
    if let Some(discord) = discord(&app.config, rooms(app, discord::NAME))? {
        chats.push((discord::NAME.to_owned(), Arc::new(discord)));
    }
    Ok(Chats::new(chats))
}

/// Names of a platform's configured rooms.
fn rooms(app: &App, platform: &str) -> Vec<String> {
    let rooms: BTreeSet<_> = app.services.iter().flat_map(|service| &service.rooms).collect();
    rooms.into_iter().filter(|room| room.platform == platform).map(|room| room.name.clone()).collect()
}

/// Slack, where it is configured.
///
/// # Errors
/// With what it can't be built from.
pub fn slack(
    config: &Config,
    http: &reqwest::Client,
    rooms: Vec<String>,
) -> Result<Option<slack::Slack>, NotBuilt> {
    let Some(section) = &config.chats.slack else { return Ok(None) };
    let built = section
        .build(http.clone(), rooms)
        .map_err(|error| NotBuilt::Section { section: "chats.slack".to_owned(), unfit: error.into() })?;
    Ok(Some(built))
}

/// Discord, where it is configured.
///
/// # Errors
/// With what it can't be built from.
pub fn discord(config: &Config, rooms: Vec<String>) -> Result<Option<discord::Discord>, NotBuilt> {
    let Some(section) = &config.chats.discord else { return Ok(None) };
    let built = section
        .build(rooms, command::offered())
        .map_err(|error| NotBuilt::Section { section: "chats.discord".to_owned(), unfit: error.into() })?;
    Ok(Some(built))
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
