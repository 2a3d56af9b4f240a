//! Many services at once, on both databases: nothing is lost, and no service has two active runs.

use std::{sync::Arc, time::Duration};

use lastgood::{
    clock::System,
    engine::{Engine, alerts::Taken},
    service::Services,
    store::{self, Store},
};
use lastgood_core::{Actor, rollback::Phase};
use lastgood_tests::{
    database::{Kind, both, fresh},
    process::poll_async,
};
use tokio::{sync::watch, task::JoinSet};

use super::{
    life::{policy, service},
    steps::Steps,
    story::{TERM, alert, record},
    world::World,
};

const SERVICES: usize = 200;

async fn load(kind: Kind, replicas: usize) {
    let database = fresh(kind).await;
    let (world, steps) = (World::new(true), Arc::new(Steps::endless()));
    let ana = Actor::new("test:ana", "ana");
    let names: Vec<String> = (0..SERVICES).map(|n| format!("service{n}")).collect();
    let services = Services::new(names.iter().map(|n| service(n, &world, &steps, policy(true), &ana)));
    let (stop, stopped) = watch::channel(false);
    let (mut engines, mut running) = (vec![], JoinSet::new());
    for _ in 0..replicas {
        let store = Store::open(&database.url, None).await.unwrap();
        let (engine, executor) = Engine::new(store, services.clone(), Arc::new(System), TERM * 10);
        executor.join().await.unwrap();
        running.spawn(executor.run(stopped.clone()));
        engines.push(engine);
    }
    record(&engines[0], &names[0]).await;
    // Three alerts of each service at the same time, one of them twice, at any replica.
    let mut told = JoinSet::new();
    for (n, name) in names.iter().enumerate() {
        for (m, fingerprint) in ["errors", "errors", "latency"].into_iter().enumerate() {
            let engine = engines[(n + m) % replicas].clone();
            let mut alert = alert(name);
            (alert.fingerprint, alert.starts_at) = (fingerprint.into(), alert.starts_at / 60_000 * 60_000);
            told.spawn(async move {
                loop {
                    // So many at once may be told to come back; senders do.
                    if let Ok(taken) = engine.alert(&alert).await {
                        break taken;
                    }
                }
            });
        }
    }
    let taken = told.join_all().await;
    assert_eq!(taken.iter().filter(|taken| **taken == Taken::Opened).count(), SERVICES, "{kind:?}");
    let db = engines[0].store.reader().clone();
    let surveyed = async || {
        let runs = store::rollbacks::recent(&db, None, 1_000).await.unwrap();
        runs.iter().all(|run| !matches!(run.state.phase, Phase::Surveying)).then_some(runs)
    };
    let runs = poll_async("all surveys", Duration::from_secs(60), surveyed).await;
    assert_eq!(runs.len(), SERVICES, "{kind:?}: one run for each service");
    let count = async |sql: &'static str| -> i64 { sqlx::query_scalar(sql).fetch_one(&db).await.unwrap() };
    assert_eq!(count("SELECT COUNT(*) FROM threads").await, 200, "{kind:?}");
    assert_eq!(count("SELECT COUNT(*) FROM threads WHERE alerts <> 3").await, 0, "{kind:?}");
    assert_eq!(count("SELECT CAST(SUM(count) AS BIGINT) FROM alerts").await, 600, "{kind:?}");
    let twice = "SELECT COUNT(*) FROM effects WHERE kind = 'survey' AND (attempts <> 1 OR status <> 'done')";
    assert_eq!(count(twice).await, 0, "{kind:?}: a survey was run twice");
    stop.send_replace(true);
    running.join_all().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_services_alert_at_once_on_sqlite() {
    load(Kind::Sqlite, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_services_alert_at_once_on_two_replicas() {
    load(Kind::Postgres, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_update_is_lost_and_no_number_given_twice() {
    for kind in both() {
        let database = fresh(kind).await;
        let stores = [
            Store::open(&database.url, None).await.unwrap(),
            Store::open(&database.url, None).await.unwrap(),
        ];
        let mut tasks = JoinSet::new();
        for n in 0..100 {
            let store = stores[n % 2].clone();
            tasks.spawn(async move {
                let mut numbers = vec![];
                for _ in 0..5 {
                    let mut tries = 0;
                    numbers.push(loop {
                        tries += 1;
                        let mut tx = store.begin().await.unwrap();
                        let number = async {
                            tx.lock(&"checkout".into()).await?;
                            tx.number("test").await
                        };
                        let number = number.await;
                        if let Some(number) = store.end(tx, number, tries).await.unwrap() {
                            break number;
                        }
                    });
                }
                numbers
            });
        }
        let mut numbers: Vec<_> = tasks.join_all().await.into_iter().flatten().collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=500).collect::<Vec<i64>>(), "{kind:?}");
    }
}
