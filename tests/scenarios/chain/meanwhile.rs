//! What others do between the card, the click and the shift: nothing is moved to what nobody voted for, and what does not change
//! the decision voids no vote.

use std::time::Duration;

use lastgood::store::incidents;
use lastgood_core::{
    Actor,
    inventory::Stability,
    rollback::{Phase, Why},
};
use lastgood_tests::{database::Kind, process::poll, shop::artifact};

use super::{
    stage::{Stage, Wishes},
    world::World,
};

/// A canary by weights: green has `share` percent, and is broken.
async fn canary(share: u8) -> World {
    let stage = Stage::set().await;
    let (traffic, health) = stage.by_weight();
    let wishes = Wishes { traffic: Some(traffic), health: Some(health), ..Wishes::default() };
    let world = World::open(stage, Kind::Sqlite, &wishes).await;
    world.stage.weigh(100 - share);
    world.http.records_as(&world.stage.new, "green", "canary").await;
    world.stage.shop.healthy("green", false);
    world.alertmanager_sends(&[("HighErrorRate", "firing")]).await;
    world
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_goes_on_between_card_and_click_is_rolled_back_by_that_click() {
    let world = canary(25).await;
    world.offered("Roll back to v2.4.0").await;
    // The pipeline takes its next step.
    world.stage.weigh(50);
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    let thread = world.run_ends(1, "recovered").await;
    assert_eq!(world.stage.weighed(), 100);
    assert!(thread.saying("the proposal is void").is_none(), "one click was enough");
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_that_nobody_voted_for_get_no_traffic() {
    let world = World::small("").await;
    world.breaks().await;
    world.offered("Roll back to v2.4.0").await;
    // Somebody deploys into blue, and records nothing.
    world.stage.shop.runs("blue", &artifact("v2.4.2-rc1"));
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.reads("the proposal is void").await;
    world.reads("no version to go back to").await;
    assert_eq!(world.stage.routed(), "green");
    world.presses(&world.ben, "Hand over").await;
    world.run_ends(1, "handed over").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn trying_again_after_somebody_deployed_into_the_targets_pool_takes_a_new_vote() {
    let world = World::small("").await;
    world.breaks().await;
    world.stage.shop.fail("blue", 1.0);
    world.stage.shop.healthy("blue", true);
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.reads("traffic is on v2.4.0").await;
    world.presses(&world.ana, "Stop").await;
    world.reads("stopped by").await;
    world.stage.flip("green");
    world.stage.shop.runs("blue", &artifact("v2.4.2-rc1"));
    world.presses(&world.ana, "Shift again").await;
    world.reads("Nobody voted for what runs there").await;
    let run = world.run(1).await;
    assert!(matches!(run.phase, Phase::Escalated { why: Why::OtherBytes { .. } }), "{:?}", run.phase);
    assert_eq!(world.stage.routed(), "green", "nothing was moved");
    world.presses(&world.ben, "I'm on it").await;
    world.presses(&world.ben, "Hand over").await;
    world.run_ends(1, "handed over").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undo_does_not_lead_to_what_was_deployed_since() {
    let world = World::small("").await;
    world.breaks().await;
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.run_ends(1, "recovered").await;
    world.stage.shop.runs("green", &artifact("v2.5.0-rc1"));
    world.fills(&world.ana, "Undo", &[("reason", "v2.4.0 loses orders")]).await;
    world.reads("what was live before RB-1 is not there any more").await;
    assert_eq!(world.stage.routed(), "blue");
    world.presses(&world.ana, "Hand over").await;
    world.run_ends(2, "handed over").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_was_faster_leaves_the_watching_to_the_run() {
    let world = World::small("").await;
    world.breaks().await;
    world.offered("Roll back to v2.4.0").await;
    world.stage.flip("blue");
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    let thread = world.run_ends(1, "recovered").await;
    assert!(thread.saying("somebody else was faster").is_some());
    assert_eq!(world.gate(&world.stage.new).await["allowed"], false);
    let open = incidents::list(world.bot.app.engine.store.reader(), false).await.unwrap();
    assert_eq!(open.len(), 1);
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_set_after_the_card_was_drawn_is_seen_whatever_else_is_odd() {
    let world = World::small("").await;
    // Something is odd already: the inventory knows nothing of what blue runs now.
    world.stage.shop.runs("blue", &artifact("v2.3.0"));
    world.http.records(&artifact("v2.3.0"), "blue", Some(world.bot.app.engine.now() - 5_400_000)).await;
    world.breaks().await;
    world.offered("Roll back to v2.3.0").await;
    assert!(!world.run(1).await.proposal.unwrap().caveats.is_empty());
    let carl = Actor::new("terminal:UCARL", "carl");
    let stability = Stability::Unstable { why: "it loses orders".into(), provisional: false };
    let digest = artifact("v2.3.0").digest;
    world.bot.app.engine.mark("checkout", &digest, &stability, "it loses orders", &carl, None).await.unwrap();
    world.presses(&world.ana, "Roll back to v2.3.0").await;
    world.presses(&world.ana, "Approve v2.3.0 anyway").await;
    world.reads("was marked unstable meanwhile").await;
    assert_eq!(world.stage.routed(), "green");
    poll("the page", Duration::from_secs(5), || world.stage.pagerduty.open().pop()).await;
    world.presses(&world.ben, "I'm on it").await;
    world.presses(&world.ben, "Hand over").await;
    world.run_ends(1, "handed over").await;
    world.ends().await;
}
