//! The bot inside the test: everything that `serve` starts, with the test's chat in place of the configured ones.

use std::{net::SocketAddr, sync::Arc};

use lastgood::{app::App, chat::Talk, config::Config, delivery::Chats, engine::Executor, http};
use lastgood_adapters::chat::Chat;
use lastgood_core::Artifact;
use lastgood_tests::{client, standin::chat::Platform};
use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle};

use super::stage::{ALERT_TOKEN, CI_TOKEN};

pub struct Bot {
    pub app: App,
    stop: watch::Sender<bool>,
    working: JoinHandle<()>,
}

impl Bot {
    /// Starts from a configuration file's text.
    pub async fn start(configuration: &str, platform: &Arc<Platform>) -> Self {
        client::tls();
        let (config, _) = Config::parse(configuration, "lastgood.toml")
            .unwrap_or_else(|problems| panic!("{problems:#?}\n{configuration}"));
        let (app, executor) = App::open(config).await.unwrap();
        let chats = Chats::new([("terminal".to_owned(), platform.clone() as Arc<dyn Chat>)]);
        Self::run(app, executor, chats).await
    }

    /// As `start`, on the chats that the configuration names.
    pub async fn configured(configuration: &str) -> Self {
        client::tls();
        let (config, _) = Config::parse(configuration, "lastgood.toml")
            .unwrap_or_else(|problems| panic!("{problems:#?}\n{configuration}"));
        let (app, executor) = App::open(config).await.unwrap();
        let chats = lastgood::chat::configured(&app).unwrap();
        Self::run(app, executor, chats).await
    }

    async fn run(app: App, executor: Executor, chats: Chats) -> Self {
        executor.join().await.unwrap();
        let listener = http::bind(app.config.http.listen).await.unwrap();
        let (stop, stopped) = watch::channel(false);
        let own = app.clone();
        let working = tokio::spawn(async move {
            let talk = Talk::new(&own, chats);
            let serving = http::serve(
                listener,
                http::router(own.clone(), talk.clone()),
                http::Listening::plain(own.config.http.connections),
                stopped.clone(),
            );
            let talking = talk.run(&own, stopped.clone());
            let (served, (), ()) = tokio::join!(serving, executor.run(stopped.clone()), talking);
            served.unwrap();
        });
        Self { app, stop, working }
    }

    /// Ends as on a signal: what runs stays in the database.
    pub async fn end(self) {
        self.stop.send_replace(true);
        self.working.await.unwrap();
        self.app.engine.store.close().await;
    }
}

/// The bot's HTTP interface, as others use it.
pub struct Http {
    at: SocketAddr,
    http: reqwest::Client,
}

impl Http {
    pub fn new(at: SocketAddr) -> Self {
        client::tls();
        Self { at, http: lastgood_adapters::client::client().unwrap() }
    }

    /// The pipeline records a deployment of checkout.
    pub async fn records(&self, artifact: &Artifact, pool: &str, at: Option<i64>) {
        let mut body = json!({ "service": "checkout", "version": artifact.version, "digest": artifact.digest,
            "pool": (!pool.is_empty()).then_some(pool), "by": "ci" });
        if let Some(at) = at {
            body["at"] = at.into();
        }
        let (status, answer) = self.post("/v1/deployments", CI_TOKEN, &body).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// As `records`, of another phase than live.
    pub async fn records_as(&self, artifact: &Artifact, pool: &str, phase: &str) {
        let body = json!({ "service": "checkout", "version": artifact.version, "digest": artifact.digest,
            "pool": pool, "phase": phase, "by": "ci" });
        let (status, answer) = self.post("/v1/deployments", CI_TOKEN, &body).await;
        assert_eq!(status, 201, "{answer}");
    }

    /// Gives what Alertmanager is answered.
    pub async fn alertmanager_sends(&self, payload: &Value) -> Value {
        let (status, answer) = self.post("/v1/alerts/alertmanager", ALERT_TOKEN, payload).await;
        assert!(matches!(status, 200 | 202), "{status} {answer}");
        answer
    }

    /// Status and body.
    pub async fn post(&self, path: &str, token: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("http://{}{path}", self.at)).bearer_auth(token).json(body);
        let answer = request.send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    pub async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        self.try_get(path, token).await.unwrap()
    }

    /// For a server that may be gone.
    pub async fn try_get(&self, path: &str, token: &str) -> reqwest::Result<(u16, Value)> {
        let request = self.http.get(format!("http://{}{path}", self.at)).bearer_auth(token);
        let answer = request.send().await?;
        Ok((answer.status().as_u16(), answer.json().await?))
    }
}
