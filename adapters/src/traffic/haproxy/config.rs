//! What to tell lastgood about an HAProxy, and what in it makes no sense. Names end up in command lines of the Runtime
//! API, where a space, a semicolon or a line feed would start something else: they are refused here, once.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::Deserialize;

use super::{
    data_plane::DataPlane,
    keep::{Keep, Persist},
};
use crate::{BuildError, duration::Span, traffic::CALL_LIMIT};

/// ```toml
/// instances = ["unix:/run/haproxy/admin.sock", "tcp:10.0.0.2:9999"]
/// timeout = "5s"
/// switch = { map = "/etc/haproxy/active.map", key = "checkout", blue = "be_checkout_blue", green = "be_checkout_green" }
/// ```
/// or, in place of `switch`, `weights = { backend = "be", pools = { blue = ["blue1", "blue2"], green = ["green1"] } }`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Every HAProxy that routes the service: `unix:/path` or `tcp:host:port` of a Runtime API socket.
    pub instances: Vec<String>,
    /// What one call may take in all; `traffic::CALL_LIMIT` unless given.
    pub timeout: Option<Span>,
    /// A map entry says which backend serves.
    #[serde(default)]
    pub switch: Option<Switch>,
    /// The weights of the servers in one backend say who serves.
    #[serde(default)]
    pub weights: Option<Weights>,
    /// How a shift outlives a reload, which otherwise forgets it.
    #[serde(default)]
    pub persist: Option<Persist>,
}

/// `use_backend %[str(checkout),map(/etc/haproxy/active.map)]`: one entry of a map file names the backend.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Switch {
    /// The map's file as HAProxy's configuration names it.
    pub map: String,
    pub key: String,
    /// Pool → backend: every other key.
    #[serde(flatten)]
    pub pools: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    pub backend: String,
    /// Pool → its servers in the backend.
    pub pools: BTreeMap<String, Vec<String>>,
}

/// Why a configuration can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "`instances` is empty: name at least one Runtime API socket, such as \"unix:/run/haproxy/admin.sock\""
    )]
    NoInstance,
    #[error("instance {0:?} is neither \"unix:/path/of/socket\" nor \"tcp:host:port\"")]
    Address(String),
    #[error("instance {0:?} is named twice")]
    InstanceTwice(String),
    #[error("`timeout` must be longer than nothing")]
    NoTime,
    #[error("give either `switch` (a map entry names the backend) or `weights` (of servers in one backend)")]
    NotOneRoute,
    #[error("{0} pool(s) configured: traffic can only be moved between two or more")]
    TooFewPools(usize),
    #[error("pool {0:?} has no server")]
    EmptyPool(String),
    #[error(
        "{what} {name:?} can't be named to HAProxy: empty, or with a space, semicolon, backslash or \"<<\""
    )]
    Name { what: &'static str, name: String },
    #[error("{name:?} belongs to pool {one:?} and to pool {other:?}")]
    Shared { name: String, one: String, other: String },
}

/// Where a Runtime API listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Address {
    Unix(PathBuf),
    Tcp(String),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
            Self::Tcp(at) => write!(f, "tcp:{at}"),
        }
    }
}

impl Address {
    fn parse(text: &str) -> Result<Self, ConfigError> {
        let bad = || ConfigError::Address(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') { Ok(Self::Unix(path.into())) } else { Err(bad()) };
        }
        let at = text.strip_prefix("tcp:").ok_or_else(bad)?;
        let (host, port) = at.rsplit_once(':').ok_or_else(bad)?;
        match port.parse::<u16>() {
            Ok(port) if port > 0 && !host.is_empty() => Ok(Self::Tcp(at.to_owned())),
            _ => Err(bad()),
        }
    }
}

/// How the configured HAProxy chooses a pool.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Route {
    Map(Switch),
    Weights(Weights),
}

impl Route {
    pub fn pools(&self) -> Vec<&str> {
        match self {
            Self::Map(switch) => switch.pools.keys().map(String::as_str).collect(),
            Self::Weights(weights) => weights.pools.keys().map(String::as_str).collect(),
        }
    }
}

impl Config {
    /// Pool names in order; for cross-checks with the rest of a service's configuration.
    pub fn pools(&self) -> Vec<&str> {
        let maps = self.switch.iter().flat_map(|switch| switch.pools.keys());
        let weighted = self.weights.iter().flat_map(|weights| weights.pools.keys());
        maps.chain(weighted).map(String::as_str).collect()
    }

    pub(super) fn addresses(&self) -> Result<Vec<Address>, ConfigError> {
        let mut addresses = Vec::new();
        for text in &self.instances {
            let address = Address::parse(text)?;
            if addresses.contains(&address) {
                return Err(ConfigError::InstanceTwice(text.clone()));
            }
            addresses.push(address);
        }
        if addresses.is_empty() { Err(ConfigError::NoInstance) } else { Ok(addresses) }
    }

    /// # Errors
    /// When it can't be done for this route, or is not one way but several.
    pub(super) fn keep(&self, http: &reqwest::Client) -> Result<Option<Keep>, BuildError> {
        let invalid = |why: &str| Err(BuildError::invalid("persist", why));
        let Some(persist) = &self.persist else { return Ok(None) };
        let limit = self.timeout.map_or(CALL_LIMIT, |span| span.0);
        Ok(Some(match (persist, &self.switch, &self.weights) {
            (Persist { map_file: true, state_file: None, data_plane: None }, Some(switch), _) => {
                Keep::MapFile(switch.clone())
            }
            (Persist { map_file: false, state_file: Some(file), data_plane: None }, _, Some(weights)) => {
                if self.instances.len() > 1 {
                    return invalid(
                        "a state file is one HAProxy's own: several can't share it; use data_plane",
                    );
                }
                Keep::StateFile { backend: weights.backend.clone(), file: file.clone() }
            }
            (Persist { map_file: false, state_file: None, data_plane: Some(api) }, ..) => {
                Keep::DataPlane(DataPlane::new(api, http, limit)?)
            }
            (Persist { map_file: true, .. }, None, _) => return invalid("map_file needs `switch`"),
            (Persist { state_file: Some(_), .. }, _, None) => return invalid("state_file needs `weights`"),
            _ => return invalid("give one of map_file = true, state_file, data_plane"),
        }))
    }

    pub(super) fn route(&self) -> Result<Route, ConfigError> {
        match (&self.switch, &self.weights) {
            (Some(switch), None) => {
                name("map", &switch.map)?;
                name("key", &switch.key)?;
                members(switch.pools.iter().map(|(pool, backend)| (pool, std::slice::from_ref(backend))))?;
                Ok(Route::Map(switch.clone()))
            }
            (None, Some(weights)) => {
                name("backend", &weights.backend)?;
                members(weights.pools.iter().map(|(pool, servers)| (pool, servers.as_slice())))?;
                Ok(Route::Weights(weights.clone()))
            }
            _ => Err(ConfigError::NotOneRoute),
        }
    }
}

/// Two pools or more, none empty, nothing in two of them.
fn members<'a>(pools: impl Iterator<Item = (&'a String, &'a [String])>) -> Result<(), ConfigError> {
    let mut owner: BTreeMap<&str, &str> = BTreeMap::new();
    let mut count = 0;
    for (pool, names) in pools {
        count += 1;
        if names.is_empty() {
            return Err(ConfigError::EmptyPool(pool.clone()));
        }
        for member in names {
            name("backend or server", member)?;
            if let Some(one) = owner.insert(member, pool) {
                return Err(ConfigError::Shared {
                    name: member.clone(),
                    one: one.to_owned(),
                    other: pool.clone(),
                });
            }
        }
    }
    if count < 2 { Err(ConfigError::TooFewPools(count)) } else { Ok(()) }
}

fn name(what: &'static str, text: &str) -> Result<(), ConfigError> {
    let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, ';' | '\\');
    if text.is_empty() || text.contains(bad) || text.contains("<<") {
        return Err(ConfigError::Name { what, name: text.to_owned() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: serde_json::Value) -> Config {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn every_other_key_of_a_switch_is_a_pool() {
        let config = read(json!({
            "instances": ["unix:/run/a.sock", "tcp:127.0.0.1:9999"], "timeout": "5s",
            "switch": {"map": "/m", "key": "checkout", "blue": "be_blue", "teal": "be_teal"},
        }));
        assert_eq!(config.pools(), ["blue", "teal"]);
        assert_eq!(config.timeout, Some(Span(std::time::Duration::from_secs(5))));
        assert_eq!(config.addresses().unwrap()[1].to_string(), "tcp:127.0.0.1:9999");
        assert!(matches!(config.route(), Ok(Route::Map(_))));
    }

    #[test]
    fn unknown_keys_are_errors() {
        let typo = json!({"instances": [], "swich": {}});
        assert!(serde_json::from_value::<Config>(typo).unwrap_err().to_string().contains("swich"));
        let typo = json!({"instances": [], "weights": {"backend": "b", "pool": {}}});
        assert!(serde_json::from_value::<Config>(typo).is_err());
    }

    #[test]
    fn addresses_have_one_of_two_forms() {
        for bad in
            ["", "/run/a.sock", "unix:a.sock", "tcp:9999", "tcp::9999", "tcp:h:0", "tcp:h:x", "http://h:1"]
        {
            assert_eq!(Address::parse(bad), Err(ConfigError::Address(bad.to_owned())));
        }
        let with = |instances: &[&str]| read(json!({"instances": instances})).addresses();
        assert_eq!(with(&[]), Err(ConfigError::NoInstance));
        assert_eq!(with(&["tcp:h:1", "tcp:h:1"]), Err(ConfigError::InstanceTwice("tcp:h:1".into())));
    }

    #[test]
    fn pools_that_make_no_sense_are_refused() {
        let weights = |pools: serde_json::Value| {
            read(json!({"instances": ["tcp:h:1"], "weights": {"backend": "be", "pools": pools}}))
                .route()
                .unwrap_err()
        };
        assert_eq!(weights(json!({"blue": ["b"]})), ConfigError::TooFewPools(1));
        assert_eq!(weights(json!({"blue": [], "green": ["g"]})), ConfigError::EmptyPool("blue".into()));
        assert!(matches!(weights(json!({"blue": ["x"], "green": ["x"]})), ConfigError::Shared { .. }));
        for bad in ["a b", "a;shutdown sessions", "a\nb", "", "a\\", "<<"] {
            assert!(
                matches!(weights(json!({"blue": [bad], "green": ["x"]})), ConfigError::Name { .. }),
                "{bad:?}"
            );
        }
        assert_eq!(read(json!({"instances": ["tcp:h:1"]})).route(), Err(ConfigError::NotOneRoute));
    }
}
