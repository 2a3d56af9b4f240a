//! `[chats.discord]`.

use super::{SMALL, Secrets, problems};

#[test]
fn every_mistake_says_what_is_needed() {
    let secrets = Secrets::new();
    let discord = |lines: &str| {
        let text = SMALL.replace("terminal:", "discord:#incidents");
        let text = format!("{text}[chats.discord]\n{lines}");
        let named = secrets.put_in(&text);
        // The files' folder differs from run to run.
        problems(&named)
            .into_iter()
            .map(|problem| problem.replace(&secrets.path("").display().to_string(), ""))
            .collect::<Vec<_>>()
    };
    let token = r#"token = { env = "DISCORD_TOKEN" }"#;
    let good = format!("{token}\nguild = \"613425648685547541\"\n");
    assert_eq!(discord(&good), [""; 0]);
    let told = discord(&format!("{token}\nguild = \"Shop\""));
    assert!(told[0].contains("chats.discord.guild: a server's id is a number"), "{told:?}");
    let told = discord("token = { env = \"SLACK_BOT_TOKEN\" }\nguild = \"1\"");
    assert!(told[0].contains("holds something else; needed is the bot's token"), "{told:?}");
    let told = discord(&format!("{good}mode = \"http\""));
    assert!(told[0].contains("chats.discord.public_key: missing"), "{told:?}");
    let told = discord(&format!("{good}mode = \"http\"\npublic_key = \"67c6\""));
    assert!(told[0].contains("64 hexadecimal digits"), "{told:?}");
    let told = discord(&format!("{good}ca = \"/nowhere.pem\""));
    assert!(told[0].contains("/nowhere.pem can't be read"), "{told:?}");
}
