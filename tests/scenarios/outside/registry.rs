//! A real docker-registry, with accounts.

use lastgood_adapters::registry::{Registry as _, oci};
use lastgood_tests::real::registry::{INDEX, LIST, PASSWORD, Registry, USER};
use serde_json::json;

use super::{Stage, kind, only, without};

fn adapter(stage: &Stage, repository: &str, password: &str) -> oci::Oci {
    let password = stage.secret("password", password);
    let config = json!({ "repository": repository, "plain_http": true, "username": USER, "password": password, "timeout": "3s" });
    let config: oci::Config = serde_json::from_value(config).unwrap();
    config.build(stage.http.clone()).unwrap()
}

#[tokio::test]
async fn a_digest_is_there_until_it_is_deleted_wherever_its_tag_points() {
    let stage = Stage::new();
    let registry = Registry::start(stage.folder.path(), false).await;
    let digest = registry.push("shop/checkout", "v2.4.0", "good").await;
    let other = registry.push("shop/checkout", "v2.4.1", "bad").await;
    let adapter = adapter(&stage, &registry.repository("shop/checkout"), PASSWORD);

    let found = adapter.find(&digest.parse().unwrap()).await.unwrap();
    assert_eq!(found.media_type, "application/vnd.oci.image.manifest.v1+json");
    assert!(found.size > 100, "{found:?}");

    registry.retag("shop/checkout", &other, "v2.4.0").await;
    assert_eq!(adapter.find(&digest.parse().unwrap()).await, Ok(found));

    registry.delete("shop/checkout", &digest).await;
    let gone = adapter.find(&digest.parse().unwrap()).await.unwrap_err();
    assert_eq!(kind(&gone), "not found", "{gone}");
    assert!(adapter.find(&other.parse().unwrap()).await.is_ok());

    let (verdict, text) = only(adapter.check().await);
    assert_eq!(verdict, "good", "{text}");
    without(PASSWORD, (&adapter, gone, text));
}

#[tokio::test]
async fn an_index_names_its_platforms_and_an_image_nothing() {
    let stage = Stage::new();
    let registry = Registry::start(stage.folder.path(), false).await;
    let push = async |content: &str| registry.push("shop/checkout", content, content).await;
    let (arm, amd, provenance) = (push("arm64").await, push("amd64").await, push("provenance").await);
    let adapter = adapter(&stage, &registry.repository("shop/checkout"), PASSWORD);
    let of = async |digest: &str| adapter.manifests(&digest.parse().unwrap()).await;
    let platforms = [(arm.as_str(), "linux/arm64"), (&amd, "linux/amd64")];
    let wanted = [&arm, &amd].map(|digest| digest.parse().unwrap()).into();

    let list = registry.push_index("shop/checkout", "list", LIST, &platforms).await;
    assert_eq!(of(&list).await, Ok(wanted));
    let attested = [&platforms[..], &[(&provenance, "unknown/unknown")]].concat();
    let index = registry.push_index("shop/checkout", "index", INDEX, &attested).await;
    assert_eq!(of(&index).await, of(&list).await);
    assert_ne!(index, list);
    assert_eq!(of(&arm).await, Ok([].into()), "no index");
    assert!(adapter.find(&index.parse().unwrap()).await.is_ok());

    registry.delete("shop/checkout", &index).await;
    let gone = of(&index).await.unwrap_err();
    assert_eq!(kind(&gone), "not found", "{gone}");
}

#[tokio::test]
async fn wrong_or_missing_credentials_are_denied_and_never_repeated() {
    let stage = Stage::new();
    let registry = Registry::start(stage.folder.path(), false).await;
    let digest = registry.push("shop/checkout", "v1", "good").await.parse().unwrap();

    let wrong = adapter(&stage, &registry.repository("shop/checkout"), "hunter2");
    let fault = wrong.find(&digest).await.unwrap_err();
    assert_eq!(kind(&fault), "denied", "{fault}");
    let (verdict, text) = only(wrong.check().await);
    assert_eq!(verdict, "bad", "{text}");
    without("hunter2", (&wrong, fault, text));

    let config = json!({ "repository": registry.repository("shop/checkout"), "plain_http": true });
    let config: oci::Config = serde_json::from_value(config).unwrap();
    let fault = config.build(stage.http.clone()).unwrap().find(&digest).await.unwrap_err();
    assert_eq!(kind(&fault), "denied", "{fault}");
}

#[tokio::test]
async fn a_registry_without_accounts_works_until_it_stops() {
    let stage = Stage::new();
    let mut registry = Registry::start(stage.folder.path(), true).await;
    let digest = registry.push("checkout", "v1", "good").await.parse().unwrap();
    let config =
        json!({ "repository": registry.repository("checkout"), "plain_http": true, "timeout": "2s" });
    let config: oci::Config = serde_json::from_value(config).unwrap();
    let adapter = config.build(stage.http.clone()).unwrap();
    assert!(adapter.find(&digest).await.is_ok());

    let nobody: oci::Config = serde_json::from_value(
        json!({ "repository": registry.repository("never/pushed"), "plain_http": true }),
    )
    .unwrap();
    let (verdict, text) = only(nobody.build(stage.http.clone()).unwrap().check().await);
    assert_eq!(verdict, "warning", "{text}");

    registry.process.signal("STOP");
    let hanging = adapter.find(&digest).await.unwrap_err();
    assert_eq!(kind(&hanging), "unavailable", "{hanging}");
    registry.process.signal("CONT");
    assert!(adapter.find(&digest).await.is_ok());

    registry.process.kill();
    let gone = adapter.find(&digest).await.unwrap_err();
    assert_eq!(kind(&gone), "unavailable", "{gone}");
    let (verdict, text) = only(adapter.check().await);
    assert!(verdict == "bad" && text.contains("reachable"), "{text}");
}
