//! Envoy's administration interface, as far as it is needed here.

use std::{collections::BTreeMap, time::Duration};

use serde::Deserialize;
use serde_json::Value;

use super::routes::{self, Weighted};
use crate::{
    Fault,
    client::{Address, Answer, ask, quote},
    traffic::fleet::Pool,
};

/// A configuration with thousands of routes has some megabytes.
const MOST: usize = 64 << 20;

pub(super) struct Admin {
    at: Address,
    http: reqwest::Client,
    limit: Duration,
}

#[derive(Deserialize)]
struct ServerInfo {
    version: String,
}

#[derive(Deserialize)]
struct Runtime {
    #[serde(default)]
    entries: BTreeMap<String, Entry>,
}

#[derive(Deserialize)]
struct Entry {
    final_value: String,
}

#[derive(Deserialize)]
struct Dump {
    #[serde(default)]
    configs: Vec<Value>,
}

#[derive(Deserialize)]
struct Stats {
    #[serde(default)]
    stats: Vec<Stat>,
}

#[derive(Deserialize)]
struct Stat {
    #[serde(default)]
    name: String,
    #[serde(default)]
    value: Value,
}

impl Admin {
    pub fn new(at: Address, http: reqwest::Client, limit: Duration) -> Self {
        Self { at, http, limit }
    }

    async fn get<T: for<'de> Deserialize<'de>>(
        &self,
        path: &str,
        query: &[(&str, &str)],
    ) -> Result<T, Fault> {
        let what = format!("{} /{path}", self.at);
        let request = self.http.get(self.at.join(path)).query(query);
        let answer = ask(request, self.limit, MOST).await.map_err(|lost| lost.of_question(&what))?;
        if !answer.status.is_success() {
            return Err(self.said(&what, &answer));
        }
        serde_json::from_slice(&answer.body)
            .map_err(|error| Fault::Invalid(format!("{what}: not what Envoy answers: {error}")))
    }

    fn said(&self, what: &str, answer: &Answer) -> Fault {
        answer.fault(format!("{what}: {}", quote(&answer.text(), &[])))
    }

    /// `1.40.0`, from `9e558…/1.40.0/Clean/RELEASE/BoringSSL`.
    pub async fn version(&self) -> Result<String, Fault> {
        let info: ServerInfo = self.get("server_info", &[]).await?;
        Ok(info.version.split('/').nth(1).unwrap_or(&info.version).to_owned())
    }

    /// Every runtime value that is a whole number.
    pub async fn runtime(&self) -> Result<BTreeMap<String, u64>, Fault> {
        let runtime: Runtime = self.get("runtime", &[("format", "json")]).await?;
        let number = |(key, entry): (String, Entry)| Some((key, entry.final_value.parse().ok()?));
        Ok(runtime.entries.into_iter().filter_map(number).collect())
    }

    /// Weighted routes, static and dynamic.
    pub async fn routes(&self) -> Result<Vec<Weighted>, Fault> {
        let mut all = Vec::new();
        for resource in ["static_route_configs", "dynamic_route_configs"] {
            let dump: Dump = self.get("config_dump", &[("resource", resource)]).await?;
            all.extend(dump.configs.iter().flat_map(routes::in_dump));
        }
        Ok(all)
    }

    /// Who is in these clusters, and in what state.
    pub async fn clusters(&self, names: &[&str]) -> Result<Health, Fault> {
        let dump: Clusters = self.get("clusters", &[("format", "json")]).await?;
        let mut checked = Vec::new();
        let ours = format!("^({})$", names.iter().map(|name| escaped(name)).collect::<Vec<_>>().join("|"));
        for resource in ["static_clusters", "dynamic_active_clusters"] {
            let query = [("resource", resource), ("name_regex", ours.as_str())];
            let configured: Dump = self.get("config_dump", &query).await?;
            for cluster in configured.configs.iter().filter_map(|config| config.get("cluster")) {
                let checks = cluster.get("health_checks").and_then(Value::as_array);
                if checks.is_some_and(|checks| !checks.is_empty()) {
                    checked.extend(cluster.get("name").and_then(Value::as_str).map(str::to_owned));
                }
            }
        }
        Ok(Health { clusters: dump.cluster_statuses, checked })
    }

    /// How many updates of these route configurations Envoy could not take over since it started. Those of others are not ours:
    /// one rename makes it read every file of the folder again.
    pub async fn refusals(&self, configurations: &[String]) -> Result<u64, Fault> {
        let names: Vec<_> = configurations.iter().map(|name| escaped(name)).collect();
        let ours = format!(r"\.rds\.({})\.update_(failure|rejected)$", names.join("|"));
        let filter = [("filter", ours.as_str()), ("format", "json")];
        let stats: Stats = self.get("stats", &filter).await?;
        Ok(stats
            .stats
            .iter()
            .filter(|stat| !stat.name.is_empty())
            .filter_map(|stat| stat.value.as_u64())
            .sum())
    }

    /// Whether the runtime has a layer that can be written to. Envoy checks that before it looks at what is to be written:
    /// a request that names nothing changes nothing.
    ///
    /// # Errors
    /// `Invalid` when there is none.
    pub async fn takes_overrides(&self) -> Result<(), Fault> {
        let mask = [("mask", "bootstrap.layered_runtime")];
        let dump: Dump = self.get("config_dump", &mask).await?;
        let layers = dump.configs.iter().filter_map(|config| {
            config.pointer("/bootstrap/layered_runtime/layers").and_then(Value::as_array)
        });
        let admin = layers.flatten().any(|layer| layer.get("admin_layer").is_some());
        if !admin {
            return Err(Fault::Invalid(format!(
                "{}: its runtime has no layer that can be written to; add `admin_layer: {{}}` as the last of \
                 layered_runtime.layers",
                self.at
            )));
        }
        let what = format!("{} /runtime_modify", self.at);
        let request = self.http.post(self.at.join("runtime_modify"));
        let answer = ask(request, self.limit, MOST).await.map_err(|lost| lost.of_question(&what))?;
        // 400 with its usage: it would take something.
        match answer.status.as_u16() {
            200 | 400 | 406 => Ok(()),
            _ => Err(self.said(&what, &answer)),
        }
    }

    pub async fn override_runtime(&self, keys: &[(String, u8)]) -> Result<(), Fault> {
        let what = format!("{} /runtime_modify", self.at);
        let request = self.http.post(self.at.join("runtime_modify")).query(keys);
        let answer = ask(request, self.limit, MOST).await.map_err(|lost| lost.of_change(&what))?;
        match answer.status.is_success() {
            true => Ok(()),
            // 503, though it will never be otherwise.
            false if answer.text().contains("No admin layer") => {
                Err(Fault::Invalid(format!("{what}: {}", quote(&answer.text(), &[]))))
            }
            false => Err(self.said(&what, &answer)),
        }
    }
}

/// For RE2: whatever means something there means itself.
fn escaped(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
    name.chars().map(|c| if plain(c) { c.to_string() } else { format!("\\{c}") }).collect()
}

#[derive(Deserialize)]
struct Clusters {
    #[serde(default)]
    cluster_statuses: Vec<Cluster>,
}

#[derive(Deserialize)]
struct Cluster {
    name: String,
    #[serde(default)]
    host_statuses: Vec<Host>,
}

#[derive(Deserialize)]
struct Host {
    #[serde(default)]
    health_status: BTreeMap<String, Value>,
}

impl Host {
    /// Nothing keeps traffic away. Flags are there only when they are true; a weight from the cluster's own discovery (EDS)
    /// has a word.
    fn healthy(&self) -> bool {
        self.health_status.iter().all(|(name, value)| match value {
            Value::Bool(failed) => !failed,
            Value::String(word) if name == "eds_health_status" => {
                matches!(word.as_str(), "HEALTHY" | "UNKNOWN" | "DEGRADED")
            }
            _ => true,
        })
    }
}

pub(super) struct Health {
    clusters: Vec<Cluster>,
    /// Clusters whose members Envoy checks.
    checked: Vec<String>,
}

impl Health {
    pub fn pool(&self, cluster: &str, routed: bool) -> Pool {
        let Some(found) = self.clusters.iter().find(|found| found.name == cluster) else {
            let missing = Some(format!("Envoy has no cluster {cluster}"));
            return Pool { missing, ..Pool::default() };
        };
        let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
        Pool {
            alive: count(found.host_statuses.iter().filter(|host| host.healthy()).count()),
            all: count(found.host_statuses.len()),
            missing: (!routed).then(|| format!("the weighted route has no cluster {cluster}")),
            unchecked: !self.checked.iter().any(|name| name == cluster),
        }
    }
}
