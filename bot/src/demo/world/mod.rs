//! A small production of its own, on loopback ports: what the demo breaks and repairs. Everything is real traffic over
//! real sockets (pools, a switch in front, clients, a registry), so that what the thread shows was measured.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use lastgood_core::{Artifact, At};
use tokio::{net::TcpListener, sync::watch, task::JoinSet};

mod alert;
mod clients;
mod counts;
mod error_rate;
mod pager;
mod registry;
mod releases;
mod service;
mod shifter;
mod switch;

pub use alert::Alert;
pub use error_rate::SwitchMetrics;
pub use pager::SilentPager;
pub use releases::{Deployed, Mark, Phase};
pub use shifter::SwitchShifter;

use counts::Counts;
use switch::Switch;

/// The pool that runs the last good version when the demo begins.
pub const BLUE: &str = "blue";
/// The pool that runs the failing version, and has all traffic, when the demo begins.
pub const GREEN: &str = "green";
/// The service's name in inventory, labels and cards.
pub const SERVICE: &str = "checkout";
/// Where its artifacts are in the registry.
pub const REPOSITORY: &str = "shop/checkout";

/// What time it is, in milliseconds since 1970.
pub type Now = Arc<dyn Fn() -> At + Send + Sync>;

/// How long the world waits for its servers to end.
const END_WITHIN: Duration = Duration::from_secs(2);
/// Servers in each pool.
const SERVERS: usize = 2;

/// What is wrong with the world.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Scenario {
    /// The new version fails about 30 % of its requests; the old one is fine.
    #[default]
    Recovers,
    /// The old version has gone bad too: going back does not help, and people must be called.
    TargetBroken,
}

impl Scenario {
    pub const NAMES: [&str; 2] = ["recovers", "target-broken"];
}

impl std::str::FromStr for Scenario {
    type Err = String;
    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "recovers" => Ok(Self::Recovers),
            "target-broken" => Ok(Self::TargetBroken),
            other => Err(format!("no scenario {other:?}: there are {}", Self::NAMES.join(" and "))),
        }
    }
}

/// A pool's endpoints, as a service's configuration would name them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pool {
    pub name: &'static str,
    pub artifact: Artifact,
    /// JSON with `digest` and `version`.
    pub version_url: String,
    pub health_url: String,
}

/// Why the world could not begin.
#[derive(Debug, thiserror::Error)]
pub enum NoWorld {
    #[error("no loopback port: {0}")]
    Port(#[from] io::Error),
    #[error("no HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    #[error("the demo's own story is inconsistent: {0}")]
    Story(&'static str),
}

/// The embedded world. Ends with `stop`; when dropped, its tasks are aborted.
pub struct World {
    pub releases: Vec<Deployed>,
    pub pools: Vec<Pool>,
    counts: Arc<Counts>,
    switch: Arc<Switch>,
    pager: Arc<SilentPager>,
    client: reqwest::Client,
    switch_url: String,
    registry: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<()>,
}

impl World {
    /// Starts everything on free loopback ports; all traffic goes to the failing version. `now` is asked for the time of
    /// every measurement.
    ///
    /// # Errors
    /// When there is no port or no HTTP client to be had.
    pub async fn start(scenario: Scenario, now: Now) -> Result<Self, NoWorld> {
        let client = client()?;
        let (stop, stopped) = watch::channel(false);
        let mut tasks = JoinSet::new();
        let releases = releases::story()?;
        let images = releases.iter().map(|release| release.image.clone()).collect();
        let registry = serve(&mut tasks, &stopped, registry::app(images)).await?;

        let mut pools = Vec::new();
        let mut behind = Vec::new();
        for (name, failing) in [(BLUE, failing(scenario, BLUE)), (GREEN, failing(scenario, GREEN))] {
            let artifact =
                releases::running_in(&releases, name).ok_or(NoWorld::Story("a pool runs nothing"))?;
            let process = service::Process::new(artifact.clone(), failing);
            let mut servers = Vec::with_capacity(SERVERS);
            for _ in 0..SERVERS {
                servers.push(serve(&mut tasks, &stopped, service::app(Arc::clone(&process))).await?);
            }
            if let Some(first) = servers.first() {
                pools.push(Pool {
                    name,
                    artifact,
                    version_url: format!("http://{first}/version"),
                    health_url: format!("http://{first}/healthz"),
                });
            }
            behind.push(switch::Behind::new(name, servers));
        }

        let live = releases.first().ok_or(NoWorld::Story("nothing was ever deployed"))?;
        let counts = Arc::new(Counts::new(now, live.ago));
        let switch = Arc::new(Switch::new(client.clone(), behind, Arc::clone(&counts)));
        let front = serve(&mut tasks, &stopped, switch::app(Arc::clone(&switch))).await?;
        tasks.spawn(switch::turn(Arc::clone(&switch), stopped.clone()));
        tasks.spawn(clients::visit(client.clone(), format!("http://{front}"), stopped));
        Ok(Self {
            releases,
            pools,
            counts,
            switch,
            pager: Arc::default(),
            client,
            switch_url: format!("http://{front}"),
            registry,
            stop,
            tasks,
        })
    }

    pub fn service(&self) -> &'static str {
        SERVICE
    }

    pub fn shifter(&self) -> Arc<SwitchShifter> {
        Arc::new(SwitchShifter::new(Arc::clone(&self.switch)))
    }

    pub fn metrics(&self) -> Arc<SwitchMetrics> {
        Arc::new(SwitchMetrics::new(Arc::clone(&self.counts)))
    }

    /// Rings nobody; keeps what it was told.
    pub fn pager(&self) -> Arc<SilentPager> {
        Arc::clone(&self.pager)
    }

    /// The registry's address: `http://127.0.0.1:PORT`.
    pub fn registry_url(&self) -> String {
        format!("http://{}", self.registry)
    }

    /// The repository as a service's configuration names it: `127.0.0.1:PORT/shop/checkout`.
    pub fn repository(&self) -> String {
        format!("{}/{REPOSITORY}", self.registry)
    }

    /// What clients talk to; its `/healthz` is answered by whichever pool has the traffic.
    pub fn switch_url(&self) -> &str {
        &self.switch_url
    }

    /// A client that reaches the world even where a proxy is configured for everything else.
    pub fn client(&self) -> reqwest::Client {
        self.client.clone()
    }

    /// Waits until enough of the traffic has been seen to say that too much of it fails, then says so as a monitoring
    /// system would.
    pub async fn alert(&self) -> Alert {
        alert::measured(&self.counts).await
    }

    /// Waits until enough of the traffic has been seen to say that it does not fail any more.
    pub async fn over(&self) {
        alert::over(&self.counts).await;
    }

    /// Ends every server and client, waiting a bounded time.
    pub async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(END_WITHIN, ended).await.is_err() {
            self.tasks.shutdown().await;
        }
    }
}

/// Of a hundred requests, how many a pool's version fails.
fn failing(scenario: Scenario, pool: &str) -> u64 {
    match (scenario, pool) {
        (_, GREEN) => 30,
        (Scenario::TargetBroken, _) => 35,
        (Scenario::Recovers, _) => 0,
    }
}

/// The world is on loopback: a proxy from the environment would look for it elsewhere.
fn client() -> Result<reqwest::Client, NoWorld> {
    // A second installation is refused, which is just right: somebody chose already.
    let _already = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(2)).build()?)
}

async fn serve(
    tasks: &mut JoinSet<()>,
    stopped: &watch::Receiver<bool>,
    app: axum::Router,
) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let mut stopped = stopped.clone();
    tasks.spawn(async move {
        let ended = async move {
            // An error means that the world is gone, which ends it just as well.
            let _ = stopped.wait_for(|stopped| *stopped).await;
        };
        if let Err(error) = axum::serve(listener, app).with_graceful_shutdown(ended).await {
            tracing::warn!(%address, %error, "a server of the demo's world ended");
        }
    });
    Ok(address)
}

#[cfg(test)]
mod tests;
