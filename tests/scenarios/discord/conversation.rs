//! From the first failing request to the recovered service, in Discord, with nothing between that is not the real program but
//! Discord itself.

use lastgood_tests::{client::Client, database::Kind, standin::discord::Saw};

use super::world::{ROOM, Way, World, snapshot};
use crate::chain::{
    outside::Outside,
    stage::{Stage, Wishes},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_one_click_and_the_thread_tells_it_over_the_gateway() {
    alert_to_recovery(Way::Gateway, Kind::Sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_over_http_on_postgresql() {
    alert_to_recovery(Way::Http, Kind::Postgres).await;
}

async fn alert_to_recovery(way: Way, kind: Kind) {
    let discord = World::server().await;
    let mut stage = Stage::set().await;
    let (outside, wishes) = Outside::told_in(&mut stage, None).await;
    let world = World::on(discord, stage, kind, way, wishes, ROOM).await;
    let customers = Client::start(&world.stage.url(), 40);
    outside.error_rate(|rate| rate == 0.0).await;

    world.deploy().await;
    customers.more(20).await;
    world.stage.shop.fail("green", 0.3);
    let card = world.discord.offers("Roll back to v2.4.0").await;
    assert!(card.says("summary: checkout answers with errors"), "{}", card.text());
    assert_eq!(world.discord.press(&world.ana, &card, "Roll back to v2.4.0").await, Saw::Change);
    world.run_ends(1, "recovered").await;
    assert_eq!(world.stage.routed(), "blue");
    outside.error_rate(|rate| rate == 0.0).await;
    let seen = customers.stop().await;
    assert_eq!(seen.unexplained().len(), 0, "{:?}", seen.unexplained());
    assert_eq!(seen.failed_in("blue"), 0);

    let thread = world.discord.thread_of(&card).expect("a thread");
    for text in ["approved, 1 of 1", "traffic is on v2.4.0", "recovered on v2.4.0"] {
        assert_eq!(world.discord.reads(text).await.channel, thread.id, "{text}");
    }
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_whole_thread_as_it_reads() {
    let world = World::small("").await;
    world.breaks().await;
    let root = world.discord.offers("Roll back to v2.4.0").await;
    assert_eq!(world.discord.press(&world.ana, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.run_ends(1, "recovered").await;
    assert_eq!(world.stage.routed(), "blue");
    snapshot("recovered", &world, &root);
    let room = world.discord.id_of(ROOM);
    let mut outside = world.discord.ours();
    outside.retain(|message| message.channel == room && message.id != root.id);
    assert!(outside.iter().all(|message| message.is_announcement()), "{outside:#?}");
    assert!(outside.iter().any(|message| message.says("recovered on v2.4.0")), "{outside:#?}");

    let closed =
        world.fills(&world.ana, "Close INC-1", &[("root_cause", "a cold cache"), ("was_release", "yes")]);
    assert_eq!(closed.await, Saw::Change);
    world.caught_up().await;
    let thread = world.discord.thread_of(&root).expect("a thread");
    assert!(thread.locked && thread.archived, "{thread:?}");
    assert!(thread.name.starts_with("INC-1 is closed"), "{thread:?}");
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forum_is_a_room_too() {
    let discord = World::server().await;
    discord.forum("outages");
    let stage = Stage::set().await;
    let world = World::on(discord, stage, Kind::Sqlite, Way::Gateway, Wishes::default(), "#outages").await;
    world.breaks().await;
    let root = world.discord.offers("Roll back to v2.4.0").await;
    assert_eq!(root.channel, root.id, "it begins a thread of its own");
    assert_eq!(world.discord.press(&world.ana, &root, "Roll back to v2.4.0").await, Saw::Change);
    world.run_ends(1, "recovered").await;
    assert!(world.discord.ours().iter().all(|message| message.channel == root.id));
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_people_clear_away_comes_back() {
    let world = World::small("").await;
    world.breaks().await;
    let root = world.discord.offers("Roll back to v2.4.0").await;
    // Nobody said anything for long: both the thread and its buttons still serve.
    world.caught_up().await;
    if let Some(thread) = world.discord.thread_of(&root) {
        world.discord.archive(&thread.id);
    }
    world.discord.delete(&root);
    world.discord.role("sre-oncall", &[&world.ben]);
    let told = world.discord.slash(&world.ben, ROOM, "rollback stop", &[]).await;
    drop(told);
    world.run_ends(1, "stopped").await;
    let anew = world.discord.reads("stopped").await;
    assert!(!anew.deleted);
    world.ends().await;
}
