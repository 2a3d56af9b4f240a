use std::time::Duration;

use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};

use super::{CI, SENDER, Server};

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
    server.post(AT, SENDER, vec![b'x'; 17 * 1024 * 1024]).await.refused(413, "larger than");
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

fn many(count: usize, summary: &str) -> String {
    let alerts = (0..count).map(|number| {
        let mut alert = alert(json!({ "service": "nobodys", "number": number.to_string() }));
        alert["annotations"]["summary"] = summary.into();
        alert
    });
    sent(alerts.collect()).to_string()
}

#[tokio::test]
async fn a_group_of_thousands_is_taken_in_one_request() {
    let server = Server::start().await;
    let body = many(6_000, &"x".repeat(2_000));
    assert!(body.len() > 12 * 1024 * 1024, "{}", body.len());
    let answer = server.post(AT, SENDER, body).await;
    assert_eq!((answer.status, answer.json()["notes"].as_array().unwrap().len()), (200, 6_000));
    server.post(AT, SENDER, vec![b' '; 16 * 1024 * 1024 + 1]).await.refused(413, "larger than 16384 KiB");
    server.post(AT, SENDER, many(50_001, "x")).await.refused(413, "max_alerts");
}

/// Begins requests that are never whole: they stay under way.
async fn begin(server: &Server, count: usize, sent: usize) -> Vec<TcpStream> {
    let head = format!(
        "POST {AT} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {SENDER}\r\ncontent-length: {}\r\n\r\n",
        sent + 1
    );
    let mut begun = Vec::new();
    for _ in 0..count {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b' '; sent]).await.unwrap();
        begun.push(stream);
    }
    begun
}

/// Asks until the answer is this one: when what was begun has arrived, nobody tells.
async fn until(server: &Server, status: u16, body: &str) {
    for _ in 0..400 {
        let request = server.request("POST", AT).bearer_auth(SENDER).body(body.to_owned());
        let response = request.send().await.unwrap();
        if response.status() == status {
            let retry = response.headers().get("retry-after");
            assert_eq!(retry.is_some(), status == 503);
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("never answered {status}");
}

#[tokio::test]
async fn requests_above_the_limit_are_told_to_come_back() {
    let server = Server::start().await;
    let begun = begin(&server, 64, 0).await;
    until(&server, 503, &about_checkout().to_string()).await;
    // Others have doors of their own.
    assert_eq!(server.get("/v1/gate?service=checkout&version=v1", CI).await.status, 404);
    server.post("/v1/deployments", CI, "{").await.refused(400, "not JSON");
    drop(begun);
    until(&server, 202, &about_checkout().to_string()).await;
}

#[tokio::test]
async fn only_a_few_large_bodies_are_held_at_a_time() {
    let server = Server::start().await;
    let begun = begin(&server, 2, 3 * 1024 * 1024).await;
    let large = many(2_000, &"x".repeat(1_000));
    assert!(large.len() > 1024 * 1024);
    until(&server, 503, &large).await;
    let small = server.post(AT, SENDER, about_checkout().to_string()).await;
    assert_eq!(small.status, 202, "those of the usual size are taken");
    drop(begun);
    until(&server, 200, &large).await;
}

#[tokio::test]
async fn what_alertmanager_left_out_is_said() {
    let server = Server::start().await;
    let mut some = about_checkout();
    some["truncatedAlerts"] = 5_999.into();
    let answer = server.post(AT, SENDER, some.to_string()).await;
    assert_eq!(answer.status, 202);
    let note = answer.json()["notes"][0].as_str().unwrap().to_owned();
    assert!(note.starts_with("5999 more alerts of the same group were left out"), "{note}");
    let thread =
        crate::store::alerts::thread(server.app.engine.store.reader(), lastgood_core::ThreadId(1)).await;
    let (name, said) = thread.unwrap().unwrap().annotations[0].clone();
    assert_eq!((name.as_str(), said), ("incomplete", note));
}
