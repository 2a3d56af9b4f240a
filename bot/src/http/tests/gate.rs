use lastgood_core::{Actor, Digest, inventory::Stability};
use serde_json::json;

use super::{CI, Server};

fn digest(of: char) -> Digest {
    format!("sha256:{}", of.to_string().repeat(64)).parse().unwrap()
}

async fn with_releases() -> Server {
    let server = Server::start().await;
    for (version, of) in [("v1", 'a'), ("v2", 'b'), ("v3", 'c'), ("v3", 'd')] {
        let body = json!({ "service": "checkout", "version": version, "digest": digest(of) });
        assert_eq!(server.post("/v1/deployments", CI, body.to_string()).await.status, 201);
    }
    let bad = Stability::Unstable { why: "leaks".into(), provisional: false };
    let by = Actor::new("os:ana", "ana");
    server.app.engine.mark("checkout", &digest('b'), &bad, "leaks", &by, None).await.unwrap();
    server
}

#[tokio::test]
async fn the_gate_answers_for_digests_and_versions() {
    let server = with_releases().await;
    for (query, allowed, reason) in [
        (format!("digest={}", digest('a')), true, "nothing is known against it"),
        (format!("digest={}", digest('b')), false, "marked unstable: leaks"),
        ("version=v1".to_owned(), true, "nothing is known against it"),
        ("version=v2".to_owned(), false, "marked unstable: leaks"),
    ] {
        let answer = server.get(&format!("/v1/gate?service=checkout&{query}"), CI).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        let json = answer.json();
        assert_eq!((&json["allowed"], &json["reasons"][0]), (&allowed.into(), &reason.into()));
    }
}

#[tokio::test]
async fn what_can_not_be_told_is_never_200() {
    let server = with_releases().await;
    let ask = async |query: &str| server.get(&format!("/v1/gate?{query}"), CI).await;
    ask(&format!("service=checkout&digest={}", digest('e'))).await.refused(404, "could not tell");
    ask("service=checkout&version=v9").await.refused(404, "has no release \"v9\"");
    ask(&format!("service=chekout&digest={}", digest('a'))).await.refused(404, "did you mean checkout?");
    ask("service=checkout&version=v3").await.refused(422, "name the digest");
    ask("service=checkout&digest=v1").await.refused(422, "digest: not a digest");
    ask("service=checkout").await.refused(422, "digest: missing");
    ask("digest=v1").await.refused(422, "service: missing");
    ask(&format!("service=checkout&version=v1&digest={}", digest('a'))).await.refused(422, "not both");
    ask("service=checkout&service=checkout").await.refused(422, "the query");
    ask("service=%00&version=%00").await.refused(404, "no service is called");
    ask("service=checkout&version=%00").await.refused(404, "has no release");
    server.lose_the_store().await;
    ask("service=checkout&version=v1").await.refused(503, "try again");
}
