//! The sections that adapters bring, by their `kind`, and the few questions that loading a configuration asks them. This
//! is the one place that knows which vendors exist.

use std::time::Duration;

use lastgood_adapters::secret::Source;
use serde::Deserialize;

pub use placeholders::{haproxy, oci, pagerduty, probe, prometheus};

/// What moves a service's traffic.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shifter {
    Haproxy(haproxy::Config),
}

impl Shifter {
    /// The pools that traffic can go to.
    pub fn pools(&self) -> Vec<&str> {
        let Self::Haproxy(config) = self;
        let switch = config.switch.iter().flat_map(|switch| switch.pools.keys());
        let weights = config.weights.iter().flat_map(|weights| weights.pools.keys());
        switch.chain(weights).map(String::as_str).collect()
    }

    /// Why the adapter can't do the strategy as it is configured.
    pub fn misfit(&self, strategy: super::Strategy) -> Option<String> {
        use super::Strategy::{BlueGreen, Canary, Rolling};
        let Self::Haproxy(config) = self;
        match (strategy, config.switch.is_some(), config.weights.is_some()) {
            (_, false, false) | (_, true, true) => {
                Some("give either `switch` (a map entry names the backend) or `weights`".to_owned())
            }
            (BlueGreen, ..) | (Canary, false, true) => None,
            (Canary, true, false) => {
                Some("a switch moves all traffic at once: a canary needs `weights`".to_owned())
            }
            (Rolling, ..) => Some("haproxy moves traffic between pools: it replaces no pods".to_owned()),
        }
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

    /// How far the query looks back, as far as can be told from its text.
    pub fn window(&self) -> Option<Duration> {
        let Self::Prometheus(config) = self;
        prometheus::window(&config.errors).max(config.total.as_deref().and_then(prometheus::window))
    }
}

/// Who calls the commander.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Caller {
    Pagerduty(pagerduty::Config),
}

/// What loading asks a section that an adapter brings, so that its mistakes are reported with all others and in place.
/// Keys are the section's own; an empty one means the section as a whole.
pub trait Section {
    /// Secrets that the adapter reads when it is built.
    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        Vec::new()
    }

    /// What the adapter would refuse to be built from.
    fn problems(&self) -> Vec<(&'static str, String)> {
        Vec::new()
    }
}

impl Section for Shifter {
    fn problems(&self) -> Vec<(&'static str, String)> {
        let Self::Haproxy(config) = self;
        let none = config.instances.is_empty();
        none.then(|| ("instances", "no instance: name every HAProxy that routes the service".to_owned()))
            .into_iter()
            .collect()
    }
}

impl Section for Registry {
    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        let Self::Oci(config) = self;
        config.password.iter().map(|source| ("password", source)).collect()
    }
}

impl Section for Caller {
    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        let Self::Pagerduty(config) = self;
        vec![("routing_key", &config.routing_key)]
    }
}

impl Section for Metric {}

impl Section for probe::HealthConfig {
    fn problems(&self) -> Vec<(&'static str, String)> {
        let bad = self.status.iter().flatten().any(|status| !(100..600).contains(status));
        bad.then(|| ("status", "statuses are from 100 to 599".to_owned())).into_iter().collect()
    }
}

impl Section for probe::VersionConfig {
    fn problems(&self) -> Vec<(&'static str, String)> {
        let bad = !self.json_pointer.is_empty() && !self.json_pointer.starts_with('/');
        bad.then(|| ("json_pointer", "it starts with a slash, like \"/digest\"".to_owned()))
            .into_iter()
            .collect()
    }
}

/// Stand-ins of the same shape, until the adapters bring their own.
mod placeholders {
    pub mod haproxy {
        use std::collections::BTreeMap;

        use lastgood_adapters::duration::Span;
        use serde::Deserialize;

        #[derive(Debug, Clone, Deserialize)]
        pub struct Config {
            pub instances: Vec<String>,
            pub timeout: Option<Span>,
            pub switch: Option<Switch>,
            pub weights: Option<Weights>,
        }

        #[derive(Debug, Clone, Deserialize)]
        pub struct Switch {
            pub map: String,
            pub key: String,
            #[serde(flatten)]
            pub pools: BTreeMap<String, String>,
        }

        #[derive(Debug, Clone, Deserialize)]
        pub struct Weights {
            pub backend: String,
            pub pools: BTreeMap<String, Vec<String>>,
        }
    }

    pub mod oci {
        use lastgood_adapters::{duration::Span, secret::Source};
        use serde::Deserialize;

        #[derive(Debug, Clone, Deserialize)]
        pub struct Config {
            pub repository: String,
            pub username: Option<String>,
            pub password: Option<Source>,
            pub timeout: Option<Span>,
        }
    }

    pub mod prometheus {
        use std::time::Duration;

        use lastgood_adapters::duration::Span;
        use serde::Deserialize;

        #[derive(Debug, Clone, Deserialize)]
        pub struct Config {
            pub name: String,
            pub url: String,
            pub errors: String,
            pub total: Option<String>,
            pub baseline: Option<f64>,
            pub timeout: Option<Span>,
        }

        /// The longest `[30s]` in a query.
        pub fn window(query: &str) -> Option<Duration> {
            let ranges = query.split('[').skip(1).filter_map(|rest| rest.split([']', ':']).next());
            ranges.filter_map(|range| Span::try_from(range.to_owned()).ok()).map(|span| span.0).max()
        }
    }

    pub mod pagerduty {
        use lastgood_adapters::secret::Source;
        use serde::Deserialize;

        #[derive(Debug, Clone, Deserialize)]
        pub struct Config {
            pub routing_key: Source,
            pub url: Option<String>,
        }
    }

    pub mod probe {
        use lastgood_adapters::duration::Span;
        use serde::Deserialize;

        #[derive(Debug, Clone, Deserialize)]
        pub struct HealthConfig {
            pub url: String,
            pub status: Option<Vec<u16>>,
            pub contains: Option<String>,
            pub timeout: Option<Span>,
        }

        #[derive(Debug, Clone, Deserialize)]
        pub struct VersionConfig {
            pub url: String,
            pub json_pointer: String,
            pub timeout: Option<Span>,
        }
    }
}
