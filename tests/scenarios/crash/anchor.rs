//! Somebody else's message is answered in its own thread, for as long as it is there; and edits wait for no pace.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use lastgood::engine::{acts::Act, acts::Delivery, alerts::Taken};
use lastgood_adapters::chat::{Abilities, Part, Posted};
use lastgood_core::rollback::{Phase, Standing};
use lastgood_tests::{
    database::Kind,
    process::poll_async,
    standin::chat::{Message, Thread},
};

use super::{
    life::{Life, ROOM, SERVICE},
    steps::Steps,
    story::{Setting, TERM, active, alert, monitor, quiet},
};

const LIMIT: Duration = Duration::from_secs(30);
const FIRING: &str = "[FIRING:1] HighErrorRate (checkout critical)";

async fn begin(setting: &Setting) -> Life {
    setting.begin(&Arc::new(Steps::endless()), TERM).await.unwrap()
}

async fn alertmanager(setting: &Setting) -> Posted {
    let title = FIRING.to_owned();
    let part = Part {
        title,
        url: Some("http://am/#/alerts".into()),
        links: vec![("Runbook".into(), "https://rb/x".into())],
        ..Part::default()
    };
    setting.chat.posts("Alertmanager", ROOM, "", vec![part]).await
}

fn offers(message: &&Message) -> bool {
    message.card().buttons.iter().any(|button| button.action.ends_with(".approve"))
}

/// The card that leads a thread, wherever it is.
fn lead(thread: &Thread) -> Option<&Message> {
    thread.messages().find(|message| message.card().title.starts_with("RB-"))
}

/// Presses the button of the card, which answers a message.
async fn approve(setting: &Setting) {
    let offered = setting
        .chat
        .wait_until("a proposal", |threads| threads.iter().flat_map(Thread::messages).find(offers).cloned());
    let card = tokio::time::timeout(LIMIT, offered).await.unwrap();
    let button = card.card().buttons.iter().find(|button| button.action.ends_with(".approve")).unwrap();
    setting.chat.press(&setting.ana, &button.action, &card.at).await;
}

async fn until_quiet(life: &Life) {
    tokio::time::timeout(LIMIT, quiet(&life.engine)).await.expect("all of it is told");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_answered_in_its_own_thread() {
    for kind in [Kind::Sqlite, Kind::Postgres] {
        let setting = Setting::new(kind, true, true).await;
        let life = begin(&setting).await;
        setting.chat.lose_answer(1);
        let posted = alertmanager(&setting).await;
        assert_eq!(life.engine.alert(&alert(SERVICE)).await.unwrap(), Taken::Repeated);
        approve(&setting).await;
        until_quiet(&life).await;
        let threads = setting.chat.threads();
        assert_eq!(threads.len(), 1, "{}", setting.chat.transcript(ROOM));
        let told: Vec<_> = threads[0].replies.iter().map(|reply| reply.card().title.as_str()).collect();
        assert_eq!(threads[0].root.at, posted.at);
        assert!(told[0].starts_with("RB-") && told[0].contains("recovered"), "{told:#?}");
        assert!(threads[0].replies[0].says("Runbook") || threads[0].replies[0].says("runbook"), "{told:#?}");
        assert!(threads[0].replies.last().unwrap().broadcast, "{told:#?}");
        assert_eq!(told.len(), 10, "the card and nine lines: {told:#?}");
        assert_eq!((setting.chat.repeats(), setting.chat.refused()), (vec![], vec![]));
        life.end().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_after_recovery_proposes_again_in_the_thread_that_is_there() {
    let setting = Setting::new(Kind::Sqlite, true, true).await;
    let life = begin(&setting).await;
    let first = alertmanager(&setting).await;
    approve(&setting).await;
    until_quiet(&life).await;
    // Many templates never say that an alert is over.
    alertmanager(&setting).await;
    let linked = |thread: &Thread| {
        thread.root.at == first.at && lead(thread).is_some_and(|card| card.card().title.starts_with("RB-2"))
    };
    setting.chat.wait_for("another run in the same thread", linked).await;
    assert_eq!(setting.chat.threads().len(), 2, "the second message is left alone");
    life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_gone_before_it_was_answered_is_answered_in_the_room() {
    let setting = Setting::new(Kind::Sqlite, true, true).await;
    let life = begin(&setting).await;
    setting.chat.down(true);
    let posted = alertmanager(&setting).await;
    setting.chat.delete(&posted.at);
    setting.chat.down(false);
    approve(&setting).await;
    until_quiet(&life).await;
    let thread = setting.chat.thread(ROOM);
    assert!(thread.root.says("recovered"), "{}", setting.chat.transcript(ROOM));
    assert_eq!(thread.replies.len(), 9, "{}", setting.chat.transcript(ROOM));
    assert_eq!((setting.chat.repeats(), setting.chat.refused()), (vec![], vec![]));
    life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_deleted_meanwhile_leaves_the_rest_to_the_room() {
    let setting = Setting::new(Kind::Sqlite, true, true).await;
    let life = begin(&setting).await;
    setting.world.hold("apply");
    let posted = alertmanager(&setting).await;
    approve(&setting).await;
    let moving = |thread: &Thread| thread.saying("preflight passed").is_some();
    setting.chat.wait_for("the shift", moving).await;
    setting.chat.delete(&posted.at);
    setting.world.hold("");
    until_quiet(&life).await;
    let threads = setting.chat.threads();
    assert_eq!(threads.len(), 2, "{}", setting.chat.transcript(ROOM));
    assert!(threads[1].root.says("recovered"), "{}", setting.chat.transcript(ROOM));
    let told: usize = threads.iter().map(|thread| thread.replies.len()).sum();
    assert_eq!(told, 1 + 9, "the old card and every line once: {}", setting.chat.transcript(ROOM));
    assert_eq!((setting.chat.repeats(), setting.chat.refused()), (vec![], vec![]));
    life.end().await;
}

async fn decide(setting: &Setting, life: &Life) {
    let run = poll_async("a proposal", LIMIT, async || {
        active(&life.engine, SERVICE).await.filter(|run| matches!(run.phase, Phase::Proposed { .. }))
    })
    .await;
    let act = Act::Approve { confirmed: false, reason: None };
    let standing = Standing { approver: true, ..Standing::default() };
    let delivery = Delivery { source: "cli".into(), id: "1".into() };
    life.engine.act(run.id, run.revision, &act, &setting.ana, &standing, &delivery).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_card_changes_at_once_while_lines_wait_for_the_pace() {
    let setting = Setting::new(Kind::Sqlite, true, true).await;
    setting.chat.set_abilities(Abilities { finds: true, edits: true, pace: Duration::from_millis(800) });
    let life = begin(&setting).await;
    life.engine.alert(&alert(SERVICE)).await.unwrap();
    decide(&setting, &life).await;
    let over = |thread: &Thread| lead(thread).is_some_and(|card| card.says("recovered on"));
    let thread = setting.chat.wait_for("the end on the card", over).await;
    assert!(thread.replies.len() < 4, "{}", setting.chat.transcript(ROOM));
    until_quiet(&life).await;
    assert_eq!(setting.chat.thread(ROOM).replies.len(), 11);
    let calls = setting.chat.calls();
    assert!(calls.posts <= 1 + 11, "{calls:?}: it runs into the limit");
    life.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_that_comes_too_soon_holds_up_no_line() {
    let setting = Setting::new(Kind::Sqlite, true, true).await;
    let life = begin(&setting).await;
    life.engine.alert(&alert(SERVICE)).await.unwrap();
    setting.chat.wait_for("a proposal", |thread| thread.replies.len() == 2).await;
    poll_async("all of it told", LIMIT, async || {
        let waiting = lastgood::store::messages::waiting_rooms(life.engine.store.reader()).await.unwrap();
        waiting.is_empty().then_some(())
    })
    .await;
    let (since, after) = (Instant::now(), Duration::from_secs(4));
    // The card comes first, in every round.
    setting.chat.rate_limit(1, after);
    decide(&setting, &life).await;
    poll_async("the last line", LIMIT, async || {
        monitor(&life.engine).await;
        (setting.chat.thread(ROOM).replies.len() == 11).then_some(())
    })
    .await;
    let thread = setting.chat.thread(ROOM);
    assert!(since.elapsed() < after, "{:?}", since.elapsed());
    assert!(!thread.root.says("recovered on"), "{}", setting.chat.transcript(ROOM));
    until_quiet(&life).await;
    assert!(since.elapsed() >= after && setting.chat.thread(ROOM).root.says("recovered on"));
    life.end().await;
}
