//! Caddy's rigs: 2.11 by weights, 2.6 by upstreams.

use std::sync::Arc;

use crate::{
    lossy::Lossy,
    process::free_port,
    real::caddy::{Caddy, Release},
    shop::Shop,
};
use async_trait::async_trait;
use lastgood_adapters::traffic::{Shifter, caddy::Config};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{self as rig, Cost, Rig};

struct Parts {
    shop: Shop,
    routers: Vec<Caddy>,
    networks: Vec<Lossy>,
    _folder: TempDir,
}

impl Parts {
    async fn start(release: Release) -> Self {
        let (shop, folder) = (rig::shop().await, rig::folder());
        let (blue, green) = (rig::members(&shop, "blue"), rig::members(&shop, "green"));
        let (mut routers, mut networks) = (Vec::new(), Vec::new());
        for name in ["one", "two"] {
            let admin = free_port();
            let here = ([127, 0, 0, 1], admin).into();
            let network = Lossy::tcp(here).await;
            // It looks at the name by which it is asked.
            let origins = [here, network.at()];
            let router =
                Caddy::start(&folder.path().join(name), release, (admin, &origins), &blue, &green).await;
            networks.push(network);
            routers.push(router);
        }
        Self { shop, routers, networks, _folder: folder }
    }

    fn members(&self, pool: &str) -> Vec<String> {
        rig::members(&self.shop, pool).iter().map(ToString::to_string).collect()
    }

    fn instances(&self) -> Vec<String> {
        self.networks.iter().map(|network| format!("http://{}/", network.at())).collect()
    }

    fn config(&self, id: &str, green: &[String]) -> Value {
        json!({"instances": self.instances(), "id": id, "timeout": "4s",
               "pools": {"blue": self.members("blue"), "green": green}})
    }

    fn adapter(&self) -> Arc<dyn Shifter> {
        rig::built::<Config>(self.config("checkout", &self.members("green")))
    }

    fn fronts(&self) -> Vec<String> {
        self.routers.iter().map(|router| format!("http://{}/", router.front())).collect()
    }

    async fn patch(&self, path: &str, body: &Value) {
        for router in &self.routers {
            let url = format!("http://{}/id/checkout/{path}", router.admin());
            let answer = reqwest::Client::new().patch(url).json(body).send().await.unwrap();
            assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
        }
    }

    async fn restart(&mut self) {
        for router in &mut self.routers {
            router.restart().await;
        }
    }
}

pub struct By<const WEIGHTS: bool>(Parts);
pub type ByWeights = By<true>;
pub type ByUpstreams = By<false>;

impl<const WEIGHTS: bool> By<WEIGHTS> {
    pub fn admins(&self) -> Vec<String> {
        self.0.routers.iter().map(|router| format!("http://{}", router.admin())).collect()
    }

    pub async fn patch(&self, path: &str, body: &Value) {
        self.0.patch(path, body).await;
    }
}

#[async_trait]
impl<const WEIGHTS: bool> Rig for By<WEIGHTS> {
    const SPLITS: bool = WEIGHTS;
    const KEEPS: bool = false;
    const COST: Cost = Cost::Resets;
    const CHANGE: Option<&'static str> = Some("PATCH ");

    async fn start() -> Self {
        Self(Parts::start(if WEIGHTS { Release::Wheel } else { Release::Debian }).await)
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
        if WEIGHTS {
            let weights: Vec<u8> =
                [blue; rig::SERVERS].into_iter().chain([100 - blue; rig::SERVERS]).collect();
            self.0.patch("load_balancing/selection_policy/weights", &json!(weights)).await;
        } else {
            let members = self.0.members(if blue == 100 { "blue" } else { "green" });
            let upstreams: Vec<_> = members.iter().map(|dial| json!({"dial": dial})).collect();
            self.0.patch("upstreams", &json!(upstreams)).await;
        }
    }

    async fn restart(&mut self) {
        self.0.restart().await;
    }

    fn denied(&self) -> Arc<dyn Shifter> {
        // Its host is not among those that Caddy's `admin.origins` allows.
        let mut config = self.0.config("checkout", &self.0.members("green"));
        let foreign = |at: &String| at.replace("127.0.0.1", "localhost");
        config["instances"] = json!(self.0.instances().iter().map(foreign).collect::<Vec<_>>());
        rig::built::<Config>(config)
    }

    fn mistaken(&self) -> Arc<dyn Shifter> {
        rig::built::<Config>(if WEIGHTS {
            self.0.config("checkout", &["127.0.0.1:1".to_owned()])
        } else {
            self.0.config("basket", &self.0.members("green"))
        })
    }
}
