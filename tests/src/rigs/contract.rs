//! Rigs of the contract for shifters of the user's own. Behind both is Envoy: moved by the example program in `deploy/`, and
//! by a server that is strict about what the contract and the Standard Webhooks say.

use std::{path::PathBuf, sync::Arc};

use crate::{lossy::Lossy, shop::Shop, standin::shifter::Server};
use async_trait::async_trait;
use lastgood_adapters::traffic::{Shifter, exec, http};
use serde_json::{Value, json};

use super::{self as rig, Rig, envoy::ByRuntime};

pub struct Exec(ByRuntime);

impl Exec {
    fn config(&self, envoys: &[String], green: &str) -> Value {
        let program = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../deploy/shifter-example.py");
        json!({"command": ["python3", program], "pools": ["blue", "green"], "timeout": "6s",
               "environment": {"ENVOYS": envoys.join(","), "PREFIX": "routing.checkout", "CLUSTER_green": green}})
    }

    fn envoys(&self) -> Vec<String> {
        self.0.instances().iter().map(|at| at.trim_end_matches('/').to_owned()).collect()
    }
}

#[async_trait]
impl Rig for Exec {
    const KEEPS: bool = false;
    const CHANGE: Option<&'static str> = ByRuntime::CHANGE;

    async fn start() -> Self {
        Self(ByRuntime::start().await)
    }

    fn shop(&mut self) -> &mut Shop {
        self.0.shop()
    }

    fn adapter(&self) -> Arc<dyn Shifter> {
        rig::built::<exec::Config>(self.config(&self.envoys(), "green"))
    }

    fn networks(&self) -> &[Lossy] {
        self.0.networks()
    }

    fn instances(&self) -> Vec<String> {
        self.envoys()
    }

    fn fronts(&self) -> Vec<String> {
        self.0.fronts()
    }

    async fn by_hand(&mut self, blue: u8) {
        self.0.by_hand(blue).await;
    }

    async fn restart(&mut self) {
        self.0.restart().await;
    }

    fn denied(&self) -> Arc<dyn Shifter> {
        rig::built::<exec::Config>(self.config(&[self.0.read_only()], "green"))
    }

    fn mistaken(&self) -> Arc<dyn Shifter> {
        rig::built::<exec::Config>(self.config(&self.envoys(), "teal"))
    }
}

pub struct Http {
    envoys: ByRuntime,
    server: Server,
    mistaken: Server,
    denied: Server,
    secret: tempfile::NamedTempFile,
}

impl Http {
    fn config(&self, server: &Server) -> Value {
        json!({"url": server.url(), "pools": ["blue", "green"], "timeout": "6s",
               "secret": {"file": self.secret.path()}})
    }
}

#[async_trait]
impl Rig for Http {
    const KEEPS: bool = false;
    const CHANGE: Option<&'static str> = ByRuntime::CHANGE;

    async fn start() -> Self {
        let envoys = ByRuntime::start().await;
        let secret = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(secret.path(), Server::SECRET).unwrap();
        let server = Server::start(envoys.adapter()).await;
        let mistaken = Server::start(envoys.mistaken()).await;
        let denied = Server::start(envoys.denied()).await;
        Self { envoys, server, mistaken, denied, secret }
    }

    fn shop(&mut self) -> &mut Shop {
        self.envoys.shop()
    }

    fn adapter(&self) -> Arc<dyn Shifter> {
        rig::built::<http::Config>(self.config(&self.server))
    }

    fn networks(&self) -> &[Lossy] {
        self.envoys.networks()
    }

    fn instances(&self) -> Vec<String> {
        self.envoys.instances()
    }

    fn fronts(&self) -> Vec<String> {
        self.envoys.fronts()
    }

    async fn by_hand(&mut self, blue: u8) {
        self.envoys.by_hand(blue).await;
    }

    async fn restart(&mut self) {
        self.envoys.restart().await;
    }

    fn denied(&self) -> Arc<dyn Shifter> {
        rig::built::<http::Config>(self.config(&self.denied))
    }

    fn mistaken(&self) -> Arc<dyn Shifter> {
        rig::built::<http::Config>(self.config(&self.mistaken))
    }
}
