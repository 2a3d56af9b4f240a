//! A single commit fails, or its answer is lost, and the process lives on: nothing may wait for its end to be taken up.

use std::{sync::Arc, time::Duration};

use futures_util::{StreamExt as _, stream};
use lastgood_tests::database::Kind;

use super::{
    steps::Steps,
    story::{Setting, TERM},
};

const AT_ONCE: usize = 12;
const LIMIT: Duration = Duration::from_secs(30);

async fn stumble(kind: Kind, step: u64) -> (u64, super::story::Facts) {
    let setting = Setting::new(kind, true, true).await;
    let steps = Arc::new(Steps::stumbling_at(step));
    let life = loop {
        // The very first commits take part; a start that fails is repeated by whoever started it.
        if let Ok(life) = setting.begin(&steps, TERM * 4).await {
            break life;
        }
    };
    let ended = tokio::time::timeout(LIMIT, setting.play(&life)).await;
    let (taken, facts) = (steps.taken().0, setting.facts(&life.engine).await);
    assert!(ended.is_ok(), "{kind:?}: stumbled at step {step}, and came no further than this: {facts:#?}");
    assert_eq!(setting.chat.repeats(), Vec::<String>::new(), "{kind:?}: stumbled at step {step}");
    life.end().await;
    (taken, facts)
}

async fn every_commit(kind: Kind) {
    let (taken, reference) = stumble(kind, 0).await;
    stream::iter(1..=taken)
        .map(|step| {
            let reference = &reference;
            async move {
                let (_, facts) = stumble(kind, step).await;
                assert_eq!(facts, *reference, "{kind:?}: stumbled at step {step}");
            }
        })
        .buffer_unordered(AT_ONCE)
        .collect::<Vec<_>>()
        .await;
    println!("{kind:?}: {taken} stumbles");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_commit_fails_or_its_answer_is_lost_on_sqlite() {
    every_commit(Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_commit_fails_or_its_answer_is_lost_on_postgresql() {
    every_commit(Kind::Postgres).await;
}
