//! Traffic that goes back in steps, and what stops it on its way; and an inventory that believes something else than what runs.

use std::time::Duration;

use lastgood_core::rollback::{Phase, Why};
use lastgood_tests::{database::Kind, process::poll};

use super::{
    stage::{Stage, Wishes},
    world::{World, snapshot},
};

/// By weights, in steps; v2.4.1 in green has everything and is broken.
async fn broken(service: &str) -> World {
    let stage = Stage::set().await;
    let (traffic, health) = stage.by_weight();
    let wishes = Wishes {
        service: service.to_owned(),
        traffic: Some(traffic),
        health: Some(health),
        ..Wishes::default()
    };
    let world = World::open(stage, Kind::Sqlite, &wishes).await;
    world.stage.weigh(0);
    world.breaks().await;
    world
}

const STEPS: &str = "shift = { steps = ['10%', '50%', '100%'], every = '300ms' }";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn traffic_goes_back_in_steps_that_the_thread_tells() {
    let world = broken(STEPS).await;
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    poll("the first step", Duration::from_secs(10), || (world.stage.weighed() == 10).then_some(())).await;
    poll("the second step", Duration::from_secs(10), || (world.stage.weighed() == 50).then_some(())).await;
    let thread = world.run_ends(1, "recovered").await;
    assert_eq!(world.stage.weighed(), 100);
    snapshot("in_steps", &thread);
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_bad_itself_gets_no_more_and_a_person_decides() {
    let world = broken("shift = { steps = ['10%', '100%'], every = '2s' }").await;
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.reads("a step is done").await;
    world.stage.shop.healthy("blue", false);
    world.reads("v2.4.0 is not well itself, the shift stopped").await;
    assert_eq!(world.stage.weighed(), 10, "no further step");
    let page = poll("the page", Duration::from_secs(5), || world.stage.pagerduty.open().pop()).await;
    assert!(page.summary.contains("the target itself is not well"), "{page:?}");
    // It was a hiccup after all: somebody looks, and lets it go on from where it is.
    world.stage.shop.healthy("blue", true);
    world.presses(&world.ben, "I'm on it").await;
    world.presses(&world.ben, "Go on all the same").await;
    let thread = world.run_ends(1, "recovered").await;
    assert_eq!(world.stage.weighed(), 100);
    snapshot("bad_target", &thread);
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_hand_between_two_steps_is_not_fought() {
    let world = broken("shift = { steps = ['10%', '100%'], every = '1s', watch = false }").await;
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.reads("a step is done").await;
    world.stage.weigh(0);
    world.reads("traffic was moved by another hand").await;
    let phase = world.run(1).await.phase;
    let Phase::Escalated { why: Why::MovedByAnotherHand { detail, .. } } = phase else { panic!("{phase:?}") };
    assert!(detail.contains("expected blue 10 %, green 90 %, found green 100 %"), "{detail}");
    assert_eq!(world.stage.weighed(), 0, "not fought");
    world.presses(&world.ben, "I'm on it").await;
    world.presses(&world.ben, "Hand over").await;
    world.run_ends(1, "handed over").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_between_two_steps_leaves_traffic_where_it_is() {
    let world = broken("shift = { steps = ['10%', '100%'], every = '1m' }").await;
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.reads("a step is done").await;
    world.presses(&world.ana, "Stop").await;
    world.reads("stopped by").await;
    assert_eq!(world.stage.weighed(), 10);
    // Killed and started anew, it waits for a person all the same.
    let world = world.restart().await;
    world.presses(&world.ana, "Hand over").await;
    world.run_ends(1, "stopped").await;
    assert_eq!(world.stage.weighed(), 10);
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bot_that_is_restarted_between_two_steps_goes_on() {
    let world = broken("shift = { steps = ['10%', '50%', '100%'], every = '1s' }").await;
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.reads("a step is done").await;
    let world = world.restart().await;
    world.run_ends(1, "recovered").await;
    assert_eq!(world.stage.weighed(), 100);
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_was_recorded_and_never_switched_to_costs_one_more_click() {
    let world = World::small("").await;
    world.breaks().await;
    world.offered("Roll back to v2.4.0").await;
    world.fills(&world.ana, "Reject", &[]).await;
    world.run_ends(1, "rejected").await;
    // A pipeline says that v2.4.3 went live in blue. It did not: blue runs v2.4.0, and has no traffic.
    let ghost = lastgood_tests::shop::artifact("v2.4.3");
    world.http.records(&ghost, "blue", None).await;
    let asked = world.chat.command(&world.ana, super::world::ROOM, "/rollback checkout v2.4.0").await;
    drop(asked);
    let proposal = world.reads("but the router sends blue nothing").await;
    assert!(proposal.saying("blue runs").is_some(), "what runs there is said as well");
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.reads("one more click is needed").await;
    assert_eq!(world.stage.routed(), "green", "not yet");
    world.presses(&world.ana, "Approve v2.4.0 anyway").await;
    world.run_ends(2, "recovered").await;
    assert_eq!(world.stage.routed(), "blue");
    world.ends().await;
}

/// Semantics, 1: the canary is what fails, the stable version is the target, though it has been live for a few minutes only.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_goes_back_to_nothing() {
    let stage = Stage::set().await;
    let (traffic, health) = stage.by_weight();
    // The service's own rate: nobody answers there, and the proposal says that it would say little.
    let rate = "metrics = [{ name = 'error rate', kind = 'prometheus', url = 'http://127.0.0.1:9', errors = \
                'sum(increase(failed_total[1s]))', total = 'sum(increase(all_total[1s]))', timeout = '100ms' }]";
    let wishes =
        Wishes { traffic: Some(traffic), health: Some(format!("{health}\n{rate}")), ..Wishes::default() };
    let world = World::open(stage, Kind::Sqlite, &wishes).await;
    world.stage.weigh(95);
    let canary = serde_json::json!({ "service": "checkout", "version": world.stage.new.version,
        "digest": world.stage.new.digest, "pool": "green", "phase": "canary", "by": "ci" });
    let (status, answer) = world.http.post("/v1/deployments", super::stage::CI_TOKEN, &canary).await;
    assert_eq!(status, 201, "{answer}");
    world.alertmanager_sends(&[("HighErrorRate", "firing")]).await;
    let thread =
        world.reads("has 5 % of the traffic: the service's own error rate says little about it").await;
    assert!(thread.root.says("roll back to v2.4.0"), "{}", thread.transcript());
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    poll("the canary at nothing", Duration::from_secs(10), || (world.stage.weighed() == 100).then_some(()))
        .await;
    // Nothing tells whether it helped: a person is called, and the thread says why.
    world.reads("no data to tell whether it recovered").await;
    world.presses(&world.ana, "Hand over").await;
    world.run_ends(1, "handed over").await;
    world.ends().await;
}
