//! Alerts that come again, come together, go away, or find nobody.

use std::time::Duration;

use lastgood::store::incidents;
use lastgood_core::rollback::Phase;
use lastgood_tests::process::poll;
use serde_json::Value;

use super::{
    stage::ALERT_TOKEN,
    world::{World, snapshot},
};

const FIXTURE: &str = include_str!("../../../bot/src/inbound/fixtures/alertmanager-firing.json");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_resolves_before_the_decision_decides_nothing() {
    let world = World::small("").await;
    world.breaks().await;
    world.offered("Roll back to v2.4.0").await;
    world.alertmanager_sends(&[("HighErrorRate", "resolved")]).await;
    world.reads("the alert has resolved").await;
    assert!(matches!(world.run(1).await.phase, Phase::Proposed { .. }));
    assert_eq!(world.stage.routed(), "green");

    world.presses(&world.ana, "Roll back to v2.4.0").await;
    let thread = world.run_ends(1, "recovered").await;
    assert_eq!(world.stage.routed(), "blue");
    snapshot("resolved_before_the_decision", &thread);
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn repetitions_and_other_alerts_of_the_group_are_a_count() {
    let world = World::small("").await;
    world.breaks().await;
    world.offered("Roll back to v2.4.0").await;
    world.caught_up().await;
    let posts = world.chat.calls().posts;
    for _ in 0..2 {
        let answer = world.alertmanager_sends(&[("HighErrorRate", "firing")]).await;
        assert_eq!(answer["taken"][0]["became"], "repeated", "{answer}");
    }
    world.chat.wait_for("the count", |thread| thread.root.says("came 3 times")).await;
    assert_eq!(world.chat.calls().posts, posts);

    let both = world.alertmanager_sends(&[("HighErrorRate", "firing"), ("SlowCheckout", "firing")]).await;
    assert_eq!(
        (&both["taken"][0]["became"], &both["taken"][1]["became"]),
        (&"repeated".into(), &"joined".into())
    );
    world.chat.wait_for("the count", |thread| thread.root.says("came 5 times")).await;
    // One of them goes: the other still fires.
    world.alertmanager_sends(&[("HighErrorRate", "resolved"), ("SlowCheckout", "firing")]).await;
    assert!(world.run(1).await.alert_firing());
    assert_eq!(world.chat.threads().len(), 1);
    world.fills(&world.ana, "Reject", &[]).await;
    world.run_ends(1, "rejected").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn somebody_is_called_when_nobody_answers() {
    let world = World::small("answer_within = '1s'").await;
    world.breaks().await;
    let thread = world.reads("oncall was paged").await;
    let page = poll("the page", Duration::from_secs(5), || world.stage.pagerduty.open().pop()).await;
    assert!(page.summary.contains("checkout (production): RB-1: "), "{page:?}");
    snapshot("nobody_answers", &thread);

    world.presses(&world.ben, "I'm on it").await;
    world.presses(&world.ben, "Roll back to v2.4.0").await;
    world.run_ends(1, "recovered").await;
    poll("the page's end", Duration::from_secs(5), || world.stage.pagerduty.open().is_empty().then_some(()))
        .await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_payload_before_and_after_a_restart_is_one_incident() {
    let mut world = World::small("").await;
    let mut fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    fixture["alerts"][0]["startsAt"] = world.since.clone().into();
    world.deploy().await;
    for became in ["opened", "repeated", "repeated"] {
        let (status, answer) = world.http.post("/v1/alerts/alertmanager", ALERT_TOKEN, &fixture).await;
        assert_eq!((status, &answer["taken"][0]["became"]), (202, &became.into()), "{answer}");
        world.offered("Roll back to v2.4.0").await;
        world = world.restart().await;
    }
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.reads("first good check").await;
    fixture["alerts"][0]["status"] = "resolved".into();
    for _ in 0..2 {
        let (_, answer) = world.http.post("/v1/alerts/alertmanager", ALERT_TOKEN, &fixture).await;
        assert_eq!(answer["taken"][0]["became"], "resolved", "{answer}");
    }
    world.run_ends(1, "recovered").await;
    let all = incidents::list(world.bot.app.engine.store.reader(), true).await.unwrap();
    assert_eq!((all.len(), world.chat.threads().len()), (1, 1));
    world.ends().await;
}
