//! The server as its callers meet it: a real listener, a real store, and a configuration as people write it.

mod alerts;
mod auth;
mod connections;
mod deployments;
mod gate;
mod pagers;
mod rollbacks;
mod tls;

use std::{net::SocketAddr, sync::Arc};

use lastgood_core::At;
use serde_json::Value;
use tokio::{net::TcpListener, sync::watch};

use super::{Listening, router, serve};
use crate::{
    app::{self, App},
    clock::Clock,
    config::Config,
    store::{Store, write},
};

const CI: &str = "hunter2-ci-0123456789";
const SENDER: &str = "hunter2-alertmanager-0123456789";
const READER: &str = "hunter2-reader-0123456789";
const WEBHOOK: &str = "hunter2-webhook-0123456789";
/// 2027-01-15T08:00:00Z
pub const NOW: At = 1_800_000_000_000;

const TOML: &str = r#"
http.tokens = [
  { name = "ci", secret = { file = "DIR/ci" }, may = ["record", "gate"] },
  { name = "alertmanager", secret = { file = "DIR/alertmanager" }, may = ["alert"] },
  { name = "reader", secret = { file = "DIR/reader" }, may = ["read"] },
]
[pagers.oncall]
kind = "pagerduty"
routing_key = { file = "DIR/reader" }
url = "http://127.0.0.1:9"
webhook_secret = { file = "DIR/webhook" }
[pagers.silent]
kind = "pagerduty"
routing_key = { file = "DIR/reader" }
[services.checkout]
environment = "production"
room = "terminal:"
approvers = ["os:ana", "os:ben"]
alerts = ['service="checkout"']
page = ["oncall", "silent"]
health.http = [{ url = "http://127.0.0.1:9/healthz" }]
traffic = { strategy = "blue-green", kind = "haproxy", instances = ["unix:/nowhere/haproxy.sock"], switch = { map = "/m", key = "k", blue = "be_blue", green = "be_green" } }
pools = { blue = {}, green = {} }
"#;

struct Fixed;

impl Clock for Fixed {
    fn now(&self) -> At {
        NOW
    }
}

/// A running server. It ends when dropped.
pub struct Server {
    pub app: App,
    address: SocketAddr,
    client: reqwest::Client,
    stop: watch::Sender<bool>,
    _directory: tempfile::TempDir,
}

/// What came back.
pub struct Answer {
    pub status: u16,
    pub kind: String,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    /// Checks that it is a problem, as the format says, with this in its detail.
    #[track_caller]
    pub fn refused(&self, status: u16, detail: &str) {
        assert_eq!(self.status, status, "{}", self.text);
        assert_eq!(self.kind, "application/problem+json");
        let body = self.json();
        assert_eq!((&body["type"], &body["status"]), (&"about:blank".into(), &status.into()));
        assert!(body["title"].is_string());
        let said = body["detail"].as_str().unwrap();
        assert!(said.contains(detail), "{said:?} lacks {detail:?}");
        assert!(!self.text.contains("hunter2"), "{}", self.text);
    }
}

impl Server {
    pub async fn start() -> Self {
        Self::start_with(|config| config.to_owned()).await
    }

    pub async fn start_with(change: impl FnOnce(&str) -> String) -> Self {
        Self::start_as(change, Listening::plain(512)).await
    }

    pub async fn start_as(change: impl FnOnce(&str) -> String, listening: Listening) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, secret) in [("ci", CI), ("alertmanager", SENDER), ("reader", READER), ("webhook", WEBHOOK)]
        {
            std::fs::write(directory.path().join(name), secret).unwrap();
        }
        let text = change(TOML).replace("DIR", &directory.path().display().to_string());
        let (config, _) = Config::parse(&text, "x.toml").unwrap_or_else(|problems| panic!("{problems:#?}"));
        let client = lastgood_adapters::client::client().unwrap();
        let services = app::services(&config, &client).unwrap();
        let url = format!("sqlite:{}", directory.path().join("db").display());
        let store = Store::open(&url, None).await.unwrap();
        let (app, _) = App::with(config, services, store, client.clone(), Arc::new(Fixed));
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(serve(
            listener,
            router(app.clone(), crate::chat::Talk::new(&app, crate::delivery::Chats::default())),
            listening,
            stopped,
        ));
        Self { app, address, client, stop, _directory: directory }
    }

    pub fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        send(self.request("GET", path).bearer_auth(token)).await
    }

    pub async fn post(&self, path: &str, token: &str, body: impl Into<reqwest::Body>) -> Answer {
        send(self.request("POST", path).bearer_auth(token).body(body)).await
    }

    /// The store does not answer from here on.
    pub async fn lose_the_store(&self) {
        self.app.engine.store.close().await;
    }

    /// What a question about the database answers.
    pub async fn rows(&self, sql: &'static str) -> i64 {
        write!(self.app.engine.store, |tx| {
            Ok(sqlx::query_scalar::<_, i64>(sql).fetch_one(tx.conn()).await?)
        })
        .unwrap()
    }
}

pub async fn send(request: reqwest::RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap().to_owned());
    assert_eq!(header("x-content-type-options").as_deref(), Some("nosniff"));
    let (status, kind) = (response.status().as_u16(), header("content-type").unwrap_or_default());
    Answer { status, kind, text: response.text().await.unwrap() }
}
