//! `lastgood check` on the real program: what is wrong with the app, and what to do about it.

use std::path::Path;

use lastgood_tests::{
    binary,
    standin::slack::{APP_TOKEN, BOT_TOKEN, Slack},
};
use tempfile::TempDir;

use super::world::ROOM;

fn place(slack: &Slack, rooms: &str, token: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, secret) in [("bot", token), ("app", APP_TOKEN)] {
        std::fs::write(folder.path().join(name), secret).unwrap();
    }
    let text = format!(
        r#"
[chats.slack]
url = "{}"
token = {{ file = "bot" }}
app_token = {{ file = "app" }}
[services.checkout]
environment = "production"
rooms = [{rooms}]
approvers = ["slack:@sre-oncall", "slack:@nobody-there"]
health.http = [{{ url = "http://127.0.0.1:9/healthz" }}]
traffic = {{ strategy = "blue-green", kind = "haproxy", instances = ["unix:/nowhere"], switch = {{ map = "/m", key = "k", blue = "be_blue", green = "be_green" }} }}
pools = {{ blue = {{}}, green = {{}} }}
"#,
        slack.api()
    );
    std::fs::write(folder.path().join("lastgood.toml"), text).unwrap();
    folder
}

/// The lines about Slack.
async fn checked(folder: &Path) -> Vec<String> {
    let folder = folder.to_owned();
    let said = tokio::task::spawn_blocking(move || binary::run(&folder, &["check"])).await.unwrap();
    let out = format!("{}{}", said.out, said.err);
    assert!(!out.contains(BOT_TOKEN) && !out.contains(APP_TOKEN), "{out}");
    out.lines().filter(|line| line.contains("slack")).map(str::to_owned).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_names_what_is_missing_and_what_to_do() {
    let slack = Slack::start(&["#general", "#random", ROOM, "#old"]).await;
    let ana = slack.person("ana");
    slack.group("@sre-oncall", &[&ana]);
    slack.archive("#old");
    slack.channel("#private", false);
    let rooms = r##""slack:#incidents", "slack:#private", "slack:#old", "slack:#typo""##;
    let good = place(&slack, rooms, BOT_TOKEN);
    insta::assert_snapshot!(checked(good.path()).await.join("\n").replace(&slack.id_of(ROOM), "[id]"));
    slack.take_scope("usergroups:read");
    slack.take_scope("channels:history");
    let lines = checked(good.path()).await.join("\n");
    assert!(
        lines.contains(
            "✗ slack: scope usergroups:read: missing: groups of approvers can't be asked: nobody in them may approve; \
             add it under \"OAuth & Permissions\", then reinstall the app"
        ),
        "{lines}"
    );
    assert!(lines.contains("scope channels:history"), "{lines}");
    let revoked = place(&slack, rooms, "xoxb-revoked");
    let lines = checked(revoked.path()).await.join("\n");
    assert!(lines.contains("✗ slack: token: denied: auth.test: invalid_auth"), "{lines}");
    let swapped = place(&slack, rooms, APP_TOKEN);
    let lines = checked(swapped.path()).await.join("\n");
    assert!(lines.contains("holds an app token (xapp-…); needed is the bot token"), "{lines}");
}
