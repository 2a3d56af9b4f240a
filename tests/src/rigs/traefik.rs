//! Traefik's rig: two that watch one folder.

use std::{path::PathBuf, sync::Arc};

use crate::{
    lossy::Lossy,
    real::traefik::{Traefik as Program, write_service},
    shop::Shop,
};
use async_trait::async_trait;
use lastgood_adapters::traffic::{Shifter, traefik::Config};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{self as rig, Rig};

pub struct Traefik {
    shop: Shop,
    routers: Vec<Program>,
    networks: Vec<Lossy>,
    file: PathBuf,
    folder: TempDir,
}

impl Traefik {
    pub fn file(&self) -> &std::path::Path {
        &self.file
    }

    fn config(&self, file: &std::path::Path, green: &str) -> Value {
        json!({"file": file, "service": "checkout", "timeout": "4s", "instances": self.instances(),
               "pools": {"blue": "blue", "green": green}})
    }
}

#[async_trait]
impl Rig for Traefik {
    const KEEPS: bool = true;
    const CHANGE: Option<&'static str> = None;

    async fn start() -> Self {
        let (shop, folder) = (rig::shop().await, rig::folder());
        let dynamic = folder.path().join("dynamic");
        let file = dynamic.join("checkout.yaml");
        let pools = [("blue", rig::members(&shop, "blue")), ("green", rig::members(&shop, "green"))];
        write_service(&file, &pools);
        let (mut routers, mut networks) = (Vec::new(), Vec::new());
        for name in ["one", "two"] {
            let router = Program::start(&folder.path().join(name), &dynamic).await;
            networks.push(Lossy::tcp(router.api()).await);
            routers.push(router);
        }
        let rig = Self { shop, routers, networks, file, folder };
        let adapter = rig.adapter();
        // Its ports are open before it has read its configuration.
        crate::process::poll_async("Traefik's routes", std::time::Duration::from_secs(10), || async {
            adapter.observe().await.ok().map(drop)
        })
        .await;
        rig
    }

    fn shop(&mut self) -> &mut Shop {
        &mut self.shop
    }

    fn adapter(&self) -> Arc<dyn Shifter> {
        rig::built::<Config>(self.config(&self.file, "green"))
    }

    fn networks(&self) -> &[Lossy] {
        &self.networks
    }

    fn instances(&self) -> Vec<String> {
        self.networks.iter().map(|network| format!("http://{}/", network.at())).collect()
    }

    fn fronts(&self) -> Vec<String> {
        self.routers.iter().map(|router| format!("http://{}/", router.front())).collect()
    }

    async fn by_hand(&mut self, blue: u8) {
        rig::rewrite(&self.file, |text| rig::weights_by_hand(&text, blue));
    }

    async fn restart(&mut self) {
        for router in &mut self.routers {
            router.restart().await;
        }
    }

    fn denied(&self) -> Arc<dyn Shifter> {
        // Nobody is denied a file here, where tests run as root; a link is refused for being replaced otherwise.
        let link = self.folder.path().join("link.yaml");
        std::os::unix::fs::symlink(&self.file, &link).ok();
        rig::built::<Config>(self.config(&link, "green"))
    }

    fn mistaken(&self) -> Arc<dyn Shifter> {
        rig::built::<Config>(self.config(&self.file, "teal"))
    }
}
