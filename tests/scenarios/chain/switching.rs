//! Somebody else has a hand on the switch, too.

use std::time::Duration;

use lastgood_core::rollback::{Phase, Why};
use lastgood_tests::{database::Kind, process::poll};

use super::{
    stage::{Stage, Wishes},
    world::{World, snapshot},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_deployment_before_the_approval_makes_a_new_proposal() {
    let world = World::small("").await;
    world.breaks().await;
    let first = world.offered("Roll back to v2.4.0").await;
    // A hotfix, in place, that no pipeline told of.
    world.stage.shop.pool("green")[0].deploy("v2.4.2");
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world
        .chat
        .wait_for("a new proposal", |thread| {
            thread.root.says("Approvals: 0 of 1") && thread.saying("It replaces the last proposal").is_some()
        })
        .await;
    assert_eq!(world.stage.routed(), "green");
    assert_eq!(world.run(1).await.revision, 2);
    let late = world.chat.press_old(&world.ben, "Roll back to v2.4.0", &first.at).await;
    assert!(matches!(late, lastgood_adapters::chat::Answer::Private(_)), "{late:?}");
    snapshot("superseded", &world.chat.thread(super::world::ROOM));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_switch_during_observation_is_paged_and_not_fought() {
    let stage = Stage::set().await;
    let health = format!(
        "every = '200ms'\nrecover_within = '1m'\ngood_in_a_row = 100\nhttp = [{{ url = '{}/healthz' }}]",
        stage.url()
    );
    let wishes = Wishes { health: Some(health), ..Wishes::default() };
    let world = World::open(stage, Kind::Sqlite, &wishes).await;
    world.breaks().await;
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.reads("first good check").await;
    world.stage.flip("green");
    world.reads("traffic was moved by another hand").await;
    let page = poll("the page", Duration::from_secs(5), || world.stage.pagerduty.open().pop()).await;
    assert!(page.summary.contains("moved by another hand"), "{page:?}");
    let phase = world.run(1).await.phase;
    assert!(matches!(phase, Phase::Escalated { why: Why::MovedByAnotherHand { .. } }), "{phase:?}");
    assert_eq!(world.stage.routed(), "green", "not fought");
    world.presses(&world.ben, "I'm on it").await;
    world.presses(&world.ben, "Hand over").await;
    let thread = world.run_ends(1, "handed over").await;
    assert_eq!((world.stage.routed().as_str(), world.stage.pagerduty.pages().len()), ("green", 1));
    snapshot("moved_by_another_hand", &thread);
    world.ends().await;
}
