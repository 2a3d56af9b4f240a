//! A stage with the bot on it, and what people and pipelines do there.

use std::{sync::Arc, time::Duration};

use lastgood::clock;
use lastgood_adapters::chat::Answer;
use lastgood_core::{
    Actor, Artifact, RollbackId,
    rollback::{Phase, Rollback},
};
use lastgood_tests::{
    database::{Database, Kind, fresh},
    process::poll_async,
    standin::chat::{Message, Platform, Thread},
};
use serde_json::{Value, json};

use super::{
    bot::{Bot, Http},
    stage::{CI_TOKEN, Stage, Wishes},
};

pub const ROOM: &str = "incidents";

/// Whether monitoring would see by now that it is over, where the test is the monitoring.
pub fn is_well(run: &Rollback) -> bool {
    let good = match &run.phase {
        Phase::Observing { series, .. } => series.streak > 0,
        Phase::Confirming { .. } => true,
        _ => false,
    };
    good && run.alert_firing()
}

pub struct World {
    pub stage: Stage,
    pub chat: Arc<Platform>,
    pub bot: Bot,
    pub http: Http,
    /// Approvers.
    pub ana: Actor,
    pub ben: Actor,
    /// Somebody who works here.
    pub eve: Actor,
    /// When the alerts began, as Alertmanager writes it.
    pub since: String,
    configuration: String,
    #[expect(dead_code, reason = "held for its end")]
    database: Database,
}

impl World {
    /// The bot on this stage; v2.4.0 has been live for an hour.
    pub async fn open(stage: Stage, kind: Kind, wishes: &Wishes) -> Self {
        let database = fresh(kind).await;
        let chat = Platform::start("terminal", &[ROOM]);
        let configuration = stage.configuration(&database.url, wishes);
        let bot = Bot::start(&configuration, &chat).await;
        let [ana, ben, eve] = ["ana", "ben", "eve"].map(|name| chat.person(name));
        let http = Http::new(stage.bot);
        let now = bot.app.engine.now();
        // Not before what broke was deployed.
        let since = clock::rfc3339(now + 1_000);
        let world = Self { stage, chat, bot, http, ana, ben, eve, since, configuration, database };
        let hour_ago = now - 3_600_000;
        world.http.records(&world.stage.old, "blue", Some(hour_ago)).await;
        world
    }

    /// Without Prometheus and Alertmanager: the test sends the alerts.
    pub async fn small(service: &str) -> Self {
        let wishes = Wishes { service: service.to_owned(), ..Wishes::default() };
        Self::open(Stage::set().await, Kind::Sqlite, &wishes).await
    }

    /// The bot ends, and another one starts.
    pub async fn restart(self) -> Self {
        self.bot.end().await;
        let bot = Bot::start(&self.configuration, &self.chat).await;
        Self { bot, ..self }
    }

    /// The pipeline puts v2.4.1 live.
    pub async fn deploy(&self) {
        self.stage.flip("green");
        self.http.records(&self.stage.new, "green", None).await;
    }

    /// Alertmanager sends one group with these alerts and statuses.
    pub async fn alertmanager_sends(&self, alerts: &[(&str, &str)]) -> Value {
        self.http.alertmanager_sends(&payload(alerts, &self.since)).await
    }

    /// v2.4.1 goes live, breaks, and an alert says so.
    pub async fn breaks(&self) {
        self.deploy().await;
        self.stage.shop.healthy("green", false);
        self.alertmanager_sends(&[("HighErrorRate", "firing")]).await;
    }

    /// The newest message that offers a button, as soon as there is one.
    pub async fn offered(&self, button: &str) -> Message {
        let thread = self.chat.wait_for(button, |thread| thread.offering(button).is_some()).await;
        thread.offering(button).unwrap().clone()
    }

    /// Presses as soon as the button is there; it must be taken.
    pub async fn presses(&self, who: &Actor, button: &str) {
        let message = self.offered(button).await;
        assert_eq!(self.chat.press(who, button, &message.at).await, Answer::Done, "{button}");
    }

    /// As `presses`, with what the form asks for.
    pub async fn fills(&self, who: &Actor, button: &str, form: &[(&str, &str)]) {
        let message = self.offered(button).await;
        assert_eq!(self.chat.press_and_fill(who, button, &message.at, form).await, Answer::Done, "{button}");
    }

    /// What only `who` is answered to a command.
    pub async fn commands(&self, who: &Actor, command: &str) -> String {
        match self.chat.command(who, ROOM, command).await {
            Answer::Private(card) => card.plain(),
            other => panic!("{command}: {other:?}"),
        }
    }

    /// What only `who` is told when pressing.
    pub async fn refused(&self, who: &Actor, button: &str) -> String {
        let message = self.offered(button).await;
        match self.chat.press(who, button, &message.at).await {
            Answer::Private(card) => card.plain(),
            other => panic!("{button} was not refused: {other:?}"),
        }
    }

    /// The thread, as soon as somebody or the bot says this in it.
    pub async fn reads(&self, text: &str) -> Thread {
        self.chat.wait_for(text, |thread| thread.saying(text).is_some()).await
    }

    /// The run ends so (`recovered`, `undone`, …); gives the thread with everything that there was to say of it.
    pub async fn run_ends(&self, number: i64, end: &str) -> Thread {
        let ends = async {
            loop {
                let run = self.run(number).await;
                match &run.phase {
                    Phase::Ended { end: is } if is.word() == end => return true,
                    Phase::Ended { .. } => return false,
                    _ => {}
                }
                if is_well(&run) {
                    self.alertmanager_sends(&[("HighErrorRate", "resolved")]).await;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        let ended = tokio::time::timeout(Duration::from_secs(60), ends).await;
        assert_eq!(ended, Ok(true), "RB-{number} should be {end}:\n{}", self.chat.transcript(ROOM));
        self.caught_up().await;
        self.chat.thread(ROOM)
    }

    /// Everything that there is to say has been said.
    pub async fn caught_up(&self) {
        let engine = &self.bot.app.engine;
        poll_async("chat to catch up", Duration::from_secs(10), || async {
            let db = engine.store.reader();
            let untold = lastgood::store::rollbacks::untold(db, &[]).await.unwrap();
            let rooms = lastgood::store::messages::waiting_rooms(db).await.unwrap();
            (untold == 0 && rooms.is_empty()).then_some(())
        })
        .await;
    }

    /// What the bot has saved about a run.
    pub async fn run(&self, number: i64) -> Rollback {
        let db = self.bot.app.engine.store.reader();
        lastgood::store::rollbacks::get(db, RollbackId(number)).await.unwrap().expect("the run").state
    }

    pub async fn gate(&self, artifact: &Artifact) -> Value {
        let path = format!("/v1/gate?service=checkout&digest={}", artifact.digest);
        let (status, answer) = self.http.get(&path, CI_TOKEN).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    /// Nothing was shown twice, nothing was refused by the chat, nothing is left to do; then everything ends.
    pub async fn ends(self) {
        let engine = self.bot.app.engine.clone();
        poll_async("the last effects", Duration::from_secs(10), || async {
            let db = engine.store.reader();
            (lastgood::store::effects::unfinished(db).await.unwrap() == 0).then_some(())
        })
        .await;
        self.caught_up().await;
        assert_eq!(self.chat.refused(), [""; 0]);
        assert_eq!(self.chat.repeats(), [""; 0]);
        self.bot.end().await;
    }
}

/// One group, as Alertmanager sends it.
pub fn payload(alerts: &[(&str, &str)], since: &str) -> Value {
    let alert = |(name, status): &(&str, &str)| {
        let ended = if *status == "firing" { "0001-01-01T00:00:00Z" } else { since };
        json!({ "status": status, "labels": { "alertname": name, "service": "checkout", "severity": "page" },
            "annotations": { "summary": format!("{name} of checkout") }, "startsAt": since,
            "endsAt": ended, "generatorURL": "http://prometheus.example.com/graph" })
    };
    let firing = alerts.iter().any(|(_, status)| *status == "firing");
    json!({ "version": "4", "groupKey": "{}:{service=\"checkout\"}", "truncatedAlerts": 0, "receiver": "lastgood",
        "status": if firing { "firing" } else { "resolved" }, "groupLabels": { "service": "checkout" },
        "commonLabels": { "service": "checkout" }, "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com", "alerts": alerts.iter().map(alert).collect::<Vec<_>>() })
}

/// Compares a thread with its snapshot, less what differs from run to run.
pub fn snapshot(name: &str, thread: &Thread) {
    compare("snapshots", name, &thread.transcript());
}

/// As `snapshot`, for a text, in a folder beside this file.
pub fn compare(folder: &str, name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    for (pattern, with) in [
        (r"http://[a-zA-Z0-9.-]+:\d+", "http://HOST:PORT"),
        (r"/tmp/[.]tmp\w+", "[folder]"),
        (r"(error rate:?) \d+(\.\d+)? %", "$1 [n] %"),
        (r"\bt\d{13}\b", "[time]"),
        (r"sha256:[0-9a-f]{64}", "[digest]"),
        (r"\b[0-9a-f]{12}\b", "[digest]"),
        (r"\(edited \d+ ×\)", "(edited)"),
        (r"\d\d:\d\d(:\d\d)?( UTC)?", "[time]"),
        (r"\d{4}-\d\d-\d\d", "[date]"),
        (r"\b\d+(\.\d+)? (ms|s|min|h)( \d+ (s|min))?\b", "[length]"),
        (r"\d+\.\d+ %", "[n] %"),
        (r"[▁▂▃▄▅▆▇█]+", "[spark]"),
    ] {
        settings.add_filter(pattern, with);
    }
    settings.set_snapshot_path(folder);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
