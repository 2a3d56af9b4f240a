//! Slack as it is on a bad day: answers lost, limits, sockets that end, an outage; and requests that are not Slack's.

use lastgood_tests::{
    database::Kind,
    standin::slack::{Forged, Saw},
};
use serde_json::json;

use super::world::{ROOM, Way, World, snapshot};
use crate::chain::stage::{Stage, Wishes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_means_looking_and_nothing_is_said_twice() {
    let world = World::small("").await;
    // The root, a reply, an edit; and one that really did not arrive.
    world.slack.lose_answer("chat.postMessage", 1);
    world.slack.lose_answer("chat.postMessage", 3);
    world.slack.lose_request("chat.postMessage", 4);
    world.slack.fail("chat.postMessage", 6);
    world.slack.lose_answer("chat.update", 1);
    world.slack.rate_limit("chat.update", 1, 1);
    world.breaks().await;
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.run_ends(1, "recovered").await;
    assert!(world.slack.calls("conversations.history") > 0, "the root was looked for");
    assert!(world.slack.calls("conversations.replies") > 0, "replies were looked for");
    let root = world.slack.reads("recovered on v2.4.0").await;
    let root = world.slack.thread(&root).remove(0);
    snapshot("recovered", &world, &root);
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_slack_the_rollback_goes_on_and_the_thread_is_complete_afterwards() {
    let world = World::small("").await;
    world.breaks().await;
    let root = world.slack.offers("Roll back to v2.4.0").await;
    world.caught_up().await;
    assert_eq!(world.slack.press(&world.ana, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.slack.down(true);
    assert_eq!(world.end_of(1).await.word(), "recovered");
    assert_eq!(world.stage.routed(), "blue");
    let (posts, updates) = (world.slack.ours().len(), world.slack.now(&root).revisions.len());
    world.slack.down(false);
    world.run_ends(1, "recovered").await;
    // In order and complete, as if nothing had happened; of the card only its latest state.
    snapshot("recovered", &world, &root);
    assert!(world.slack.ours().len() > posts);
    assert!(world.slack.now(&root).revisions.len() <= updates + 2, "no stale edits");
    world.slack.until_sockets(2).await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sockets_may_end_and_no_click_is_lost() {
    let world = World::small("").await;
    world.breaks().await;
    let root = world.slack.offers("Roll back to v2.4.0").await;
    // Announced: new ones open before the old ones end, and both are read.
    world.slack.announce_end("refresh_requested");
    world.slack.until_sockets(4).await;
    let told = world.slack.press(&world.eve, &root, "Roll back to v2.4.0").await.private();
    assert!(told.contains("only an approver"), "{told}");
    // Unannounced.
    world.slack.cut_sockets();
    world.slack.until_sockets(1).await;
    assert_eq!(world.slack.press(&world.ana, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.run_ends(1, "recovered").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_what_slack_signed_a_moment_ago_is_taken() {
    let world = World::open(Stage::set().await, Kind::Sqlite, Way::Http, Wishes::default()).await;
    world.broken().await;
    let command = json!({ "command": "/rollback", "text": "checkout", "user_id": world.ana.id,
        "channel_id": world.slack.id_of(ROOM), "trigger_id": "forged", "user_name": "ana" });
    for forged in [Forged::Unsigned, Forged::WrongSecret, Forged::Old, Forged::Tampered] {
        assert_eq!(world.slack.forge(&world.door(), Some(forged), &command).await, 401, "{forged:?}");
    }
    let db = world.bot.app.engine.store.reader();
    assert!(lastgood::store::rollbacks::recent(db, None, 10).await.unwrap().is_empty());
    // The same request, signed; and delivered again.
    assert_eq!(world.slack.forge(&world.door(), None, &command).await, 200);
    assert_eq!(world.slack.forge(&world.door(), None, &command).await, 200);
    world.slack.offers("Roll back to v2.4.0").await;
    assert_eq!(lastgood::store::rollbacks::recent(db, None, 10).await.unwrap().len(), 1);
    world.scene.bot.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_replica_slack_calls_a_click_counts_once() {
    let world = World::open(Stage::set().await, Kind::Postgres, Way::Http, Wishes::default()).await;
    let (second, door) = world.replica().await;
    world.broken().await;
    // The same delivery at both, as after an answer that came too late.
    let command = json!({ "command": "/rollback", "text": "checkout", "user_id": world.ana.id,
        "channel_id": world.slack.id_of(ROOM), "trigger_id": "one-and-the-same", "user_name": "ana" });
    let (first, other) = (world.door(), door.clone());
    let both =
        tokio::join!(world.slack.forge(&first, None, &command), world.slack.forge(&other, None, &command));
    assert_eq!(both, (200, 200));
    let root = world.slack.offers("Roll back to v2.4.0").await;
    // From here on the load balancer chooses the other one.
    world.slack.by_http(&door);
    let told = world.slack.press(&world.eve, &root, "Roll back to v2.4.0").await.private();
    assert!(told.contains("only an approver"), "{told}");
    assert_eq!(world.slack.press(&world.ana, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.run_ends(1, "recovered").await;
    let db = world.bot.app.engine.store.reader();
    assert_eq!(lastgood::store::rollbacks::recent(db, None, 10).await.unwrap().len(), 1);
    second.end().await;
    world.ends().await;
}
