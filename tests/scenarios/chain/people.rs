//! Who may decide, how many it takes, and what happens when nobody does.

use lastgood::store::incidents;
use lastgood_adapters::chat::Answer;
use lastgood_core::rollback::Phase;

use super::world::{ROOM, World, snapshot};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_asks_for_it_is_not_one_of_the_two_who_approve() {
    let world = World::small("approvals = 2\nrequester_may_approve = false").await;
    world.chat.group("@oncall", &[]);
    let carl = world.chat.person("carl");
    world.deploy().await;
    world.stage.shop.healthy("green", false);
    let answer = world.chat.command(&world.ana, ROOM, "/rollback checkout v2.4.0 carts are empty").await;
    assert!(matches!(answer, Answer::Private(_)), "{answer:?}");

    let told = world.refused(&world.ana, "Roll back to v2.4.0").await;
    assert!(told.contains("asked for"), "{told}");
    world.presses(&world.ben, "Roll back to v2.4.0").await;
    world.reads("approved, 1 of 2").await;
    let told = world.refused(&world.ben, "Roll back to v2.4.0").await;
    assert!(told.contains("already"), "{told}");
    assert_eq!(world.stage.routed(), "green");
    world.presses(&carl, "Roll back to v2.4.0").await;
    let thread = world.run_ends(1, "recovered").await;
    assert_eq!(world.stage.routed(), "blue");
    snapshot("two_approvals", &thread);
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wrong_person_is_told_so_in_private() {
    let world = World::small("").await;
    world.breaks().await;
    let before = world.offered("Roll back to v2.4.0").await;
    world.caught_up().await;
    let posts = world.chat.calls().posts;
    let told = world.refused(&world.eve, "Roll back to v2.4.0").await;
    assert!(told.contains("only an approver of checkout may do that in RB-1"), "{told}");
    assert_eq!((world.chat.calls().posts, &world.chat.message(&before.at)), (posts, &before));
    assert!(matches!(world.run(1).await.phase, Phase::Proposed { .. }));

    world.fills(&world.ben, "Reject", &[("reason", "the shop is closed today")]).await;
    let thread = world.run_ends(1, "rejected").await;
    assert_eq!(world.stage.routed(), "green");
    let all = incidents::list(world.bot.app.engine.store.reader(), true).await.unwrap();
    assert_eq!(all.len(), 0, "a rejected proposal opens no incident");
    assert_eq!(world.gate(&world.stage.new).await["allowed"], true);
    snapshot("rejected", &thread);
    // A click on what was there a moment ago is answered, too.
    match world.chat.press(&world.ana, "Roll back to v2.4.0", &before.at).await {
        Answer::Private(card) => assert!(card.plain().contains("rejected by ben"), "{}", card.plain()),
        other => panic!("{other:?}"),
    }
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_expires_and_while_the_alert_fires_somebody_is_called() {
    let world = World::small("expires_after = '2s'\nanswer_within = '1s'").await;
    world.breaks().await;
    world.reads("nobody decided").await;
    world.reads("oncall was paged (call 2)").await;
    world.alertmanager_sends(&[("HighErrorRate", "resolved")]).await;
    world.presses(&world.ben, "I'm on it").await;
    // Nothing fires any more: this time it expires quietly.
    world.presses(&world.ben, "Propose again").await;
    world.offered("Roll back to v2.4.0").await;
    let thread = world.run_ends(1, "expired").await;
    assert_eq!(world.stage.routed(), "green");
    snapshot("expired", &thread);
    world.ends().await;
}
