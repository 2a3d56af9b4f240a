//! The real program is killed, frozen and ended in the middle of a rollback; the world gets one rollback all the same.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use lastgood::store::{Store, effects, incidents, releases};
use lastgood_core::inventory::{Origin, Stability};
use lastgood_tests::{
    database::{Database, Kind, fresh},
    process::free_port,
};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use super::{
    serve::{Serve, Witness, one_page},
    stage::{ALERT_TOKEN, CI_TOKEN, Stage, Wishes},
    world::payload,
};

/// How many seeds, or `LASTGOOD_TEST_SEEDS`.
fn seeds(usual: u64) -> std::ops::Range<u64> {
    0..std::env::var("LASTGOOD_TEST_SEEDS").ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// Shifts without a click. `/` through HAProxy is what customers get, and `within` is how long they may go on suffering.
fn wishes(stage: &Stage, within: &str) -> Wishes {
    let health = format!(
        "every = '100ms'\nrecover_within = '{within}'\ngood_in_a_row = 4\nhttp = [{{ url = '{}/' }}]",
        stage.url()
    );
    Wishes {
        service: "approval = 'none'".to_owned(),
        store: "lease_term = '1500ms'".to_owned(),
        health: Some(health),
        ..Wishes::default()
    }
}

/// v2.4.0 has been live for an hour; v2.4.1 goes live, breaks, and an alert says so.
async fn breaks(stage: &Stage, bot: &Serve) {
    stage.flip("green");
    let now = now();
    for (artifact, pool, at) in [(&stage.old, "blue", now - 3_600_000), (&stage.new, "green", now - 1_000)] {
        let body = json!({ "service": "checkout", "version": artifact.version, "digest": artifact.digest,
            "pool": pool, "at": at });
        assert_eq!(bot.http.post("/v1/deployments", CI_TOKEN, &body).await.0, 201);
    }
    stage.shop.fail("green", 1.0);
}

async fn alert(bot: &Serve) {
    let (status, answer) = send(bot, "firing").await;
    assert_eq!(status, 202, "{answer}");
}

async fn send(bot: &Serve, status: &str) -> (u16, Value) {
    let body = payload(&[("HighErrorRate", status)], &lastgood::clock::rfc3339(now()));
    bot.http.post("/v1/alerts/alertmanager", ALERT_TOKEN, &body).await
}

/// Monitoring sees that customers are served again, and the run ends.
async fn ends(bot: &Serve) -> Value {
    bot.until("observing").await;
    send(bot, "resolved").await;
    bot.until("ended").await
}

fn now() -> i64 {
    use lastgood::clock::Clock as _;
    lastgood::clock::System.now()
}

/// One incident, one release row, a mark for good, nothing left to do.
async fn one_rollback(stage: &Stage, database: &Database) {
    let store = Store::open(&database.url, None).await.unwrap();
    let (db, service) = (store.reader(), "checkout".into());
    assert_eq!(incidents::list(db, true).await.unwrap().len(), 1);
    let rows = releases::newest(db, &service, 10).await.unwrap();
    let written = rows.iter().filter(|row| row.origin == Origin::Rollback).count();
    assert_eq!((rows.len(), written), (3, 1), "{rows:?}");
    let mark = releases::mark_of(db, &service, &stage.new.digest).await.unwrap().unwrap();
    assert!(matches!(mark.stability, Stability::Unstable { .. }), "{mark:?}");
    assert_eq!(effects::unfinished(db).await.unwrap(), 0);
    store.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_does_once_what_it_was_doing() {
    for seed in seeds(12) {
        let stage = Arc::new(Stage::set().await);
        let database = fresh(Kind::Sqlite).await;
        // In every third one blue is broken, too, and somebody has to be called.
        let broken = seed % 3 == 2;
        stage.shop.fail("blue", if broken { 1.0 } else { 0.0 });
        let within = if broken { "1s" } else { "20s" };
        let configuration = stage.configuration(&database.url, &wishes(&stage, within));
        let start = || Serve::start(stage.folder.path(), "serve", &configuration, stage.bot);
        let mut random = StdRng::seed_from_u64(seed);
        let mut bot = start().await;
        breaks(&stage, &bot).await;
        let witness = Witness::watch(&stage);
        alert(&bot).await;
        for _ in 0..random.random_range(1..4) {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..500))).await;
            bot.process.kill();
            bot = start().await;
        }
        let run = if broken { bot.until("escalated").await } else { ends(&bot).await };
        assert_eq!(witness.routes(), ["green", "blue"], "seed {seed}: {run:#}");
        if broken {
            one_page(&stage).await;
            bot.ends().await;
        } else {
            assert_eq!(run["state"]["phase"]["end"]["end"], "recovered", "seed {seed}: {run:#}");
            bot.ends().await;
            assert!(stage.pagerduty.events().is_empty());
        }
        one_rollback(&stage, &database).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_was_frozen_wakes_up_and_leaves_things_alone() {
    for seed in seeds(4) {
        let stage = Arc::new(Stage::set().await);
        let database = fresh(Kind::Postgres).await;
        let folder = stage.folder.path();
        let broken = seed % 2 == 1;
        stage.shop.fail("blue", if broken { 1.0 } else { 0.0 });
        let within = if broken { "1s" } else { "20s" };
        let configuration = stage.configuration(&database.url, &wishes(&stage, within));
        let elsewhere = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let other = configuration.replace(&stage.bot.to_string(), &elsewhere.to_string());
        let frozen = Serve::start(folder, "frozen", &configuration, stage.bot).await;
        let second = Serve::start(folder, "second", &other, elsewhere).await;
        breaks(&stage, &frozen).await;
        let witness = Witness::watch(&stage);
        alert(&frozen).await;
        let after = StdRng::seed_from_u64(seed).random_range(0..400);
        tokio::time::sleep(Duration::from_millis(after)).await;
        frozen.process.signal("STOP");

        if broken {
            second.until("escalated").await;
            one_page(&stage).await;
        } else {
            ends(&second).await;
        }
        frozen.process.signal("CONT");
        // It answers again, and had two terms to do something wrong.
        frozen.until(if broken { "escalated" } else { "ended" }).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(witness.routes(), ["green", "blue"], "seed {seed}");
        assert_eq!(stage.pagerduty.pages().len(), usize::from(broken));
        second.ends().await;
        frozen.ends().await;
        one_rollback(&stage, &database).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ended_in_order_it_goes_on_at_the_next_start() {
    let stage = Arc::new(Stage::set().await);
    let database = fresh(Kind::Sqlite).await;
    let configuration = stage.configuration(&database.url, &wishes(&stage, "20s"));
    let start = || Serve::start(stage.folder.path(), "serve", &configuration, stage.bot);
    let bot = start().await;
    breaks(&stage, &bot).await;
    let witness = Witness::watch(&stage);
    alert(&bot).await;
    bot.until("observing").await;
    bot.ends().await;
    let bot = start().await;
    assert_eq!(ends(&bot).await["state"]["phase"]["end"]["end"], "recovered");
    assert_eq!(witness.routes(), ["green", "blue"]);
    bot.ends().await;
    one_rollback(&stage, &database).await;
}
