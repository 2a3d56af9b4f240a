//! The process ends at every step in turn.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use lastgood_tests::database::Kind;

use super::{
    steps::Steps,
    story::{Facts, LeftOver, Setting, TERM},
};

/// Cases at the same time.
const AT_ONCE: usize = 8;
/// A term that no life of a test outlives, so that its beats don't count as steps.
const LONG: Duration = Duration::from_secs(20);
/// No case takes nearly as long.
const LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy)]
struct Way {
    kind: Kind,
    cures: bool,
    finds: bool,
}

/// What a case came to.
struct Played {
    /// Steps of the first life, and the last of them.
    taken: u64,
    last: String,
    facts: Facts,
}

/// Plays to the end, dying at a step (0: only when all is done).
async fn play(way: Way, dies_at: u64) -> Played {
    let setting = Setting::new(way.kind, way.cures, way.finds).await;
    let steps = Arc::new(Steps::until(dies_at));
    let lived = async {
        let Ok(life) = setting.begin(&steps, LONG).await else { return };
        tokio::select! {
            biased;
            () = steps.ended() => {}
            () = setting.play(&life) => {}
        }
        life.die().await;
    };
    let ended = tokio::time::timeout(LIMIT, lived).await;
    let (taken, last) = steps.taken();
    let here = format!("{way:?}: died at step {dies_at} of {taken} ({last})");
    assert!(ended.is_ok(), "{here}: it hangs");

    let life = setting.begin(&Arc::new(Steps::endless()), TERM).await.unwrap();
    let ended = tokio::time::timeout(LIMIT, setting.play(&life)).await;
    let facts = setting.facts(&life.engine).await;
    assert!(ended.is_ok(), "{here}; the next life came no further than this: {facts:#?}");
    if way.finds {
        assert_eq!(setting.chat.repeats(), Vec::<String>::new(), "{here}");
    }
    assert_eq!(setting.chat.refused(), Vec::<String>::new(), "{here}");
    life.end().await;
    Played { taken, last, facts }
}

/// Dies at every step; with `stride` only at every so many, beginning with the one after `skipped`.
async fn every_step(way: Way, skipped: usize, stride: usize) {
    let since = std::time::Instant::now();
    let whole = play(way, 0).await;
    let reference = &whole.facts;
    assert_eq!(reference.left_over(), &LeftOver::default(), "{way:?}");
    let different = stream::iter((1..=whole.taken).skip(skipped).step_by(stride))
        .map(|step| async move {
            let Played { last, facts, .. } = play(way, step).await;
            let facts = if way.finds { facts } else { facts.heard_once() };
            (facts != *reference).then(|| format!("died at step {step} ({last}): {facts:#?}"))
        })
        .buffer_unordered(AT_ONCE)
        .filter_map(async |different| different)
        .collect::<Vec<_>>()
        .await;
    println!("{way:?}: {} steps in {:?}", whole.taken, since.elapsed());
    assert!(
        different.is_empty(),
        "{} of {} steps leave something else than {reference:#?}\n{}",
        different.len(),
        whole.taken,
        different.join("\n"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovers_on_sqlite() {
    every_step(Way { kind: Kind::Sqlite, cures: true, finds: true }, 0, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_handed_over_on_sqlite() {
    every_step(Way { kind: Kind::Sqlite, cures: false, finds: true }, 0, 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovers_on_postgresql_first_third() {
    every_step(Way { kind: Kind::Postgres, cures: true, finds: true }, 0, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovers_on_postgresql_second_third() {
    every_step(Way { kind: Kind::Postgres, cures: true, finds: true }, 1, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recovers_on_postgresql_third_third() {
    every_step(Way { kind: Kind::Postgres, cures: true, finds: true }, 2, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_handed_over_on_postgresql_first_third() {
    every_step(Way { kind: Kind::Postgres, cures: false, finds: true }, 0, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_handed_over_on_postgresql_second_third() {
    every_step(Way { kind: Kind::Postgres, cures: false, finds: true }, 1, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn is_handed_over_on_postgresql_third_third() {
    every_step(Way { kind: Kind::Postgres, cures: false, finds: true }, 2, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loses_nothing_where_chat_does_not_find_on_sqlite() {
    every_step(Way { kind: Kind::Sqlite, cures: false, finds: false }, 2, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loses_nothing_where_chat_does_not_find_on_postgresql() {
    every_step(Way { kind: Kind::Postgres, cures: true, finds: false }, 2, 3).await;
}
