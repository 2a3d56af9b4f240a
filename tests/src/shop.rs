//! The service under test: pools of small HTTP servers whose failures are exactly those that were asked for.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderName, StatusCode},
    response::IntoResponse,
    routing::get,
};
use lastgood_core::{Artifact, Digest};
use sha2::{Digest as _, Sha256};
use tokio::{net::TcpListener, sync::oneshot, task::JoinHandle};

/// The artifact that goes by this version: its digest is made from the version, so that every program of a test that is
/// told the version agrees on the digest.
pub fn artifact(version: &str) -> Artifact {
    let digits: String = Sha256::digest(version).iter().map(|byte| format!("{byte:02x}")).collect();
    Artifact { version: version.to_owned(), digest: Digest::try_from(format!("sha256:{digits}")).unwrap() }
}

/// How a server answers customers. `/healthz` and `/version` have no part in it.
#[derive(Debug, Clone, Copy)]
struct Manner {
    /// Of 1: requests that end in a 500, spread evenly and the same in every run.
    failures: f64,
    latency: Duration,
    healthy: bool,
    /// Answers of `/healthz` that are bad all the same.
    hiccups: u32,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Customers' requests, failed ones included.
    pub served: u64,
    pub failed: u64,
}

struct Inner {
    service: String,
    pool: String,
    name: String,
    artifact: Mutex<Artifact>,
    manner: Mutex<Manner>,
    counts: Mutex<Counts>,
    /// Requests since the failure rate was set.
    since: Mutex<u64>,
}

struct Running {
    end: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// One server of a pool.
pub struct Server {
    inner: Arc<Inner>,
    at: SocketAddr,
    running: Option<Running>,
}

impl Server {
    /// Listens on a free loopback port.
    pub async fn start(service: &str, pool: &str, name: &str, version: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            service: service.to_owned(),
            pool: pool.to_owned(),
            name: name.to_owned(),
            artifact: Mutex::new(artifact(version)),
            manner: Mutex::new(Manner { failures: 0.0, latency: Duration::ZERO, healthy: true, hiccups: 0 }),
            counts: Mutex::default(),
            since: Mutex::default(),
        });
        let running = Some(serve(&inner, listener));
        Self { inner, at, running }
    }

    pub fn at(&self) -> SocketAddr {
        self.at
    }

    pub fn name(&self) -> &str {
        &self.inner.name
    }

    pub fn counts(&self) -> Counts {
        *self.inner.counts.lock().unwrap()
    }

    /// From the next request on this part of them (0 to 1) ends in a 500.
    pub fn fail(&self, rate: f64) {
        assert!((0.0..=1.0).contains(&rate), "a rate is between 0 and 1: {rate}");
        *self.inner.since.lock().unwrap() = 0;
        self.inner.manner.lock().unwrap().failures = rate;
    }

    pub fn slow(&self, latency: Duration) {
        self.inner.manner.lock().unwrap().latency = latency;
    }

    /// What `/healthz` says: 200 or 503.
    pub fn healthy(&self, healthy: bool) {
        self.inner.manner.lock().unwrap().healthy = healthy;
    }

    /// The next so many questions for `/healthz` get a 503, whatever else it would say.
    pub fn hiccups(&self, times: u32) {
        self.inner.manner.lock().unwrap().hiccups = times;
    }

    /// Runs another version from now on, as after a rolling update.
    pub fn deploy(&self, version: &str) {
        *self.inner.artifact.lock().unwrap() = artifact(version);
    }

    /// As `deploy`, for an artifact whose digest somebody else decides.
    pub fn runs(&self, artifact: &Artifact) {
        *self.inner.artifact.lock().unwrap() = artifact.clone();
    }

    /// Accepts no more, finishes what it is doing, then returns. Connections are refused from then on.
    pub async fn stop(&mut self) {
        let running = self.running.take().expect("it runs");
        running.end.send(()).ok();
        running.task.await.unwrap();
    }

    /// Listens on its port again.
    pub async fn restart(&mut self) {
        assert!(self.running.is_none(), "{} was not stopped", self.inner.name);
        let listener = TcpListener::bind(self.at).await.unwrap();
        self.running = Some(serve(&self.inner, listener));
    }
}

fn serve(inner: &Arc<Inner>, listener: TcpListener) -> Running {
    let app = Router::new()
        .route("/healthz", get(healthz))
        .route("/version", get(version))
        .route("/metrics", get(metrics))
        .fallback(customer)
        .with_state(inner.clone());
    let (end, ended) = oneshot::channel::<()>();
    let serving = axum::serve(listener, app).with_graceful_shutdown(async {
        ended.await.ok();
    });
    Running { end, task: tokio::spawn(async { serving.await.unwrap() }) }
}

async fn healthz(State(inner): State<Arc<Inner>>) -> StatusCode {
    let mut manner = inner.manner.lock().unwrap();
    let well = manner.healthy && manner.hiccups == 0;
    manner.hiccups = manner.hiccups.saturating_sub(1);
    if well { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

async fn version(State(inner): State<Arc<Inner>>) -> Json<serde_json::Value> {
    let artifact = inner.artifact.lock().unwrap().clone();
    Json(serde_json::json!({ "version": artifact.version, "digest": artifact.digest }))
}

/// Prometheus' text format, with the names that the documentation's example queries use.
async fn metrics(State(inner): State<Arc<Inner>>) -> impl IntoResponse {
    let Counts { served, failed } = *inner.counts.lock().unwrap();
    let (service, pool) = (&inner.service, &inner.pool);
    let mut text = "# TYPE http_requests_total counter\n".to_owned();
    for (code, count) in [(200, served - failed), (500, failed)] {
        text += &format!(
            "http_requests_total{{service=\"{service}\",pool=\"{pool}\",code=\"{code}\"}} {count}\n"
        );
    }
    ([("content-type", "text/plain; version=0.0.4")], text)
}

async fn customer(State(inner): State<Arc<Inner>>) -> impl IntoResponse {
    let manner = *inner.manner.lock().unwrap();
    if !manner.latency.is_zero() {
        tokio::time::sleep(manner.latency).await;
    }
    let fails = {
        let mut since = inner.since.lock().unwrap();
        *since += 1;
        due(*since, manner.failures)
    };
    {
        let mut counts = inner.counts.lock().unwrap();
        counts.served += 1;
        counts.failed += u64::from(fails);
    }
    let status = if fails { StatusCode::INTERNAL_SERVER_ERROR } else { StatusCode::OK };
    let headers = [
        (HeaderName::from_static("x-pool"), inner.pool.clone()),
        (HeaderName::from_static("x-server"), inner.name.clone()),
    ];
    (status, headers, if fails { "broken\n" } else { "ok\n" })
}

/// Whether the nth request (from 1) is one of those that fail: after n requests, ⌊n × rate⌋ have failed.
fn due(nth: u64, rate: f64) -> bool {
    let failed = |n: u64| (n as f64 * rate + 1e-9).floor();
    failed(nth) > failed(nth - 1)
}

/// A service's pools.
pub struct Shop {
    pub pools: BTreeMap<String, Vec<Server>>,
}

impl Shop {
    /// Pools by name, version and number of servers: `&[("blue", "v1", 2), ("green", "v2", 2)]`.
    pub async fn start(service: &str, pools: &[(&str, &str, usize)]) -> Self {
        let mut started = BTreeMap::new();
        for (pool, version, servers) in pools {
            let mut all = Vec::new();
            for number in 1..=*servers {
                all.push(Server::start(service, pool, &format!("{pool}{number}"), version).await);
            }
            started.insert((*pool).to_owned(), all);
        }
        Self { pools: started }
    }

    pub fn pool(&self, name: &str) -> &[Server] {
        self.pools.get(name).unwrap_or_else(|| panic!("the shop has no pool {name}"))
    }

    /// The failure rate of a pool's every server.
    pub fn fail(&self, pool: &str, rate: f64) {
        self.pool(pool).iter().for_each(|server| server.fail(rate));
    }

    pub fn slow(&self, pool: &str, latency: Duration) {
        self.pool(pool).iter().for_each(|server| server.slow(latency));
    }

    pub fn healthy(&self, pool: &str, healthy: bool) {
        self.pool(pool).iter().for_each(|server| server.healthy(healthy));
    }

    /// What a pool's every server runs from now on.
    pub fn runs(&self, pool: &str, artifact: &Artifact) {
        self.pool(pool).iter().for_each(|server| server.runs(artifact));
    }

    /// The pool's servers together.
    pub fn counts(&self, pool: &str) -> Counts {
        self.pool(pool).iter().map(Server::counts).fold(Counts::default(), |all, one| Counts {
            served: all.served + one.served,
            failed: all.failed + one.failed,
        })
    }

    /// Stops a pool's every server, gracefully.
    pub async fn stop(&mut self, pool: &str) {
        for server in self.pools.get_mut(pool).expect("a pool of the shop") {
            server.stop().await;
        }
    }

    pub async fn restart(&mut self, pool: &str) {
        for server in self.pools.get_mut(pool).expect("a pool of the shop") {
            server.restart().await;
        }
    }
}
