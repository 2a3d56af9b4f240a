//! `[chats.slack]`.

use super::{SMALL, Secrets, problems};

#[test]
fn every_mistake_says_what_is_needed() {
    let secrets = Secrets::new();
    let slack = |lines: &str| {
        let text = SMALL.replace("terminal:", "slack:#incidents");
        let text = format!("{text}[chats.slack]\n{lines}");
        let named = secrets.put_in(&text);
        // The files' folder differs from run to run.
        problems(&named)
            .into_iter()
            .map(|problem| problem.replace(&secrets.path("").display().to_string(), ""))
            .collect::<Vec<_>>()
    };
    let good = r#"token = { env = "SLACK_BOT_TOKEN" }
"#;
    assert_eq!(slack(&format!("{good}app_token = {{ env = \"SLACK_APP_TOKEN\" }}")), [""; 0]);
    assert_eq!(
        slack(good),
        [
            "x.toml:14:8: chats.slack.app_token: missing: Socket Mode needs an app token (or set mode = \"http\" and \
          signing_secret)"
        ]
    );
    assert_eq!(
        slack(&format!("{good}mode = \"http\"")),
        [
            "x.toml:14:8: chats.slack.signing_secret: missing: without it nobody could tell Slack's requests from others \
          (\"Basic Information\", \"Signing Secret\")"
        ]
    );
    assert_eq!(
        slack("token = { env = \"SLACK_APP_TOKEN\" }"),
        [
            "x.toml:15:1: chats.slack.token: file SLACK_APP_TOKEN holds an app token (xapp-…); needed is the bot token, from \
          \"Install App\": xoxb-…"
        ]
    );
    assert_eq!(
        slack(&format!("{good}app_token = {{ env = \"SLACK_APP_TOKEN\" }}\nsockets = 11")),
        ["x.toml:17:11: chats.slack.sockets: an app may have 1 to 10, over all its replicas"]
    );
}
