//! After the recovery: what keeps a rollback open, and what shows that it was none.

use std::time::Duration;

use lastgood::store::releases;
use lastgood_core::{
    inventory::Stability,
    rollback::{End, Phase, Why},
};
use lastgood_tests::{
    database::{Kind, both},
    process::{poll, poll_async},
};

use super::{
    stage::{Stage, Wishes},
    world::World,
};

async fn open(kind: Kind, bake: &str) -> World {
    let stage = Stage::set().await;
    // Further apart than nothing, so that a test can step in between two looks.
    let health = format!(
        "every = '100ms'\nrecover_within = '2s'\ngood_in_a_row = 3\nhttp = [{{ url = '{}/healthz' }}]",
        stage.url()
    );
    let wishes = Wishes { health: Some(health), bake: Some(bake.to_owned()), ..Wishes::default() };
    let world = World::open(stage, kind, &wishes).await;
    world.breaks().await;
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world
}

/// What the gate knows of the release that failed.
async fn mark(world: &World) -> Option<Stability> {
    let db = world.bot.app.engine.store.reader();
    let mark = releases::mark_of(db, &"checkout".into(), &world.stage.new.digest).await.unwrap();
    mark.map(|mark| mark.stability)
}

/// `/healthz` was good all along; customers are not served, and only their alert knows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn health_checks_alone_are_no_recovery_while_the_alert_fires() {
    for kind in both() {
        let world = open(kind, "200ms").await;
        world.stage.shop.fail("blue", 0.4);
        world.reads("the alert still fires").await;
        let run = world.run(1).await;
        assert!(
            matches!(run.phase, Phase::Escalated { why: Why::AlertStillFiring { .. } }),
            "{:?}",
            run.phase
        );
        let page = poll("the page", Duration::from_secs(5), || world.stage.pagerduty.open().pop()).await;
        assert!(page.summary.contains("the alert is still firing"), "{page:?}");
        // The alert that is told again is no news, and a new one is.
        world.presses(&world.ben, "I'm on it").await;
        let answer = world.alertmanager_sends(&[("HighErrorRate", "firing")]).await;
        assert_eq!(answer["taken"][0]["became"], "repeated", "{answer}");
        world.alertmanager_sends(&[("EmptyCarts", "firing")]).await;
        world.reads("a new alert, and the run still waits for a person").await;
        world.presses(&world.ben, "Hand over").await;
        world.run_ends(1, "handed over").await;
        world.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_relapse_while_stability_is_confirmed_pages_and_marks_nothing_for_good() {
    for kind in both() {
        let world = open(kind, "1m").await;
        world.reads("first good check").await;
        world.alertmanager_sends(&[("HighErrorRate", "resolved")]).await;
        world.reads("It is watched until").await;
        assert!(matches!(world.run(1).await.phase, Phase::Confirming { .. }));
        assert!(matches!(mark(&world).await, Some(Stability::Unstable { provisional: true, .. })));
        assert_eq!(world.gate(&world.stage.new).await["allowed"], false);
        world.stage.shop.healthy("blue", false);
        world.reads("recovered, and bad again").await;
        poll("the page", Duration::from_secs(5), || world.stage.pagerduty.open().pop()).await;
        assert!(matches!(mark(&world).await, Some(Stability::Unstable { provisional: true, .. })));
        // It was a hiccup: watched again, it goes well.
        world.stage.shop.healthy("blue", true);
        world.presses(&world.ben, "I'm on it").await;
        world.presses(&world.ben, "Watch again").await;
        poll_async("the second recovery", Duration::from_secs(10), || async {
            matches!(world.run(1).await.phase, Phase::Confirming { .. }).then_some(())
        })
        .await;
        assert_eq!(
            world.stage.pagerduty.open().len(),
            1,
            "the page stays open until it is known to be stable"
        );
        world.presses(&world.ben, "Stop watching").await;
        world.run_ends(1, "stopped").await;
        poll("the page's end", Duration::from_secs(5), || {
            world.stage.pagerduty.open().is_empty().then_some(())
        })
        .await;
        world.ends().await;
    }
}

/// The process ends while the service is watched; the next one goes on watching, and ends it well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stability_is_confirmed_across_a_restart_and_its_status_says_so() {
    for kind in both() {
        let world = open(kind, "3s").await;
        world.reads("first good check").await;
        world.alertmanager_sends(&[("HighErrorRate", "resolved")]).await;
        world.reads("It is watched until").await;
        let told = world.commands(&world.eve, "/rollback status").await;
        assert!(told.contains("RB-1") && told.contains("confirming"), "{told}");
        let world = world.restart().await;
        world.run_ends(1, "recovered").await;
        assert!(matches!(mark(&world).await, Some(Stability::Unstable { provisional: false, .. })));
        world.ends().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_rollback_may_begin_while_stability_is_confirmed() {
    let world = open(Kind::Sqlite, "1m").await;
    world.reads("first good check").await;
    world.alertmanager_sends(&[("HighErrorRate", "resolved")]).await;
    world.reads("It is watched until").await;
    let told = world.commands(&world.ben, "/rollback checkout").await;
    assert!(told.contains("RB-2"), "{told}");
    let Phase::Ended { end: End::Superseded { reason } } = world.run(1).await.phase else { panic!() };
    assert_eq!(reason, "ben asked for another rollback");
    // There is nothing before v2.4.0.
    world.reads("no version to go back to").await;
    world.presses(&world.ben, "Hand over").await;
    world.run_ends(2, "handed over").await;
    world.ends().await;
}
