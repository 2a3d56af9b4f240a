//! `lastgood check` names what is missing.

use lastgood_adapters::{Check, check::Verdict};
use lastgood_tests::standin::discord::Discord;

use super::world::{ROOM, Way, World, section};
use crate::chain::stage::Stage;
use lastgood::config::Config;
use lastgood_adapters::chat::Chat as _;

async fn lines(discord: &Discord, way: Way, room: &str, role: &str) -> Vec<Check> {
    lastgood_tests::client::tls();
    let stage = Stage::set().await;
    let url = format!("sqlite:{}", stage.folder.path().join("x.db").display());
    let wishes = crate::chain::stage::Wishes {
        more: format!("\n{}", section(&stage, discord, way)),
        ..Default::default()
    };
    let text = stage.configuration(&url, &wishes);
    let (config, _) = Config::parse(&text, "lastgood.toml").unwrap();
    let rooms = vec![room.to_owned()];
    let chat = lastgood::chat::discord(&config, rooms.clone()).unwrap().unwrap();
    let mut lines = chat.check(&rooms).await;
    lines.extend(chat.check_groups(&[role.to_owned()]).await);
    lines
}

fn bad(lines: &[Check]) -> String {
    let bad = lines.iter().filter(|line| !matches!(line.verdict, Verdict::Good(_)));
    bad.map(|line| format!("{line:?}\n")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_named() {
    let discord = World::server().await;
    discord.role("sre-oncall", &[]);
    let good = lines(&discord, Way::Gateway, ROOM, "@sre-oncall").await;
    assert_eq!(bad(&good), "");

    discord.deny(ROOM, 1 << 34 | 1 << 16);
    let told = bad(&lines(&discord, Way::Gateway, ROOM, "@sre-oncall").await);
    assert!(told.contains("Manage Threads") && told.contains("Read Message History"), "{told}");
    let told = bad(&lines(&discord, Way::Gateway, "#nowhere", "@nobody").await);
    assert!(told.contains("no channel #nowhere") && told.contains("no role @nobody"), "{told}");
    discord.channel_of_that_name(ROOM);
    let told = bad(&lines(&discord, Way::Gateway, ROOM, "@sre-oncall").await);
    assert!(told.contains("several channels #incidents"), "{told}");
    discord.privileged(false);
    discord.endpoint(Some("https://bot.example.com/chat/discord/interactions"));
    let told = bad(&lines(&discord, Way::Gateway, "#general", "@sre-oncall").await);
    assert!(
        told.contains("Privileged Gateway Intents") && told.contains("empty the application's"),
        "{told}"
    );
    discord.endpoint(None);
    let told = bad(&lines(&discord, Way::Http, "#general", "@sre-oncall").await);
    assert!(told.contains("Discord knows no address"), "{told}");
}
