//! Slack and Discord at once: one incident in two rooms.

use std::time::Duration;

use lastgood_tests::{
    database::Kind,
    process::poll_async,
    standin::{discord, slack},
};

use crate::{
    chain::{
        scene::Scene,
        stage::{Stage, Wishes},
    },
    discord as on_discord, slack as on_slack,
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_decided_in_one_room_shows_in_the_other() {
    let (slack, discord) = (on_slack::World::workspace().await, on_discord::World::server().await);
    let (sara, dora) = (slack.person("sara"), discord.person("dora"));
    slack.group("@sre-oncall", &[&sara]);
    discord.role("sre-oncall", &[&dora]);
    let stage = Stage::set().await;
    let more = format!(
        "\n{}\n{}",
        on_slack::section(&stage, &slack, on_slack::Way::Socket),
        on_discord::section(&stage, &discord, on_discord::Way::Gateway)
    );
    let wishes = Wishes { service: "approvals = 2".to_owned(), more, ..Wishes::default() };
    let rooms = "rooms = ['slack:#incidents', 'discord:#incidents']";
    let approvers = "['slack:@sre-oncall', 'discord:@sre-oncall']";
    let scene = Scene::set(stage, Kind::Sqlite, &wishes, rooms, approvers).await;
    slack.until_sockets(2).await;
    discord.until_connected().await;
    scene.begins().await;
    scene.breaks().await;

    let there = slack.offers("Roll back to v2.4.0").await;
    let here = discord.offers("Roll back to v2.4.0").await;
    assert_eq!(slack.press(&sara, &there, "Roll back to v2.4.0").await, slack::Saw::Change);
    discord.reads("@sara approved v2.4.0").await;
    assert_eq!(discord.press(&dora, &here, "Roll back to v2.4.0").await, discord::Saw::Change);
    slack.reads("@dora approved v2.4.0").await;
    assert_eq!(scene.end_of(1).await.word(), "recovered");
    scene.caught_up().await;
    let (there, here) = (slack.now(&there).text(), discord.now(&here).text());
    for card in [&there, &here] {
        assert!(card.contains("recovered on v2.4.0") && card.contains("[Close INC-1]"), "{card}");
    }
    // One of them is down: the other goes on, and both tell the same in the end.
    slack.down(true);
    let root = discord.offers("Close INC-1").await;
    let form = discord.press(&dora, &root, "Close INC-1").await.form();
    let filled = [("root_cause", "a cold cache"), ("was_release", "yes")];
    assert_eq!(discord.submit(&dora, &form, &filled).await, discord::Saw::Change);
    discord.reads("INC-1 is closed").await;
    slack.down(false);
    slack.reads("INC-1 is closed").await;
    poll_async("both to be told", Duration::from_secs(30), || async {
        let told = slack.ours().iter().filter(|message| message.says("a cold cache")).count();
        (told >= 2).then_some(())
    })
    .await;
    scene.nothing_left().await;
    assert_eq!(scene.runs().await, 1);
    on_discord::nothing_refused(&discord).await;
    scene.bot.end().await;
}
