use serde_json::json;

use super::{CI, NOW, Server};

const AT: &str = "/v1/deployments";

fn digest(of: char) -> String {
    format!("sha256:{}", of.to_string().repeat(64))
}

fn body() -> serde_json::Value {
    json!({ "service": "checkout", "version": "v1", "digest": digest('a') })
}

fn with(key: &str, value: impl Into<serde_json::Value>) -> String {
    let mut body = body();
    body[key] = value.into();
    body.to_string()
}

#[tokio::test]
async fn a_deployment_is_recorded_once() {
    let server = Server::start().await;
    let sent = json!({
        "service": "checkout", "version": "v2.4.1", "digest": digest('b'), "phase": "canary", "pool": "green",
        "at": "2027-01-15T07:00:00Z", "url": "https://ci.example.com/1", "by": "ana",
        "irreversible": "drops column x", "id": "run-1",
    });
    let first = server.post(AT, CI, sent.to_string()).await;
    assert_eq!((first.status, &first.json()["id"], &first.json()["new"]), (201, &"R-1".into(), &true.into()));
    let again = server.post(AT, CI, sent.to_string()).await;
    assert_eq!(
        (again.status, &again.json()["id"], &again.json()["new"]),
        (200, &"R-1".into(), &false.into())
    );
    let other = server.post(AT, CI, with("at", NOW - 1_000)).await;
    assert_eq!((other.status, &other.json()["id"]), (201, &"R-2".into()));
    let all = crate::store::releases::newest(server.app.engine.store.reader(), &"checkout".into(), 9).await;
    let all = all.unwrap();
    assert_eq!(all[0].by.as_deref(), Some("token:ci"));
    assert_eq!((all[1].at, all[1].by.as_deref()), (NOW - 3_600_000, Some("ana")));
}

#[tokio::test]
async fn a_missing_pool_is_said() {
    let server = Server::start().await;
    let warnings = async |body: String| server.post(AT, CI, body).await.json()["warnings"].clone();
    let said = warnings(body().to_string()).await;
    let said = said[0].as_str().unwrap();
    assert!(
        said.starts_with("pool is missing: only records tell what blue, green of checkout run"),
        "{said}"
    );
    let late = with("at", NOW - 7_200_000).replace(&digest('a'), &digest('b'));
    for pool in ["blue", "green"] {
        assert_eq!(warnings(with("pool", pool)).await, json!([]));
    }
    assert_eq!(warnings(late).await, json!([]), "both pools have later records");
    for silent in [with("pool", "blue"), with("phase", "preview")] {
        assert_eq!(warnings(silent).await, json!([]));
    }
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let server = Server::start().await;
    server.post(AT, CI, with("service", "chekout")).await.refused(404, "did you mean checkout?");
    server.post(AT, CI, with("service", "a\u{0}b")).await.refused(422, "service: holds a control character");
    server.post(AT, CI, with("version", "v\u{0}1")).await.refused(422, "version: holds a control character");
    server.post(AT, CI, with("version", 7)).await.refused(422, "version: expected a string");
    server.post(AT, CI, with("digest", "v1")).await.refused(422, "digest: ");
    server.post(AT, CI, with("pool", "red")).await.refused(422, "its pools are blue, green");
    server.post(AT, CI, with("verson", "v1")).await.refused(422, "verson: unknown field; did you mean");
    server.post(AT, CI, "[]").await.refused(422, "expected an object");
    server.post(AT, CI, with("by", "x")[..20].to_owned()).await.refused(400, "not JSON");
    server.post(AT, CI, "").await.refused(400, "not JSON");
    server.post(AT, CI, vec![0xff, 0xfe]).await.refused(400, "not JSON");
}

#[tokio::test]
async fn foreign_text_may_hold_anything() {
    let server = Server::start().await;
    let text = "<script>\u{0}\u{1f4a5}\u{202e}";
    assert_eq!(server.post(AT, CI, with("irreversible", text)).await.status, 201);
}

#[tokio::test]
async fn bodies_have_a_limit() {
    let server = Server::start().await;
    for size in [super::super::body::MOST + 1, 10 * 1024 * 1024] {
        server.post(AT, CI, vec![b' '; size]).await.refused(413, "larger than 1024 KiB");
    }
    server.post(AT, CI, vec![b' '; super::super::body::MOST]).await.refused(400, "not JSON");
    assert_eq!(server.post(AT, CI, body().to_string()).await.status, 201, "it goes on");
}

#[tokio::test]
async fn a_lost_store_is_said() {
    let server = Server::start().await;
    server.lose_the_store().await;
    server.post(AT, CI, body().to_string()).await.refused(503, "try again");
}
