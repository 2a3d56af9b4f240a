//! A stage with the bot on it, talking in Discord: configured as a user would, by `lastgood.toml` alone.

use std::{collections::BTreeSet, ops::Deref};

use lastgood_tests::{
    database::Kind,
    standin::discord::{BOT_TOKEN, Discord, GUILD, Message, Saw, Who},
};

use crate::chain::{
    bot::Bot,
    scene::Scene,
    stage::{Stage, Wishes},
};

pub const ROOM: &str = "#incidents";

/// Which way Discord delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Gateway,
    Http,
}

pub struct World {
    pub scene: Scene,
    pub discord: Discord,
    /// In the role that may approve.
    pub ana: Who,
    pub ben: Who,
    /// Somebody who works here.
    pub eve: Who,
    way: Way,
}

impl Deref for World {
    type Target = Scene;

    fn deref(&self) -> &Scene {
        &self.scene
    }
}

impl World {
    pub async fn small(service: &str) -> Self {
        let wishes = Wishes { service: service.to_owned(), ..Wishes::default() };
        Self::on(Self::server().await, Stage::set().await, Kind::Sqlite, Way::Gateway, wishes, ROOM).await
    }

    /// Channels, of which one is for incidents.
    pub async fn server() -> Discord {
        Discord::start(&["#general", "#random", ROOM, "#elsewhere"]).await
    }

    pub async fn on(
        discord: Discord,
        stage: Stage,
        kind: Kind,
        way: Way,
        mut wishes: Wishes,
        room: &str,
    ) -> Self {
        let [ana, ben, eve] = ["ana", "ben", "eve"].map(|name| discord.person(name));
        discord.role("sre-oncall", &[&ana, &ben]);
        wishes.more.push_str(&format!("\n{}", section(&stage, &discord, way)));
        let room = format!("room = 'discord:{room}'");
        let scene = Scene::set(stage, kind, &wishes, &room, "['discord:@sre-oncall']").await;
        let world = Self { scene, discord, ana, ben, eve, way };
        world.connected().await;
        world.begins().await;
        world
    }

    /// Discord can deliver, and people can fill in commands.
    async fn connected(&self) {
        self.discord.until_registered().await;
        self.discord.until_connected().await;
        if self.way == Way::Http {
            let door = self.door();
            self.discord.verify_address(&door).await;
            self.discord.by_http(&door);
        }
    }

    /// Where Discord calls.
    pub fn door(&self) -> String {
        format!("http://{}/chat/discord", self.stage.bot)
    }

    /// The bot ends, and another one starts.
    pub async fn restart(self) -> Self {
        let scene = self.scene.restarted().await;
        let world = Self { scene, ..self };
        world.connected().await;
        world
    }

    /// Another replica on the same database.
    pub async fn replica(&self) -> Bot {
        self.scene.replica().await.0
    }

    /// Presses as soon as the button is there.
    pub async fn presses(&self, who: &Who, button: &str) -> Saw {
        let message = self.discord.offers(button).await;
        self.discord.press(who, &message, button).await
    }

    /// Presses what asks for more, and submits that.
    pub async fn fills(&self, who: &Who, button: &str, filled: &[(&str, &str)]) -> Saw {
        let modal = self.presses(who, button).await.form();
        self.discord.submit(who, &modal, filled).await
    }

    /// The run ends so, and everything that there is to say of it is said.
    pub async fn run_ends(&self, number: i64, end: &str) {
        let ended = self.end_of(number).await;
        assert_eq!(ended.word(), end, "{}", self.discord.everything());
        self.caught_up().await;
    }

    /// Discord refused nothing, nothing was said twice, nothing is left to do; then everything ends.
    pub async fn ends(self) {
        self.nothing_left().await;
        nothing_refused(&self.discord).await;
        self.scene.bot.end().await;
    }
}

/// What holds of a server after every scenario.
pub async fn nothing_refused(discord: &Discord) {
    assert_eq!(discord.refused(), [""; 0]);
    // What Discord's own description of its interface would not let in either.
    let sent = discord.sent();
    let judged =
        tokio::task::spawn_blocking(move || lastgood_tests::discord_clients::judge(&sent)).await.unwrap();
    judged.unwrap_or_else(|refused| panic!("{refused}"));
    let mut seen = BTreeSet::new();
    for message in discord.ours().iter().filter(|message| !message.deleted) {
        if let Some(nonce) = &message.nonce {
            assert!(seen.insert(nonce.clone()), "said twice: {}", message.text());
        }
    }
}

pub fn section(stage: &Stage, discord: &Discord, way: Way) -> String {
    let folder = stage.folder.path();
    let (token, ca) = (folder.join("discord-token"), folder.join("discord-ca.pem"));
    std::fs::write(&token, BOT_TOKEN).unwrap();
    std::fs::write(&ca, discord.ca()).unwrap();
    let way = match way {
        Way::Gateway => String::new(),
        Way::Http => format!("mode = 'http'\npublic_key = '{}'\n", discord.public_key()),
    };
    format!(
        "[chats.discord]\nguild = '{GUILD}'\ntoken = {{ file = '{}' }}\nreads_messages = true\n\
         connect_to = '{}'\nca = '{}'\ntimeout = '2s'\n{way}",
        token.display(),
        discord.address(),
        ca.display(),
    )
}

/// Compares a thread with its snapshot, less what differs from run to run.
pub fn snapshot(name: &str, world: &World, root: &Message) {
    snapshot_in("../discord/snapshots", name, world, root);
}

pub fn snapshot_in(folder: &str, name: &str, world: &World, root: &Message) {
    let people = [&world.ana, &world.ben, &world.eve];
    let text =
        people.iter().fold(world.discord.transcript(root), |text, who| text.replace(&who.id, &who.name));
    crate::chain::world::compare(folder, name, &text);
}
