//! Discord fails in the middle: nothing is lost, nothing is said twice.

use std::time::Duration;

use lastgood_tests::{
    database::Kind,
    process::poll_async,
    standin::discord::{Forged, Saw},
};

use super::world::{ROOM, Way, World};
use crate::chain::stage::{Stage, Wishes};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_becomes_of_a_call_everything_is_said_once() {
    let world = World::small("").await;
    let discord = &world.discord;
    discord.lose_answer("POST messages", 1);
    discord.lose_answer("POST messages", 3);
    discord.lose_request("POST messages", 4);
    discord.fail("POST messages", 5);
    discord.lose_answer("POST threads", 1);
    discord.lose_answer("PATCH messages", 1);
    discord.rate_limit("PATCH messages", 1, 0.5);
    world.breaks().await;
    let root = discord.offers("Roll back to v2.4.0").await;
    discord.lose_answer("POST callback", 1);
    assert_eq!(discord.press(&world.ana, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.run_ends(1, "recovered").await;
    assert_eq!(world.stage.routed(), "blue");
    let thread = discord.thread_of(&root).expect("a thread").id;
    for text in ["approved, 1 of 1", "traffic is on v2.4.0", "It is watched until", "recovered and is stable"]
    {
        let said =
            discord.ours().into_iter().filter(|message| message.channel == thread && message.says(text));
        assert_eq!(said.count(), 1, "{text}\n{}", discord.everything());
    }
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_discord_the_rollback_goes_on_and_the_thread_is_complete_afterwards() {
    let world = World::small("").await;
    let discord = &world.discord;
    world.breaks().await;
    let root = discord.offers("Roll back to v2.4.0").await;
    assert_eq!(discord.press(&world.ana, &root, "Roll back to v2.4.0").await, Saw::Change);
    discord.down(true);
    assert_eq!(world.end_of(1).await.word(), "recovered");
    assert_eq!(world.stage.routed(), "blue");
    discord.forget();
    discord.down(false);
    world.caught_up().await;
    let thread = discord.thread_of(&root).expect("a thread").id;
    let texts = ["approved, 1 of 1", "traffic is on v2.4.0", "recovered on v2.4.0"];
    let said: Vec<_> = discord.ours().into_iter().filter(|message| message.channel == thread).collect();
    let at: Vec<_> = texts.map(|text| said.iter().position(|message| message.says(text))).into();
    assert!(at.iter().all(Option::is_some) && at.is_sorted(), "{at:?}\n{}", discord.everything());
    let root = discord.now(&root);
    assert!(root.says("recovered"), "{}", root.text());
    assert!(root.revisions.len() < 12, "{} edits of one card", root.revisions.len());
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_goes_on_after_every_way_a_connection_ends() {
    let world = World::small("").await;
    let discord = &world.discord;
    let status = async || discord.slash(&world.ana, ROOM, "rollback status", &[]).await;
    discord.cut();
    resumed(&world, 1).await;
    assert!(status().await.private().contains("No rollback"));
    discord.reconnect();
    resumed(&world, 2).await;
    assert!(status().await.private().contains("No rollback"));
    discord.close_with(4_000);
    resumed(&world, 3).await;
    assert_eq!(discord.identifies(), 1, "one session through all of it");
    discord.invalidate();
    until(|| discord.identifies() == 2).await;
    discord.until_connected().await;
    assert!(status().await.private().contains("No rollback"));
    discord.close_with(4_009);
    until(|| discord.identifies() == 3).await;
    discord.until_connected().await;
    assert!(status().await.private().contains("No rollback"));
    world.ends().await;
}

/// Whether something came to be, within what a tired person would wait.
async fn until(there: impl Fn() -> bool) {
    poll_async("the gateway", Duration::from_secs(20), || async { there().then_some(()) }).await;
}

async fn resumed(world: &World, count: u32) {
    until(|| world.discord.resumes() == count).await;
    world.discord.until_connected().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_answers_no_heartbeat_is_given_up_and_what_it_missed_is_told() {
    let discord = World::server().await;
    discord.heartbeat(300);
    let stage = Stage::set().await;
    let world = World::on(discord, stage, Kind::Sqlite, Way::Gateway, Wishes::default(), ROOM).await;
    world.broken().await;
    world.discord.deaf(true);
    let alert =
        serde_json::json!({ "embeds": [{ "title": "[FIRING:1] HighErrorRate (checkout critical)" }] });
    world.discord.posts("Alertmanager", ROOM, &alert);
    until(|| world.discord.resumes() > 0).await;
    world.discord.deaf(false);
    world.discord.offers("Roll back to v2.4.0").await;
    world.fills(&world.ana, "Reject", &[]).await;
    world.run_ends(1, "rejected").await;
    assert_eq!(world.runs().await, 1);
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_answered_too_late_is_answered_in_the_room() {
    let world = World::small("").await;
    let (discord, eve) = (&world.discord, &world.eve);
    // Acknowledged, but the bot learns that late, and by then the 15 minutes are over.
    discord.slow(Duration::from_millis(1_500));
    let answered = async {
        until(|| discord.calls("POST callback") > 0).await;
        discord.expire_tokens();
        discord.slow(Duration::ZERO);
        discord.called(eve, "No rollback is running.").await
    };
    tokio::select! {
        saw = discord.slash(eve, ROOM, "rollback status", &[]) => panic!("{saw:?}"),
        message = answered => assert_eq!(message.channel, discord.id_of(ROOM)),
    }
    world.nothing_left().await;
    world.scene.bot.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_click_is_done_once_whichever_replica_hears_it() {
    let (discord, stage) = (World::server().await, Stage::set().await);
    let world = World::on(discord, stage, Kind::Postgres, Way::Gateway, Wishes::default(), ROOM).await;
    let other = world.replica().await;
    until(|| world.discord.identifies() == 2).await;
    world.breaks().await;
    let root = world.discord.offers("Roll back to v2.4.0").await;
    // Both are told of everything.
    let told = world.discord.slash(&world.eve, ROOM, "rollback status", &[]).await.private();
    assert!(told.contains("RB-1"), "{told}");
    let reject = world.discord.press(&world.ana, &root, "Reject").await.form();
    assert_eq!(reject.data["title"], "Reject the rollback");
    assert_eq!(world.discord.press(&world.ana, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.run_ends(1, "recovered").await;
    assert_eq!(world.discord.calls("POST callback"), 3, "one replica answers");
    other.end().await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_discord_is_believed_to_be_discord() {
    let discord = World::server().await;
    let stage = Stage::set().await;
    let world = World::on(discord, stage, Kind::Sqlite, Way::Http, Wishes::default(), ROOM).await;
    for forged in [Forged::Unsigned, Forged::WrongKey, Forged::Old, Forged::Tampered] {
        assert_eq!(world.discord.forge(&world.door(), forged).await, 401, "{forged:?}");
    }
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_overtakes_the_first_one_stays_private() {
    let (discord, stage) = (World::server().await, Stage::set().await);
    let world = World::on(discord, stage, Kind::Sqlite, Way::Http, Wishes::default(), ROOM).await;
    world.discord.knows_late(Duration::from_millis(700));
    let told = world.discord.slash(&world.ana, ROOM, "rollback status", &[]).await.private();
    assert!(told.contains("No rollback is running."), "{told}");
    assert!(world.discord.ours().is_empty(), "{}", world.discord.everything());
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_click_takes_effect_although_discord_never_hears_of_it() {
    let world = World::small("").await;
    world.breaks().await;
    let root = world.discord.offers("Roll back to v2.4.0").await;
    for nth in 1..=4 {
        world.discord.lose_request("POST callback", nth);
    }
    assert_eq!(world.discord.press(&world.ana, &root, "Roll back to v2.4.0").await, Saw::NoAnswer);
    world.run_ends(1, "recovered").await;
    // Pressed once more, for it looked as if nothing had happened.
    let told = world.discord.press(&world.ana, &root, "Roll back to v2.4.0").await.private();
    assert!(told.contains("recovered"), "{told}");
    world.ends().await;
}
