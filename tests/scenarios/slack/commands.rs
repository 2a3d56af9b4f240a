//! What is typed: commands, mentions, the shortcut, and the bot's own page.

use lastgood::engine::delivery::Delivery;
use lastgood_core::{IncidentId, incident::Closing};
use serde_json::json;

use super::world::{ROOM, World, snapshot};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_can_be_typed_is_answered() {
    let world = World::small("").await;
    let slack = &world.slack;
    let ana = &world.ana;
    let said = async |typed: &str| slack.slash(ana, ROOM, typed).await.private();

    assert!(said("/rollback help").await.contains("/rollback mark SERVICE VERSION stable|unstable REASON…"));
    assert!(said("/rollback").await.contains("/incident close INCIDENT"));
    assert!(said("/rollback chekout").await.contains("did you mean checkout?"));
    assert!(said("/rollback statsu").await.contains("did you mean the command \"status\"?"));
    assert!(said("/rollback status").await.contains("No rollback is running."));
    assert!(said("/incident list").await.contains("No incident is open."));
    assert!(said("/incident show INC-9").await.contains("there is no INC-9"));
    assert!(said("/rollback history checkout").await.contains("v2.4.0"));
    assert!(said("/rollback stop").await.contains("no rollback is running in this room"));
    assert!(said("/rollback checkout v9.9.9").await.contains("checkout has no release \"v9.9.9\""));
    let told =
        slack.slash(&world.eve, ROOM, "/rollback mark checkout v2.4.0 unstable it leaks").await.private();
    assert!(told.contains("only an approver of checkout or its commander may mark its artifacts"), "{told}");
    let told = said("/rollback mark checkout v2.4.0 stable seen it all week").await;
    assert!(told.contains("is marked stable"), "{told}");
    assert!(said("/rollback history checkout").await.contains("· stable"));
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_needs_no_other_window() {
    let world = World::small("").await;
    world.broken().await;
    // Said to the bot, in the room.
    let told =
        world.slack.mention(&world.eve, ROOM, None, "rollback checkout carts are empty").await.private();
    assert!(told.contains("RB-1") && told.contains("the proposal follows here"), "{told}");
    let root = world.slack.offers("Roll back to v2.4.0").await;
    let told = world.slack.slash(&world.eve, ROOM, "/rollback checkout").await.private();
    assert!(told.contains("RB-1 is under way for checkout"), "{told}");
    // Whoever is named becomes commander; who that is, Slack says.
    let told = world.slack.slash(&world.ana, ROOM, "/rollback commander @ben").await.private();
    assert!(told.contains("The thread shows what follows"), "{told}");
    world.slack.reads(&format!("Commander: <{}>", world.ben.id)).await;
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.run_ends(1, "recovered").await;

    let page = world.slack.home(&world.eve).await;
    assert!(page.contains("[INC-1](https://shop.slack.com/archives/"), "{page}");
    let told =
        world.slack.slash(&world.eve, ROOM, "/incident close INC-1 the cache was cold").await.private();
    assert!(told.contains("only the incident commander or an approver"), "{told}");
    let told = world.slack.slash(&world.ana, ROOM, "/incident close INC-1").await.private();
    assert!(told.contains("root cause is missing"), "{told}");
    let filled = [("root_cause", "the cache was cold & <empty>"), ("was_release", "yes")];
    let modal = world.slack.press(&world.ana, &root, "Close INC-1").await.form();
    assert!(world.slack.submit(&world.ana, &modal, &filled).await.acknowledged);
    world.slack.reads("INC-1 is closed").await;
    world.caught_up().await;
    snapshot("asked_for", &world, &root);
    // The same delivery once more is answered the same; another one is told that it is too late.
    let engine = &world.bot.app.engine;
    let by = lastgood_core::Actor::new(format!("slack:{}", world.ana.id), "ana");
    let said = Closing { root_cause: "the cache was cold".into(), not_the_release: false };
    let sql = "SELECT delivery FROM inbox WHERE body = 'close incident'";
    let id: String = sqlx::query_scalar(sql).fetch_one(engine.store.reader()).await.unwrap();
    let again = Delivery { source: "slack".into(), id };
    engine.close_incident(IncidentId(1), &said, &by, Some(&again)).await.unwrap();
    let other = Delivery { source: "slack".into(), id: "another".into() };
    let late = engine.close_incident(IncidentId(1), &said, &by, Some(&other)).await.unwrap_err();
    assert!(late.to_string().contains("it was closed before"), "{late}");
    let told = world.slack.slash(&world.eve, ROOM, "/incident show INC-1").await.private();
    assert!(told.contains("Root cause: the cache was cold & <empty>"), "{told}");
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_pointed_at_gets_the_proposal_in_its_own_thread() {
    let world = World::small("").await;
    world.broken().await;
    let slack = &world.slack;
    let vague = slack.says(&world.eve, ROOM, "customers can't pay").await;
    let modal = slack.shortcut(&world.ana, &vague, "propose_rollback").await.form();
    let submitted =
        slack.submit(&world.ana, &modal, &[("service", "checkout"), ("reason", "see above")]).await;
    let told = slack.told(&world.ana, &submitted).await;
    assert!(told.contains("RB-1"), "{told}");
    let card = slack.offers("Roll back to v2.4.0").await;
    assert_eq!(card.thread_ts.as_deref(), Some(vague.ts.as_str()), "in that message's thread");
    world.fills(&world.ana, "Reject", &[]).await;
    world.run_ends(1, "rejected").await;

    let clear = slack.posts("Statuspage", ROOM, &json!({ "text": "checkout: users see errors" })).await;
    let told = slack.shortcut(&world.ana, &clear, "propose_rollback").await.private();
    assert!(told.contains("RB-2"), "{told}");
    world.fills(&world.ana, "Reject", &[]).await;
    world.run_ends(2, "rejected").await;
    world.ends().await;
}
