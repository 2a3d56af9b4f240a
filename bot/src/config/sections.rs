//! What `lastgood.toml` holds outside of services. Field names are the file's keys; docs/configuration.md says what they
//! mean, and a test keeps the two together.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::PathBuf, time::Duration};

use lastgood_adapters::{
    Secret,
    chat::{discord, slack},
    duration::Span,
};
use serde::Deserialize;

use super::{adapters::Caller, names::Who, service::Service};

/// The whole file, checked.
#[derive(Debug, Clone, Deserialize)]
pub struct Config {
    #[serde(default)]
    pub store: Store,
    #[serde(default)]
    pub http: Http,
    #[serde(default)]
    pub log: Log,
    /// Operating-system user → who that is in chat, for break-glass.
    #[serde(default)]
    pub operators: BTreeMap<String, Who>,
    #[serde(default)]
    pub chats: Chats,
    #[serde(default)]
    pub pagers: BTreeMap<String, Pager>,
    #[serde(default)]
    pub automatic: Automatic,
    #[serde(default)]
    pub services: BTreeMap<String, Service>,
}

/// What happens without a click, over all services.
#[derive(Debug, Clone, Deserialize)]
pub struct Automatic {
    /// How many services may be moved without a click at the same time.
    #[serde(default = "default_at_once")]
    pub at_once: u32,
}

fn default_at_once() -> u32 {
    2
}

impl Default for Automatic {
    fn default() -> Self {
        Self { at_once: default_at_once() }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct Store {
    #[serde(default = "default_store")]
    pub url: String,
    /// PostgreSQL's, so that it needs not be in the URL.
    pub password: Option<Secret>,
    /// How long a replica on PostgreSQL may stand still before another one takes over its work. Longer than any adapter's
    /// single call.
    #[serde(default = "default_lease_term")]
    pub lease_term: Span,
}

fn default_store() -> String {
    "sqlite:lastgood.db".to_owned()
}

fn default_lease_term() -> Span {
    Span(Duration::from_secs(30))
}

impl Default for Store {
    fn default() -> Self {
        Self { url: default_store(), password: None, lease_term: default_lease_term() }
    }
}

#[derive(Debug, Clone, Deserialize)]
pub struct Http {
    #[serde(default = "default_listen", deserialize_with = "address")]
    pub listen: SocketAddr,
    /// Where people reach this server, for links in messages.
    pub public_url: Option<String>,
    #[serde(default)]
    pub tokens: Vec<Token>,
    /// How many connections may be open at a time.
    #[serde(default = "default_connections")]
    pub connections: usize,
    /// None: plain HTTP.
    pub tls: Option<TlsFiles>,
}

/// Where the server's certificate is, in PEM.
#[derive(Debug, Clone, Deserialize)]
pub struct TlsFiles {
    /// The chain, the server's own first.
    pub cert: PathBuf,
    pub key: PathBuf,
}

fn default_connections() -> usize {
    512
}

fn address<'de, D: serde::Deserializer<'de>>(from: D) -> Result<SocketAddr, D::Error> {
    let parsed = String::deserialize(from)?.parse();
    parsed.map_err(|_| serde::de::Error::custom("expected an IP address and a port, like \"127.0.0.1:8080\""))
}

fn default_listen() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], 8080))
}

impl Default for Http {
    fn default() -> Self {
        Self {
            listen: default_listen(),
            public_url: None,
            tokens: Vec::new(),
            connections: default_connections(),
            tls: None,
        }
    }
}

/// A bearer token; as basic authentication, `name` is the user and `secret` the password.
#[derive(Debug, Clone, Deserialize)]
pub struct Token {
    pub name: String,
    pub secret: Secret,
    pub may: Vec<May>,
}

/// What a token is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum May {
    /// Record deployments.
    Record,
    /// Ask the promotion gate.
    Gate,
    /// Send alerts and pager callbacks.
    Alert,
    /// Read rollbacks, incidents, inventory.
    Read,
    /// Everything, marks and break-glass included.
    Admin,
}

impl Token {
    pub fn may(&self, what: May) -> bool {
        self.may.iter().any(|held| *held == what || *held == May::Admin)
    }
}

/// The platforms that need an account.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Chats {
    pub discord: Option<discord::Config>,
    pub slack: Option<slack::Config>,
}

#[derive(Debug, Clone, Deserialize)]
pub struct Pager {
    /// What the pager signs its callbacks with (acknowledged, resolved); without it they are not taken.
    pub webhook_secret: Option<Secret>,
    #[serde(rename = "*")]
    pub caller: Caller,
}

#[derive(Debug, Clone, Default, Deserialize)]
pub struct Log {
    #[serde(default)]
    pub format: LogFormat,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    #[default]
    Text,
    Json,
}

impl Config {
    /// The service of this name, with its name.
    pub fn service(&self, name: &str) -> Option<(&str, &Service)> {
        self.services.get_key_value(name).map(|(name, service)| (name.as_str(), service))
    }

    /// Who an operating-system user is; by default, themselves.
    pub fn operator(&self, user: &str) -> Who {
        self.operators.get(user).cloned().unwrap_or_else(|| Who::os(user))
    }
}

impl fmt::Display for May {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Record => "record",
            Self::Gate => "gate",
            Self::Alert => "alert",
            Self::Read => "read",
            Self::Admin => "admin",
        })
    }
}
