//! What must not grow with what was recorded: the lookup of candidates, and what is asked after every commit.

use std::time::{Duration, Instant};

use super::table::{Sample, Table};
use lastgood::{
    engine::candidates,
    store::{Store, effects, messages, rollbacks},
};
use lastgood_core::{
    ServiceId,
    inventory::{
        choice::{Choice, Question, Routes, choose},
        live::{Live, Running},
    },
};

const SIZES: [i64; 4] = [1_000, 10_000, 100_000, 1_000_000];
const TIMES: usize = 100;
/// A time after all that is recorded here.
const NOW: i64 = 4_000_000_000_000;

async fn store(folder: &std::path::Path) -> Store {
    Store::open(&format!("sqlite:{}", folder.join("grown.db").display()), None).await.unwrap()
}

async fn fill(store: &Store, statements: &[String]) {
    let mut tx = store.begin().await.unwrap();
    for sql in statements {
        sqlx::query(sqlx::AssertSqlSafe(sql.clone())).execute(tx.conn()).await.unwrap();
    }
    store.end(tx, Ok(()), 1).await.unwrap();
}

/// `n` from 1 to `size`.
fn numbers(size: i64) -> String {
    format!("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < {size})")
}

/// The inventory of one service: a release every minute, one in a hundred marked unstable, one in a thousand rolled back.
fn inventory(size: i64) -> Vec<String> {
    let (service, digest) = (format!("s{size}"), "'sha256:' || printf('%064x', n)");
    vec![
        format!(
            "{} INSERT INTO releases (id, service, version, digest, phase, pool, at, recorded_at, recorded_by, origin, \
             delivery) SELECT {size} * 10 + n, '{service}', 'v' || n, {digest}, 'live', NULL, {NOW} - ({size} - n + 1) * 60000, \
             {NOW}, 'pipeline', 'recorded', 'd' || n FROM c",
            numbers(size)
        ),
        format!(
            "{} INSERT INTO marks (service, digest, stability, why, provisional, actor, at) \
             SELECT '{service}', {digest}, 'unstable', 'it burns', 0, 'os:ana', {NOW} FROM c WHERE n % 100 = 0",
            numbers(size)
        ),
        format!(
            "{} INSERT INTO rollbacks (id, service, thread, active, phase, seq, state, failing, blamed, opened_at, \
             ended_at) SELECT {size} * 10 + n, '{service}', n, 0, 'ended', 9, '{{}}', {digest}, 1, \
             {NOW} - ({size} - n + 1) * 60000, {NOW} - ({size} - n + 1) * 60000 + 30000 FROM c WHERE n % 1000 = 0",
            numbers(size)
        ),
    ]
}

pub async fn lookup(table: &mut Table) {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    for size in SIZES {
        fill(&store, &inventory(size)).await;
    }
    let mut smallest = None;
    for size in SIZES {
        let service = ServiceId::from(format!("s{size}").as_str());
        let mut times = Vec::new();
        for _ in 0..TIMES {
            let start = Instant::now();
            let choice = look(&store, &service, size).await;
            times.push(start.elapsed());
            assert!(choice.chosen.is_some());
        }
        let sample = Sample::times(times);
        let floor = *smallest.get_or_insert(sample.p50());
        table.add(
            &format!("candidate lookup with {size} releases, ms"),
            &sample,
            Some(1.0),
            Some(("with 1000", floor)),
        );
    }
    store.close().await;
}

/// What a survey does between reading the world and asking the registry.
async fn look(store: &Store, service: &ServiceId, size: i64) -> Choice {
    let (history, _) = candidates::history(store.reader(), service, NOW, 200, 21_600_000).await.unwrap();
    let running = |n: i64| Running::Seen { digest: format!("sha256:{n:064x}").parse().unwrap() };
    let live = Live {
        shares: [("blue".to_owned(), 0), ("green".to_owned(), 100)].into(),
        pools: [("blue".to_owned(), running(size - 1)), ("green".to_owned(), running(size))].into(),
        ..Live::default()
    };
    choose(&Question {
        history: &history,
        live: &live,
        min_bake: 10_000,
        routes: Routes::Pools,
        alert_since: None,
        suspect_within: i64::MAX,
        must_pull: false,
        tried: &Default::default(),
        wanted: None,
    })
}

/// Ended rollbacks with their events, effects, messages and cursors.
fn past(from: i64, to: i64) -> Vec<String> {
    let rows =
        format!("WITH RECURSIVE c(n) AS (SELECT {from} UNION ALL SELECT n + 1 FROM c WHERE n + 1 < {to})");
    let each = |insert: &str, select: &str| format!("{rows} INSERT INTO {insert} SELECT {select} FROM c");
    vec![
        each(
            "rollbacks (id, service, thread, active, phase, seq, state, blamed, opened_at, ended_at)",
            "n, 's' || (n % 50), n, 0, 'ended', 12, '{}', 0, n, n + 1",
        ),
        each("cursors (rollback, room, seq, drawn)", "n, '*', 12, 1"),
        each("progress (rollback, body, revision)", "n, 'done', 1"),
        each(
            "effects (id, rollback, service, kind, v, body, paging, status, attempts, not_before, created_at)",
            "n || '/1/0', n, 's', 'survey', 1, '{}', 0, 'done', 1, n, n",
        ),
        each(
            "messages (id, thread, room, slot, nonce, card, broadcast, wanted_rev, sent_rev, status, attempts, not_before)",
            "n, n, 'terminal:', 'root', n, '{}', 0, 3, 3, CASE WHEN n % 50 = 0 THEN 'refused' ELSE 'done' END, 0, 0",
        ),
    ]
}

pub async fn history(table: &mut Table) {
    let folder = tempfile::tempdir().unwrap();
    let store = store(folder.path()).await;
    let (mut before, mut smallest) = (1, None);
    for size in [100, 100_000] {
        fill(&store, &past(before, size)).await;
        before = size;
        let mut times = Vec::new();
        for _ in 0..TIMES {
            times.push(after_a_commit(&store).await);
        }
        let sample = Sample::times(times);
        let floor = *smallest.get_or_insert(sample.p50());
        let figure = format!("looking for work with {size} ended rollbacks, ms");
        table.add(&figure, &sample, None, Some(("with 100", floor)));
    }
    store.close().await;
}

/// What executor and delivery ask after every commit.
async fn after_a_commit(store: &Store) -> Duration {
    let (db, start) = (store.reader(), Instant::now());
    let services: Vec<_> = (0..200).map(|n| ServiceId::from(format!("s{n}").as_str())).collect();
    rollbacks::due_timers(db, &services, NOW).await.unwrap();
    effects::due(db, &services, NOW, 64).await.unwrap();
    effects::next_due(db, &services).await.unwrap();
    rollbacks::next_timer(db, &services).await.unwrap();
    assert!(rollbacks::behind(db, &services, NOW).await.unwrap().is_empty());
    messages::waiting_rooms(db).await.unwrap();
    start.elapsed()
}
