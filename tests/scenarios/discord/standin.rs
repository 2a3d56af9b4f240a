//! The stand-in and the judge refuse what Discord refuses: a test that only ever sees good bodies would prove nothing.

use lastgood_adapters::{
    Fault,
    chat::{Chat as _, Outgoing},
};
use lastgood_core::card::{Card, Colour, Picture};
use lastgood_tests::discord_clients::judge;
use serde_json::{Value, json};

use super::world::{ROOM, Way, World, section};
use crate::chain::stage::{Stage, Wishes};

fn refused(call: &str, body: Value) -> String {
    judge(&[(call.to_owned(), body)]).expect_err("it should be refused")
}

#[test]
fn the_judge_refuses_what_discord_does_not_know() {
    let messages = "POST channels/1/messages";
    let good = json!({ "content": "x", "allowed_mentions": { "parse": [] } });
    assert!(judge(&[(messages.to_owned(), good)]).unwrap().contains("1 judged"));
    assert!(refused(messages, json!({ "content": "x".repeat(4_001) })).contains("too_big"));
    assert!(refused(messages, json!({ "contents": "x" })).contains("unrecognized_keys"));
    let style =
        json!({ "components": [{ "type": 1, "components": [{ "type": 2, "style": 9, "custom_id": "x" }] }] });
    assert!(refused(messages, style).contains("invalid"));
    assert!(refused("POST nowhere", json!({})).contains("no validator"));
}

/// The adapter alone, without a bot.
async fn alone(
    discord: &lastgood_tests::standin::discord::Discord,
) -> lastgood_adapters::chat::discord::Discord {
    lastgood_tests::client::tls();
    let stage = Stage::set().await;
    let url = format!("sqlite:{}", stage.folder.path().join("x.db").display());
    let more = format!("\n{}", section(&stage, discord, Way::Gateway));
    let text = stage.configuration(&url, &Wishes { more, ..Wishes::default() });
    let (config, _) = lastgood::config::Config::parse(&text, "lastgood.toml").unwrap();
    lastgood::chat::discord(&config, vec![ROOM.to_owned()]).unwrap().unwrap()
}

fn message(nonce: &str) -> Outgoing {
    let card = Card::new(Colour::Neutral, "v2.4.1 is live").line("*text*");
    Outgoing { room: ROOM.into(), thread: None, nonce: nonce.into(), card, broadcast: false, last: false }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_found_again_and_a_picture_arrives() {
    let discord = World::server().await;
    let chat = alone(&discord).await;
    let sent = chat.post(&message("one")).await.unwrap();
    assert_eq!(chat.find(&message("one")).await, Ok(Some(sent.clone())));
    assert_eq!(chat.find(&message("two")).await, Ok(None));
    let below = Outgoing { thread: Some(sent), ..message("three") };
    assert_eq!(chat.find(&below).await, Ok(None), "there is no thread yet");
    let picture = Picture {
        file_name: "errors.png".into(),
        media_type: "image/png".into(),
        alt: "the error rate".into(),
        bytes: b"\x89PNG\r\n\x1a\n--boundary".to_vec(),
    };
    let drawn = Outgoing { card: Card { picture: Some(picture.clone()), ..below.card.clone() }, ..below };
    chat.post(&drawn).await.unwrap();
    assert_eq!(discord.uploaded(), [picture.bytes]);
    assert!(discord.reads("(picture attachment://errors.png)").await.says("*text*"));
    super::world::nothing_refused(&discord).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_answered_before_they_are_reached() {
    let discord = World::server().await;
    let chat = alone(&discord).await;
    for number in 0..5 {
        chat.post(&message(&format!("m{number}"))).await.unwrap();
    }
    let limited = chat.post(&message("m5")).await;
    assert!(matches!(limited, Err(Fault::RateLimited { after: Some(_), .. })), "{limited:?}");
    assert_eq!(
        (discord.calls("POST messages"), discord.limited()),
        (5, 0),
        "nothing is sent into an empty bucket"
    );

    // Told by its refusal only: held to the end of the call, which then has changed nothing.
    let discord = World::server().await;
    discord.tells_no_limits();
    let chat = alone(&discord).await;
    for number in 0..5 {
        chat.post(&message(&format!("m{number}"))).await.unwrap();
    }
    let limited = chat.post(&message("m5")).await;
    assert!(matches!(limited, Err(Fault::RateLimited { after: Some(_), .. })), "{limited:?}");
    assert_eq!(discord.limited(), 1);

    discord.global_limit(std::time::Duration::from_secs(30));
    let at = lastgood_adapters::chat::MessageRef("1/2".into());
    let card = message("x").card;
    let limited = chat.update(&at, &card).await;
    assert!(matches!(limited, Err(Fault::RateLimited { .. })), "{limited:?}");
    let invalid = discord.invalid();
    assert!(matches!(chat.update(&at, &card).await, Err(Fault::RateLimited { .. })));
    assert_eq!(discord.invalid(), invalid, "nor during a global limit");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_person_has_to_change_is_told_apart_from_what_passes() {
    let discord = World::server().await;
    let chat = alone(&discord).await;
    let nowhere = Outgoing { room: "#nowhere".into(), ..message("a") };
    assert!(
        matches!(chat.post(&nowhere).await, Err(Fault::Denied(why)) if why.contains("no channel #nowhere"))
    );
    discord.deny(ROOM, 1 << 11);
    assert!(
        matches!(chat.post(&message("b")).await, Err(Fault::Denied(why)) if why.contains("lacks a permission"))
    );
    discord.down(true);
    let unreachable = chat.post(&message("c")).await;
    assert!(matches!(unreachable, Err(Fault::Unknown(_) | Fault::Unavailable(_))), "{unreachable:?}");
    assert!(matches!(chat.person("discord:5").await, Err(Fault::Unavailable(_))));
}
