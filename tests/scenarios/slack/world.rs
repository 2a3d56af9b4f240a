//! A stage with the bot on it, talking in Slack: configured as a user would, by `lastgood.toml` alone.

use lastgood_core::{
    RollbackId,
    rollback::{Phase, Rollback},
};
use lastgood_tests::{
    database::{Database, Kind, fresh},
    process::poll_async,
    standin::slack::{APP_TOKEN, BOT_TOKEN, Message, Modal, SIGNING_SECRET, Saw, Slack, Who},
};

use crate::chain::{
    bot::{Bot, Http},
    stage::{Stage, Wishes},
    world::payload,
};

pub const ROOM: &str = "#incidents";

/// Which way Slack delivers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Socket,
    Http,
}

pub struct World {
    pub stage: Stage,
    pub slack: Slack,
    pub bot: Bot,
    pub http: Http,
    /// In the group that may approve.
    pub ana: Who,
    pub ben: Who,
    /// Somebody who works here.
    pub eve: Who,
    pub since: String,
    way: Way,
    configuration: String,
    #[expect(dead_code, reason = "held for its end")]
    database: Database,
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
        let database = fresh(kind).await;
        wishes.more.push_str(&format!("\n{}", section(&stage, &slack, way)));
        let configuration = stage
            .configuration(&database.url, &wishes)
            .replace("room = 'terminal:incidents'", "room = 'slack:#incidents'")
            .replace("['terminal:UANA', 'terminal:UBEN', 'terminal:UCARL']", "['slack:@sre-oncall']");
        let bot = Bot::configured(&configuration).await;
        let http = Http::new(stage.bot);
        let now = bot.app.engine.now();
        let since = lastgood::clock::rfc3339(now + 1_000);
        let world = Self { stage, slack, bot, http, ana, ben, eve, since, way, configuration, database };
        world.connected().await;
        world.http.records(&world.stage.old, "blue", Some(now - 3_600_000)).await;
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
        self.bot.end().await;
        let bot = Bot::configured(&self.configuration).await;
        let world = Self { bot, ..self };
        world.connected().await;
        world
    }

    /// Another replica on the same database, and where Slack would call it.
    pub async fn replica(&self) -> (Bot, String) {
        let at = std::net::SocketAddr::from(([127, 0, 0, 1], lastgood_tests::process::free_port()));
        let configuration = self.configuration.replace(&self.stage.bot.to_string(), &at.to_string());
        (Bot::configured(&configuration).await, format!("http://{at}/chat/slack"))
    }

    /// The pipeline puts v2.4.1 live.
    pub async fn deploy(&self) {
        self.stage.flip("green");
        self.http.records(&self.stage.new, "green", None).await;
    }

    /// v2.4.1 goes live and is broken.
    pub async fn broken(&self) {
        self.deploy().await;
        self.stage.shop.healthy("green", false);
    }

    /// … and an alert says so.
    pub async fn breaks(&self) {
        self.broken().await;
        self.fires().await;
    }

    /// The alert, by webhook.
    pub async fn fires(&self) {
        self.http.alertmanager_sends(&payload(&[("HighErrorRate", "firing")], &self.since)).await;
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

    /// What the bot has saved about a run.
    pub async fn run(&self, number: i64) -> Rollback {
        let db = self.bot.app.engine.store.reader();
        lastgood::store::rollbacks::get(db, RollbackId(number)).await.unwrap().expect("the run").state
    }

    /// The run ends so, and everything that there is to say of it is said.
    pub async fn run_ends(&self, number: i64, end: &str) {
        let phase = poll_async("the run's end", std::time::Duration::from_secs(30), || async {
            match self.run(number).await.phase {
                Phase::Ended { end } => Some(end),
                _ => None,
            }
        })
        .await;
        assert_eq!(phase.word(), end, "{}", self.slack.everything());
        self.caught_up().await;
    }

    pub async fn caught_up(&self) {
        let engine = &self.bot.app.engine;
        poll_async("chat to catch up", std::time::Duration::from_secs(40), || async {
            let db = engine.store.reader();
            let behind = lastgood::store::rollbacks::behind(db).await.unwrap();
            let rooms = lastgood::store::messages::waiting_rooms(db).await.unwrap();
            (behind.is_empty() && rooms.is_empty()).then_some(())
        })
        .await;
    }

    /// Slack refused nothing, nothing was said twice, nothing is left to do; then everything ends.
    pub async fn ends(self) {
        let engine = self.bot.app.engine.clone();
        poll_async("the last effects", std::time::Duration::from_secs(10), || async {
            (lastgood::store::effects::unfinished(engine.store.reader()).await.unwrap() == 0).then_some(())
        })
        .await;
        self.caught_up().await;
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
        self.bot.end().await;
    }
}

fn section(stage: &Stage, slack: &Slack, way: Way) -> String {
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
    let people = [&world.ana, &world.ben, &world.eve];
    let text = people.iter().fold(world.slack.transcript(root), |text, who| text.replace(&who.id, &who.name));
    crate::chain::world::compare("../slack/snapshots", name, &text);
}
