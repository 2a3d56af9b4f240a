//! HAProxy's rigs: by map entry, and by weights.

use std::{sync::Arc, time::Duration};

use crate::{
    lossy::Lossy,
    real::haproxy::{HaProxy, Setup},
    shop::Shop,
};
use async_trait::async_trait;
use lastgood_adapters::traffic::{Shifter, haproxy::Config};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{self as rig, Rig};

struct Parts {
    shop: Shop,
    routers: Vec<HaProxy>,
    networks: Vec<Lossy>,
    folder: TempDir,
}

impl Parts {
    async fn start() -> Self {
        let (shop, folder) = (rig::shop().await, rig::folder());
        let (mut routers, mut networks) = (Vec::new(), Vec::new());
        for name in ["one", "two"] {
            let members = |pool: &str| {
                shop.pool(pool).iter().map(|server| (server.name().to_owned(), server.at().port())).collect()
            };
            let mut setup = Setup::new(&[], &[]);
            (setup.blue, setup.green) = (members("blue"), members("green"));
            // Both know the map by one name, as machines that are set up alike do.
            setup.map = Some(folder.path().join("active.map"));
            let router = HaProxy::start(&folder.path().join(name), setup).await;
            let before = folder.path().join(format!("{name}.sock"));
            networks.push(Lossy::unix(&before, &router.folder.join("admin.sock")).await);
            routers.push(router);
        }
        Self { shop, routers, networks, folder }
    }

    fn instances(&self) -> Vec<String> {
        ["one", "two"]
            .map(|name| format!("unix:{}", self.folder.path().join(format!("{name}.sock")).display()))
            .into()
    }

    fn map(&self, instances: &[String], green: &str) -> Value {
        let map = self.folder.path().join("active.map");
        json!({"instances": instances, "timeout": "4s",
               "switch": {"map": map, "key": "checkout", "blue": "be_blue", "green": green}})
    }

    fn weights(&self, instances: &[String], green: &[&str]) -> Value {
        let blue = ["blue1", "blue2", "blue3"];
        json!({"instances": instances, "timeout": "4s",
               "weights": {"backend": "be_weights", "pools": {"blue": blue, "green": green}}})
    }

    async fn restart(&mut self) {
        for router in &mut self.routers {
            router.restart().await;
        }
    }
}

const GREEN: [&str; 3] = ["green1", "green2", "green3"];

pub struct ByMap(Parts);
pub struct ByWeights(Parts);

#[async_trait]
impl Rig for ByMap {
    const SPLITS: bool = false;
    const KEEPS: bool = false;
    // It is asked over more than thirty connections, one after the other: see the adapter's `instance`.
    const SLOW: Duration = Duration::from_millis(50);
    const CHANGE: Option<&'static str> = Some("set map");

    async fn start() -> Self {
        Self(Parts::start().await)
    }

    fn shop(&mut self) -> &mut Shop {
        &mut self.0.shop
    }

    fn adapter(&self) -> Arc<dyn Shifter> {
        rig::built::<Config>(self.0.map(&self.0.instances(), "be_green"))
    }

    fn networks(&self) -> &[Lossy] {
        &self.0.networks
    }

    fn instances(&self) -> Vec<String> {
        self.0.instances()
    }

    fn fronts(&self) -> Vec<String> {
        self.0.routers.iter().map(|router| format!("http://127.0.0.1:{}/", router.setup.frontend)).collect()
    }

    async fn by_hand(&mut self, blue: u8) {
        let backend = if blue == 100 { "be_blue" } else { "be_green" };
        for router in &self.0.routers {
            router.told(&format!(
                "set map {} checkout {backend}",
                self.0.folder.path().join("active.map").display()
            ));
        }
    }

    async fn restart(&mut self) {
        self.0.restart().await;
    }

    fn denied(&self) -> Arc<dyn Shifter> {
        // HAProxy 2.6 lets sockets of every level set maps: what a level forbids is seen with weights.
        rig::built::<Config>(self.0.weights(&[self.0.routers[0].socket("user")], &GREEN))
    }

    fn mistaken(&self) -> Arc<dyn Shifter> {
        rig::built::<Config>(self.0.map(&self.0.instances(), "be_missing"))
    }
}

#[async_trait]
impl Rig for ByWeights {
    // Several servers' weights are several commands.
    const IN_BETWEEN: bool = true;
    const KEEPS: bool = false;
    // It is asked over more than thirty connections, one after the other: see the adapter's `instance`.
    const SLOW: Duration = Duration::from_millis(50);
    const CHANGE: Option<&'static str> = Some("set server");

    async fn start() -> Self {
        Self(Parts::start().await)
    }

    fn shop(&mut self) -> &mut Shop {
        &mut self.0.shop
    }

    fn adapter(&self) -> Arc<dyn Shifter> {
        rig::built::<Config>(self.0.weights(&self.0.instances(), &GREEN))
    }

    fn networks(&self) -> &[Lossy] {
        &self.0.networks
    }

    fn instances(&self) -> Vec<String> {
        self.0.instances()
    }

    fn fronts(&self) -> Vec<String> {
        self.0.routers.iter().map(|router| format!("http://127.0.0.1:{}/", router.setup.weighted)).collect()
    }

    async fn by_hand(&mut self, blue: u8) {
        for router in &self.0.routers {
            for number in 1..=rig::SERVERS {
                router.told(&format!("set server be_weights/blue{number} weight {blue}"));
                router.told(&format!("set server be_weights/green{number} weight {}", 100 - blue));
            }
        }
    }

    async fn restart(&mut self) {
        self.0.restart().await;
    }

    fn denied(&self) -> Arc<dyn Shifter> {
        rig::built::<Config>(self.0.weights(&[self.0.routers[0].socket("user")], &GREEN))
    }

    fn mistaken(&self) -> Arc<dyn Shifter> {
        rig::built::<Config>(self.0.weights(&self.0.instances(), &["green7"]))
    }
}
