//! The shop fails exactly as asked, and the client sees all of it.

use std::time::Duration;

use lastgood_tests::{
    client::{Client, Lost, tls},
    shop::{Counts, Server, Shop, artifact},
};

async fn get(client: &reqwest::Client, url: String) -> (u16, String) {
    let response = client.get(url).send().await.unwrap();
    (response.status().as_u16(), response.text().await.unwrap())
}

#[tokio::test]
async fn a_failure_rate_is_met_exactly_and_spares_health_and_version() {
    let shop = Shop::start("checkout", &[("blue", "v1", 1), ("green", "v2", 2)]).await;
    tls();
    let client = reqwest::Client::new();
    shop.fail("blue", 0.3);
    let blue = shop.pool("blue")[0].at();
    let mut failed = Vec::new();
    for number in 1..=20 {
        if get(&client, format!("http://{blue}/buy")).await.0 == 500 {
            failed.push(number);
        }
    }
    assert_eq!(failed, [4, 7, 10, 14, 17, 20]);
    assert_eq!(shop.counts("blue"), Counts { served: 20, failed: 6 });
    assert_eq!(shop.counts("green"), Counts::default());

    assert_eq!(get(&client, format!("http://{blue}/healthz")).await.0, 200);
    shop.healthy("blue", false);
    assert_eq!(get(&client, format!("http://{blue}/healthz")).await.0, 503);
    let (_, version) = get(&client, format!("http://{blue}/version")).await;
    let version: serde_json::Value = serde_json::from_str(&version).unwrap();
    assert_eq!(version, serde_json::json!({"version": "v1", "digest": artifact("v1").digest.as_str()}));
    assert_eq!(shop.counts("blue").served, 20, "health and version are no customers");

    let (_, metrics) = get(&client, format!("http://{blue}/metrics")).await;
    assert!(
        metrics.contains("http_requests_total{service=\"checkout\",pool=\"blue\",code=\"500\"} 6\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn a_stopped_server_finishes_refuses_and_comes_back_on_its_port() {
    let mut server = Server::start("checkout", "blue", "blue1", "v1").await;
    server.slow(Duration::from_millis(300));
    let url = format!("http://{}/", server.at());
    let client = Client::start(&url, 50);
    client.more(1).await;
    server.stop().await;
    server.slow(Duration::ZERO);
    client.more(5).await;
    server.restart().await;
    // What is under way may still be refused; later it can't be.
    let seen = client.more(10).await;
    let summary = client.stop().await;
    assert!(summary.requests.len() >= seen);

    let errors: Vec<_> =
        summary.requests.iter().filter_map(|request| request.outcome.clone().err()).collect();
    assert!(errors.contains(&Lost::Refused), "{errors:?}");
    assert!(errors.iter().all(|error| matches!(error, Lost::Refused | Lost::Reset)), "{errors:?}");
    assert!(summary.requests.last().unwrap().outcome.is_ok());
    assert_eq!(summary.unexplained().len(), errors.len());
}

#[tokio::test]
async fn the_client_keeps_its_rate_whatever_the_latency_and_blames_pools_for_their_own_errors() {
    let server = Server::start("checkout", "green", "green1", "v2").await;
    server.slow(Duration::from_millis(200));
    server.fail(0.5);
    let client = Client::start(&format!("http://{}/", server.at()), 100);
    client.more(50).await;
    let summary = client.stop().await;

    assert_eq!(summary.unexplained().len(), 0, "{:?}", summary.unexplained());
    let all = summary.requests.len();
    assert_eq!(summary.answered_by("green").count(), all);
    assert_eq!(summary.failed_in("green"), all / 2);
    assert_eq!(summary.answered_by("blue").count(), 0);
    assert!(summary.requests.iter().any(|request| request.fresh), "new connections");
    assert!(summary.requests.iter().any(|request| !request.fresh), "kept connections");
    let span = summary.last("green").unwrap() - summary.first("green").unwrap();
    assert!(summary.requests.iter().all(|request| request.took >= Duration::from_millis(200)));
    // One after the other would take 200 ms each.
    assert!(span < Duration::from_millis(200) * u32::try_from(all / 4).unwrap(), "{all} in {span:?}");
}
