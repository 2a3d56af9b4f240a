//! Blue/green and canary through Traefik: the weights of a weighted service in a dynamic configuration file that Traefik
//! watches, verified through the API of every Traefik that does.
//!
//! Formats: <https://doc.traefik.io/traefik/routing/services/#weighted-round-robin-service>,
//! <https://doc.traefik.io/traefik/operations/api/>.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::try_join_all;
use lastgood_core::{Shares, Strategy, inventory::live::near};
use serde::Deserialize;

use super::{
    CALL_LIMIT, Section, Shifter, addresses,
    fleet::{Fleet, Pool, Reading, Vendor, Wrote, by_pool},
    no_pods,
    shares::spell,
    text::{self, Node},
    two_pools,
};
use crate::{
    BuildError, Fault, Secret,
    client::{Address, ask, limit, quote},
    duration::Span,
    secret::Source,
};

const MOST: usize = 4 << 20;

/// ```toml
/// file = "/etc/traefik/dynamic/checkout.yaml"
/// service = "checkout"
/// pools = { blue = "checkout-blue", green = "checkout-green" }
/// instances = ["http://127.0.0.1:8080"]
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The dynamic configuration (YAML) that holds the weighted service. All instances watch it.
    pub file: PathBuf,
    /// The weighted service.
    pub service: String,
    /// Pool → the service that it is in there.
    pub pools: BTreeMap<String, String>,
    /// The API of every Traefik that routes the service.
    pub instances: Vec<Address>,
    /// For an API behind basic authentication.
    pub username: Option<String>,
    pub password: Option<Source>,
    /// What one call may take in all; `traffic::CALL_LIMIT` unless given.
    pub timeout: Option<Span>,
}

pub struct Traefik {
    config: Config,
    names: Vec<String>,
    password: Option<Secret>,
    http: reqwest::Client,
    limit: Duration,
}

impl Section for Config {
    fn pools(&self) -> Vec<&str> {
        self.pools.keys().map(String::as_str).collect()
    }

    fn misfit(&self, strategy: Strategy) -> Option<String> {
        no_pods("traefik", strategy)
    }

    fn build(&self, _: &str, http: &reqwest::Client) -> Result<Arc<dyn Shifter>, BuildError> {
        two_pools(&self.pools)?;
        addresses(&self.instances)?;
        if !self.file.is_absolute() {
            return Err(BuildError::invalid("file", "give its whole path, from /"));
        }
        if self.file.extension().is_some_and(|kind| kind == "toml") {
            return Err(BuildError::invalid(
                "file",
                "only YAML is written: put the weighted service into a YAML file",
            ));
        }
        if self.username.is_some() != self.password.is_some() {
            return Err(BuildError::invalid("password", "username and password belong together"));
        }
        let limit = limit(self.timeout, CALL_LIMIT)?;
        let password = self.password.as_ref().map(|from| BuildError::read("password", from)).transpose()?;
        let names = self.instances.iter().map(ToString::to_string).collect();
        let traefik = Traefik { config: self.clone(), names, password, http: http.clone(), limit };
        Ok(Arc::new(Fleet::new(traefik, limit)))
    }

    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        self.password.iter().map(|source| ("password", source)).collect()
    }
}

/// A service as the API tells it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Told {
    weighted: Option<Weighted>,
    load_balancer: Option<LoadBalancer>,
    #[serde(default)]
    error: Vec<String>,
    #[serde(default)]
    server_status: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct Weighted {
    #[serde(default)]
    services: Vec<Part>,
}

#[derive(Debug, Deserialize)]
struct Part {
    name: String,
    /// Traefik takes 1 where none is given.
    #[serde(default = "one")]
    weight: u64,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LoadBalancer {
    health_check: Option<serde_json::Value>,
}

#[derive(Debug, Deserialize)]
struct Version {
    #[serde(rename = "Version")]
    version: String,
}

fn one() -> u64 {
    1
}

/// Without the provider: `blue@file` and `blue` are one.
fn plain(name: &str) -> &str {
    name.strip_suffix("@file").unwrap_or(name)
}

impl Traefik {
    async fn get<T: for<'de> Deserialize<'de>>(
        &self,
        instance: &str,
        path: &str,
    ) -> Result<Option<T>, Fault> {
        let at = self.config.instances.iter().find(|address| address.to_string() == instance);
        let at = at.ok_or_else(|| Fault::NotFound(format!("no instance {instance}")))?;
        let what = format!("{instance} /{path}");
        let mut request = self.http.get(at.join(path));
        if let (Some(name), Some(password)) = (&self.config.username, &self.password) {
            request = request.basic_auth(name, Some(password.reveal()));
        }
        let answer = ask(request, self.limit, MOST).await.map_err(|lost| lost.of_question(&what))?;
        if answer.status == ::http::StatusCode::NOT_FOUND {
            return Ok(None);
        }
        if !answer.status.is_success() {
            let said = quote(&answer.text(), self.password.as_slice().iter().collect::<Vec<_>>().as_slice());
            return Err(answer.fault(format!("{what}: {said}")));
        }
        serde_json::from_slice(&answer.body)
            .map(Some)
            .map_err(|error| Fault::Invalid(format!("{what}: not what Traefik answers: {error}")))
    }

    async fn service(&self, instance: &str, name: &str) -> Result<Option<Told>, Fault> {
        self.get(instance, &format!("api/http/services/{}@file", plain(name))).await
    }

    async fn pool(&self, instance: &str, service: &str, routed: bool) -> Result<Pool, Fault> {
        let Some(told) = self.service(instance, service).await? else {
            let missing = Some(format!("Traefik has no service {service}@file"));
            return Ok(Pool { missing, ..Pool::default() });
        };
        let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
        let up = told.server_status.values().filter(|status| status.as_str() == "UP").count();
        Ok(Pool {
            alive: count(up),
            all: count(told.server_status.len()),
            missing: (!routed).then(|| format!("{} has no part {service}", self.config.service)),
            unchecked: told.load_balancer.is_none_or(|of| of.health_check.is_none()),
        })
    }

    /// What the file says, and the file.
    async fn file(&self) -> Result<(String, Result<Shares, String>), Fault> {
        let file = text::read(&self.config.file).await?;
        let shares = text::parse(&file).and_then(|tree| {
            let parts = parts(&tree, &self.config.service)?;
            let weights = parts.iter().filter_map(|part| {
                let weight = part.get("weight").and_then(Node::text);
                Some((plain(part.get("name")?.text()?), weight.map_or(Some(1), |text| text.parse().ok())?))
            });
            Ok(by_pool(&self.plain_pools(), weights, "service").0)
        });
        Ok((file, shares))
    }

    fn plain_pools(&self) -> BTreeMap<String, String> {
        self.config.pools.iter().map(|(pool, name)| (pool.clone(), plain(name).to_owned())).collect()
    }

    fn rewritten(&self, was: &str, wanted: &Shares) -> Result<String, Fault> {
        let rewritten = text::parse(was).and_then(|tree| {
            let parts = parts(&tree, &self.config.service)?;
            let mut changes = Vec::new();
            for (pool, name) in self.plain_pools() {
                let named =
                    |part: &&Node| part.get("name").and_then(Node::text).is_some_and(|n| plain(n) == name);
                let part = parts.iter().find(named);
                let part = part.ok_or(format!("{} has no part {name}", self.config.service))?;
                let weight = part.get("weight").filter(|weight| weight.text().is_some());
                let weight = weight
                    .ok_or(format!("the part {name} has no weight that could be changed: give it one"))?;
                changes.push((weight.at.clone(), wanted.get(&pool).copied().unwrap_or(0).to_string()));
            }
            Ok(text::edit(was, changes))
        });
        rewritten.map_err(|why| Fault::Invalid(format!("{}: {why}", self.config.file.display())))
    }
}

fn parts<'a>(tree: &'a Node, service: &str) -> Result<&'a [Node], String> {
    let found = tree.find(&["http", "services", plain(service), "weighted", "services"]);
    found
        .map(Node::items)
        .ok_or(format!("it has no weighted service {service} (http.services.{service}.weighted)"))
}

#[async_trait]
impl Vendor for Traefik {
    const NAME: &'static str = "traefik";

    fn instances(&self) -> &[String] {
        &self.names
    }

    fn pools(&self) -> Vec<&str> {
        Section::pools(&self.config)
    }

    async fn read(&self, instance: &str) -> Result<Reading, Fault> {
        let name = &self.config.service;
        let version: Option<Version> = self.get(instance, "api/version").await?;
        let version = version
            .ok_or_else(|| Fault::NotFound(format!("{instance} has no API (`api: {{}}` switches it on)")))?;
        let told = self.service(instance, name).await?;
        let told = told.ok_or_else(|| Fault::NotFound(format!("{instance} has no service {name}@file")))?;
        let parts = told.weighted.map(|weighted| weighted.services);
        let parts =
            parts.ok_or_else(|| Fault::Invalid(format!("{instance}: {name}@file is no weighted service")))?;
        let pools = self.plain_pools();
        let weights = parts.iter().map(|part| (plain(&part.name), part.weight));
        let (mut shares, mut strange) = by_pool(&pools, weights, "service");
        if !told.error.is_empty() {
            // Traefik takes a service with an error out of use, whatever its weights say.
            strange.extend(told.error.iter().map(|error| format!("{name}@file is disabled: {error}")));
            shares.values_mut().for_each(|share| *share = 0);
        }
        let each = pools.iter().map(|(pool, service)| {
            let routed = parts.iter().any(|part| plain(&part.name) == service);
            async move { Ok::<_, Fault>((pool.clone(), self.pool(instance, service, routed).await?)) }
        });
        let (revision, file) = self.file().await?;
        let path = self.config.file.display();
        let coming = match file {
            Ok(file) if near(&file, &shares) => None,
            Ok(file) => {
                let why = format!("{path} says {}, and Traefik has not taken it over", spell(&file));
                Some((file, why))
            }
            Err(why) => {
                let why = format!("{path} can't be understood ({why}); Traefik keeps the last good one");
                Some((Shares::new(), why))
            }
        };
        Ok(Reading {
            router: format!("Traefik {}", version.version),
            pools: try_join_all(each).await?.into_iter().collect(),
            shares,
            strange,
            coming,
            revision,
            ..Reading::default()
        })
    }

    async fn dry_run(&self, _: &str, _: &Reading, wanted: &Shares) -> Result<Vec<String>, Fault> {
        self.rewritten(&self.file().await?.0, wanted)?;
        text::writable(&self.config.file).await.map(|()| Vec::new())
    }

    async fn write(&self, to: &[(&str, &Reading)], wanted: &Shares, wrote: &Wrote) -> Result<(), Fault> {
        // As it was read: whoever wrote it since is not written over.
        let was = to.first().map(|(_, reading)| reading.revision.clone()).unwrap_or_default();
        let now = self.rewritten(&was, wanted)?;
        if now == was {
            return Ok(());
        }
        wrote.begins();
        text::replace(&self.config.file, &was, &now).await
    }

    fn remedy(&self, fault: &Fault) -> &'static str {
        match fault {
            Fault::NotFound(_) => "name service, pools and file as Traefik's dynamic configuration does",
            Fault::Denied(_) => {
                "set username and password for the API, and let lastgood read and replace the file"
            }
            Fault::Unavailable(_) => "is that the address of Traefik's API, reachable from here?",
            _ => "see http.services there",
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn traefik() -> Traefik {
        let config: Config = serde_json::from_value(json!({
            "file": "/etc/traefik/dynamic/checkout.yaml", "service": "checkout",
            "pools": {"blue": "blue", "green": "green@file"}, "instances": ["http://127.0.0.1:8080"],
        }))
        .unwrap();
        let http = crate::client::client().unwrap();
        Traefik { names: vec![], password: None, http, limit: CALL_LIMIT, config }
    }

    #[test]
    fn weights_are_rewritten_in_place_and_nothing_else() {
        let file = "http:\n  services:\n    checkout:\n      weighted:\n        services:\n        - {name: blue, weight: 100} # live\n        - name: green\n          weight: 0\n";
        let wanted = [("blue".to_owned(), 0), ("green".to_owned(), 100)].into();
        let rewritten = traefik().rewritten(file, &wanted).unwrap();
        assert_eq!(
            rewritten,
            file.replace("weight: 0", "weight: X")
                .replace("weight: 100", "weight: 0")
                .replace("weight: X", "weight: 100")
        );
        for (broken, said) in [
            (file.replace("name: green", "name: teal"), "no part green"),
            (file.replace("\n          weight: 0", ""), "no weight"),
            (file.replace("checkout:", "basket:"), "no weighted service"),
            ("http: [".to_owned(), "line"),
        ] {
            let error = traefik().rewritten(&broken, &wanted).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
