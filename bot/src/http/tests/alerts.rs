use serde_json::{Value, json};

use super::{SENDER, Server};

const AT: &str = "/v1/alerts/alertmanager";

fn alert(labels: Value) -> Value {
    json!({
        "status": "firing", "labels": labels, "annotations": { "summary": "Too many \u{0}errors" },
        "startsAt": "2027-01-15T07:59:00Z", "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090/graph",
    })
}

fn sent(alerts: Value) -> Value {
    json!({ "version": "4", "groupKey": "{}:{}", "status": "firing", "alerts": alerts })
}

fn about_checkout() -> Value {
    sent(json!([alert(json!({ "service": "checkout", "alertname": "Errors" }))]))
}

#[tokio::test]
async fn an_alert_opens_a_rollback_and_its_repetition_does_not() {
    let server = Server::start().await;
    let answer = server.post(AT, SENDER, about_checkout().to_string()).await;
    assert_eq!((answer.status, &answer.json()["taken"][0]["became"]), (202, &"opened".into()));
    let again = server.post(AT, SENDER, about_checkout().to_string()).await;
    assert_eq!((again.status, &again.json()["taken"][0]["became"]), (202, &"repeated".into()));
    let mut resolved = about_checkout();
    resolved["alerts"][0]["status"] = "resolved".into();
    resolved["alerts"][0]["endsAt"] = "2027-01-15T08:00:00Z".into();
    let resolved = server.post(AT, SENDER, resolved.to_string()).await;
    assert_eq!((resolved.status, &resolved.json()["taken"][0]["became"]), (202, &"resolved".into()));
    assert_eq!(server.rows("SELECT COUNT(*) FROM rollbacks").await, 1);
}

#[tokio::test]
async fn what_concerns_nobody_is_noted_and_not_repeated() {
    let server = Server::start().await;
    let nobodys = sent(json!([alert(json!({ "service": "search" }))]));
    let answer = server.post(AT, SENDER, nobodys.to_string()).await;
    assert_eq!(answer.status, 200);
    assert!(answer.json()["notes"][0].as_str().unwrap().contains("no service's `alerts` match"));
    let ignored = sent(json!([alert(json!({ "service": "checkout", "lastgood": "ignore" }))]));
    let answer = server.post(AT, SENDER, ignored.to_string()).await;
    assert_eq!(answer.status, 200);
    assert!(answer.json()["notes"][0].as_str().unwrap().contains("lastgood=ignore"));
    let none = server.post(AT, SENDER, sent(json!([])).to_string()).await;
    assert_eq!((none.status, &none.json()["notes"][0]), (200, &"it holds no alert".into()));
    assert_eq!(server.rows("SELECT COUNT(*) FROM rollbacks").await, 0);
}

#[tokio::test]
async fn a_wrong_sender_hears_what_is_wrong() {
    let server = Server::start().await;
    let text = about_checkout().to_string();
    server.post(AT, SENDER, text[..text.len() / 2].to_owned()).await.refused(400, "not JSON");
    let mut other = about_checkout();
    other["version"] = "3".into();
    server.post(AT, SENDER, other.to_string()).await.refused(422, "version: only \"4\" is known");
    let mut other = about_checkout();
    other["alerts"][0]["startsAt"] = 7.into();
    server.post(AT, SENDER, other.to_string()).await.refused(422, "alerts[0].startsAt: expected a string");
    server.post(AT, SENDER, vec![b'x'; 10 * 1024 * 1024]).await.refused(413, "larger than");
}

#[tokio::test]
async fn a_store_that_can_not_take_it_makes_the_sender_come_back() {
    let server = Server::start().await;
    server.lose_the_store().await;
    let request = server.request("POST", AT).bearer_auth(SENDER).body(about_checkout().to_string());
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["retry-after"], "5");
    assert_eq!(response.status(), 503);
}
