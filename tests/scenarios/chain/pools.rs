//! What a pool runs and whether it is well, where neither is quite certain.

use lastgood_tests::{
    database::{Kind, both},
    shop::artifact,
};
use serde_json::json;

use super::{
    stage::{CI_TOKEN, Stage, Wishes},
    world::World,
};

/// A hotfix goes into a pool that tells no version, and the pipeline forgets to say into which.
async fn a_record_without_its_pool(kind: Kind) {
    let wishes = Wishes { blind: &["blue", "green"], ..Wishes::default() };
    let world = World::open(Stage::set().await, kind, &wishes).await;
    world.deploy().await;
    let hotfix = artifact("v2.4.2");
    world.stage.shop.runs("green", &hotfix);
    let record = |pool: Option<&str>| json!({ "service": "checkout", "version": hotfix.version, "digest": hotfix.digest, "pool": pool });
    let (status, answer) = world.http.post("/v1/deployments", CI_TOKEN, &record(None)).await;
    let warning = answer["warnings"][0].as_str().unwrap_or_default();
    assert!(status == 201 && warning.starts_with("pool is missing"), "{answer}");

    world.stage.shop.healthy("green", false);
    world.alertmanager_sends(&[("HighErrorRate", "firing")]).await;
    // v2.4.1 is not blamed for it, and nobody is sent to what blue may run.
    let thread = world.reads("No version to go back to").await;
    for pool in ["blue", "green"] {
        assert!(
            thread.saying(&format!("what {pool} runs is not known: v2.4.2")).is_some(),
            "{}",
            world.chat.transcript(super::world::ROOM)
        );
    }
    assert_eq!(world.run(1).await.proposal.and_then(|proposal| proposal.failing), None);

    let (status, answer) = world.http.post("/v1/deployments", CI_TOKEN, &record(Some("green"))).await;
    assert_eq!((status, &answer["warnings"]), (201, &json!([])), "{answer}");
    world.presses(&world.ana, "Look again").await;
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.run_ends(1, "recovered").await;
    let proposal = world.run(1).await.proposal.unwrap();
    assert_eq!(proposal.failing.unwrap().artifact, hotfix);
    assert_eq!(world.stage.routed(), "blue");
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_pool_runs_is_not_known_after_a_record_without_its_pool() {
    for kind in both() {
        a_record_without_its_pool(kind).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_bad_answer_of_a_health_check_is_no_reason_not_to_shift() {
    let world = World::small("").await;
    world.breaks().await;
    world.offered("Roll back to v2.4.0").await;
    world.stage.shop.pool("blue")[0].hiccups(1);
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.run_ends(1, "recovered").await;
    assert_eq!((world.stage.routed().as_str(), world.stage.pagerduty.pages().len()), ("blue", 0));
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_bad_answers_in_a_row_are() {
    let world = World::small("").await;
    world.breaks().await;
    world.offered("Roll back to v2.4.0").await;
    world.stage.shop.pool("blue")[0].hiccups(2);
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.reads("blue is not healthy, twice in a row").await;
    assert_eq!(world.stage.routed(), "green");
    world.presses(&world.ben, "I'm on it").await;
    world.presses(&world.ben, "Hand over").await;
    world.run_ends(1, "handed over").await;
    world.ends().await;
}
