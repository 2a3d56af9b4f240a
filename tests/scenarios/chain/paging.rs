//! Calling people, to the end: PagerDuty calls one after the other, until somebody comes, there or in the thread.

use std::time::Duration;

use lastgood_tests::{database::Kind, standin::pagerduty::Status};

use super::{
    stage::{Stage, Wishes},
    world::World,
};

const SECRET: &str = "what-webhooks-are-signed-with";
const TOKEN: &str = "y_NbAkKc66ryYTWUXYEu";

/// A page is out, PagerDuty tells of it by webhooks, and calls Ana, then Ben, then Cem.
async fn paged(kind: Kind, keyless: bool) -> World {
    let stage = Stage::set().await;
    stage.pagerduty.change(|setup| setup.keyless = keyless);
    paged_on(stage, kind, false).await
}

/// With `token`, PagerDuty can be asked.
async fn paged_on(stage: Stage, kind: Kind, token: bool) -> World {
    let hook = format!("http://{}/v1/pagers/oncall/webhook", stage.bot);
    stage.pagerduty.change(|setup| {
        setup.people = ["Ana", "Ben", "Cem"].map(str::to_owned).to_vec();
        setup.escalates_after = Some(Duration::from_millis(700));
        setup.webhook = Some((hook, SECRET.to_owned()));
        setup.token = Some(TOKEN.to_owned());
    });
    let folder = stage.folder.path();
    std::fs::write(folder.join("hook"), SECRET).unwrap();
    std::fs::write(folder.join("token"), TOKEN).unwrap();
    let file = |name: &str| format!("{{ file = '{}' }}", folder.join(name).display());
    let mut pager = format!("webhook_secret = {}\n", file("hook"));
    if token {
        pager += &format!("api_token = {}\napi_url = '{}'\n", file("token"), stage.pagerduty.url());
    }
    let wishes = Wishes { service: "answer_within = '1s'".to_owned(), pager, ..Wishes::default() };
    let world = World::open(stage, kind, &wishes).await;
    world.breaks().await;
    world.reads("oncall was paged").await;
    world
}

impl World {
    /// Somebody has come, and it all ends.
    async fn goes_on(self) {
        self.presses(&self.ben, "Roll back to v2.4.0").await;
        self.run_ends(1, "recovered").await;
        let pagerduty = &self.stage.pagerduty;
        pagerduty
            .until("the incident's end", |all| all.iter().all(|one| one.status == Status::Resolved))
            .await;
        self.ends().await;
    }
}

async fn coming_in_the_thread(kind: Kind) {
    let world = paged(kind, false).await;
    let pagerduty = world.stage.pagerduty.clone();
    pagerduty.until("the second one to be called", |all| all[0].called.len() == 2).await;
    world.presses(&world.ben, "I'm on it").await;
    let all = pagerduty.until("PagerDuty to hear of it", |all| all[0].status == Status::Acknowledged).await;
    assert!(all[0].called.len() < 3, "nobody else is called: {all:#?}");
    // PagerDuty tells of it by a webhook, and an integration is nobody.
    pagerduty.until("the webhook", |_| pagerduty.sent().len() >= 2).await;
    let sent = pagerduty.sent().pop().unwrap();
    assert_eq!(
        (sent.event["event"]["event_type"].as_str(), sent.status),
        (Some("incident.acknowledged"), 200)
    );
    assert!(sent.answer.contains("no person"), "{}", sent.answer);
    assert_eq!(world.run(1).await.commander.map(|who| who.name), Some("ben".to_owned()));
    world.goes_on().await;
    assert_eq!(pagerduty.events().iter().filter(|event| event["event_action"] == "acknowledge").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_in_the_thread_stops_pagerduty_from_calling_the_next_one_on_sqlite() {
    coming_in_the_thread(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_in_the_thread_stops_pagerduty_from_calling_the_next_one_on_postgresql() {
    coming_in_the_thread(Kind::Postgres).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_anybody_the_next_one_is_called_and_that_is_one_incident() {
    let world = paged(Kind::Sqlite, false).await;
    let all = world.stage.pagerduty.until("everybody to be called", |all| all[0].called.len() == 3).await;
    assert_eq!(all.len(), 1);
    world.presses(&world.ben, "I'm on it").await;
    world.goes_on().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_comes_in_pagerduty_is_known_though_it_says_no_key() {
    let world = paged(Kind::Sqlite, true).await;
    let incident = world.stage.pagerduty.until("the call", |all| !all.is_empty()).await.remove(0);
    world.stage.pagerduty.acknowledge(&incident.id, "Ana");
    world.reads("Ana is on it").await;
    assert_eq!(world.run(1).await.commander.map(|who| who.id), Some("pagerduty:PANA".to_owned()));
    world.goes_on().await;
}

/// The incident is another program's, which ours was put into: neither key nor title says so.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_grouped_page_is_known_where_pagerduty_can_be_asked() {
    for token in [true, false] {
        let stage = Stage::set().await;
        stage.pagerduty.change(|setup| setup.groups = true);
        stage.pagerduty.triggered_by_another("0123456789abcdef0123456789abcdef", "disk full");
        let world = paged_on(stage, Kind::Sqlite, token).await;
        let pagerduty = world.stage.pagerduty.clone();
        let incident = pagerduty.incidents().remove(0);
        assert_eq!((pagerduty.incidents().len(), incident.title.as_str()), (1, "disk full"));
        pagerduty.acknowledge(&incident.id, "Ana");
        if token {
            world.reads("Ana is on it").await;
        } else {
            let taken =
                |_: &[_]| pagerduty.sent().iter().any(|sent| sent.answer.contains("not a page of lastgood"));
            pagerduty.until("the webhook", taken).await;
            world.presses(&world.ben, "I'm on it").await;
        }
        world.fills(&world.ana, "Reject", &[]).await;
        world.run_ends(1, "rejected").await;
        world.ends().await;
    }
}
