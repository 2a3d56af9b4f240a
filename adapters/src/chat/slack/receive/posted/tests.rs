use serde_json::json;

use super::*;

fn pairs(of: &[(&str, &str)]) -> Vec<(String, String)> {
    of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What a real Alertmanager posts by an incoming webhook, as Slack then delivers it.
#[test]
fn an_alertmanagers_attachment_keeps_its_links() {
    let message = json!({
        "type": "message", "subtype": "bot_message", "bot_id": "B1", "ts": "1700000000.123456",
        "username": "Alertmanager", "text": "",
        "attachments": [{
            "title": "[FIRING:1] HighErrorRate (checkout critical)",
            "title_link": "http://vm:4593/#/alerts?receiver=all",
            "fallback": "[FIRING:1] HighErrorRate (checkout critical) | http://vm:4593/#/alerts?receiver=all",
            "color": "a30200", "text": "", "footer": "",
            "fields": [{ "title": "Severity", "value": "critical", "short": false }],
            "actions": [{ "type": "button", "text": "Runbook", "url": "https://rb/x" }]
        }]
    });
    let posted = posted("C1", &message);
    assert_eq!((posted.sender.as_str(), posted.sent_at), ("Alertmanager", 1_700_000_000_123));
    assert_eq!(posted.at, MessageRef("C1/1700000000.123456".into()));
    let [part] = posted.parts.as_slice() else { panic!("{posted:?}") };
    assert_eq!(part.title, "[FIRING:1] HighErrorRate (checkout critical)");
    assert_eq!(part.url.as_deref(), Some("http://vm:4593/#/alerts?receiver=all"));
    assert_eq!(part.fields, pairs(&[("Severity", "critical")]));
    assert_eq!(part.links, pairs(&[("Runbook", "https://rb/x")]));
    assert_eq!(part.colour, "a30200");
}

#[test]
fn blocks_become_one_part() {
    let message = json!({
        "bot_id": "B1", "bot_profile": { "name": "Grafana" }, "ts": "1.2", "text": "fallback",
        "blocks": [
            { "type": "header", "text": { "type": "plain_text", "text": "Firing" } },
            { "type": "section", "text": { "type": "mrkdwn", "text": "*checkout* is <https://g/d|slow>" },
              "fields": [{ "type": "mrkdwn", "text": "*Service:*\ncheckout" }, { "type": "mrkdwn", "text": "*Env:* prod" }],
              "accessory": { "type": "button", "text": { "text": "Open" }, "url": "https://g/o" } },
            { "type": "divider" },
            { "type": "context", "elements": [{ "type": "mrkdwn", "text": "since 3:00" }] },
            { "type": "actions", "elements": [{ "type": "button", "text": { "text": "Silence" }, "url": "https://g/s" }] },
            { "type": "rich_text", "elements": [{ "type": "rich_text_section", "elements": [
                { "type": "text", "text": "see " }, { "type": "link", "url": "https://r", "text": "runbook" }] }] }
        ]
    });
    let posted = posted("C1", &message);
    assert_eq!((posted.sender.as_str(), posted.text.as_str()), ("Grafana", "fallback"));
    let [part] = posted.parts.as_slice() else { panic!("{posted:?}") };
    assert_eq!(part.title, "Firing");
    assert_eq!(part.text, "*checkout* is slow\nsince 3:00\nsee runbook");
    assert_eq!(part.fields, pairs(&[("Service", "checkout"), ("Env", "prod")]));
    let links = [
        ("slow", "https://g/d"),
        ("Open", "https://g/o"),
        ("Silence", "https://g/s"),
        ("runbook", "https://r"),
    ];
    assert_eq!(part.links, pairs(&links));
}

#[test]
fn an_attachment_of_blocks_and_a_plain_message_are_read() {
    let nested = json!({ "ts": "1.0", "attachments": [{ "color": "#f00", "blocks": [
        { "type": "section", "text": { "type": "mrkdwn", "text": "Triggered: checkout" } }] }] });
    assert_eq!(posted("C1", &nested).parts[0].text, "Triggered: checkout");
    let bare = json!({ "ts": "1.0", "text": "down: <https://x|see> &amp; act" });
    let bare = posted("C1", &bare);
    assert_eq!(bare.text, "down: see & act");
    assert_eq!(bare.parts[0].links, pairs(&[("see", "https://x")]));
}

#[test]
fn nonsense_is_an_empty_message() {
    for message in
        [json!(null), json!([]), json!({ "blocks": "x", "attachments": [1, null] }), json!({ "ts": "x.y" })]
    {
        assert_eq!(posted("C1", &message).sent_at, 0, "{message}");
    }
}
