//! From the first failing request to the recovered service, in Slack, with nothing between that is not the real program but
//! Slack itself. Alertmanager tells it twice: to the bot, and in the room.

use lastgood_tests::{
    client::Client,
    database::Kind,
    standin::slack::{Message, Saw},
};

use super::world::{Way, World, snapshot};
use crate::chain::{outside::Outside, stage::Stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_one_click_and_the_thread_tells_it_over_sockets() {
    alert_to_recovery(Way::Socket, Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_over_http_on_postgresql() {
    alert_to_recovery(Way::Http, Kind::Postgres).await;
}

async fn alert_to_recovery(way: Way, kind: Kind) {
    let slack = World::workspace().await;
    let mut stage = Stage::set().await;
    let (outside, wishes) = Outside::told_in(&mut stage, Some(&slack.webhook("Alertmanager"))).await;
    let world = World::on(slack, stage, kind, way, wishes).await;
    let customers = Client::start(&world.stage.url(), 40);
    outside.error_rate(|rate| rate == 0.0).await;

    world.deploy().await;
    customers.more(20).await;
    world.stage.shop.fail("green", 0.3);
    let card = world.slack.offers("Roll back to v2.4.0").await;
    assert_eq!(world.slack.press(&world.ana, &card, "Roll back to v2.4.0").await, Saw::Change);
    world.run_ends(1, "recovered").await;
    assert_eq!(world.stage.routed(), "blue");
    outside.error_rate(|rate| rate == 0.0).await;
    let seen = customers.stop().await;
    assert_eq!(seen.unexplained().len(), 0, "{:?}", seen.unexplained());
    assert_eq!(seen.failed_in("blue"), 0);

    let runs =
        lastgood::store::rollbacks::recent(world.bot.app.engine.store.reader(), None, 10).await.unwrap();
    assert_eq!(runs.len(), 1, "told twice, and one incident");
    told(&world, &card).await;
    world.ends().await;
}

/// Whichever came first, the thread is complete; in the alert's own thread when that was first.
async fn told(world: &World, card: &Message) {
    let alert = world.slack.theirs("Alertmanager").await;
    assert!(alert.text().contains("[FIRING:1] HighErrorRate"), "{}", alert.text());
    let here = card.thread_ts.as_deref() == Some(alert.ts.as_str());
    if here {
        assert!(card.says("[runbook](https://rb/x)"), "{}", card.text());
    }
    for text in ["approved, 1 of 1", "traffic is on v2.4.0", "recovered on v2.4.0"] {
        let message = world.slack.reads(text).await;
        assert_eq!(message.root(), card.root(), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_thread_as_it_reads() {
    let world = World::small("").await;
    world.breaks().await;
    let root = world.slack.offers("Roll back to v2.4.0").await;
    assert_eq!(world.slack.press(&world.ana, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.run_ends(1, "recovered").await;
    assert_eq!(world.stage.routed(), "blue");
    snapshot("recovered", &world, &root);
    world.ends().await;
}
