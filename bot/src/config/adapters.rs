//! The sections that adapters bring, by their `kind`: how an adapter is built from each, and the few questions that loading
//! a configuration asks them. This is the one place that knows which vendors exist.

use std::{
    sync::{Arc, LazyLock},
    time::Duration,
};

use lastgood_adapters::{
    BuildError,
    chat::{Chat, discord, slack},
    client, metrics,
    metrics::prometheus,
    pager,
    pager::pagerduty,
    registry,
    registry::oci,
    secret::Source,
    traffic,
};
use lastgood_core::Strategy;
use serde::Deserialize;

pub use lastgood_adapters::probe::http as probe;

/// Which vendors there are: variant and module, a line each.
macro_rules! shifters {
    ($($kind:ident => $vendor:ident),+ $(,)?) => {
        /// What moves a service's traffic.
        #[derive(Debug, Clone, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum Shifter {
            $($kind(traffic::$vendor::Config)),+
        }

        impl Shifter {
            fn section(&self) -> &dyn traffic::Section {
                match self {
                    $(Self::$kind(config) => config),+
                }
            }
        }
    };
}

shifters! {
    Haproxy => haproxy,
    Envoy => envoy,
    Traefik => traefik,
    Nginx => nginx,
    Caddy => caddy,
    KubernetesRollout => kubernetes_rollout,
    KubernetesService => kubernetes_service,
    GatewayApi => gateway_api,
    Istio => istio,
    IngressNginx => ingress_nginx,
    TraefikCrd => traefik_crd,
    ArgoRollouts => argo_rollouts,
    Exec => exec,
    Http => http,
}

impl Shifter {
    /// The pools that traffic can go to.
    pub fn pools(&self) -> Vec<&str> {
        self.section().pools()
    }

    /// Why the adapter can't do the strategy as it is configured.
    pub fn misfit(&self, strategy: Strategy) -> Option<String> {
        self.section().misfit(strategy)
    }

    /// Whether a pool can get a part of the traffic.
    pub fn splits(&self) -> bool {
        self.section().splits()
    }

    /// Whether it tells what each pool runs.
    pub fn tells_what_runs(&self) -> bool {
        self.section().tells_what_runs()
    }

    /// Whether going back means that other pods are made.
    pub fn replaces_pods(&self) -> bool {
        self.section().replaces_pods()
    }

    /// # Errors
    /// What the adapter refuses to be built from.
    pub fn build_for(
        &self,
        service: &str,
        http: &reqwest::Client,
    ) -> Result<Arc<dyn traffic::Shifter>, Unfit> {
        Ok(self.section().build(service, http)?)
    }
}

/// Where artifacts come from.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Registry {
    Oci(oci::Config),
}

/// Where the error rate is read.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    Prometheus(prometheus::Config),
}

impl Metric {
    pub fn name(&self) -> &str {
        let Self::Prometheus(config) = self;
        &config.name
    }

    /// How far the query looks back; none when that can't be told, which is a mistake of its own.
    pub fn window(&self) -> Option<Duration> {
        let Self::Prometheus(config) = self;
        config.window().ok()
    }

    /// The configured error rate when all is well, 0 to 1.
    pub fn baseline(&self) -> Option<f64> {
        let Self::Prometheus(config) = self;
        config.baseline()
    }
}

/// Who calls the commander.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Caller {
    Pagerduty(pagerduty::Config),
}

/// Why an adapter can't be built from its section.
#[derive(Debug, thiserror::Error)]
#[error("{key}: {why}")]
pub struct Unfit {
    /// The section's own key.
    pub key: &'static str,
    pub why: String,
    /// Another rule reports the same.
    known: bool,
}

impl From<BuildError> for Unfit {
    fn from(error: BuildError) -> Self {
        match error {
            BuildError::Secret { key, why } => Self { key, why: why.to_string(), known: true },
            // What a strategy can't do is reported by its own rule.
            BuildError::Invalid { key, why } => Self { key, why, known: key == "strategy" },
            error @ BuildError::Client(_) => Self { key: "", why: error.to_string(), known: false },
        }
    }
}

/// For trying whether an adapter can be built. Nothing is ever sent through it.
static TRIAL: LazyLock<Result<reqwest::Client, BuildError>> = LazyLock::new(client::client);

/// A section that an adapter brings. Keys are the section's own; an empty one means the section as a whole.
pub trait Section {
    type Port: ?Sized;

    /// Nothing is asked yet.
    ///
    /// # Errors
    /// What the adapter refuses to be built from.
    fn build(&self, http: &reqwest::Client) -> Result<Arc<Self::Port>, Unfit>;

    /// Secrets that the adapter reads when it is built.
    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        Vec::new()
    }

    /// What the adapter would refuse, so that it is reported with all other mistakes, and in place.
    fn problems(&self) -> Vec<(&'static str, String)> {
        let http = match &*TRIAL {
            Ok(http) => http,
            Err(error) => return vec![("", error.to_string())],
        };
        self.build(http)
            .err()
            .filter(|unfit| !unfit.known)
            .map(|unfit| (unfit.key, unfit.why))
            .into_iter()
            .collect()
    }
}

impl Section for Shifter {
    type Port = dyn traffic::Shifter;

    fn build(&self, http: &reqwest::Client) -> Result<Arc<Self::Port>, Unfit> {
        self.build_for("", http)
    }

    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        self.section().secrets()
    }
}

impl Section for Registry {
    type Port = dyn registry::Registry;

    fn build(&self, http: &reqwest::Client) -> Result<Arc<Self::Port>, Unfit> {
        let Self::Oci(config) = self;
        Ok(Arc::new(config.build(http.clone())?))
    }

    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        let Self::Oci(config) = self;
        config.password.iter().map(|source| ("password", source)).collect()
    }
}

impl Section for Caller {
    type Port = dyn pager::Pager;

    fn build(&self, http: &reqwest::Client) -> Result<Arc<Self::Port>, Unfit> {
        let Self::Pagerduty(config) = self;
        Ok(Arc::new(config.build(http.clone())?))
    }

    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        let Self::Pagerduty(config) = self;
        let token = config.api_token.iter().map(|source| ("api_token", source));
        std::iter::once(("routing_key", &config.routing_key)).chain(token).collect()
    }
}

impl Section for Metric {
    type Port = dyn metrics::Metrics;

    fn build(&self, http: &reqwest::Client) -> Result<Arc<Self::Port>, Unfit> {
        let Self::Prometheus(config) = self;
        Ok(Arc::new(config.build(http.clone())?))
    }

    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        let Self::Prometheus(config) = self;
        let token = config.token.iter().map(|source| ("token", source));
        token.chain(config.password.iter().map(|source| ("password", source))).collect()
    }
}

impl Section for probe::HealthConfig {
    type Port = dyn lastgood_adapters::probe::Health;

    fn build(&self, http: &reqwest::Client) -> Result<Arc<Self::Port>, Unfit> {
        Ok(Arc::new(probe::HealthConfig::build(self, http.clone())?))
    }
}

impl Section for probe::VersionConfig {
    type Port = dyn lastgood_adapters::probe::Version;

    fn build(&self, http: &reqwest::Client) -> Result<Arc<Self::Port>, Unfit> {
        Ok(Arc::new(probe::VersionConfig::build(self, http.clone())?))
    }
}

impl Section for discord::Config {
    type Port = dyn Chat;

    fn build(&self, _http: &reqwest::Client) -> Result<Arc<Self::Port>, Unfit> {
        Ok(Arc::new(discord::Config::build(self, Vec::new(), Vec::new())?))
    }

    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        discord::Config::secrets(self)
    }
}

impl Section for slack::Config {
    type Port = dyn Chat;

    fn build(&self, http: &reqwest::Client) -> Result<Arc<Self::Port>, Unfit> {
        Ok(Arc::new(slack::Config::build(self, http.clone(), Vec::new())?))
    }

    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        slack::Config::secrets(self)
    }
}
