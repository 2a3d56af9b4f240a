//! What is typed and clicked, and what the thread then says.

use lastgood_tests::{database::Kind, standin::slack::Saw};

use super::world::{Way, World, snapshot};
use crate::chain::stage::{Stage, Wishes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_one_click_and_the_thread_tells_it_over_sockets() {
    alert_to_recovery(Way::Socket).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_over_http() {
    alert_to_recovery(Way::Http).await;
}

async fn alert_to_recovery(way: Way) {
    let world = World::open(Stage::set().await, Kind::Sqlite, way, Wishes::default()).await;
    world.breaks().await;
    let root = world.slack.offers("Roll back to v2.4.0").await;
    assert_eq!(world.slack.press(&world.ana, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.run_ends(1, "recovered").await;
    assert_eq!(world.stage.routed(), "blue");
    snapshot("recovered", &world, &root);
    world.ends().await;
}
