//! The world: one real HAProxy before two pools that tell their version, a registry that has both images, and one
//! service for each rollback, so that every one is the first of its service.

use std::{path::Path, sync::Arc};

use axum::{
    Json, Router,
    http::{HeaderMap, HeaderValue},
    routing::get,
};
use lastgood::{
    app::{self, App},
    clock,
    config::Config,
    engine::Executor,
    service::{Service, Services},
    store::{Store, releases::NewRelease},
};
use lastgood_adapters::client;
use lastgood_core::{
    Artifact, ServiceId,
    inventory::{Origin, Phase},
};
use lastgood_tests::{
    real::haproxy::{HaProxy, Setup},
    shop::artifact,
};
use tokio::net::TcpListener;

use super::spy::{Calls, Timed};

pub const TOKEN: &str = "bench-0123456789";
pub const GOOD: &str = "v41";
pub const BAD: &str = "v42";
/// Releases of each service.
const RECORDED: i64 = 42;
const HOUR: i64 = 3_600_000;

pub fn service(number: usize) -> String {
    format!("checkout-{number:03}")
}

/// A loopback server of two roles: a pool's member that tells health and version, and a registry of manifests.
async fn serve(version: &str) -> u16 {
    let of = artifact(version);
    let manifest = |headers: HeaderMap| async { (headers, "{}") };
    let mut found = HeaderMap::new();
    found.insert("content-type", HeaderValue::from_static("application/vnd.oci.image.manifest.v1+json"));
    let app = Router::new()
        .route("/healthz", get(|| async { "ok" }))
        .route("/version", get(move || async move { Json(serde_json::json!({ "digest": of.digest })) }))
        .route("/v2/", get(|| async { "{}" }))
        .route("/v2/{*path}", get(move || manifest(found.clone())))
        .fallback(|| async { "ok" });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async { axum::serve(listener, app).await.unwrap() });
    port
}

/// What stands above the services.
pub fn head(folder: &Path, store: &str, listen: u16) -> String {
    std::fs::write(folder.join("token"), TOKEN).unwrap();
    format!(
        "store.url = \"{store}\"\n[http]\nlisten = \"127.0.0.1:{listen}\"\ntokens = [{{ name = \"bench\", secret = {{ \
         file = \"{}/token\" }}, may = [\"alert\", \"record\"] }}]\n",
        folder.display()
    )
}

pub struct World {
    pub haproxy: HaProxy,
    pub blue: u16,
    pub green: u16,
}

impl World {
    pub async fn start(folder: &Path) -> Self {
        let (blue, green) = (serve(GOOD).await, serve(BAD).await);
        let mut setup = Setup::new(&[], &[]);
        setup.blue.push(("blue1".into(), blue));
        setup.green.push(("green1".into(), green));
        let haproxy = HaProxy::start(folder, setup).await;
        haproxy.notices("blue1", 2).await;
        haproxy.notices("green1", 2).await;
        Self { haproxy, blue, green }
    }

    /// The configuration, as people write it.
    pub fn config(&self, folder: &Path, services: usize, listen: u16) -> String {
        let store = format!("sqlite:{}/lastgood.db", folder.display());
        let services = (0..services).map(|number| self.section(&service(number)));
        head(folder, &store, listen) + &services.collect::<String>()
    }

    /// A service's section, as people write it.
    pub fn section(&self, name: &str) -> String {
        let front = self.haproxy.setup.frontend;
        let (socket, map, blue, green) =
            (self.haproxy.socket("admin"), self.haproxy.map(), self.blue, self.green);
        format!(
            r#"
[services.{name}]
environment = "production"
room = "terminal:"
alerts = ['service="{name}"']
approvers = ["os:ana"]
registry = {{ kind = "oci", repository = "127.0.0.1:{blue}/shop/checkout", plain_http = true }}
traffic = {{ strategy = "blue-green", kind = "haproxy", instances = ["{socket}"], switch = {{ map = "{map}", key = "{name}", blue = "be_blue", green = "be_green" }} }}
[services.{name}.pools.blue]
version = {{ url = "http://127.0.0.1:{blue}/version", json_pointer = "/digest" }}
health = [{{ url = "http://127.0.0.1:{blue}/healthz" }}]
[services.{name}.pools.green]
version = {{ url = "http://127.0.0.1:{green}/version", json_pointer = "/digest" }}
health = [{{ url = "http://127.0.0.1:{green}/healthz" }}]
[services.{name}.health]
every = "50ms"
recover_within = "30s"
http = [{{ url = "http://127.0.0.1:{front}/healthz" }}]
"#
        )
    }

    /// A service whose traffic is on the bad version.
    pub fn route(&self, name: &str) {
        self.haproxy.told(&format!("add map {} {name} be_green", self.haproxy.map()));
    }

    /// Everything that `serve` puts together, with the router's calls timed.
    pub async fn app(&self, folder: &Path, services: usize, calls: &Calls) -> (App, Executor) {
        let text = self.config(folder, services, 0);
        let (config, _) = Config::parse(&text, "bench.toml").unwrap_or_else(|why| panic!("{why:#?}"));
        let client = client::client().unwrap();
        let built = app::services(&config, &client).unwrap();
        let timed = Services::new(built.iter().map(|of| timed(of, calls)));
        let store = Store::open(&config.store.url, None).await.unwrap();
        let (app, executor) = App::with(config, timed, store, client, Arc::new(clock::System));
        for number in 0..services {
            let name = service(number);
            self.route(&name);
            record(&app, &name).await;
        }
        (app, executor)
    }
}

fn timed(of: &Service, calls: &Calls) -> Service {
    Service {
        id: of.id.clone(),
        environment: of.environment.clone(),
        rooms: of.rooms.clone(),
        hears: of.hears.clone(),
        approvers: of.approvers.clone(),
        fallback_approvers: of.fallback_approvers.clone(),
        commander: of.commander.clone(),
        depends_on: of.depends_on.clone(),
        policy: of.policy.clone(),
        min_bake: of.min_bake,
        suspect_within: of.suspect_within,
        again_after: of.again_after,
        alert_expires: of.alert_expires,
        at_once: of.at_once,
        tolerance: of.tolerance,
        needs_pool: of.needs_pool,
        only_recorded: vec![],
        must_pull: of.must_pull,
        shifter: Arc::new(Timed { inner: of.shifter.clone(), calls: calls.clone() }),
        registry: of.registry.clone(),
        pools: of
            .pools
            .iter()
            .map(|(name, pool)| {
                let pool = lastgood::service::Pool {
                    version: pool.version.clone(),
                    health: pool.health.clone(),
                    metrics: vec![],
                };
                (name.clone(), pool)
            })
            .collect(),
        health: of.health.clone(),
        metrics: vec![],
        pagers: of.pagers.clone(),
        public_url: of.public_url.clone(),
    }
}

/// A release every hour; the newest but one is what blue runs, the newest what green runs.
async fn record(app: &App, service: &str) {
    for number in 1..=RECORDED {
        let of: Artifact = artifact(&format!("v{number}"));
        let release = NewRelease {
            service: ServiceId::from(service),
            phase: Phase::Live,
            pool: Some(if number % 2 == 1 { "blue" } else { "green" }.to_owned()),
            at: app.engine.now() - (RECORDED + 1 - number) * HOUR,
            by: Some("pipeline".into()),
            url: None,
            irreversible: None,
            origin: Origin::Recorded,
            delivery: of.version.clone(),
            artifact: of,
        };
        app.engine.record(&release).await.unwrap();
    }
}
