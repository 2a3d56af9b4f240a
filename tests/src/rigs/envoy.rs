//! Envoy's rigs: by overrides in the runtime, and by a route configuration that two Envoys watch.

use std::{path::PathBuf, sync::Arc};

use crate::{
    lossy::Lossy,
    real::envoy::{Envoy, Setup, write_routes},
    shop::Shop,
};
use async_trait::async_trait;
use lastgood_adapters::traffic::{Shifter, envoy::Config};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{self as rig, Rig};

struct Parts {
    shop: Shop,
    routers: Vec<Envoy>,
    /// Takes no overrides.
    read_only: Envoy,
    networks: Vec<Lossy>,
    file: Option<PathBuf>,
    folder: TempDir,
}

impl Parts {
    async fn start(by_file: bool) -> Self {
        let (shop, folder) = (rig::shop().await, rig::folder());
        let file = by_file.then(|| folder.path().join("rds/checkout.yaml"));
        if let Some(file) = &file {
            write_routes(file);
        }
        let clusters = [("blue", rig::members(&shop, "blue")), ("green", rig::members(&shop, "green"))];
        let (mut routers, mut networks) = (Vec::new(), Vec::new());
        for name in ["one", "two"] {
            let router = Envoy::start(&folder.path().join(name), Setup::new(&clusters, file.clone())).await;
            networks.push(Lossy::tcp(router.admin()).await);
            routers.push(router);
        }
        let locked = Setup { admin_layer: false, ..Setup::new(&clusters, file.clone()) };
        let read_only = Envoy::start(&folder.path().join("read-only"), locked).await;
        Self { shop, routers, read_only, networks, file, folder }
    }

    fn instances(&self) -> Vec<String> {
        self.networks.iter().map(|network| format!("http://{}/", network.at())).collect()
    }

    fn config(&self, instances: &[String], green: &str) -> Value {
        let pools = json!({"blue": "blue", "green": green});
        match &self.file {
            Some(file) => json!({"instances": instances, "timeout": "4s", "pools": pools, "file": file}),
            None => json!({"instances": instances, "timeout": "4s", "pools": pools,
                           "runtime_key_prefix": "routing.checkout"}),
        }
    }

    fn adapter(&self) -> Arc<dyn Shifter> {
        rig::built::<Config>(self.config(&self.instances(), "green"))
    }

    fn fronts(&self) -> Vec<String> {
        self.routers.iter().map(|router| format!("http://{}/", router.front())).collect()
    }

    async fn restart(&mut self) {
        for router in &mut self.routers {
            router.restart().await;
        }
    }
}

impl ByFile {
    pub fn file(&self) -> &std::path::Path {
        self.0.file.as_deref().unwrap()
    }

    /// What the first one says of itself.
    pub fn log(&self) -> String {
        self.0.routers[0].output()
    }
}

impl ByRuntime {
    pub fn admin(&self) -> String {
        format!("http://{}", self.0.routers[0].admin())
    }

    pub fn under(&self, prefix: &str) -> Arc<dyn Shifter> {
        let mut config = self.0.config(&self.0.instances(), "green");
        config["runtime_key_prefix"] = json!(prefix);
        rig::built::<Config>(config)
    }

    /// One whose runtime takes no overrides.
    pub fn read_only(&self) -> String {
        format!("http://{}", self.0.read_only.admin())
    }
}

pub struct ByRuntime(Parts);
pub struct ByFile(Parts);

#[async_trait]
impl Rig for ByRuntime {
    const KEEPS: bool = false;
    const CHANGE: Option<&'static str> = Some("POST /runtime_modify?");

    async fn start() -> Self {
        Self(Parts::start(false).await)
    }

    fn shop(&mut self) -> &mut Shop {
        &mut self.0.shop
    }

    fn adapter(&self) -> Arc<dyn Shifter> {
        self.0.adapter()
    }

    fn networks(&self) -> &[Lossy] {
        &self.0.networks
    }

    fn instances(&self) -> Vec<String> {
        self.0.instances()
    }

    fn fronts(&self) -> Vec<String> {
        self.0.fronts()
    }

    async fn by_hand(&mut self, blue: u8) {
        for router in &self.0.routers {
            let keys = format!("routing.checkout.blue={blue}&routing.checkout.green={}", 100 - blue);
            let url = format!("http://{}/runtime_modify?{keys}", router.admin());
            assert!(reqwest::Client::new().post(url).send().await.unwrap().status().is_success());
        }
    }

    async fn restart(&mut self) {
        self.0.restart().await;
    }

    fn denied(&self) -> Arc<dyn Shifter> {
        let read_only = format!("http://{}/", self.0.read_only.admin());
        rig::built::<Config>(self.0.config(&[read_only], "green"))
    }

    fn mistaken(&self) -> Arc<dyn Shifter> {
        rig::built::<Config>(self.0.config(&self.0.instances(), "teal"))
    }
}

#[async_trait]
impl Rig for ByFile {
    const KEEPS: bool = true;
    const CHANGE: Option<&'static str> = None;

    async fn start() -> Self {
        Self(Parts::start(true).await)
    }

    fn shop(&mut self) -> &mut Shop {
        &mut self.0.shop
    }

    fn adapter(&self) -> Arc<dyn Shifter> {
        self.0.adapter()
    }

    fn networks(&self) -> &[Lossy] {
        &self.0.networks
    }

    fn instances(&self) -> Vec<String> {
        self.0.instances()
    }

    fn fronts(&self) -> Vec<String> {
        self.0.fronts()
    }

    async fn by_hand(&mut self, blue: u8) {
        rig::rewrite(self.0.file.as_deref().unwrap(), |text| rig::weights_by_hand(&text, blue));
    }

    async fn restart(&mut self) {
        self.0.restart().await;
    }

    fn denied(&self) -> Arc<dyn Shifter> {
        // Nobody is denied a file here, where tests run as root; a link is refused for being replaced otherwise.
        let link = self.0.folder.path().join("rds/link.yaml");
        std::os::unix::fs::symlink(self.0.file.as_deref().unwrap(), &link).ok();
        let mut config = self.0.config(&self.0.instances(), "green");
        config["file"] = json!(link);
        rig::built::<Config>(config)
    }

    fn mistaken(&self) -> Arc<dyn Shifter> {
        rig::built::<Config>(self.0.config(&self.0.instances(), "teal"))
    }
}
