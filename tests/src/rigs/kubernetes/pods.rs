//! Pods that stand for the shop's servers, and their kubelet: a pod is ready as long as its server says that it is well. Services and
//! their endpoints are made from them by the real controllers.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};

use super::Cluster;
use crate::{
    real::kubernetes::{Kubernetes, NAMESPACE, image},
    shop::Shop,
};

/// Between two looks, as a readiness probe has.
const EVERY: Duration = Duration::from_millis(50);

/// Where each pod's server is, and whether it is ready.
#[derive(Default)]
pub struct Servers {
    pub at: BTreeMap<String, SocketAddr>,
    pub ready: BTreeMap<String, bool>,
}

impl Servers {
    pub fn of(shop: &Shop) -> Self {
        let each = shop.pools.values().flatten();
        Self { at: each.map(|server| (server.name().to_owned(), server.at())).collect(), ..Self::default() }
    }
}

fn labels(pool: &str) -> Value {
    json!({"app": "checkout", "color": pool})
}

pub async fn create(cluster: &Kubernetes, shop: &Shop) {
    let folder = format!("/api/v1/namespaces/{NAMESPACE}");
    // Endpoints are made of pods that are on a node.
    cluster.create("/api/v1/nodes", &json!({"metadata": {"name": "node-1"}})).await;
    for (pool, version) in [("blue", "v2"), ("green", "v1")] {
        for server in shop.pool(pool) {
            let pod = json!({
                "metadata": {"name": server.name(), "labels": labels(pool)},
                "spec": {"nodeName": "node-1", "containers": [{"name": "app", "image": image(version)}]},
            });
            cluster.create(&format!("{folder}/pods"), &pod).await;
        }
        let service = json!({
            "metadata": {"name": format!("checkout-{pool}")},
            "spec": {"selector": labels(pool), "ports": [{"port": 80}]},
        });
        cluster.create(&format!("{folder}/services"), &service).await;
    }
}

pub async fn keep(cluster: Cluster, servers: Arc<Mutex<Servers>>) {
    let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(1)).build().unwrap();
    let mut told: BTreeMap<String, bool> = BTreeMap::new();
    let mut tick = tokio::time::interval(EVERY);
    loop {
        tick.tick().await;
        let all: Vec<_> = servers.lock().unwrap().at.iter().map(|(name, at)| (name.clone(), *at)).collect();
        for (number, (name, at)) in all.into_iter().enumerate() {
            let asked = http.get(format!("http://{at}/healthz")).send().await;
            let ready = asked.is_ok_and(|answer| answer.status().is_success());
            servers.lock().unwrap().ready.insert(name.clone(), ready);
            if told.get(&name) == Some(&ready) {
                continue;
            }
            let status = json!({"status": {
                "phase": "Running",
                // Loopback addresses are refused; nobody connects to this one.
                "podIP": format!("10.1.0.{}", number + 1), "podIPs": [{"ip": format!("10.1.0.{}", number + 1)}],
                "conditions": [{"type": "Ready", "status": if ready { "True" } else { "False" }}],
            }});
            let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}/status");
            let patch = ("application/merge-patch+json", &status);
            if cluster.read().await.ask(Method::PATCH, &path, Some(patch)).await.0.is_success() {
                told.insert(name, ready);
            }
        }
    }
}
