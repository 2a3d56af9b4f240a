//! What to tell lastgood about Envoys, and what in it makes no sense.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use serde::Deserialize;

use crate::{
    BuildError,
    client::{Address, limit},
    duration::Span,
    traffic::{CALL_LIMIT, two_pools},
};

/// ```toml
/// instances = ["http://127.0.0.1:9901"]
/// pools = { blue = "checkout_blue", green = "checkout_green" }
/// runtime_key_prefix = "routing.checkout"
/// ```
/// or, in place of `runtime_key_prefix`, `file = "/etc/envoy/rds/checkout.yaml"`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The administration interface of every Envoy that routes the service.
    pub instances: Vec<Address>,
    /// Pool → cluster.
    pub pools: BTreeMap<String, String>,
    /// Of the weighted routes: their weights are overridden in the runtime.
    pub runtime_key_prefix: Option<String>,
    /// A route configuration (YAML or JSON) in a folder that all instances watch: its weights are rewritten.
    pub file: Option<PathBuf>,
    /// What one call may take in all; `traffic::CALL_LIMIT` unless given.
    pub timeout: Option<Span>,
}

/// How weights are changed.
#[derive(Debug, Clone, PartialEq)]
pub enum Means {
    /// By overrides under this prefix.
    Runtime(String),
    /// In this file.
    File(PathBuf),
}

impl Config {
    pub(super) fn means(&self) -> Result<Means, BuildError> {
        two_pools(&self.pools)?;
        match (&self.runtime_key_prefix, &self.file) {
            (Some(prefix), None) if !prefix.trim().is_empty() => Ok(Means::Runtime(prefix.clone())),
            (None, Some(file)) if file.is_absolute() => Ok(Means::File(file.clone())),
            (None, Some(_)) => Err(BuildError::invalid("file", "give its whole path, from /")),
            _ => Err(BuildError::invalid(
                "",
                "give either `runtime_key_prefix` (weights are overridden in the runtime) or `file` (a route \
                 configuration that Envoy watches)",
            )),
        }
    }

    pub(super) fn instances(&self) -> Result<(Duration, &[Address]), BuildError> {
        crate::traffic::addresses(&self.instances)?;
        Ok((limit(self.timeout, CALL_LIMIT)?, &self.instances))
    }
}
