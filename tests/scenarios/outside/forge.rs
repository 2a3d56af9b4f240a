//! A change proposed on GitHub and on GitLab: once, whatever is lost, and never over somebody else's.

use std::{io::Write as _, sync::Arc};

use lastgood_adapters::{
    Fault, client,
    forge::{Change, Config, State},
};
use lastgood_tests::standin::forge::{Forge, TOKEN};
use reqwest::Method;

const KINDS: [&str; 2] = ["github", "gitlab"];
const OLD: &str = "image: shop/checkout:v2\n# ünïcode\n";
const NEW: &str = "image: shop/checkout:v1\n# ünïcode\n";

async fn adapter(kind: &str, forge: &Forge, token: &str) -> Arc<dyn lastgood_adapters::forge::Forge> {
    client::install_tls();
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(token.as_bytes()).unwrap();
    let mut section = forge.section(kind);
    section["token"] = serde_json::json!({"file": file.path()});
    let config: Config = serde_json::from_value(section).unwrap();
    config.build(None, &client::client().unwrap()).unwrap()
}

fn change(revision: String) -> Change {
    let text = |text: &str| text.to_owned();
    Change {
        branch: text("lastgood/rb-1-abc"),
        title: text("RB-1: back to v1"),
        body: text("why"),
        text: text(NEW),
        revision,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_is_proposed_once_and_followed_to_its_end() {
    for kind in KINDS {
        let forge = Forge::start(OLD).await;
        let adapter = adapter(kind, &forge, TOKEN).await;
        let file = adapter.file().await.unwrap();
        assert_eq!(file.text, OLD, "{kind}");
        let change = change(file.revision);
        assert_eq!(adapter.proposal(&change.branch).await.unwrap(), None, "{kind}");
        // Each answer to a change is lost once: it is unknown what became of it, and asking again goes on.
        forge.lose_answer_to(Method::POST);
        assert!(matches!(adapter.propose(&change).await, Err(Fault::Unknown(_))), "{kind}");
        forge.lose_answer_to(if kind == "github" { Method::PUT } else { Method::POST });
        assert!(matches!(adapter.propose(&change).await, Err(Fault::Unknown(_))), "{kind}");
        let proposed = adapter.propose(&change).await.unwrap();
        assert!(
            proposed.url.starts_with("https://git.example.com/") && proposed.state == State::Open,
            "{proposed:?}"
        );
        assert_eq!(adapter.propose(&change).await.unwrap(), proposed, "{kind}");
        assert_eq!(forge.open(), [(change.branch.clone(), change.title.clone())], "{kind}");
        assert_eq!(forge.merge(&change.branch), NEW);
        assert_eq!(adapter.proposal(&change.branch).await.unwrap().unwrap().state, State::Merged, "{kind}");
        assert_eq!(adapter.file().await.unwrap().text, NEW);
        forge.close(&change.branch);
        assert_eq!(adapter.proposal(&change.branch).await.unwrap().unwrap().state, State::Closed, "{kind}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_changed_is_not_written_over_and_a_token_is_not_shown() {
    for kind in KINDS {
        let forge = Forge::start(OLD).await;
        let adapter = adapter(kind, &forge, TOKEN).await;
        let stale = adapter.propose(&change("0".to_owned())).await;
        assert!(matches!(stale, Err(Fault::Conflict(_))), "{kind}: {stale:?}");
        assert!(forge.open().is_empty());
        let wrong = self::adapter(kind, &forge, "another-token-987654").await;
        let denied = wrong.file().await.unwrap_err();
        assert!(matches!(denied, Fault::Denied(_)), "{kind}: {denied}");
        assert!(!denied.to_string().contains("another-token"), "{denied}");
    }
}
