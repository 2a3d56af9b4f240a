//! nginx's rig: one, on the machine of the adapter.

use std::sync::Arc;

use crate::{lossy::Lossy, real::nginx::Nginx as Program, shop::Shop};
use async_trait::async_trait;
use lastgood_adapters::traffic::{Shifter, nginx::Config};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{self as rig, Cost, Rig};

pub struct Nginx {
    shop: Shop,
    router: Program,
    _folder: TempDir,
}

impl Nginx {
    /// With other commands.
    pub fn with(&self, test: &[&str], reload: &[&str]) -> Arc<dyn Shifter> {
        let mut config = self.config(&self.test(), "checkout");
        (config["test"], config["reload"]) = (json!(test), json!(reload));
        rig::built::<Config>(config)
    }

    pub fn router(&self) -> &Program {
        &self.router
    }

    fn config(&self, test: &[String], upstream: &str) -> Value {
        let members =
            |pool| rig::members(&self.shop, pool).iter().map(ToString::to_string).collect::<Vec<_>>();
        json!({"file": self.router.file(), "upstream": upstream, "timeout": "4s",
               "ask": format!("http://{}/lastgood/checkout", self.router.front()),
               "pools": {"blue": members("blue"), "green": members("green")},
               "test": test, "reload": self.router.command(&["-s", "reload"])})
    }

    fn test(&self) -> Vec<String> {
        self.router.command(&["-t"])
    }
}

#[async_trait]
impl Rig for Nginx {
    const KEEPS: bool = true;
    const COST: Cost = Cost::Resets;
    const CHANGE: Option<&'static str> = None;

    async fn start() -> Self {
        let (shop, folder) = (rig::shop().await, rig::folder());
        let (blue, green) = (rig::members(&shop, "blue"), rig::members(&shop, "green"));
        let router = Program::start(folder.path(), &blue, &green).await;
        Self { shop, router, _folder: folder }
    }

    fn shop(&mut self) -> &mut Shop {
        &mut self.shop
    }

    fn adapter(&self) -> Arc<dyn Shifter> {
        rig::built::<Config>(self.config(&self.test(), "checkout"))
    }

    fn networks(&self) -> &[Lossy] {
        &[]
    }

    fn instances(&self) -> Vec<String> {
        vec![self.router.file().display().to_string()]
    }

    fn fronts(&self) -> Vec<String> {
        vec![format!("http://{}/", self.router.front())]
    }

    async fn by_hand(&mut self, blue: u8) {
        let (blues, greens) = (rig::members(&self.shop, "blue"), rig::members(&self.shop, "green"));
        let change = |text: String| {
            let mut lines = Vec::new();
            for line in text.lines() {
                let of = |members: &[std::net::SocketAddr]| {
                    members.iter().any(|at| line.contains(&format!("server {at} ")))
                };
                let (weight, address) = if of(&blues) {
                    (blue, line.split_whitespace().nth(1))
                } else if of(&greens) {
                    (100 - blue, line.split_whitespace().nth(1))
                } else if line.starts_with("map") {
                    lines.push(format!(
                        "map $host $lastgood_checkout {{ default \"blue={blue} green={}\"; }}",
                        100 - blue
                    ));
                    continue;
                } else {
                    lines.push(line.to_owned());
                    continue;
                };
                let carried = if weight == 0 { "down".to_owned() } else { format!("weight={weight}") };
                lines.push(format!(
                    "    server {} max_fails=0 {carried};",
                    address.unwrap().trim_end_matches(';')
                ));
            }
            lines.join("\n") + "\n"
        };
        self.router.by_hand(change).await;
    }

    async fn restart(&mut self) {
        self.router.restart().await;
    }

    fn denied(&self) -> Arc<dyn Shifter> {
        // A configuration that nginx would refuse is not touched.
        rig::built::<Config>(self.config(&["false".to_owned()], "checkout"))
    }

    fn mistaken(&self) -> Arc<dyn Shifter> {
        rig::built::<Config>(self.config(&self.test(), "basket"))
    }
}
