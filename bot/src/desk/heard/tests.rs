//! Messages and webhooks, on a real database: which alerts they are, and in which thread.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
};

use lastgood_adapters::chat::{Answer, Inbox as _, Incoming, MessageRef, Part, Posted, What};
use lastgood_core::{Actor, At, rollback::Approval};

use crate::{
    app::{self, App},
    clock::Clock,
    config::Config,
    delivery::Chats,
    desk::Desk,
    engine::alerts::{Alert, Taken},
    store::{self, Store, write},
};

/// 2027-01-15T08:00:00Z
const NOW: At = 1_800_000_000_000;
const MINUTE: At = 60_000;

const TOML: &str = r#"
[services.checkout]
environment = "production"
rooms = ["terminal:incidents", "terminal:shop"]
approvers = ["os:ana"]
approval = "none"
page = ["oncall"]
alerts = ['service="checkout"', 'severity=~"page|critical"']
health.http = [{ url = "http://127.0.0.1:9/healthz" }]
traffic = { strategy = "blue-green", kind = "haproxy", instances = ["unix:/nowhere/haproxy.sock"], switch = { map = "/m", key = "k", blue = "be_blue", green = "be_green" } }
pools = { blue = {}, green = {} }
"#;

/// Two services: the second one is in the first room only, and listens to what nobody knows.
fn config(secret: &Path) -> Config {
    let second = TOML
        .replace("checkout", "payments")
        .replace(r#", "terminal:shop"]"#, "]\nalert_messages = ['cash desk (?:down|(?P<resolved>up))']");
    let pager = format!("[pagers.oncall]\nkind = \"pagerduty\"\nrouting_key = {{ file = {secret:?} }}\n");
    let (config, _) = Config::parse(&format!("{pager}{TOML}{second}"), "x.toml").unwrap();
    config
}

#[derive(Clone)]
struct Hands(Arc<AtomicI64>);

impl Clock for Hands {
    fn now(&self) -> At {
        self.0.load(Ordering::SeqCst)
    }
}

struct Place {
    app: App,
    desk: Desk,
    hands: Hands,
    _directory: tempfile::TempDir,
}

impl Place {
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let client = lastgood_adapters::client::client().unwrap();
        let secret = directory.path().join("key");
        std::fs::write(&secret, "hunter2-0123456789abcdef").unwrap();
        let config = config(&secret);
        let services = app::services(&config, &client).unwrap();
        let url = format!("sqlite:{}", directory.path().join("db").display());
        let store = Store::open(&url, None).await.unwrap();
        let hands = Hands(Arc::new(AtomicI64::new(NOW)));
        let (app, _) = App::with(config, services, store, client, Arc::new(hands.clone()));
        let desk = Desk::new(app.engine.clone(), Chats::default(), "terminal");
        Self { app, desk, hands, _directory: directory }
    }

    /// Time goes on.
    fn later(&self, by: At) {
        self.hands.0.fetch_add(by, Ordering::SeqCst);
    }

    async fn hear(&self, room: &str, posted: &Posted) {
        let (actor, room) = (Actor::new("terminal:bot", "bot"), room.to_owned());
        let what = What::Posted(posted.clone());
        let incoming = Incoming { delivery: "1".into(), actor, room, thread: None, what };
        assert_eq!(self.desk.take(incoming).await, Ok(Answer::Done));
    }

    /// A message of Alertmanager's now.
    async fn say(&self, title: &str) -> Posted {
        let part =
            Part { title: title.to_owned(), url: Some("http://am/#/alerts".into()), ..Part::default() };
        let at = MessageRef(format!("m{}", self.hands.now()));
        let posted = Posted {
            at,
            sender: "Alertmanager".into(),
            sent_at: self.hands.now(),
            text: String::new(),
            parts: vec![part],
        };
        self.hear("incidents", &posted).await;
        self.later(1_000);
        posted
    }

    async fn webhook(&self, firing: bool, starts_at: At) -> Taken {
        let alert = Alert {
            service: "checkout".into(),
            fingerprint: "webhook".into(),
            starts_at,
            ends_at: (!firing).then(|| self.hands.now()),
            firing,
            title: "5 % of requests fail".into(),
            annotations: vec![],
            ignore: false,
            names: vec!["HighErrorRate".into(), "5 % of requests fail".into()],
            heard: None,
            anchor: None,
        };
        let taken = self.app.engine.alert(&alert).await.unwrap();
        self.later(1_000);
        taken
    }

    async fn rows(&self, sql: &'static str) -> i64 {
        write!(self.app.engine.store, |tx| {
            Ok(sqlx::query_scalar::<_, i64>(sql).fetch_one(tx.conn()).await?)
        })
        .unwrap()
    }

    /// Runs, threads, alerts that fire.
    async fn counts(&self) -> (i64, i64, i64) {
        (
            self.rows("SELECT COUNT(*) FROM rollbacks").await,
            self.rows("SELECT COUNT(*) FROM threads").await,
            self.rows("SELECT COUNT(*) FROM alerts WHERE status = 'firing'").await,
        )
    }

    /// Lines in the thread about one more alert.
    async fn others(&self) -> i64 {
        self.rows("SELECT COUNT(*) FROM events WHERE kind = 'alert_fired'").await
    }

    async fn told_over(&self) -> i64 {
        self.rows("SELECT COUNT(*) FROM events WHERE kind = 'alert_resolved'").await
    }

    /// The run ends, however.
    async fn end(&self) {
        let now = self.hands.now();
        write!(self.app.engine.store, |tx| {
            sqlx::query("UPDATE rollbacks SET active = 0").execute(tx.conn()).await?;
            sqlx::query("UPDATE threads SET ended_at = $1").bind(now).execute(tx.conn()).await?;
            Ok(())
        })
        .unwrap();
    }

    async fn anchor(&self, room: &str) -> Option<String> {
        store::anchors::of(self.app.engine.store.reader(), lastgood_core::ThreadId(1), room).await.unwrap()
    }
}

const FIRING: &str = "[FIRING:1] HighErrorRate (checkout critical)";
const RESOLVED: &str = "[RESOLVED] HighErrorRate (checkout critical)";

#[tokio::test]
async fn a_message_opens_a_thread_of_its_own_and_ends_it() {
    let place = Place::new().await;
    let posted = place.say(FIRING).await;
    assert_eq!(place.counts().await, (1, 1, 1));
    assert_eq!(place.anchor("terminal:incidents").await, Some(posted.at.0.clone()));
    assert_eq!(place.anchor("terminal:shop").await, None);
    // Delivered again, edited, and said again with another count.
    place.hear("incidents", &posted).await;
    let mut edited = posted.clone();
    edited.parts[0].fields.push(("Severity".into(), "critical".into()));
    place.hear("terminal:incidents", &edited).await;
    place.say("[FIRING:3] HighErrorRate (checkout critical)").await;
    assert_eq!((place.counts().await, place.others().await), ((1, 1, 1), 0));
    assert_eq!(place.rows("SELECT alerts FROM threads").await, 2, "the message again, and not its edit");
    place.say("[FIRING:1] Latency (checkout critical)").await;
    assert_eq!((place.counts().await, place.others().await), ((1, 1, 2), 1));
    place.say(RESOLVED).await;
    assert_eq!((place.counts().await.2, place.told_over().await), (1, 0));
    place.say("[RESOLVED] Latency (checkout critical)").await;
    assert_eq!((place.counts().await.2, place.told_over().await), (0, 1));
    // An old revision, late.
    place.hear("incidents", &edited).await;
    assert_eq!(place.counts().await, (1, 1, 0));
}

#[tokio::test]
async fn an_edited_message_can_be_the_end() {
    let place = Place::new().await;
    let mut posted = place.say(FIRING).await;
    posted.parts[0].title = RESOLVED.to_owned();
    place.hear("incidents", &posted).await;
    assert_eq!((place.counts().await, place.told_over().await), ((1, 1, 0), 1));
    // The other way round: what came first is older.
    let place = Place::new().await;
    place.hear("incidents", &posted).await;
    posted.parts[0].title = FIRING.to_owned();
    place.hear("incidents", &posted).await;
    assert_eq!(place.counts().await, (0, 0, 0));
}

#[tokio::test]
async fn a_message_of_what_the_webhook_told_is_its_repetition() {
    let place = Place::new().await;
    let began = NOW - MINUTE;
    assert_eq!(place.webhook(true, began).await, Taken::Opened);
    let posted = place.say(FIRING).await;
    place.hear("incidents", &posted).await;
    assert_eq!((place.counts().await, place.others().await), ((1, 1, 1), 0));
    assert_eq!(place.anchor("terminal:incidents").await, None, "it joined");
    place.say(RESOLVED).await;
    assert_eq!(place.counts().await.2, 1, "the webhook knows better which one is over");
    assert_eq!(place.webhook(false, began).await, Taken::Resolved);
    assert_eq!((place.counts().await.2, place.told_over().await), (0, 1));
    // On its way for longer than the webhook's end.
    let mut late = posted.clone();
    (late.at, late.sent_at) = (MessageRef("late".into()), posted.sent_at + 1);
    place.hear("incidents", &late).await;
    assert_eq!(place.counts().await, (1, 1, 0));
}

#[tokio::test]
async fn a_webhook_of_what_was_heard_is_its_repetition_and_its_end() {
    let place = Place::new().await;
    place.say(FIRING).await;
    assert_eq!(place.webhook(true, NOW - MINUTE).await, Taken::Repeated);
    assert_eq!((place.counts().await, place.others().await), ((1, 1, 1), 0));
    place.say(FIRING).await;
    assert_eq!(place.webhook(false, NOW - MINUTE).await, Taken::Resolved);
    assert_eq!((place.counts().await.2, place.told_over().await), (0, 1), "nothing that was heard fires on");
    place.say(RESOLVED).await;
    assert_eq!(place.counts().await, (1, 1, 0));

    // Its beginning got lost: its end is the end of what was heard.
    let place = Place::new().await;
    place.say(FIRING).await;
    assert_eq!(place.webhook(false, NOW - MINUTE).await, Taken::Resolved);
    assert_eq!((place.counts().await.2, place.told_over().await), (0, 1));

    // Another one of this name, long after what was heard.
    let place = Place::new().await;
    place.say(FIRING).await;
    place.later(5 * MINUTE);
    assert_eq!(place.webhook(true, place.hands.now()).await, Taken::Joined);
    assert_eq!(place.counts().await, (1, 1, 1));
}

#[tokio::test]
async fn what_is_only_heard_moves_nothing_without_a_click() {
    for heard in [true, false] {
        let place = Place::new().await;
        if heard {
            place.say(FIRING).await;
        } else {
            place.webhook(true, NOW).await;
        }
        let runs = store::rollbacks::recent(place.app.engine.store.reader(), None, 10).await.unwrap();
        let wanted = if heard { Approval::Required } else { Approval::None };
        assert_eq!((runs.len(), runs[0].state.policy.approval), (1, wanted));
    }
}

#[tokio::test]
async fn an_old_message_that_is_edited_is_no_news() {
    let place = Place::new().await;
    let (at, sender) = (MessageRef("old".into()), "Alertmanager".to_owned());
    let mut posted =
        Posted { at, sender, sent_at: NOW - 7 * 60 * MINUTE, text: FIRING.into(), parts: vec![] };
    place.hear("incidents", &posted).await;
    assert_eq!(place.counts().await, (0, 0, 0));
    posted.sent_at += 2 * 60 * MINUTE;
    place.hear("incidents", &posted).await;
    assert_eq!(place.counts().await, (1, 1, 1));
}

#[tokio::test]
async fn two_senders_of_one_alert_are_one() {
    let place = Place::new().await;
    place.say(FIRING).await;
    let text = format!("Triggered: [#7] {FIRING}");
    let (at, sender) = (MessageRef("pd".into()), "PagerDuty".to_owned());
    let posted = Posted { at, sender, sent_at: place.hands.now(), text, parts: vec![] };
    place.hear("incidents", &posted).await;
    assert_eq!((place.counts().await, place.others().await), ((1, 1, 1), 0));
    let over = Posted { text: format!("Resolved: [#7] {FIRING}"), ..posted };
    place.hear("incidents", &over).await;
    assert_eq!(place.counts().await.2, 0);
}

#[tokio::test]
async fn what_is_nobodys_is_nothing_and_what_is_ignored_is_noted() {
    let place = Place::new().await;
    place.say("[FIRING:1] HighErrorRate (search critical)").await;
    place.say("[FIRING:1] HighErrorRate (critical)").await;
    assert_eq!(place.rows("SELECT COUNT(*) FROM alerts").await, 0);
    let mut elsewhere = place.say("[FIRING:1] HighErrorRate (search)").await;
    elsewhere.parts[0].title = "[FIRING:1] HighErrorRate (payments)".to_owned();
    place.hear("shop", &elsewhere).await;
    place.hear("kitchen", &elsewhere).await;
    elsewhere.sender = "lastgood".to_owned();
    place.hear("incidents", &elsewhere).await;
    assert_eq!(place.rows("SELECT COUNT(*) FROM alerts").await, 0);

    place.say("[FIRING:1] HighErrorRate (checkout lastgood=ignore)").await;
    assert_eq!(place.counts().await, (0, 0, 1));
    place.say("[FIRING:1] Errors (checkout payments)").await;
    assert_eq!(place.counts().await, (2, 2, 3), "one for each service that it names");
    assert_eq!(place.rows("SELECT COUNT(DISTINCT reference) FROM anchors").await, 1);
}

#[tokio::test]
async fn expressions_open_and_end() {
    let place = Place::new().await;
    let say = |at: At, text: &str| {
        let (at, text) = (MessageRef(at.to_string()), text.to_owned());
        Posted { at, sender: "till".into(), sent_at: NOW, text, parts: vec![] }
    };
    place.hear("incidents", &say(1, "cash desk down")).await;
    assert_eq!(place.counts().await, (1, 1, 1));
    place.hear("incidents", &say(2, "cash desk up")).await;
    assert_eq!(place.counts().await, (1, 1, 0));
}

#[tokio::test]
async fn what_nobody_ends_ends_by_itself_and_can_begin_anew() {
    let place = Place::new().await;
    let titles = async |place: &Place| {
        let db = place.app.engine.store.reader();
        store::alerts::firing_times(db, &"checkout".into(), 0, place.hands.now() - 360 * MINUTE)
            .await
            .unwrap()
    };
    place.say(FIRING).await;
    place.end().await;
    place.later(10 * MINUTE);
    place.say(FIRING).await;
    assert_eq!(place.counts().await, (1, 1, 1), "it goes on");
    place.later(25 * MINUTE);
    place.say(FIRING).await;
    assert_eq!(place.counts().await, (2, 2, 1), "nothing joins that thread any more");
    place.later(7 * 60 * MINUTE);
    let times = titles(&place).await;
    assert!(times.iter().all(|(_, to)| to.is_some_and(|to| to < place.hands.now())), "{times:?}");
    place.end().await;
    assert_eq!(place.webhook(true, place.hands.now()).await, Taken::Opened);
    assert_eq!(place.counts().await.2, 1, "what was heard long ago is over");
}
