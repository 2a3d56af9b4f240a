//! What a rig brings: two pools of three servers, routers before them with all traffic on blue, and the adapter, which
//! reaches their controls through a network that can fail.

pub mod caddy;
pub mod contract;
pub mod envoy;
pub mod haproxy;
pub mod kubernetes;
pub mod nginx;
pub mod traefik;

use std::{sync::Arc, time::Duration};

use crate::{client, lossy::Lossy, shop::Shop};
use async_trait::async_trait;
use lastgood_adapters::traffic::{Move, Progress, Said, Section, Shifter};
use lastgood_core::Shares;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tempfile::TempDir;

/// Servers in each pool.
pub const SERVERS: usize = 3;

/// What a shift costs customers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cost {
    Nothing,
    /// Connections may be cut: a client may safely ask again, if what it asked for may be done twice.
    Resets,
}

#[async_trait]
pub trait Rig: Send + Sync + Sized {
    /// Whether a pool can get a part of the traffic.
    const SPLITS: bool = true;
    /// Whether a move that is cut off can leave a part of it behind on one router, from which the next one goes on.
    const IN_BETWEEN: bool = false;
    /// Whether a restart of the router keeps the shift.
    const KEEPS: bool;
    const COST: Cost = Cost::Nothing;
    /// How long after a move was reported as done customers may still be served by the side that was left: where nobody says that it
    /// follows what is written.
    const LAG: Duration = Duration::ZERO;
    /// Of every piece of an answer, when the network is slow.
    const SLOW: Duration = Duration::from_millis(200);
    /// What is in the request that changes something, where there is one with an answer.
    const CHANGE: Option<&'static str>;

    async fn start() -> Self;

    fn shop(&mut self) -> &mut Shop;

    /// As configured, its controls reached through the networks.
    fn adapter(&self) -> Arc<dyn Shifter>;

    /// The way to each router's controls. None where there is but one router, on the same machine.
    fn networks(&self) -> &[Lossy];

    /// Their names, as the adapter gives them.
    fn instances(&self) -> Vec<String>;

    /// Where customers ask.
    fn fronts(&self) -> Vec<String>;

    /// Somebody else moves traffic, on every router.
    async fn by_hand(&mut self, blue: u8);

    /// All routers, one after the other.
    async fn restart(&mut self);

    /// One that may not change anything.
    fn denied(&self) -> Arc<dyn Shifter>;

    /// One whose green pool is not there.
    fn mistaken(&self) -> Arc<dyn Shifter>;
}

/// A server pool for every rig.
pub async fn shop() -> Shop {
    client::tls();
    Shop::start("checkout", &[("blue", "v2", SERVERS), ("green", "v1", SERVERS)]).await
}

pub fn members(shop: &Shop, pool: &str) -> Vec<std::net::SocketAddr> {
    shop.pool(pool).iter().map(crate::shop::Server::at).collect()
}

pub fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub fn built<C: Section + DeserializeOwned>(config: Value) -> Arc<dyn Shifter> {
    client::tls();
    let config: C = serde_json::from_value(config).unwrap();
    let http = lastgood_adapters::client::client().unwrap();
    config.build("checkout", &http).unwrap()
}

pub fn shares(blue: u8) -> Shares {
    [("blue".to_owned(), blue), ("green".to_owned(), 100 - blue)].into()
}

/// To so much for blue, from wherever it is.
pub fn to(blue: u8) -> Move {
    Move {
        shares: shares(blue),
        digest: "sha256:test".into(),
        key: format!("RB-1/{blue}"),
        ..Move::default()
    }
}

/// As `to`, for whoever read so much for blue.
pub fn from(before: u8, blue: u8) -> Move {
    Move { from: Some(shares(before)), ..to(blue) }
}

pub async fn apply(adapter: &dyn Shifter, wanted: &Move) -> Result<(), lastgood_adapters::Fault> {
    adapter.apply(wanted, &Said::default()).await
}

/// Read back until it is decided, as the engine does.
pub async fn progress(adapter: &dyn Shifter, wanted: &Move) -> Progress {
    let end = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        match adapter.progress(wanted).await {
            Ok(Progress::Moving { detail, .. }) if tokio::time::Instant::now() > end => {
                panic!("still moving: {detail}")
            }
            Ok(Progress::Moving { .. }) | Err(lastgood_adapters::Fault::Unavailable(_)) => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            other => return other.unwrap(),
        }
    }
}

pub async fn settled(adapter: &dyn Shifter, wanted: &Move) {
    match progress(adapter, wanted).await {
        Progress::Settled(seen) => {
            assert!(lastgood_core::inventory::live::near(&seen.shares, &wanted.shares), "{seen:?}");
        }
        other => panic!("not settled: {other:?}"),
    }
}

/// A customer's request on a connection of its own: the pool that answered, or the status.
pub async fn ask(front: &str) -> String {
    client::tls();
    let http = reqwest::Client::builder().pool_max_idle_per_host(0).no_proxy().build().unwrap();
    let answer = http.get(front).send().await.unwrap();
    match answer.headers().get("x-pool") {
        Some(pool) => pool.to_str().unwrap().to_owned(),
        None => answer.status().to_string(),
    }
}

/// How many of so many requests, over all routers, the pool answered.
pub async fn served_by(rig: &impl Rig, pool: &str, requests: usize) -> usize {
    let fronts = rig.fronts();
    let mut count = 0;
    for number in 0..requests {
        let front = &fronts[number % fronts.len()];
        let answer = ask(front).await;
        if answer != pool {
            println!("request {number} to {front}: {answer}");
        }
        count += usize::from(answer == pool);
    }
    count
}

/// Another hand on a file that is watched: replaced by rename, as an editor does.
pub fn rewrite(file: &std::path::Path, change: impl FnOnce(String) -> String) {
    let text = change(std::fs::read_to_string(file).unwrap());
    let beside = file.with_extension("by-hand");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, file).unwrap();
}

/// The two weights of a text, in their order, whatever they are now.
pub fn weights_by_hand(text: &str, blue: u8) -> String {
    let mut new = [blue, 100 - blue].into_iter();
    let mut parts = text.split("weight: ");
    let mut edited = parts.next().unwrap().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        edited += &format!("weight: {}{rest}", new.next().unwrap());
    }
    edited
}
