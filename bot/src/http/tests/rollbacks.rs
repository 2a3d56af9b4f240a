use lastgood_core::Actor;

use super::{READER, Server, send};
use crate::engine::propose::Ask;

const FOREIGN: &str = "<script>alert('x')</script>\u{0}&\"";

async fn with_a_rollback() -> Server {
    let server = Server::start().await;
    let ask = Ask {
        service: "checkout".into(),
        by: Actor::new("os:ana", FOREIGN),
        wanted: None,
        reason: Some(FOREIGN.into()),
    };
    server.app.engine.propose(&ask).await.unwrap();
    server
}

#[tokio::test]
async fn a_rollback_is_told_to_programs() {
    let server = with_a_rollback().await;
    for id in ["RB-1", "rb-1", "1"] {
        let answer = server.get(&format!("/v1/rollbacks/{id}"), READER).await;
        assert_eq!(answer.status, 200);
        let json = answer.json();
        assert_eq!((&json["id"], &json["phase"]), (&"RB-1".into(), &"surveying".into()));
        assert_eq!((&json["events"][0]["kind"], &json["active"]), (&"opened".into(), &true.into()));
    }
}

#[tokio::test]
async fn a_page_shows_foreign_text_and_runs_none_of_it() {
    let server = with_a_rollback().await;
    let answer = send(server.request("GET", "/rollbacks/RB-1").basic_auth("reader", Some(READER))).await;
    assert_eq!((answer.status, answer.kind.as_str()), (200, "text/html; charset=utf-8"));
    assert!(!answer.text.contains("<script"), "{}", answer.text);
    assert!(answer.text.contains("&lt;script&gt;alert(&#39;x&#39;)"));
    let response = server.request("GET", "/rollbacks/RB-1").bearer_auth(READER).send().await.unwrap();
    let policy = response.headers()["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'"), "{policy}");
}

#[tokio::test]
async fn there_is_no_other() {
    let server = with_a_rollback().await;
    for base in ["/v1/rollbacks", "/rollbacks"] {
        server.get(&format!("{base}/RB-2"), READER).await.refused(404, "there is no rollback RB-2");
        server
            .get(&format!("{base}/nonsense"), READER)
            .await
            .refused(404, "there is no rollback \"nonsense\"");
        server.get(&format!("{base}/%00"), READER).await.refused(404, "there is no rollback");
    }
    server.lose_the_store().await;
    server.get("/v1/rollbacks/RB-1", READER).await.refused(503, "try again");
}
