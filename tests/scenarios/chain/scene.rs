//! A stage with the bot on it, configured as a user would, whatever chat it talks in; and what the bot has saved.

use std::{net::SocketAddr, time::Duration};

use lastgood_core::{
    RollbackId,
    rollback::{End, Phase, Rollback},
};
use lastgood_tests::{
    database::{Database, Kind, fresh},
    process::{free_port, poll_async},
};

use super::{
    bot::{Bot, Http},
    stage::{Stage, Wishes},
    world::{is_well, payload},
};

/// What the harness's own chat is called in a stage's configuration.
const ROOM: &str = "room = 'terminal:incidents'";
const APPROVERS: &str = "['terminal:UANA', 'terminal:UBEN', 'terminal:UCARL']";

pub struct Scene {
    pub stage: Stage,
    pub bot: Bot,
    pub http: Http,
    pub since: String,
    configuration: String,
    #[expect(dead_code, reason = "held for its end")]
    database: Database,
}

impl Scene {
    /// The bot, in this room (`room = …` or `rooms = …`) and for these approvers.
    pub async fn set(stage: Stage, kind: Kind, wishes: &Wishes, room: &str, approvers: &str) -> Self {
        let database = fresh(kind).await;
        let configuration =
            stage.configuration(&database.url, wishes).replace(ROOM, room).replace(APPROVERS, approvers);
        let bot = Bot::configured(&configuration).await;
        let http = Http::new(stage.bot);
        let since = lastgood::clock::rfc3339(bot.app.engine.now() + 1_000);
        Self { stage, bot, http, since, configuration, database }
    }

    /// v2.4.0 went live an hour ago.
    pub async fn begins(&self) {
        let hour_ago = self.bot.app.engine.now() - 3_600_000;
        self.http.records(&self.stage.old, "blue", Some(hour_ago)).await;
    }

    /// The bot ends, and another one starts.
    pub async fn restarted(self) -> Self {
        self.bot.end().await;
        let bot = Bot::configured(&self.configuration).await;
        Self { bot, ..self }
    }

    /// Another replica on the same database, and where it listens.
    pub async fn replica(&self) -> (Bot, SocketAddr) {
        let at = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let configuration = self.configuration.replace(&self.stage.bot.to_string(), &at.to_string());
        (Bot::configured(&configuration).await, at)
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

    /// The alert is over, by webhook.
    pub async fn ceases(&self) {
        self.http.alertmanager_sends(&payload(&[("HighErrorRate", "resolved")], &self.since)).await;
    }

    /// What the bot has saved about a run.
    pub async fn run(&self, number: i64) -> Rollback {
        let db = self.bot.app.engine.store.reader();
        lastgood::store::rollbacks::get(db, RollbackId(number)).await.unwrap().expect("the run").state
    }

    /// How many runs there were.
    pub async fn runs(&self) -> usize {
        let db = self.bot.app.engine.store.reader();
        lastgood::store::rollbacks::recent(db, None, 10).await.unwrap().len()
    }

    /// How a run ended.
    pub async fn end_of(&self, number: i64) -> End {
        poll_async("the run's end", Duration::from_secs(60), || async {
            let run = self.run(number).await;
            if is_well(&run) {
                self.ceases().await;
            }
            match run.phase {
                Phase::Ended { end } => Some(end),
                _ => None,
            }
        })
        .await
    }

    /// Everything that there is to say is said.
    pub async fn caught_up(&self) {
        let engine = &self.bot.app.engine;
        poll_async("chat to catch up", Duration::from_secs(60), || async {
            let db = engine.store.reader();
            let untold = lastgood::store::rollbacks::untold(db, &[]).await.unwrap();
            let rooms = lastgood::store::messages::waiting_rooms(db).await.unwrap();
            (untold == 0 && rooms.is_empty()).then_some(())
        })
        .await;
    }

    /// Nothing is left to do.
    pub async fn nothing_left(&self) {
        let engine = self.bot.app.engine.clone();
        poll_async("the last effects", Duration::from_secs(10), || async {
            (lastgood::store::effects::unfinished(engine.store.reader()).await.unwrap() == 0).then_some(())
        })
        .await;
        self.caught_up().await;
    }
}
