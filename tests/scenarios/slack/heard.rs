//! Alerts that other programs post in the room.

use serde_json::{Value, json};

use super::world::{ROOM, World, snapshot};

/// As a real Alertmanager posts it to an incoming webhook, with its default template.
fn alertmanager(status: &str, count: u32) -> Value {
    let counted = if status == "FIRING" { format!(":{count}") } else { String::new() };
    let title = format!("[{status}{counted}] HighErrorRate (checkout critical)");
    json!({ "channel": "#incidents", "username": "Alertmanager", "attachments": [{
        "title": title, "title_link": "http://vm:4593/#/alerts?receiver=all", "text": "",
        "fallback": format!("{title} | http://vm:4593/#/alerts?receiver=all"), "callback_id": "", "footer": "",
        "fields": [{ "title": "Severity", "value": "critical", "short": false }],
        "actions": [{ "type": "button", "text": "Runbook", "url": "https://rb/x" }],
        "color": if status == "FIRING" { "danger" } else { "good" },
        "mrkdwn_in": ["fallback", "pretext", "text"] }] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_in_the_room_is_answered_in_its_own_thread_and_is_one_with_the_webhooks() {
    let world = World::small("").await;
    world.broken().await;
    let slack = &world.slack;
    slack.says(&world.eve, ROOM, "[FIRING:1] HighErrorRate (checkout critical)").await;
    let alert = slack.posts("Alertmanager", ROOM, &alertmanager("FIRING", 1)).await;
    let card = slack.offers("Roll back to v2.4.0").await;
    assert_eq!(card.thread_ts.as_deref(), Some(alert.ts.as_str()), "in the alert's own thread");
    assert!(card.says("[runbook](https://rb/x)"), "{}", card.text());
    assert!(card.says("http://vm:4593/#/alerts?receiver=all"), "{}", card.text());
    // The same alert by webhook, and in the room once more.
    world.fires().await;
    slack.posts("Alertmanager", ROOM, &alertmanager("FIRING", 2)).await;
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.run_ends(1, "recovered").await;
    let db = world.bot.app.engine.store.reader();
    assert_eq!(lastgood::store::rollbacks::recent(db, None, 10).await.unwrap().len(), 1, "one incident");
    let room = slack.id_of(ROOM);
    let outside =
        slack.ours().into_iter().filter(|message| message.channel == room && message.root() != alert.ts);
    assert_eq!(outside.count(), 0, "everything is in the alert's thread");
    snapshot("heard", &world, &alert);
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_alert_of_a_service_here_is_nobodys_business() {
    let world = World::small("").await;
    world.broken().await;
    let slack = &world.slack;
    slack.posts("Alertmanager", "#elsewhere", &alertmanager("FIRING", 1)).await;
    slack.posts("Weather", ROOM, &json!({ "text": "checkout: sunny, 20 degrees" })).await;
    slack.posts("Alertmanager", ROOM, &alertmanager("RESOLVED", 0)).await;
    // By the time this one is answered, those before it are done with.
    world.fires().await;
    slack.offers("Roll back to v2.4.0").await;
    let db = world.bot.app.engine.store.reader();
    assert_eq!(lastgood::store::rollbacks::recent(db, None, 10).await.unwrap().len(), 1);
    world.fills(&world.ana, "Reject", &[]).await;
    world.run_ends(1, "rejected").await;
    world.ends().await;
}
