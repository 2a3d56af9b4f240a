//! Alerts that other programs post in the room.

use std::time::Duration;

use lastgood_tests::{process::poll_async, standin::discord::APP};
use serde_json::{Value, json};

use super::world::{ROOM, World, snapshot};

/// As Alertmanager posts it to a Discord webhook, with its default template: title and message as an embed.
fn alertmanager(status: &str, count: u32) -> Value {
    let counted = if status == "FIRING" { format!(":{count}") } else { String::new() };
    json!({ "username": "Alertmanager", "content": "", "embeds": [{
        "title": format!("[{status}{counted}] HighErrorRate (checkout critical)"),
        "url": "http://vm:4593/#/alerts?receiver=all",
        "description": "Alerts Firing:\nLabels:\n - alertname = HighErrorRate\n - service = checkout\n - severity = critical\n\
                        Annotations:\n - runbook = [Runbook](https://rb/x)\nSource: http://prometheus/graph\n",
        "color": if status == "FIRING" { 10_038_562 } else { 3_066_993 } }] })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_in_the_room_is_answered_in_its_own_thread_and_is_one_with_the_webhooks() {
    let world = World::small("").await;
    world.broken().await;
    let discord = &world.discord;
    discord.says(&world.eve, ROOM, "[FIRING:1] HighErrorRate (checkout critical)");
    let alert = discord.posts("Alertmanager", ROOM, &alertmanager("FIRING", 1));
    let card = discord.offers("Roll back to v2.4.0").await;
    assert_eq!(card.channel, alert.id, "in the alert's own thread");
    assert!(card.says("http://vm:4593/#/alerts?receiver=all"), "{}", card.text());
    // The same alert by webhook, and in the room once more.
    world.fires().await;
    discord.posts("Alertmanager", ROOM, &alertmanager("FIRING", 2));
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.run_ends(1, "recovered").await;
    assert_eq!(world.runs().await, 1, "one incident");
    snapshot("heard", &world, &alert);
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_in_a_thread_that_is_there_is_answered_in_it() {
    let world = World::small("").await;
    world.broken().await;
    let thread = world.discord.thread(ROOM, "the big sale");
    world.discord.posts("Alertmanager", &thread, &alertmanager("FIRING", 1));
    let card = world.discord.offers("Roll back to v2.4.0").await;
    assert_eq!(card.channel, thread);
    world.discord.archive(&thread);
    world.fills(&world.ana, "Reject", &[]).await;
    world.run_ends(1, "rejected").await;
    assert!(!world.discord.now(&card).has_button("Reject"), "also in a thread that had folded away");
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_alert_of_a_service_here_is_nobodys_business() {
    let world = World::small("").await;
    world.broken().await;
    world.discord.posts("Alertmanager", "#elsewhere", &alertmanager("FIRING", 1));
    world.discord.posts("Weather", ROOM, &json!({ "content": "checkout: sunny, 20 degrees" }));
    world.discord.posts("Alertmanager", ROOM, &alertmanager("RESOLVED", 0));
    let echo =
        json!({ "embeds": [{ "title": "[FIRING:1] checkout", "footer": { "text": "lastgood · 1" } }] });
    world.discord.posts("another lastgood", ROOM, &echo);
    // By the time this one is answered, those before it are done with.
    world.fires().await;
    world.discord.offers("Roll back to v2.4.0").await;
    assert_eq!(world.runs().await, 1);
    let kept = async || {
        let sql = "SELECT COUNT(*) FROM deliveries WHERE delivery LIKE 'message/%'";
        let db = world.bot.app.engine.store.reader();
        sqlx::query_scalar::<_, i64>(sql).fetch_one(db).await.unwrap()
    };
    poll_async("both of the room's", Duration::from_secs(10), || async { (kept().await >= 2).then_some(()) })
        .await;
    world.fills(&world.ana, "Reject", &[]).await;
    world.run_ends(1, "rejected").await;
    assert_eq!(kept().await, 2, "what is posted elsewhere is not even kept");
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_posted_while_nobody_listened_is_heard_afterwards() {
    let world = World::small("").await;
    world.broken().await;
    world.discord.down(true);
    world.discord.until_gone().await;
    world.discord.forget();
    let alert = world.discord.posts("Alertmanager", ROOM, &alertmanager("FIRING", 1));
    world.discord.slow(Duration::from_millis(200));
    world.discord.down(false);
    // People talk on, and are heard before the room's history is read.
    until_identified(&world, 2).await;
    world.discord.says(&world.eve, ROOM, "is anybody there?");
    world.discord.slow(Duration::ZERO);
    let card = world.discord.offers("Roll back to v2.4.0").await;
    assert_eq!(card.channel, alert.id, "in the alert's own thread");
    world.fills(&world.ana, "Reject", &[]).await;
    world.run_ends(1, "rejected").await;
    assert_eq!(world.runs().await, 1);
    world.ends().await;
}

async fn until_identified(world: &World, count: u32) {
    let there = || async { (world.discord.identifies() == count).then_some(()) };
    poll_async("another session", Duration::from_secs(20), there).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thread_that_somebody_else_opened_stays_open_when_the_incident_closes() {
    let world = World::small("").await;
    world.broken().await;
    let thread = world.discord.thread(ROOM, "the big sale");
    world.discord.posts("Alertmanager", &thread, &alertmanager("FIRING", 1));
    let card = world.discord.offers("Roll back to v2.4.0").await;
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.run_ends(1, "recovered").await;
    world.fills(&world.ana, "Close INC-1", &[("root_cause", "a cold cache"), ("was_release", "yes")]).await;
    world.discord.reads("INC-1 is closed").await;
    world.caught_up().await;
    let seen = world.discord.thread_of(&card).expect("the thread");
    assert!(!seen.locked && !seen.archived && seen.name == "the big sale", "{seen:?}");
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_said_in_another_server_is_not_answered() {
    let world = World::small("").await;
    let said = json!({ "id": "1574396173232373762", "channel_id": world.discord.id_of(ROOM), "guild_id": "1",
        "type": 0, "content": format!("<@{APP}> status"), "author": { "id": world.ana.id, "username": "ana" } });
    world.discord.tell("MESSAGE_CREATE", &said);
    // Said later, and answered.
    world.discord.mention(&world.ana, ROOM, "status").await;
    let answers = world.discord.ours().into_iter().filter(|message| message.says("No rollback is running."));
    assert_eq!(answers.count(), 1);
    world.ends().await;
}
