//! A service as the engine knows it: what the configuration decided, and the ports to its world. Made once at start.

use std::{collections::BTreeMap, sync::Arc};

use lastgood_adapters::{
    metrics::Metrics,
    pager::Pager,
    probe::{Health, Version},
    registry::Registry,
    traffic::Shifter,
};
use lastgood_core::{Actor, Millis, ServiceId, rollback::Policy, verdict::Tolerance};

use crate::inbound::chat::Hears;

/// Where cards of a service go.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Room {
    /// `terminal`, `slack`, `discord`.
    pub platform: String,
    /// The platform's own name for it.
    pub name: String,
}

impl std::fmt::Display for Room {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.platform, self.name)
    }
}

impl std::str::FromStr for Room {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (platform, name) =
            text.split_once(':').ok_or_else(|| format!("{text:?} is no room: PLATFORM:NAME"))?;
        Ok(Self { platform: platform.to_owned(), name: name.to_owned() })
    }
}

/// One metric that decides about recovery.
pub struct Metric {
    pub name: String,
    pub source: Arc<dyn Metrics>,
    /// As configured, 0 to 1; otherwise it is measured from before the failing release.
    pub baseline: Option<f64>,
}

#[derive(Default)]
pub struct Pool {
    pub version: Option<Arc<dyn Version>>,
    pub health: Vec<Arc<dyn Health>>,
    /// Of this pool alone.
    pub metrics: Vec<Metric>,
}

pub struct Service {
    pub id: ServiceId,
    pub environment: String,
    pub rooms: Vec<Room>,
    /// Which messages in these rooms are its alerts.
    pub hears: Hears,
    /// Users and groups, `platform:name`.
    pub approvers: Vec<String>,
    /// Approvers while a platform can't be asked who somebody is.
    pub fallback_approvers: Vec<String>,
    pub commander: Option<Actor>,
    pub depends_on: Vec<ServiceId>,
    pub policy: Policy,
    pub min_bake: Millis,
    pub suspect_within: Millis,
    /// How long an alert may go on firing after a run ended before it is looked at again.
    pub again_after: Millis,
    /// An alert that nobody repeats for as long is silent.
    pub alert_expires: Millis,
    /// How many services may be moved without a click at the same time.
    pub at_once: u32,
    pub tolerance: Tolerance,
    /// The strategy serves from pools: a target must be in one.
    pub needs_pool: bool,
    /// Pools whose content nothing tells but the records that name them.
    pub only_recorded: Vec<String>,
    pub must_pull: bool,
    pub shifter: Arc<dyn Shifter>,
    pub registry: Option<Arc<dyn Registry>>,
    pub pools: BTreeMap<String, Pool>,
    pub health: Vec<Arc<dyn Health>>,
    pub metrics: Vec<Metric>,
    /// In the order in which they are called.
    pub pagers: Vec<(String, Arc<dyn Pager>)>,
    /// Where people can look, when there is an address.
    pub public_url: Option<String>,
}

/// All declared services.
#[derive(Clone, Default)]
pub struct Services(Arc<BTreeMap<ServiceId, Arc<Service>>>);

impl Services {
    pub fn new(services: impl IntoIterator<Item = Service>) -> Self {
        Self(Arc::new(services.into_iter().map(|s| (s.id.clone(), Arc::new(s))).collect()))
    }

    pub fn get(&self, id: &ServiceId) -> Option<&Arc<Service>> {
        self.0.get(id)
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.0.values()
    }

    /// The declared name nearest to a mistyped one.
    pub fn nearest(&self, typed: &str) -> Option<&ServiceId> {
        self.0
            .keys()
            .map(|id| (strsim::damerau_levenshtein(&id.0, typed), id))
            .filter(|(distance, id)| *distance <= 1 + id.0.len() / 3)
            .min_by_key(|(distance, _)| *distance)
            .map(|(_, id)| id)
    }

    /// What to say of a service that is not declared.
    pub fn unknown(&self, typed: &str) -> String {
        match self.nearest(typed) {
            Some(near) => format!("no service is called {typed:?}; did you mean {near}?"),
            None => {
                let known: Vec<_> = self.0.keys().map(|id| id.0.clone()).collect();
                format!("no service is called {typed:?}; declared are: {}", known.join(", "))
            }
        }
    }
}
