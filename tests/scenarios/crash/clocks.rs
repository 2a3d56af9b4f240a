//! Clocks that are wrong: of another replica, and one that is set back.

use std::{sync::Arc, time::Duration};

use lastgood::{clock::Clock as _, service::Services};
use lastgood_core::{
    Actor,
    rollback::{Phase, Policy},
};
use lastgood_tests::{
    database::{Kind, both, fresh},
    process::poll_async,
};

use super::{
    life::{SERVICE, policy, service},
    steps::Steps,
    story::{TERM, active, alert, record},
    worker::{Worker, Wrong, change, count, process},
    world::World,
};

const LIMIT: Duration = Duration::from_secs(30);
const HOUR: i64 = 3_600_000;

fn services(policy: Policy) -> Services {
    let (world, steps) = (World::new(true), Arc::new(Steps::endless()));
    Services::new([service(SERVICE, &world, &steps, policy, &Actor::new("test:ana", "ana"))])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_whose_clock_is_minutes_ahead_fires_no_timer_early() {
    let database = fresh(Kind::Postgres).await;
    let services = services(Policy { answer_within: 120_000, ..policy(true) });
    let right = Worker::begin(process(&database.url, &services, Wrong::by(0), TERM * 10).await).await;
    record(&right.engine, SERVICE).await;
    let ahead =
        Worker::begin(process(&database.url, &services, Wrong::by(10 * 60_000), TERM * 10).await).await;
    assert!((ahead.engine.now() - right.engine.now()).abs() < 2_000, "both go by the database");
    right.engine.alert(&alert(SERVICE)).await.unwrap();
    let run = poll_async("a proposal", LIMIT, async || {
        active(&right.engine, SERVICE).await.filter(|run| matches!(run.phase, Phase::Proposed { .. }))
    })
    .await;
    // Several looks for what is due.
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(active(&right.engine, SERVICE).await.unwrap().phase, run.phase);
    ahead.end().await;
    right.end().await;
}

/// Nobody answers, and the page is due within two seconds; then it is an hour earlier.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_set_back_an_hour_delays_nothing_by_an_hour() {
    for kind in both() {
        let database = fresh(kind).await;
        let services = services(Policy { answer_within: 8_000, ..policy(true) });
        let clock = Wrong::by(HOUR);
        let worker = Worker::begin(process(&database.url, &services, clock.clone(), TERM * 10).await).await;
        record(&worker.engine, SERVICE).await;
        let mut fired = alert(SERVICE);
        fired.starts_at = clock.now();
        worker.engine.alert(&fired).await.unwrap();
        poll_async("a proposal", LIMIT, async || {
            active(&worker.engine, SERVICE).await.filter(|run| matches!(run.phase, Phase::Proposed { .. }))
        })
        .await;
        match kind {
            Kind::Sqlite => clock.set(0),
            // Its clock can't be set: what was written is written as if it had been an hour later.
            Kind::Postgres => {
                for sql in [
                    "UPDATE timers SET at = at + 3600000",
                    "UPDATE effects SET not_before = not_before + 3600000, created_at = created_at + 3600000",
                    "UPDATE clock SET at = at + 3600000",
                ] {
                    change(&worker.engine, sql).await;
                }
            }
        }
        let paged = "SELECT COUNT(*) FROM effects WHERE kind = 'page' AND status = 'done'";
        poll_async("the page", LIMIT, async || (count(&worker.engine, paged).await > 0).then_some(())).await;
        worker.end().await;
    }
}
