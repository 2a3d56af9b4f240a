//! From the first scrape to the webhook: a real rule, a real Alertmanager.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    http::HeaderMap,
    routing::{get, post},
};
use lastgood_tests::{
    process::poll,
    real::{
        alertmanager::Alertmanager,
        prometheus::{Options, Prometheus},
    },
};
use serde_json::Value;

use super::Stage;

const RULES: &str = "groups:
  - name: shop
    rules:
      - alert: HighErrorRate
        expr: broken > 0
        labels: { service: checkout, severity: page }
";

#[tokio::test]
async fn a_rule_that_fires_reaches_the_webhook_with_its_token() {
    let stage = Stage::new();
    let taken = Arc::new(Mutex::new(Vec::<(String, Value)>::new()));
    let keep = taken.clone();
    let hook = move |headers: HeaderMap, body: Bytes| async move {
        let token = headers["authorization"].to_str().unwrap().to_owned();
        keep.lock().unwrap().push((token, serde_json::from_slice(&body).unwrap()));
    };
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let at = listener.local_addr().unwrap();
    let app = Router::new().route("/metrics", get(|| async { "broken 1\n" })).route("/hook", post(hook));
    tokio::spawn(async move { axum::serve(listener, app).await });

    let folder = stage.folder.path();
    let alertmanager = Alertmanager::start(folder, &format!("http://{at}/hook"), "hunter2", None).await;
    let targets = [("shop", at)];
    let options = Options { targets: &targets, rules: Some(RULES), alertmanager: Some(alertmanager.at) };
    let _prometheus = Prometheus::start(folder, &options).await;
    let (token, body) =
        poll("the alert", Duration::from_secs(30), || taken.lock().unwrap().first().cloned()).await;
    assert_eq!(token, "Bearer hunter2");
    assert_eq!((&body["version"], &body["status"]), (&"4".into(), &"firing".into()));
    assert_eq!(body["commonLabels"]["service"], "checkout");
}
