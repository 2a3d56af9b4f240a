//! Caddy's traps.

use std::time::Duration;

use lastgood_adapters::Fault;
use lastgood_tests::lossy::Mode;
use serde_json::{Value, json};

use lastgood_tests::rigs::{
    Rig as _, apply,
    caddy::{By, ByUpstreams, ByWeights},
    from, settled, shares,
};

async fn handler(admin: &str) -> Value {
    reqwest::get(format!("{admin}/id/checkout")).await.unwrap().json().await.unwrap()
}

/// Between our reading and our writing somebody else writes: neither change is lost.
async fn two_writers<const WEIGHTS: bool>(rig: By<WEIGHTS>) {
    let adapter = rig.adapter();
    for network in rig.networks() {
        network.set(Mode::Delay(Duration::from_millis(300))).await;
    }
    let ours = tokio::spawn(async move { apply(&*adapter, &from(100, 0)).await });
    // The first reading is on its way back.
    tokio::time::sleep(Duration::from_millis(150)).await;
    let theirs = json!({"max_fails": 7});
    for admin in rig.admins() {
        let url = format!("{admin}/id/checkout/health_checks");
        let body = json!({"passive": theirs});
        let answer = reqwest::Client::new().put(url).json(&body).send().await.unwrap();
        assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
    }
    let outcome = ours.await.unwrap();
    assert!(matches!(outcome, Err(Fault::Conflict(_))), "{outcome:?}");
    for network in rig.networks() {
        network.set(Mode::Pass).await;
    }
    let adapter = rig.adapter();
    assert_eq!(adapter.observe().await.unwrap().shares, shares(100));
    apply(&*adapter, &from(100, 0)).await.unwrap();
    settled(&*adapter, &from(100, 0)).await;
    for admin in rig.admins() {
        let now = handler(&admin).await;
        assert_eq!(now["health_checks"]["passive"], theirs, "{now}");
        assert_eq!(now["@id"], "checkout");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_lose_nothing_by_weights() {
    two_writers(ByWeights::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_writers_lose_nothing_by_upstreams() {
    // 2.6 sends its ETag after the body.
    two_writers(ByUpstreams::start().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_of_no_pool_is_told_and_not_moved() {
    let rig = ByWeights::start().await;
    let mut upstreams = handler(&rig.admins()[0]).await["upstreams"].clone();
    upstreams.as_array_mut().unwrap().push(json!({"dial": "127.0.0.1:1"}));
    rig.patch("upstreams", &upstreams).await;
    rig.patch("load_balancing/selection_policy/weights", &json!([1, 1, 1, 0, 0, 0, 1])).await;
    let adapter = rig.adapter();
    let seen = adapter.observe().await.unwrap();
    assert!(seen.warnings[0].contains("127.0.0.1:1 carries traffic and is in no pool"), "{seen:?}");
    let refused = adapter.preflight(&from(100, 0)).await.unwrap();
    assert!(matches!(refused, lastgood_adapters::traffic::Preflight::Refused { .. }), "{refused:?}");
}
