//! Who routes customers by an object: reads it again and again, gives each pool its part, and acknowledges that in the object's status
//! where the kind has a place for it.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    extract::State,
    http::{HeaderName, StatusCode},
    response::{IntoResponse, Response},
};
use reqwest::Method;
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};

use super::{Cluster, Kind, pods::Servers};
use crate::process::poll_async;

/// Between two looks at the object.
const EVERY: Duration = Duration::from_millis(20);

struct Inner {
    servers: Arc<Mutex<Servers>>,
    /// What blue gets. None: the object was not read yet.
    blue: Mutex<Option<u8>>,
    asked: AtomicU64,
    follows: AtomicBool,
    http: reqwest::Client,
}

pub struct Front {
    at: SocketAddr,
    inner: Arc<Inner>,
    tasks: [JoinHandle<()>; 2],
}

impl Drop for Front {
    fn drop(&mut self) {
        self.tasks.iter().for_each(JoinHandle::abort);
    }
}

impl Front {
    pub async fn start<K: Kind>(cluster: &Cluster, servers: Arc<Mutex<Servers>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let inner = Arc::new(Inner {
            servers,
            blue: Mutex::new(None),
            asked: AtomicU64::new(0),
            follows: AtomicBool::new(true),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        });
        let app = Router::new().fallback(customer).with_state(inner.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        let following = tokio::spawn(follow::<K>(cluster.clone(), inner.clone()));
        let front = Self { at, inner, tasks: [serving, following] };
        poll_async("who routes by the object", Duration::from_secs(10), || async {
            *front.inner.blue.lock().unwrap()
        })
        .await;
        front
    }

    pub fn url(&self) -> String {
        format!("http://{}/", self.at)
    }

    pub fn follows(&self, does: bool) {
        self.inner.follows.store(does, Ordering::SeqCst);
    }
}

async fn follow<K: Kind>(cluster: Cluster, inner: Arc<Inner>) {
    let mut tick = tokio::time::interval(EVERY);
    let mut seen = None;
    loop {
        tick.tick().await;
        if !inner.follows.load(Ordering::SeqCst) {
            continue;
        }
        let cluster = cluster.read().await;
        let (status, object) = cluster.ask(Method::GET, K::PATH, None).await;
        if !status.is_success() {
            continue;
        }
        *inner.blue.lock().unwrap() = Some(K::blue(&object));
        let generation = object["metadata"]["generation"].as_u64();
        if let (Some(status), true) = (K::status(&object), seen != generation) {
            let path = format!("{}/status?fieldManager=gateway", K::PATH);
            let patch = ("application/merge-patch+json", &json!({ "status": status }));
            if cluster.ask(Method::PATCH, &path, Some(patch)).await.0.is_success() {
                seen = generation;
            }
        }
    }
}

async fn customer(State(inner): State<Arc<Inner>>) -> Response {
    let number = inner.asked.fetch_add(1, Ordering::Relaxed);
    // Spread as a router spreads: 7 has no common factor with 100.
    let blue = u64::from(inner.blue.lock().unwrap().unwrap_or(0));
    let pool = if number * 7 % 100 < blue { "blue" } else { "green" };
    let server = {
        let servers = inner.servers.lock().unwrap();
        let ready: Vec<_> = servers
            .at
            .iter()
            .filter(|(name, _)| name.starts_with(pool) && servers.ready.get(*name) == Some(&true))
            .collect();
        let chosen = usize::try_from(number).unwrap() % ready.len().max(1);
        ready.get(chosen).map(|(_, at)| **at)
    };
    let Some(server) = server else { return StatusCode::SERVICE_UNAVAILABLE.into_response() };
    match inner.http.get(format!("http://{server}/")).send().await {
        Ok(answer) => {
            let status = answer.status();
            let pool = answer.headers().get("x-pool").cloned();
            let headers = pool.map(|pool| [(HeaderName::from_static("x-pool"), pool)]);
            (status, headers.map(axum::response::AppendHeaders), answer.bytes().await.unwrap_or_default())
                .into_response()
        }
        Err(_) => StatusCode::BAD_GATEWAY.into_response(),
    }
}
