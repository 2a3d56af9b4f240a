//! Chat is slow, loses, refuses, forgets: the rollback does not care, and the thread is whole in the end.

use std::{sync::Arc, time::Duration};

use lastgood::engine::acts::{Act, Delivery};
use lastgood_adapters::chat::Abilities;
use lastgood_core::rollback::{Phase, Standing};
use lastgood_tests::{database::Kind, process::poll_async};

use super::{
    life::{Life, ROOM, SERVICE},
    steps::Steps,
    story::{LeftOver, Setting, TERM, active, alert, monitor, quiet},
};

const LIMIT: Duration = Duration::from_secs(30);

async fn begin(setting: &Setting) -> Life {
    setting.begin(&Arc::new(Steps::endless()), TERM).await.unwrap()
}

/// The whole run without looking at the chat.
async fn run_blindly(setting: &Setting, life: &Life) {
    life.engine.alert(&alert(SERVICE)).await.unwrap();
    let run = poll_async("a proposal", LIMIT, async || {
        active(&life.engine, SERVICE).await.filter(|run| matches!(run.phase, Phase::Proposed { .. }))
    })
    .await;
    let act = Act::Approve { confirmed: false, reason: None };
    let standing = Standing { approver: true, ..Standing::default() };
    let delivery = Delivery { source: "cli".into(), id: "1".into() };
    life.engine.act(run.id, run.revision, &act, &setting.ana, &standing, &delivery).await.unwrap().unwrap();
    poll_async("the end", LIMIT, async || {
        monitor(&life.engine).await;
        active(&life.engine, SERVICE).await.is_none().then_some(())
    })
    .await;
}

async fn told(setting: &Setting, life: &Life) -> Vec<String> {
    tokio::time::timeout(LIMIT, quiet(&life.engine)).await.expect("all of it is told");
    assert_eq!(setting.chat.repeats(), Vec::<String>::new());
    let thread = setting.chat.thread(ROOM);
    thread.replies.iter().map(|reply| reply.card().title.clone()).collect()
}

const STORY: [&str; 11] = [
    "HighErrorRate",
    "proposed",
    "approved",
    "going to",
    "preflight passed",
    "traffic is on",
    "first good check",
    "recovered on",
    "but the alert still fires",
    "the alert has resolved",
    "recovered on",
];

fn assert_whole(told: &[String]) {
    assert_eq!(told.len(), STORY.len(), "{told:#?}");
    for (title, part) in told.iter().zip(STORY) {
        assert!(title.contains(part), "{title:?} should be about {part:?}: {told:#?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lost_answers_and_lost_requests_are_made_good() {
    for lose in 1..=9 {
        let setting = Setting::new(Kind::Sqlite, true, true).await;
        let life = begin(&setting).await;
        if lose % 2 == 0 {
            setting.chat.lose_request(lose)
        } else {
            setting.chat.lose_answer(lose)
        }
        run_blindly(&setting, &life).await;
        assert_whole(&told(&setting, &life).await);
        assert_eq!(setting.chat.threads().len(), 1);
        life.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outage_of_chat_holds_up_nothing_and_is_caught_up_in_few_calls() {
    let setting = Setting::new(Kind::Sqlite, true, true).await;
    setting.chat.down(true);
    let life = begin(&setting).await;
    run_blindly(&setting, &life).await;
    assert_eq!(setting.world.shifts(), 1);
    assert!(
        setting.chat.calls().posts < 20,
        "{:?}: it hammers a platform that is down",
        setting.chat.calls()
    );
    setting.chat.down(false);
    assert_whole(&told(&setting, &life).await);
    let root = setting.chat.thread(ROOM).root;
    assert!(root.revisions.len() <= 2, "{} revisions of the root", root.revisions.len());
    life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pace_is_kept_and_a_rate_limit_obeyed() {
    let setting = Setting::new(Kind::Sqlite, true, true).await;
    setting.chat.set_abilities(Abilities { finds: true, edits: true, pace: Duration::from_millis(60) });
    let life = begin(&setting).await;
    setting.chat.rate_limit(1, Duration::from_millis(300));
    run_blindly(&setting, &life).await;
    assert_whole(&told(&setting, &life).await);
    let calls = setting.chat.calls();
    let (root, refused) = (1, 1);
    assert!(calls.posts <= root + STORY.len() as u64 + refused, "{calls:?}: it runs into the limit");
    life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_root_is_posted_anew() {
    let setting = Setting::new(Kind::Sqlite, true, true).await;
    let life = begin(&setting).await;
    setting.world.hold("apply");
    let playing = async {
        setting.world.begun("apply").await;
        let moving =
            |thread: &lastgood_tests::standin::chat::Thread| thread.saying("preflight passed").is_some();
        let thread = setting.chat.wait_for("the shift", moving).await;
        setting.chat.delete(&thread.root.at);
        setting.world.hold("");
    };
    let all = async { tokio::join!(setting.play(&life), playing) };
    tokio::time::timeout(LIMIT, all).await.unwrap();
    let threads = setting.chat.threads();
    assert_eq!(threads.len(), 2, "{}", setting.chat.transcript(ROOM));
    assert!(threads[1].root.says("recovered"), "{}", setting.chat.transcript(ROOM));
    let all: Vec<_> = threads.iter().flat_map(|t| &t.replies).map(|r| r.card().title.clone()).collect();
    assert_whole(&all);
    life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_for_good_is_set_aside_and_the_root_comes_with_its_next_revision() {
    let setting = Setting::new(Kind::Sqlite, true, true).await;
    setting.chat.deny(ROOM, true);
    let life = begin(&setting).await;
    setting.world.hold("apply");
    let invited = async {
        setting.world.begun("apply").await;
        setting.chat.deny(ROOM, false);
        setting.world.hold("");
    };
    tokio::join!(run_blindly(&setting, &life), invited);
    tokio::time::timeout(LIMIT, quiet(&life.engine)).await.expect("the thread goes on");
    let threads = setting.chat.threads();
    let whole = threads
        .iter()
        .find(|thread| thread.root.says("recovered on") && !thread.root.card().buttons.is_empty());
    let whole = whole.unwrap_or_else(|| panic!("no root:\n{}", setting.chat.transcript(ROOM)));
    assert!(whole.replies.last().unwrap().says("recovered"), "{}", setting.chat.transcript(ROOM));
    let left = setting.facts(&life.engine).await;
    let left = left.left_over();
    assert!(left.refused > 0 && left.messages == left.refused, "{left:?}: what was set aside can be seen");
    assert_eq!(LeftOver { messages: 0, refused: 0, ..left.clone() }, LeftOver::default());
    life.end().await;
}
