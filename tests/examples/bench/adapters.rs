//! From an approval to the last new request on the failing version, through each kind of router, beside the same change made
//! by hand with nothing around it. Customers ask at a constant rate; a run is the whole of it: decision read again, preflight,
//! shift, reading back.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use lastgood::{
    clock,
    engine::{Engine, propose::Ask},
    service::{Pool, Service, Services},
    store::{Store, releases::NewRelease, rollbacks as stored},
};
use lastgood_adapters::probe::http::{HealthConfig, VersionConfig};
use lastgood_core::{
    Actor, RollbackId,
    inventory::{Origin, Phase as ReleasePhase},
    rollback::{Event, Phase, Policy, Standing},
    verdict::Tolerance,
};
use lastgood_tests::{
    client::Client,
    process::poll_async,
    rigs::{self, Rig},
    shop::artifact,
};
use serde_json::json;
use tokio::sync::watch;

use super::table::{Sample, Table};

/// Runs of each kind, each on a world of its own.
const RUNS: usize = 7;
/// Requests a second: what is measured is as fine as that, 2 ms.
const PER_SECOND: u32 = 500;
const CALM: usize = 100;
const LIMIT: Duration = Duration::from_secs(30);
pub const HOUR: i64 = 3_600_000;

pub async fn measure(table: &mut Table) {
    one::<rigs::haproxy::ByMap>(table, "haproxy, map").await;
    one::<rigs::haproxy::ByWeights>(table, "haproxy, weights").await;
    one::<rigs::envoy::ByRuntime>(table, "envoy, runtime").await;
    one::<rigs::envoy::ByFile>(table, "envoy, file").await;
    one::<rigs::traefik::Traefik>(table, "traefik").await;
    one::<rigs::nginx::Nginx>(table, "nginx").await;
    one::<rigs::caddy::ByWeights>(table, "caddy, weights").await;
    one::<rigs::caddy::ByUpstreams>(table, "caddy, upstreams").await;
    one::<rigs::contract::Exec>(table, "exec (Python, Envoy)").await;
    one::<rigs::contract::Http>(table, "http (Envoy)").await;
}

async fn one<R: Rig>(table: &mut Table, kind: &str) {
    let (mut by_us, mut by_hand) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        by_us.push(approved(R::start().await).await);
        by_hand.push(told(R::start().await).await);
    }
    let floor = Sample::times(by_hand).p50();
    let figure = format!("approval → last new request on the failing version: {kind}");
    table.add(&figure, &Sample::times(by_us), None, Some(("by hand", floor)));
}

/// How long after `began` a new request last reached blue.
async fn last(customers: Vec<Client>, began: Instant) -> Duration {
    let mut last = began;
    for customer in customers {
        let seen = customer.stop().await;
        last = last.max(seen.last("blue").expect("blue served"));
    }
    // What is shorter than the time between two requests can't be told from it.
    (last - began).max(Duration::from_secs(1) / PER_SECOND)
}

fn customers(rig: &impl Rig) -> Vec<Client> {
    rig.fronts().iter().map(|front| Client::start(front, PER_SECOND)).collect()
}

async fn calm(customers: &[Client]) {
    for customer in customers {
        customer.more(CALM).await;
    }
}

/// As a person would who has the command at hand.
async fn told(mut rig: impl Rig) -> Duration {
    let customers = customers(&rig);
    calm(&customers).await;
    let began = Instant::now();
    rig.by_hand(0).await;
    // What is not taken over at once (a watched file, a reload) is before this.
    let front = rig.fronts().remove(0);
    poll_async("the change", LIMIT, || async { (rigs::ask(&front).await == "green").then_some(()) }).await;
    calm(&customers).await;
    last(customers, began).await
}

async fn approved(mut rig: impl Rig) -> Duration {
    let folder = tempfile::tempdir().unwrap();
    let service = service(&mut rig);
    let store = Store::open(&format!("sqlite:{}/lastgood.db", folder.path().display()), None).await.unwrap();
    let term = Duration::from_secs(10);
    let (engine, executor) = Engine::new(store, Services::new([service]), Arc::new(clock::System), term);
    executor.join().await.unwrap();
    let (stop, stopped) = watch::channel(false);
    let running = tokio::spawn(executor.run(stopped));
    let now = engine.now();
    record(&engine, "v1", Some("green"), now - 2 * HOUR).await;
    record(&engine, "v2", Some("blue"), now - HOUR).await;

    let customers = customers(&rig);
    calm(&customers).await;
    let by = Actor::new("os:ana", "ana");
    let ask = Ask { service: "checkout".into(), by: by.clone(), wanted: None, reason: None };
    let id = engine.propose(&ask).await.unwrap();
    let revision = reaches(&engine, id, |phase| matches!(phase, Phase::Proposed { .. })).await;
    calm(&customers).await;
    let began = Instant::now();
    let standing = Standing { approver: true, ..Standing::default() };
    let approve = Event::Approved { by, standing, revision, confirmed: false, reason: None };
    engine.take(id, &approve).await.unwrap();
    reaches(&engine, id, |phase| matches!(phase, Phase::Observing { .. } | Phase::Ended { .. })).await;
    calm(&customers).await;
    let took = last(customers, began).await;
    stop.send_replace(true);
    running.await.unwrap();
    took
}

pub async fn reaches(engine: &Engine, id: RollbackId, wanted: impl Fn(&Phase) -> bool) -> u32 {
    poll_async("the run", LIMIT, || async {
        let saved = stored::get(engine.store.reader(), id).await.unwrap().unwrap().state;
        if let Phase::Escalated { why } = &saved.phase {
            panic!("{why}");
        }
        wanted(&saved.phase).then_some(saved.revision)
    })
    .await
}

pub async fn record(engine: &Engine, version: &str, pool: Option<&str>, at: i64) {
    let artifact = artifact(version);
    let release = NewRelease {
        service: "checkout".into(),
        phase: ReleasePhase::Live,
        pool: pool.map(str::to_owned),
        at,
        by: None,
        url: None,
        irreversible: None,
        origin: Origin::Recorded,
        delivery: version.to_owned(),
        artifact,
    };
    engine.record(&release).await.unwrap();
}

fn service(rig: &mut impl Rig) -> Service {
    let http = lastgood_adapters::client::client().unwrap();
    let mut pools = std::collections::BTreeMap::new();
    for pool in ["blue", "green"] {
        let at = rigs::members(rig.shop(), pool)[0];
        let version: VersionConfig =
            serde_json::from_value(json!({"url": format!("http://{at}/version"), "json_pointer": "/digest"}))
                .unwrap();
        let health: HealthConfig =
            serde_json::from_value(json!({"url": format!("http://{at}/healthz")})).unwrap();
        let built = Pool {
            version: Some(Arc::new(version.build(http.clone()).unwrap())),
            health: vec![Arc::new(health.build(http.clone()).unwrap())],
            metrics: vec![],
        };
        pools.insert(pool.to_owned(), built);
    }
    Service { pools, needs_pool: true, ..bare(rig.adapter()) }
}

/// Without pools, observed by nothing.
pub fn bare(shifter: Arc<dyn lastgood_adapters::traffic::Shifter>) -> Service {
    Service {
        id: "checkout".into(),
        environment: "bench".into(),
        rooms: vec![],
        hears: Default::default(),
        approvers: vec!["os:ana".into()],
        fallback_approvers: vec![],
        commander: None,
        depends_on: vec![],
        policy: Policy { every: 50, pagers: 0, ..Policy::default() },
        min_bake: 600_000,
        suspect_within: 24 * HOUR,
        again_after: HOUR / 2,
        alert_expires: 6 * HOUR,
        at_once: 2,
        tolerance: Tolerance::default(),
        needs_pool: false,
        only_recorded: vec![],
        must_pull: false,
        shifter,
        registry: None,
        pools: Default::default(),
        health: vec![],
        metrics: vec![],
        pagers: vec![],
        public_url: None,
    }
}
