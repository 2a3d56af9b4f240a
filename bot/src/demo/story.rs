//! The world as a declared service, its past as an inventory, and its alert as one that came in.

use std::{collections::BTreeMap, sync::Arc};

use lastgood_adapters::{probe, registry::oci};
use lastgood_core::{
    Actor, At, ServiceId,
    inventory::{Origin, Phase, Stability},
    rollback::Policy,
    verdict::Tolerance,
};

use super::world::{self, World};
use crate::{
    engine::{Engine, alerts::Alert},
    service::{Metric, Pool, Room, Service},
    store::releases::NewRelease,
};

/// For how long the service is watched after its recovery, in milliseconds: long enough to be seen.
const BAKE: i64 = 4_000;

/// Where the thread is told.
pub const ROOM: &str = "#incidents";

/// The service as a configuration would declare it; only faster, since nobody waits five minutes for a demo.
pub fn service(world: &World, person: &Actor) -> anyhow::Result<Service> {
    let http = world.client();
    let mut pools = BTreeMap::new();
    for pool in &world.pools {
        let version =
            config::<probe::http::VersionConfig>(&[("url", &pool.version_url), ("json_pointer", "/digest")])?;
        let health = config::<probe::http::HealthConfig>(&[("url", &pool.health_url)])?;
        let version = Arc::new(version.build(http.clone())?);
        let health = Arc::new(health.build(http.clone())?);
        pools.insert(
            pool.name.to_owned(),
            Pool { version: Some(version), health: vec![health], metrics: vec![] },
        );
    }
    let front = format!("{}/healthz", world.switch_url());
    let health = config::<probe::http::HealthConfig>(&[("url", &front)])?.build(http.clone())?;
    let registry = oci::Config {
        repository: world.repository(),
        plain_http: true,
        username: None,
        password: None,
        timeout: None,
    };
    let metric = Metric { name: "error rate".into(), source: world.metrics(), baseline: None };
    Ok(Service {
        id: ServiceId::from(world.service()),
        environment: "production".into(),
        rooms: vec![Room { platform: "terminal".into(), name: ROOM.into() }],
        hears: Default::default(),
        approvers: super::approvers(person),
        fallback_approvers: Vec::new(),
        commander: None,
        depends_on: vec![],
        policy: Policy { every: 1_000, recover_within: 15_000, bake: BAKE, ..Policy::default() },
        min_bake: 10 * 60_000,
        suspect_within: 24 * 3_600_000,
        again_after: 30 * 60_000,
        alert_expires: 6 * 3_600_000,
        at_once: 2,
        tolerance: Tolerance::default(),
        needs_pool: true,
        only_recorded: vec![],
        must_pull: false,
        shifter: world.shifter(),
        registry: Some(Arc::new(registry.build(http)?)),
        pools,
        health: vec![Arc::new(health)],
        metrics: vec![metric],
        pagers: vec![("oncall".into(), world.pager())],
        public_url: None,
    })
}

/// A section of a configuration, from its keys.
fn config<T: serde::de::DeserializeOwned>(keys: &[(&str, &str)]) -> anyhow::Result<T> {
    let table: serde_json::Map<_, _> = keys.iter().map(|(k, v)| ((*k).to_owned(), (*v).into())).collect();
    Ok(serde_json::from_value(table.into())?)
}

/// Records what had been deployed before the demo began, as pipelines and people would have.
pub async fn record(engine: &Engine, world: &World) -> anyhow::Result<()> {
    let now = engine.now();
    let service = ServiceId::from(world.service());
    for told in world.releases.iter().rev() {
        let release = NewRelease {
            service: service.clone(),
            artifact: told.artifact.clone(),
            phase: match told.phase {
                world::Phase::Preview => Phase::Preview,
                world::Phase::Canary => Phase::Canary,
                world::Phase::Live => Phase::Live,
            },
            // A pool is what it runs now: of what left it again, only that it was there once is known.
            pool: told.in_pool.then(|| told.pool.to_owned()),
            at: now - told.ago,
            by: Some(told.by.to_owned()),
            url: None,
            irreversible: None,
            origin: Origin::Recorded,
            delivery: format!("demo/{}", told.artifact.version),
        };
        engine.record(&release).await?;
        if let Some((mark, why)) = told.mark {
            let stability = match mark {
                world::Mark::Stable => Stability::Stable { by_person: true },
                world::Mark::Unstable => Stability::Unstable { why: why.to_owned(), provisional: false },
            };
            let person = Actor::new(format!("demo:{}", told.by), told.by);
            engine.mark(world.service(), &told.artifact.digest, &stability, why, &person, None).await?;
        }
    }
    Ok(())
}

/// What monitoring says of this alert once the errors are over.
pub fn over(measured: &world::Alert, now: At) -> Alert {
    Alert { firing: false, ends_at: Some(now), ..alert(measured) }
}

pub fn alert(measured: &world::Alert) -> Alert {
    let name = measured.labels.get("alertname").cloned().unwrap_or_else(|| "alert".to_owned());
    let summary = measured.annotations.get("summary").cloned();
    Alert {
        service: ServiceId::from(world::SERVICE),
        fingerprint: measured.fingerprint.clone(),
        starts_at: measured.starts_at,
        ends_at: None,
        firing: true,
        title: summary.map_or_else(|| name.clone(), |summary| format!("{name}: {summary}")),
        annotations: measured.annotations.clone().into_iter().collect(),
        ignore: false,
        names: vec![name],
        heard: None,
        anchor: None,
    }
}
