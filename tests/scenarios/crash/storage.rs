//! The store can't be had, for a while: nothing that was recorded is lost, and the run goes on by itself afterwards.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use lastgood::store::{self, Store};
use lastgood_tests::{
    database::Kind,
    lossy::{Lossy, Mode},
};

use super::{
    life::SERVICE,
    steps::Steps,
    story::{LeftOver, Setting, alert},
};

/// Longer than anything here takes to come back.
const TERM: Duration = Duration::from_secs(2);
const LIMIT: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_place_that_can_not_hold_a_database_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing/lastgood.db");
    let error = Store::open(&format!("sqlite:{}", missing.display()), None).await.err().unwrap().to_string();
    assert!(error.contains("missing/lastgood.db") && error.contains("writable"), "{error}");

    let file = folder.path().join("not-a-database");
    std::fs::write(&file, "root:x:0:0:root:/root:/bin/bash\n".repeat(200)).unwrap();
    let error = Store::open(&format!("sqlite:{}", file.display()), None).await.err().unwrap().to_string();
    assert!(error.contains("not a database"), "{error}");
}

async fn limit_pages(store: &Store, pages: i64) {
    let mut tx = store.begin().await.unwrap();
    let sql = sqlx::AssertSqlSafe(format!("PRAGMA max_page_count = {pages}"));
    let set = sqlx::query_scalar::<_, i64>(sql).fetch_one(tx.conn()).await;
    store.end(tx, set.map_err(store::StoreError::from), 1).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_loses_nothing() {
    let setting = Setting::new(Kind::Sqlite, true, true).await;
    let life = setting.begin(&Arc::new(Steps::endless()), TERM).await.unwrap();
    setting.world.hold("apply");
    let playing = async {
        setting.world.begun("apply").await;
        limit_pages(&life.engine.store, 1).await; // no page more than there are
        let mut said = None;
        for n in 0..200 {
            let mut more = alert(SERVICE);
            (more.fingerprint, more.title) = (format!("more {n}"), "x".repeat(4_000));
            if let Err(error) = life.engine.alert(&more).await {
                said = Some(error.to_string());
                break;
            }
        }
        let said = said.expect("the database has room without end");
        assert!(said.contains("full") && said.contains("free some space"), "{said}");
        setting.world.hold("");
        tokio::time::sleep(Duration::from_millis(300)).await; // the outcome of the shift finds no room either
        // The connection that knew of the limit is gone, and with it the limit; so there is room again.
        limit_pages(&life.engine.store, 1_000_000).await;
    };
    let all = async { tokio::join!(setting.play(&life), playing) };
    tokio::time::timeout(LIMIT, all).await.expect("it goes on by itself when there is room again");
    assert_eq!(setting.facts(&life.engine).await.left_over(), &LeftOver::default());
    assert_eq!((setting.world.shifts(), setting.world.calls("apply")), (1, 1));
    life.end().await;
}

/// PostgreSQL is away in the middle of the shift, for longer than a term.
async fn away(mode: Mode) {
    let setting = Setting::new(Kind::Postgres, true, true).await;
    let mut url = url::Url::parse(&setting.database.url).unwrap();
    let behind = format!("{}:{}", url.host_str().unwrap(), url.port().unwrap());
    let proxy = Lossy::tcp(behind.parse::<SocketAddr>().unwrap()).await;
    url.set_port(Some(proxy.at().port())).unwrap();
    let life = setting.begin_at(url.as_str(), &Arc::new(Steps::endless()), TERM).await.unwrap();
    setting.world.hold("apply");
    let playing = async {
        setting.world.begun("apply").await;
        proxy.set(mode).await;
        setting.world.hold("");
        tokio::time::sleep(TERM * 2).await;
        assert_eq!(life.engine.lease().remaining(), None, "nobody knows whether it still has the lease");
        proxy.set(Mode::Refuse).await;
        proxy.set(Mode::Pass).await;
    };
    let all = async { tokio::join!(setting.play(&life), playing) };
    tokio::time::timeout(LIMIT, all).await.expect("it goes on by itself");
    assert_eq!(setting.facts(&life.engine).await.left_over(), &LeftOver::default());
    assert_eq!(setting.world.shifts(), 1);
    assert_eq!(setting.chat.repeats(), Vec::<String>::new());
    life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_is_stopped_and_comes_back() {
    away(Mode::Refuse).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgresql_stops_answering_and_comes_back() {
    away(Mode::BlackHole).await;
}
