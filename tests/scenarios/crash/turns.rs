//! A lease proves that the executor's loop turns, and connections that never answer again are given up.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use lastgood::{
    service::Services,
    store::{Purpose, Store},
};
use lastgood_core::Actor;
use lastgood_tests::{
    database::{Kind, both, fresh},
    lossy::{Lossy, Mode},
    process::poll_async,
};
use tokio::task::JoinSet;

use super::{
    life::{SERVICE, policy, service},
    steps::Steps,
    story::{LeftOver, Setting, TERM, alert},
    worker::{Worker, Wrong, count, process},
    world::World,
};

const LIMIT: Duration = Duration::from_secs(60);

fn behind(url: &url::Url) -> SocketAddr {
    format!("{}:{}", url.host_str().unwrap(), url.port().unwrap()).parse().unwrap()
}

/// What was open when the network broke is never cut, not even when it heals: nobody ever says that it is of no use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_that_never_answer_again_are_given_up_for_new_ones() {
    let setting = Setting::new(Kind::Postgres, true, true).await;
    let mut url = url::Url::parse(&setting.database.url).unwrap();
    let proxy = Lossy::tcp(behind(&url)).await;
    url.set_port(Some(proxy.at().port())).unwrap();
    let life = setting.begin_at(url.as_str(), &Arc::new(Steps::endless()), TERM).await.unwrap();
    setting.world.hold("apply");
    let playing = async {
        setting.world.begun("apply").await;
        proxy.set(Mode::BlackHole).await;
        setting.world.hold("");
        // Everything that is asked once a second hangs by then.
        tokio::time::sleep(TERM * 3).await;
        assert_eq!(life.engine.lease().remaining(), None, "nobody knows whether it still has the lease");
        proxy.set(Mode::Pass).await;
    };
    let all = async { tokio::join!(setting.play(&life), playing) };
    tokio::time::timeout(LIMIT, all).await.expect("it goes on by itself");
    assert_eq!(setting.facts(&life.engine).await.left_over(), &LeftOver::default());
    assert_eq!(setting.world.shifts(), 1);
    life.end().await;
}

/// Its process lives, keeps its lease up and takes alerts; only the loop does nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_stands_still_loses_its_lease_and_others_do_the_work() {
    for kind in both() {
        let setting = Setting::new(kind, true, true).await;
        let checkout =
            service(SERVICE, &setting.world, &Arc::new(Steps::endless()), policy(true), &setting.ana);
        let services = Services::new([checkout]);
        let (engine, executor) = process(&setting.database.url, &services, Wrong::by(0), TERM).await;
        executor.join().await.unwrap();
        assert!(engine.lease().owner().is_some());
        let keeper = tokio::spawn({
            let engine = engine.clone();
            async move {
                loop {
                    engine.lease().renew(&engine.store).await.unwrap();
                    tokio::time::sleep(TERM / 10).await;
                }
            }
        });
        engine.alert(&alert(SERVICE)).await.unwrap();
        let claimed = "SELECT COUNT(*) FROM effects WHERE status = 'claimed'";
        assert_eq!(count(&engine, claimed).await, 1, "{kind:?}");

        let life = setting.begin(&Arc::new(Steps::endless()), TERM).await.unwrap();
        tokio::time::timeout(LIMIT, setting.play(&life)).await.expect("the other one takes over");
        assert_eq!(setting.facts(&life.engine).await.left_over(), &LeftOver::default(), "{kind:?}");
        assert_eq!((setting.world.shifts(), setting.world.calls("apply")), (1, 1), "{kind:?}");
        assert_eq!((engine.lease().owner(), engine.lease().remaining()), (None, None), "{kind:?}");
        assert!(engine.lease().pulse().turned >= engine.lease().pulse().limit, "{kind:?}");
        keeper.abort();
        life.end().await;
        drop(executor);
        engine.store.close().await;
    }
}

/// One scan takes longer than the lease may go without a turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_loop_on_a_slow_database_keeps_its_lease() {
    const SERVICES: usize = 60;
    let database = fresh(Kind::Postgres).await;
    let mut url = url::Url::parse(&database.url).unwrap();
    let proxy = Lossy::tcp(behind(&url)).await;
    url.set_port(Some(proxy.at().port())).unwrap();
    let (world, steps) = (World::new(true), Arc::new(Steps::endless()));
    let ana = Actor::new("test:ana", "ana");
    let names: Vec<String> = (0..SERVICES).map(|n| format!("service{n}")).collect();
    let services = Services::new(names.iter().map(|n| service(n, &world, &steps, policy(true), &ana)));
    // Asked for by a process that executes nothing.
    let (asking, _) = process(&database.url, &services, Wrong::by(0), TERM).await;
    for name in &names {
        asking.alert(&alert(name)).await.unwrap();
    }
    let term = Duration::from_secs(4);
    let worker = process(url.as_str(), &services, Wrong::by(0), term).await;
    let worker = Worker::begin(worker).await;
    proxy.set(Mode::Delay(Duration::from_millis(25))).await;
    let name = worker.engine.lease().owner().unwrap();
    let waiting = "SELECT COUNT(*) FROM effects WHERE kind = 'survey' AND status <> 'done'";
    poll_async("all surveys", LIMIT, async || {
        assert_eq!(worker.engine.lease().owner().as_ref(), Some(&name), "it lost its lease");
        (count(&asking, waiting).await == 0).then_some(())
    })
    .await;
    proxy.set(Mode::Pass).await;
    worker.end().await;
    asking.store.close().await;
}

/// Three hundred webhooks queue for the database, each for a while.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_at_the_doors_keeps_neither_executor_nor_lease_waiting() {
    for kind in both() {
        let database = fresh(kind).await;
        let store = Store::open(&database.url, None).await.unwrap();
        let mut flood = JoinSet::new();
        for _ in 0..300 {
            let store = store.clone();
            flood.spawn(async move {
                // Those that wait for too long are told to come again.
                let Ok(tx) = store.begin().await else { return };
                tokio::time::sleep(Duration::from_millis(100)).await;
                store.end(tx, Ok(()), 1).await.unwrap();
            });
        }
        for purpose in [Purpose::Executor, Purpose::Effects, Purpose::Lease, Purpose::Delivery] {
            let store = store.on(purpose);
            let asked = async {
                let mut tx = store.begin().await?;
                tx.lock(&SERVICE.into()).await?;
                store.end(tx, Ok(()), 1).await
            };
            let answered = tokio::time::timeout(Duration::from_secs(2), asked).await;
            answered.unwrap_or_else(|_| panic!("{kind:?}: {purpose:?} waits behind the doors")).unwrap();
        }
        flood.shutdown().await;
        store.close().await;
    }
}

/// A request that is given up in the middle of its transaction leaves nothing behind: no lock, no connection.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn transactions_that_are_dropped_in_the_middle_hold_nobody_up() {
    for kind in both() {
        let database = fresh(kind).await;
        let store = Store::open(&database.url, None).await.unwrap();
        for _ in 0..30 {
            let mut tx = store.begin().await.unwrap();
            tx.lock(&SERVICE.into()).await.unwrap();
            drop(tx);
        }
        let mut tx = store.begin().await.unwrap();
        let locked = tx.lock(&SERVICE.into()).await;
        store.end(tx, locked, 1).await.unwrap();
        let version: i64 =
            sqlx::query_scalar("SELECT version FROM services").fetch_one(store.reader()).await.unwrap();
        assert_eq!(version, 1, "{kind:?}: what was dropped was kept");
        store.close().await;
    }
}
