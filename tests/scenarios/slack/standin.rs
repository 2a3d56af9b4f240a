//! The stand-in itself, judged by Slack's own client libraries: it speaks as Slack does, or they don't understand it.

use std::process::Stdio;

use lastgood_tests::{
    slack_clients::{judge, node, python},
    standin::slack::{APP_TOKEN, BOT_TOKEN, Delivered, SIGNING_SECRET, Saw, Slack, sign},
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};

/// A client's next line.
async fn line(lines: &mut Lines<BufReader<tokio::process::ChildStdout>>) -> Value {
    let next = tokio::time::timeout(std::time::Duration::from_secs(60), lines.next_line()).await;
    let line = next.expect("the client is silent").unwrap().expect("the client ended");
    serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"))
}

fn started(
    command: std::process::Command,
    slack: &Slack,
) -> (tokio::process::Child, Lines<BufReader<tokio::process::ChildStdout>>) {
    let mut command = tokio::process::Command::from(command);
    command.env("SLACK_API", slack.api()).env("BOT_TOKEN", BOT_TOKEN).env("APP_TOKEN", APP_TOKEN);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

/// A command and an event are heard and acknowledged, also over the socket that follows an announced end.
async fn hears(slack: &Slack, lines: &mut Lines<BufReader<tokio::process::ChildStdout>>) {
    let ana = slack.person("ana");
    // The client acknowledges, and answers nothing: that is all that is asked of it.
    let (slack_too, ana_too) = (slack.clone(), ana.clone());
    tokio::spawn(async move { slack_too.slash(&ana_too, "#incidents", "/rollback checkout").await });
    let heard = line(lines).await;
    assert_eq!(heard, json!({ "did": "heard", "type": "slash_commands", "text": "checkout" }));
    slack.announce_end("refresh_requested");
    slack.cut_sockets();
    slack.until_sockets(1).await;
    slack.says(&ana, "#incidents", "after the refresh").await;
    let heard = line(lines).await;
    assert_eq!(heard, json!({ "did": "heard", "type": "events_api", "text": "after the refresh" }));
    let mut all: Vec<Delivered> = slack.delivered();
    all.retain(|one| one.kind != "echo");
    assert!(all.iter().all(|one| one.acknowledged.is_some()), "{all:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slacks_python_library_understands_it() {
    let slack = Slack::start(&["#general", "#incidents", "#random"]).await;
    let body = "token=x&command=%2Frollback";
    let at = lastgood_tests::standin::slack::seconds();
    let signed = json!({ "body": body, "at": at.to_string(), "signature": sign(SIGNING_SECRET, at, body) });
    let mut command = python("talk.py");
    command.env("SIGNING_SECRET", SIGNING_SECRET).env("SIGNED", signed.to_string());
    let (mut child, mut lines) = started(command, &slack);
    assert_eq!(line(&mut lines).await, json!({ "did": "auth", "user": "lastgood" }));
    let replies = json!({ "did": "replies", "texts": ["hello, edited", "reply"], "nonce": "1" });
    assert_eq!(line(&mut lines).await, replies);
    let channels = json!({ "did": "channels", "names": ["general", "incidents", "random"] });
    assert_eq!(line(&mut lines).await, channels);
    for _ in 0..6 {
        let refused = line(&mut lines).await;
        assert_eq!(refused["got"], refused["error"]);
    }
    assert_eq!(line(&mut lines).await, json!({ "did": "signature", "good": true }));
    assert_eq!(line(&mut lines).await, json!({ "did": "connected" }));
    hears(&slack, &mut lines).await;
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slacks_library_for_node_understands_it() {
    let slack = Slack::start(&["#incidents"]).await;
    let (mut child, mut lines) = started(node("talk.mjs"), &slack);
    assert_eq!(line(&mut lines).await, json!({ "did": "connected" }));
    hears(&slack, &mut lines).await;
    assert!(child.wait().await.unwrap().success());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_who_does_not_acknowledge_gets_away_with_it() {
    let slack = Slack::start(&["#incidents"]).await;
    let ana = slack.person("ana");
    assert_eq!(
        slack.slash(&ana, "#incidents", "/rollback checkout").await,
        Saw::NoAnswer,
        "no socket is open"
    );
}

#[test]
fn the_judge_refuses_what_slack_refuses() {
    let good = json!([{ "type": "header", "text": { "type": "plain_text", "text": "x" } }]);
    assert_eq!(judge(&[("message", good)]).unwrap().trim(), "1 judged, 0 refused");
    let button = json!({ "type": "button", "action_id": "a", "text": { "type": "plain_text", "text": "x".repeat(76) } });
    for bad in [
        json!([{ "type": "actions", "elements": [button] }]),
        json!([{ "type": "header", "text": { "type": "plain_text", "text": "x".repeat(151) } }]),
        json!([{ "type": "xyzzy" }]),
    ] {
        let told = judge(&[("message", bad.clone())]).unwrap_err();
        assert!(told.contains("1 refused"), "{bad}: {told}");
    }
    let view =
        json!({ "type": "modal", "title": { "type": "plain_text", "text": "x".repeat(25) }, "blocks": [] });
    judge(&[("modal", view)]).unwrap_err();
}
