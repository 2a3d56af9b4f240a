//! What servers of the user's, and the way to them, may do wrong.

use std::sync::Arc;

use async_trait::async_trait;
use lastgood_adapters::{
    Check, Fault,
    traffic::{Move, Observation, Preflight, Progress, Said, Shifter, http::Config},
};
use lastgood_tests::{lossy::Lossy, standin::shifter::Server};
use serde_json::json;

use lastgood_tests::rigs::{self as rig, apply, shares, to};

/// Always where it is wanted.
struct Agreeable;

#[async_trait]
impl Shifter for Agreeable {
    async fn observe(&self) -> Result<Observation, Fault> {
        Ok(Observation { shares: shares(100), ..Observation::default() })
    }

    async fn preflight(&self, _: &Move) -> Result<Preflight, Fault> {
        Ok(Preflight::Ready { warnings: vec![] })
    }

    async fn apply(&self, _: &Move, _: &Said) -> Result<(), Fault> {
        Ok(())
    }

    async fn progress(&self, _: &Move) -> Result<Progress, Fault> {
        Ok(Progress::Settled(self.observe().await?))
    }

    async fn check(&self) -> Vec<Check> {
        vec![]
    }
}

fn adapter(url: &str, secret: &str) -> Arc<dyn Shifter> {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), secret).unwrap();
    rig::built::<Config>(json!({"url": url, "pools": ["blue", "green"], "timeout": "2s",
                                "secret": {"file": file.path()}}))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_does_not_sign_rightly_is_denied() {
    let server = Server::start(Arc::new(Agreeable)).await;
    let right = adapter(&server.url(), Server::SECRET);
    assert_eq!(right.observe().await.unwrap().shares, shares(100));
    let wrong = adapter(&server.url(), "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA");
    assert!(matches!(wrong.observe().await, Err(Fault::Denied(_))));
    assert!(matches!(apply(&*wrong, &to(0)).await, Err(Fault::Denied(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_that_is_repeated_carries_the_same_key() {
    let server = Server::start(Arc::new(Agreeable)).await;
    let network = Lossy::tcp(server.at()).await;
    let adapter = adapter(&format!("http://{}/shift", network.at()), Server::SECRET);
    network.lose_answer_to("/shift/apply");
    assert!(matches!(apply(&*adapter, &to(0)).await, Err(Fault::Unknown(_))));
    apply(&*adapter, &to(0)).await.unwrap();
    adapter.observe().await.unwrap();
    adapter.observe().await.unwrap();
    let keys: Vec<_> = server.seen().into_iter().map(|seen| (seen.operation, seen.key)).collect();
    assert_eq!(keys[0], ("apply".to_owned(), "RB-1/0".to_owned()));
    assert_eq!(keys[0], keys[1]);
    assert_ne!(keys[2], keys[3], "two questions are two");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_says_what_may_be_done_about_it() {
    let server = Server::start(Arc::new(Agreeable)).await;
    let adapter = adapter(&server.url(), Server::SECRET);
    for (status, body, question, change) in [
        (404, json!("gone"), "not found", "not found"),
        (409, json!("moved"), "changed by another hand", "changed by another hand"),
        (422, json!("no"), "refused", "refused"),
        (429, json!("slowly"), "rate limited", "rate limited"),
        // Whoever fails in the middle of a change may have made it; unless they say that they did not.
        (500, json!("oh"), "unavailable", "unknown outcome"),
        (503, json!({"error": "unavailable", "detail": "not now"}), "unavailable", "unavailable"),
        (302, json!("elsewhere"), "refused", "refused"),
        (200, json!(["nonsense"]), "refused", ""),
    ] {
        server.answer_instead(status, body.clone());
        let asked = adapter.observe().await.unwrap_err().to_string();
        assert!(asked.starts_with(question), "{status}: {asked}");
        server.answer_instead(status, body);
        match apply(&*adapter, &to(0)).await {
            Ok(()) => assert_eq!(change, "", "{status}"),
            Err(fault) => assert!(fault.to_string().starts_with(change), "{status}: {fault}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_that_is_sent_back_is_not_repeated() {
    let server = Server::start(Arc::new(Agreeable)).await;
    let adapter = adapter(&server.url(), Server::SECRET);
    server.answer_instead(403, json!({"error": "denied", "detail": format!("not {}", Server::SECRET)}));
    let said = apply(&*adapter, &to(0)).await.unwrap_err().to_string();
    assert!(said.contains("not [secret]") && !said.contains("MfKQ9"), "{said}");
}
