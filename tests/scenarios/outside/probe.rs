//! The service's own endpoints.

use std::{net::SocketAddr, time::Duration};

use axum::{Router, http::StatusCode, response::Redirect, routing::get};
use lastgood_adapters::probe::{
    Health as _, Version as _,
    http::{HealthConfig, VersionConfig},
};
use serde_json::{Value, json};

use super::{Stage, kind};

async fn service() -> SocketAddr {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let version = json!({ "image": { "digest": digest }, "version": "v2.4.0" }).to_string();
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    let slow = || async { tokio::time::sleep(Duration::from_secs(5)).await };
    let app = Router::new()
        .route("/healthz", get(|| async { "all is well" }))
        .route("/sick", get(|| async { (StatusCode::SERVICE_UNAVAILABLE, "database is gone") }))
        .route("/login", get(|| async { Redirect::temporary("/healthz") }))
        .route("/slow", get(slow))
        .route("/version", get(|| async { version }))
        .route("/huge", get(|| async { "x".repeat(1024 * 1024) }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    at
}

#[tokio::test]
async fn healthy_is_what_the_configuration_says() {
    let (stage, at) = (Stage::new(), service().await);
    let probe = async |path: &str, more: Value| {
        let mut config = json!({ "url": format!("http://{at}{path}") });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let config: HealthConfig = serde_json::from_value(config).unwrap();
        let health = config.build(stage.http.clone()).unwrap();
        health.probe().await.map_err(|fault| (kind(&fault), fault.to_string()))
    };
    let seen = probe("/healthz", json!({ "contains": "well" })).await.unwrap();
    assert!(seen.starts_with("200 in ") && seen.ends_with(" ms"), "{seen}");
    assert!(probe("/sick", json!({ "status": [200, 503] })).await.is_ok());

    let (kind, said) = probe("/sick", json!({})).await.unwrap_err();
    assert!(kind == "invalid" && said.contains("503 database is gone"), "{said}");
    for (path, more, wanted) in [
        ("/healthz", json!({ "status": [204] }), "invalid"),
        ("/healthz", json!({ "contains": "green" }), "invalid"),
        ("/login", json!({}), "invalid"),
        ("/huge", json!({}), "invalid"),
        ("/slow", json!({ "timeout": "100ms" }), "unavailable"),
    ] {
        let (kind, said) = probe(path, more).await.unwrap_err();
        assert_eq!(kind, wanted, "{said}");
    }
}

#[tokio::test]
async fn nobody_listening_is_unavailable() {
    let stage = Stage::new();
    let url = format!("http://127.0.0.1:{}/?token=hunter2", lastgood_tests::process::free_port());
    let config: HealthConfig = serde_json::from_value(json!({ "url": url })).unwrap();
    let health = config.build(stage.http.clone()).unwrap();
    let fault = health.probe().await.unwrap_err();
    assert_eq!(kind(&fault), "unavailable");
    super::without("hunter2", (fault, health.name(), &health));
}

#[tokio::test]
async fn a_pool_says_which_digest_it_runs() {
    let (stage, at) = (Stage::new(), service().await);
    let ask = async |path: &str, pointer: &str| {
        let config = json!({ "url": format!("http://{at}{path}"), "json_pointer": pointer });
        let config: VersionConfig = serde_json::from_value(config).unwrap();
        config.build(stage.http.clone()).unwrap().running().await.map_err(|fault| kind(&fault))
    };
    assert_eq!(ask("/version", "/image/digest").await.unwrap().short(), "abababababab");
    assert_eq!(ask("/version", "/version").await, Err("invalid"));
    assert_eq!(ask("/version", "/digest").await, Err("invalid"));
    assert_eq!(ask("/version", "/image").await, Err("invalid"));
    assert_eq!(ask("/healthz", "/digest").await, Err("invalid"));
    assert_eq!(ask("/sick", "/digest").await, Err("unavailable"));
    assert_eq!(ask("/slow", "/digest").await, Err("unavailable"));
}
