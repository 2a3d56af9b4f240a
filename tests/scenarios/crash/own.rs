//! A process does its own services' work only, and gives a service back.

use std::{sync::Arc, time::Duration};

use lastgood::{
    delivery::Chats,
    desk::Desk,
    engine::{
        Engine,
        acts::{Act, Delivery},
        propose::Ask,
    },
    follow::Yes,
    service::Services,
    store,
};
use lastgood_adapters::chat::Chat;
use lastgood_core::{
    Actor, ThreadId,
    card::{Card, Colour},
    rollback::{Phase, Policy, Standing},
};
use lastgood_tests::{
    database::{Kind, both, fresh},
    process::poll_async,
};

use super::{
    life::{PLATFORM, SERVICE, policy, service},
    steps::Steps,
    story::{Setting, TERM, active, alert, quiet, record},
    worker::{Worker, Wrong, change, count, process},
    world::World,
};

const OTHER: &str = "search";
const LIMIT: Duration = Duration::from_secs(30);

struct Two {
    world: Arc<World>,
    ana: Actor,
    both: Services,
    other: Services,
}

fn two(policy: Policy) -> Two {
    let (world, steps) = (World::new(true), Arc::new(Steps::endless()));
    let ana = Actor::new("test:ana", "ana");
    let one = |name| service(name, &world, &steps, policy.clone(), &ana);
    let (both, other) = (Services::new([one(SERVICE), one(OTHER)]), Services::new([one(OTHER)]));
    Two { world, ana, both, other }
}

async fn proposed(engine: &Engine, name: &str) -> lastgood_core::rollback::Rollback {
    poll_async("a proposal", LIMIT, async || {
        active(engine, name).await.filter(|run| matches!(run.phase, Phase::Proposed { .. }))
    })
    .await
}

/// Its effects, and its timers: neither runs where nobody knows how.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_whose_configuration_lacks_a_service_leaves_its_work_alone() {
    for kind in both() {
        let (database, two) = (fresh(kind).await, two(policy(true)));
        let (asking, _) = process(&database.url, &two.both, Wrong::by(0), TERM).await;
        record(&asking, SERVICE).await;
        record(&asking, OTHER).await;
        asking.alert(&alert(SERVICE)).await.unwrap();
        change(&asking, "INSERT INTO timers (rollback, timer, at) VALUES (1, 'expiry', 1)").await;
        let lacking = Worker::begin(process(&database.url, &two.other, Wrong::by(0), TERM).await).await;
        asking.alert(&alert(OTHER)).await.unwrap();
        proposed(&asking, OTHER).await;
        let left = "SELECT COUNT(*) FROM effects WHERE rollback = 1 AND status = 'pending' AND attempts = 0";
        assert_eq!(count(&asking, left).await, 1, "{kind:?}");
        assert_eq!(
            count(&asking, "SELECT COUNT(*) FROM timers WHERE rollback = 1 AND at = 1").await,
            1,
            "{kind:?}"
        );
        change(&asking, "DELETE FROM timers WHERE rollback = 1 AND at = 1").await;

        let knowing = Worker::begin(process(&database.url, &two.both, Wrong::by(0), TERM).await).await;
        proposed(&asking, SERVICE).await;
        lacking.end().await;
        knowing.end().await;
        asking.store.close().await;
    }
}

/// Break glass on the machine, then the server starts again: it does everything else at once, and the rest afterwards.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn break_glass_holds_its_own_service_only_and_gives_it_back() {
    for kind in both() {
        let (database, two) = (fresh(kind).await, two(policy(true)));
        let (glass, executor) = process(&database.url, &two.both, Wrong::by(0), TERM).await;
        record(&glass, SERVICE).await;
        record(&glass, OTHER).await;
        glass.lease().only(&SERVICE.into());
        let glass = Worker::begin((glass, executor)).await;
        let ask = |name: &str| Ask { service: name.into(), by: two.ana.clone(), wanted: None, reason: None };
        let id = glass.engine.propose(&ask(SERVICE)).await.unwrap();
        proposed(&glass.engine, SERVICE).await;
        // What belongs to others stays with them.
        glass.engine.alert(&alert(OTHER)).await.unwrap();
        assert_eq!(glass.engine.lease().owner_of(&OTHER.into()), None, "{kind:?}");

        let server = Worker::begin(process(&database.url, &two.both, Wrong::by(0), TERM).await).await;
        assert!(server.engine.lease().owner_of(&OTHER.into()).is_some(), "{kind:?}: the server does nothing");
        proposed(&server.engine, OTHER).await;
        if kind == Kind::Sqlite {
            assert_eq!(
                server.engine.lease().owner_of(&SERVICE.into()),
                None,
                "two would move the same traffic"
            );
        }
        glass.end().await;
        poll_async("the server to take it", LIMIT, async || server.engine.lease().owner_of(&SERVICE.into()))
            .await;
        let run = store::rollbacks::get(server.engine.store.reader(), id).await.unwrap().unwrap().state;
        let standing = Standing { approver: true, ..Standing::default() };
        let delivery = Delivery { source: "test".into(), id: "ana".into() };
        let act = Act::Approve { confirmed: false, reason: None };
        server.engine.act(run.id, run.revision, &act, &two.ana, &standing, &delivery).await.unwrap().unwrap();
        poll_async("the shift", LIMIT, async || (two.world.shifts() == 1).then_some(())).await;
        server.end().await;
    }
}

/// Refused without breaking glass; the next process, which breaks it, is a new act.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn yes_of_another_process_is_another_act_and_a_repetition_in_one_is_not() {
    for kind in both() {
        let (setting, steps) = (Setting::new(kind, true, true).await, Arc::new(Steps::endless()));
        let alone = Policy { requester_may_approve: false, ..policy(true) };
        let checkout = service(SERVICE, &setting.world, &steps, alone, &setting.ana);
        let life = super::life::Life::begin(
            &setting.database.url,
            Services::new([checkout]),
            &setting.chat,
            &steps,
            TERM * 10,
        )
        .await
        .unwrap();
        let ask = Ask { service: SERVICE.into(), by: setting.ana.clone(), wanted: None, reason: None };
        life.engine.propose(&ask).await.unwrap();
        let run = proposed(&life.engine, SERVICE).await;
        let desk = |glass: Option<&str>| {
            let chat: Arc<dyn Chat> = setting.chat.clone();
            let desk = Desk::new(life.engine.clone(), Chats::new([(PLATFORM.to_owned(), chat)]), PLATFORM);
            Arc::new(desk.breaking_glass(glass.map(str::to_owned)).acting_as(setting.ana.clone()))
        };
        let yes = |glass| Yes::new(desk(glass), setting.ana.clone(), SERVICE, None);
        let refused = yes(None).press(&run).await.unwrap_err().to_string();
        assert!(refused.contains("not approved"), "{kind:?}: {refused}");
        yes(Some("alone on call")).press(&run).await.unwrap_or_else(|error| panic!("{kind:?}: {error}"));
        tokio::time::timeout(LIMIT, quiet(&life.engine)).await.unwrap();
        assert_eq!(setting.world.shifts(), 1, "{kind:?}");
        life.end().await;
    }
}

/// A service that was taken out of the configuration, and rows that this build can't read: more than are looked at in one go.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_drawn_keeps_no_other_thread_waiting() {
    for kind in both() {
        let setting = Setting::new(kind, true, true).await;
        let life = setting.begin(&Arc::new(Steps::endless()), TERM * 10).await.unwrap();
        change(&life.engine, "UPDATE counters SET value = 1000 WHERE name = 'rollback'").await;
        change(
            &life.engine,
            "INSERT INTO counters (name, value) VALUES ('rollback', 1000) ON CONFLICT DO NOTHING",
        )
        .await;
        for (from, name) in [(1, "gone"), (200, SERVICE)] {
            for id in from..from + 120 {
                let run = format!(
                    "INSERT INTO rollbacks (id, service, thread, active, phase, seq, state, blamed, opened_at, ended_at) \
                     VALUES ({id}, '{name}', 9000{id}, 0, 'ended', 1, '{{}}', 0, 1, 2)"
                );
                change(&life.engine, &run).await;
                let news = format!("INSERT INTO news (rollback, revision, told) VALUES ({id}, 1, 0)");
                change(&life.engine, &news).await;
                let timer = format!("INSERT INTO timers (rollback, timer, at) VALUES ({id}, 'expiry', {id})");
                change(&life.engine, &timer).await;
            }
        }
        life.engine.alert(&alert(SERVICE)).await.unwrap();
        setting
            .chat
            .wait_for("the proposal of a service that can be drawn", |thread| {
                thread.root.card().buttons.iter().any(|button| button.action.ends_with(".approve"))
            })
            .await;
        let untold = store::rollbacks::untold(life.engine.store.reader(), &[SERVICE.into()]).await.unwrap();
        assert_eq!(untold, 240, "{kind:?}: it is counted for the metrics");
        // Nor do timers that can't be fired keep those waiting behind which they are due.
        let overdue = "SELECT COUNT(*) FROM timers WHERE rollback BETWEEN 200 AND 319 AND at < 1000";
        poll_async("all timers to be tried", LIMIT, async || {
            (count(&life.engine, overdue).await == 0).then_some(())
        })
        .await;
        life.end().await;
    }
}

/// The platform refuses the first message of a long thread for now.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_thread_that_can_not_be_sent_keeps_no_other_waiting() {
    for kind in both() {
        let (database, two) = (fresh(kind).await, two(policy(true)));
        let (engine, _) = process(&database.url, &two.both, Wrong::by(0), TERM).await;
        let (now, room, card) = (engine.now(), "test:#incidents", Card::new(Colour::Neutral, "a line"));
        let mut tx = engine.store.begin().await.unwrap();
        for n in 0..250 {
            let slot = format!("RB-1/{n}/0");
            tx.put_message(ThreadId(1), room, &slot, &format!("{n}"), &card, false).await.unwrap();
        }
        tx.put_message(ThreadId(2), room, "root", "other", &card, false).await.unwrap();
        tx.message_later(1, "new", now + 60_000, "later").await.unwrap();
        engine.store.end(tx, Ok(()), 1).await.unwrap();

        let unsent = store::messages::unsent(engine.store.reader(), room, now).await.unwrap();
        let threads: Vec<_> = unsent.into_iter().map(|message| message.unwrap().thread).collect();
        assert_eq!(threads, [ThreadId(2)], "{kind:?}");
        let next = store::messages::next_unsent(engine.store.reader(), room, now).await.unwrap();
        assert_eq!(next, Some(now + 60_000), "{kind:?}");
        let later = store::messages::unsent(engine.store.reader(), room, now + 60_000).await.unwrap();
        assert_eq!(later.len(), 200, "{kind:?}: as many as are looked at in one go");
        engine.store.close().await;
    }
}
