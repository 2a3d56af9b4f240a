//! Where configuration becomes adapters, services, store and engine. Nothing is asked of the outside world here but the
//! store: whether the rest answers is what `lastgood check` tells.

use std::{sync::Arc, time::Duration};

use lastgood_adapters::{BuildError, client};
use lastgood_core::{Actor, rollback, verdict};

use crate::{
    clock::{self, SharedClock},
    config::{
        self, Config, Strategy, Who,
        adapters::{Section, Unfit},
    },
    engine::{Engine, Executor},
    inbound::chat::Hears,
    service::{Metric, Pool, Room, Service, Services},
    store::{self, Store, StoreError},
};

/// What every part of the program works with. Cheap to clone.
#[derive(Clone)]
pub struct App {
    pub config: Arc<Config>,
    pub services: Services,
    pub engine: Engine,
    /// The process's one HTTP client.
    pub client: reqwest::Client,
}

/// Why the program can't start.
#[derive(Debug, thiserror::Error)]
pub enum NotBuilt {
    #[error(transparent)]
    Client(#[from] BuildError),
    #[error("{section}{}{}: {}", if .unfit.key.is_empty() { "" } else { "." }, .unfit.key, .unfit.why)]
    Section { section: String, unfit: Unfit },
    #[error("the store {url} can't be opened: {error}")]
    Store { url: String, error: StoreError },
}

impl App {
    /// Builds everything from the configuration and opens the store.
    ///
    /// # Errors
    /// With the section that something can't be built from, or the store's address.
    pub async fn open(config: Config) -> Result<(Self, Executor), NotBuilt> {
        let client = client::client()?;
        let services = services(&config, &client)?;
        let store = open_store(&config).await?;
        let url = store::without_password(&config.store.url);
        let opened = Self::with(config, services, store, client, Arc::new(clock::System));
        // What this process does is dated by the clock that everybody on the database goes by.
        opened.0.engine.read_clock().await.map_err(|error| NotBuilt::Store { url, error })?;
        Ok(opened)
    }

    /// From parts that were made elsewhere.
    pub fn with(
        config: Config,
        services: Services,
        store: Store,
        client: reqwest::Client,
        clock: SharedClock,
    ) -> (Self, Executor) {
        let (engine, executor) = Engine::new(store, services.clone(), clock, config.store.lease_term.0);
        (Self { config: Arc::new(config), services, engine, client }, executor)
    }
}

/// Opens the configured store.
///
/// # Errors
/// With its address, less the password.
pub async fn open_store(config: &Config) -> Result<Store, NotBuilt> {
    let opened = Store::open(&config.store.url, config.store.password.as_ref()).await;
    opened.map_err(|error| NotBuilt::Store { url: store::without_password(&config.store.url), error })
}

/// All services of a configuration.
///
/// # Errors
/// With the section that something can't be built from.
pub fn services(config: &Config, client: &reqwest::Client) -> Result<Services, NotBuilt> {
    let built: Result<Vec<_>, _> =
        config.services.iter().map(|(name, from)| service(config, name, from, client)).collect();
    Ok(Services::new(built?))
}

fn service(
    config: &Config,
    name: &str,
    from: &config::Service,
    client: &reqwest::Client,
) -> Result<Service, NotBuilt> {
    let at = |section: &str| format!("services.{name}.{section}");
    let shifter = from.traffic.shifter.build_for(name, client);
    let shifter = shifter.map_err(|unfit| NotBuilt::Section { section: at("traffic"), unfit })?;
    let registry = from.registry.as_ref().map(|of| build(of, client, || at("registry"))).transpose()?;
    let mut pools = std::collections::BTreeMap::new();
    for (pool, of) in &from.pools {
        let at = |section: &str| at(&format!("pools.{pool}.{section}"));
        let version = of.version.as_ref().map(|of| build(of, client, || at("version"))).transpose()?;
        let health =
            of.health.iter().map(|of| build(of, client, || at("health"))).collect::<Result<_, _>>()?;
        let metrics = metrics(&of.metrics, client, || at("metrics"))?;
        pools.insert(pool.clone(), Pool { version, health, metrics });
    }
    let health = from.health.http.iter().map(|of| build(of, client, || at("health.http")));
    let health = health.collect::<Result<_, _>>()?;
    let metrics = metrics(&from.health.metrics, client, || at("health.metrics"))?;
    let mut pagers = Vec::new();
    for pager in &from.page {
        if let Some(of) = config.pagers.get(pager) {
            pagers.push((pager.clone(), build(&of.caller, client, || format!("pagers.{pager}"))?));
        }
    }
    let pools_serve = !from.traffic.shifter.pools().is_empty();
    Ok(Service {
        id: name.into(),
        environment: from.environment.clone(),
        rooms: from.rooms().map(room).collect(),
        hears: Hears { alerts: from.alerts.clone(), messages: from.alert_messages.clone() },
        approvers: from.approvers.iter().map(ToString::to_string).collect(),
        fallback_approvers: from.fallback_approvers.iter().map(ToString::to_string).collect(),
        commander: from.commander.as_ref().map(actor),
        depends_on: from.depends_on.iter().map(|other| other.as_str().into()).collect(),
        policy: policy(from),
        min_bake: millis(from.min_bake.0),
        suspect_within: millis(from.suspect_within.0),
        again_after: millis(from.again_after.0),
        alert_expires: millis(from.alert_expires.0),
        at_once: config.automatic.at_once,
        tolerance: verdict::Tolerance {
            factor: from.health.tolerance.factor,
            points: from.health.tolerance.points,
        },
        needs_pool: match from.traffic.strategy {
            _ if from.replaces_pods() => false,
            Strategy::BlueGreen => true,
            Strategy::Canary => pools_serve,
            Strategy::Rolling => false,
        },
        only_recorded: from.only_recorded(),
        must_pull: from.must_pull(),
        shifter,
        registry,
        pools,
        health,
        metrics,
        pagers,
        public_url: config.http.public_url.clone(),
    })
}

fn metrics(
    of: &[config::adapters::Metric],
    client: &reqwest::Client,
    name: impl Fn() -> String,
) -> Result<Vec<Metric>, NotBuilt> {
    let metric = |of: &config::adapters::Metric| {
        let source = build(of, client, &name)?;
        Ok(Metric { name: of.name().to_owned(), source, baseline: of.baseline() })
    };
    of.iter().map(metric).collect()
}

fn build<S: Section>(
    section: &S,
    client: &reqwest::Client,
    name: impl FnOnce() -> String,
) -> Result<Arc<S::Port>, NotBuilt> {
    section.build(client).map_err(|unfit| NotBuilt::Section { section: name(), unfit })
}

fn policy(from: &config::Service) -> rollback::Policy {
    rollback::Policy {
        approval: match from.approval {
            config::Approval::Required => rollback::Approval::Required,
            config::Approval::None => rollback::Approval::None,
        },
        click_needed: None,
        approvals: from.approvals,
        requester_may_approve: from.requester_may_approve,
        expires_after: millis(from.expires_after.0),
        answer_within: millis(from.answer_within.0),
        shift_within: millis(from.shift_within().0),
        pace: from.shift.as_ref().map_or_else(rollback::Pace::default, |shift| rollback::Pace {
            steps: shift.steps.iter().map(|percent| percent.0).collect(),
            every: millis(shift.every.0),
            watch: shift.watch,
        }),
        recover_within: millis(from.health.recover_within.0),
        every: millis(from.health.every.0),
        good_in_a_row: from.health.good_in_a_row,
        bake: millis(from.bake.0),
        alert_clears_within: millis(from.alert_clears_within.0),
        act_within: millis(from.act_within.0),
        ack_within: millis(from.ack_within.0),
        pagers: u32::try_from(from.page.len()).unwrap_or(u32::MAX),
    }
}

/// Configured lengths of time fit: `Span` takes no longer ones.
fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

fn room(room: &config::Room) -> Room {
    Room { platform: room.platform.clone(), name: room.name.clone() }
}

/// A person of the configuration, as they act.
pub fn actor(who: &Who) -> Actor {
    Actor::new(who.to_string(), who.name.clone())
}
