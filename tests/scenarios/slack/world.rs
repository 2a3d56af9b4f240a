//! A stage with the bot on it, talking in Slack: configured as a user would, by `lastgood.toml` alone.

use std::ops::Deref;

use lastgood_tests::{
    database::Kind,
    standin::slack::{APP_TOKEN, BOT_TOKEN, Message, Modal, SIGNING_SECRET, Saw, Slack, Who},
};

use crate::chain::{
    bot::Bot,
    scene::Scene,
    stage::{Stage, Wishes},
};

pub const ROOM: &str = "#incidents";

/// Which way Slack delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Socket,
    Http,
}

pub struct World {
    pub scene: Scene,
    pub slack: Slack,
    /// In the group that may approve.
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
        Self::open(Stage::set().await, Kind::Sqlite, Way::Socket, wishes).await
    }

    pub async fn open(stage: Stage, kind: Kind, way: Way, wishes: Wishes) -> Self {
        Self::on(Self::workspace().await, stage, kind, way, wishes).await
    }

    /// Rooms, of which one is for incidents.
    pub async fn workspace() -> Slack {
        Slack::start(&["#general", "#random", ROOM, "#elsewhere"]).await
    }

    pub async fn on(slack: Slack, stage: Stage, kind: Kind, way: Way, mut wishes: Wishes) -> Self {
        let [ana, ben, eve] = ["ana", "ben", "eve"].map(|name| slack.person(name));
        slack.group("@sre-oncall", &[&ana, &ben]);
        wishes.more.push_str(&format!("\n{}", section(&stage, &slack, way)));
        let (room, approvers) = ("room = 'slack:#incidents'", "['slack:@sre-oncall']");
        let scene = Scene::set(stage, kind, &wishes, room, approvers).await;
        let world = Self { scene, slack, ana, ben, eve, way };
        world.connected().await;
        world.begins().await;
        world
    }

    /// Slack can deliver.
    async fn connected(&self) {
        match self.way {
            Way::Socket => self.slack.until_sockets(2).await,
            Way::Http => {
                self.slack.verify_address(&self.door()).await;
                self.slack.by_http(&self.door());
            }
        }
    }

    /// Where Slack calls.
    pub fn door(&self) -> String {
        format!("http://{}/chat/slack", self.stage.bot)
    }

    /// The bot ends, and another one starts.
    pub async fn restart(self) -> Self {
        let world = Self { scene: self.scene.restarted().await, ..self };
        world.connected().await;
        world
    }

    /// Another replica on the same database, and where Slack would call it.
    pub async fn replica(&self) -> (Bot, String) {
        let (bot, at) = self.scene.replica().await;
        (bot, format!("http://{at}/chat/slack"))
    }

    /// Presses as soon as the button is there.
    pub async fn presses(&self, who: &Who, button: &str) -> Saw {
        let message = self.slack.offers(button).await;
        self.slack.press(who, &message, button).await
    }

    /// Presses what asks for more, and submits that.
    pub async fn fills(&self, who: &Who, button: &str, filled: &[(&str, &str)]) -> Modal {
        let modal = self.presses(who, button).await.form();
        let submitted = self.slack.submit(who, &modal, filled).await;
        assert!(submitted.acknowledged);
        modal
    }

    /// The run ends so, and everything that there is to say of it is said.
    pub async fn run_ends(&self, number: i64, end: &str) {
        let phase = self.end_of(number).await;
        assert_eq!(phase.word(), end, "{}", self.slack.everything());
        self.caught_up().await;
    }

    /// Slack refused nothing, nothing was said twice, nothing is left to do; then everything ends.
    pub async fn ends(self) {
        self.nothing_left().await;
        assert_eq!(self.slack.refused(), [""; 0]);
        // What Slack's own library would not have let out either.
        let sent = self.slack.sent();
        let judged =
            tokio::task::spawn_blocking(move || lastgood_tests::slack_clients::judge(&sent)).await.unwrap();
        judged.unwrap_or_else(|refused| panic!("{refused}"));
        let mut seen = std::collections::BTreeSet::new();
        for message in self.slack.ours().iter().filter(|message| !message.deleted) {
            let nonce = message.metadata["event_payload"]["nonce"].to_string();
            assert!(seen.insert(nonce), "said twice: {}", message.text());
        }
        self.scene.bot.end().await;
    }
}

pub fn section(stage: &Stage, slack: &Slack, way: Way) -> String {
    let folder = stage.folder.path();
    for (name, secret) in [("bot", BOT_TOKEN), ("app", APP_TOKEN), ("signing", SIGNING_SECRET)] {
        std::fs::write(folder.join(name), secret).unwrap();
    }
    let secret = |name: &str| format!("{{ file = '{}' }}", folder.join(name).display());
    let way = match way {
        Way::Socket => format!("app_token = {}", secret("app")),
        Way::Http => format!("mode = 'http'\nsigning_secret = {}", secret("signing")),
    };
    format!("[chats.slack]\nurl = '{}'\ntoken = {}\n{way}\ntimeout = '2s'\n", slack.api(), secret("bot"))
}

/// Compares a thread with its snapshot, less what differs from run to run.
pub fn snapshot(name: &str, world: &World, root: &Message) {
    snapshot_in("../slack/snapshots", name, world, root);
}

pub fn snapshot_in(folder: &str, name: &str, world: &World, root: &Message) {
    let people = [&world.ana, &world.ben, &world.eve];
    let text = people.iter().fold(world.slack.transcript(root), |text, who| text.replace(&who.id, &who.name));
    crate::chain::world::compare(folder, name, &text);
}
