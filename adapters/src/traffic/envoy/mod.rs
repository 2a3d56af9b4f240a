//! Blue/green and canary through Envoy. Either the weights of a weighted route are overridden in the runtime, over the
//! administration interface of every instance; or they are rewritten in a route configuration that Envoys watch. Both are
//! read back from the running process: its routes, its runtime, its clusters.
//!
//! Protocol: <https://www.envoyproxy.io/docs/envoy/latest/operations/admin> (`/config_dump`, `/runtime`,
//! `/runtime_modify`, `/clusters`, `/stats`).

mod admin;
mod config;
mod routes;

use std::{collections::BTreeMap, path::Path, sync::Arc, time::Duration};

use async_trait::async_trait;
use futures_util::future::{join_all, try_join, try_join3};
use lastgood_core::{Shares, inventory::live::near};
use tokio::time::Instant;

pub use self::config::Config;
use self::{admin::Admin, config::Means, routes::Weighted};
use super::{
    Section, Shifter,
    fleet::{Caution, Fleet, Reading, Vendor, Wrote, by_pool},
    shares::spell,
    text,
};
use crate::{BuildError, Fault};

/// How long Envoys get to look at a new file before that is left to reading back; it takes them some milliseconds.
const LOOK: Duration = Duration::from_secs(2);
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// The Envoys that route one service.
pub struct Envoy {
    names: Vec<String>,
    admins: BTreeMap<String, Admin>,
    /// Pool → cluster.
    pools: BTreeMap<String, String>,
    means: Means,
}

impl Section for Config {
    fn pools(&self) -> Vec<&str> {
        self.pools.keys().map(String::as_str).collect()
    }

    fn misfit(&self, strategy: lastgood_core::Strategy) -> Option<String> {
        super::no_pods("envoy", strategy)
    }

    fn build(&self, _: &str, http: &reqwest::Client) -> Result<Arc<dyn Shifter>, BuildError> {
        let means = self.means()?;
        let (timeout, addresses) = self.instances()?;
        let admins: BTreeMap<_, _> = addresses
            .iter()
            .map(|address| (address.to_string(), Admin::new(address.clone(), http.clone(), timeout)))
            .collect();
        let names = addresses.iter().map(ToString::to_string).collect();
        let envoy = Envoy { names, admins, pools: self.pools.clone(), means };
        Ok(Arc::new(Fleet::new(envoy, timeout)))
    }
}

impl Envoy {
    fn admin(&self, instance: &str) -> Result<&Admin, Fault> {
        self.admins.get(instance).ok_or_else(|| Fault::NotFound(format!("no instance {instance}")))
    }

    fn clusters(&self) -> Vec<&str> {
        self.pools.values().map(String::as_str).collect()
    }

    /// The weights that count: what the routes say, and what the runtime says instead.
    fn effective(&self, routes: &[Weighted], runtime: &BTreeMap<String, u64>) -> Vec<(String, u64)> {
        let first = routes.first().map(|route| route.clusters.as_slice()).unwrap_or_default();
        let overridden = |name: &str| match &self.means {
            Means::Runtime(prefix) => runtime.get(&format!("{prefix}.{name}")).copied(),
            Means::File(_) => None,
        };
        first.iter().map(|(name, weight)| (name.clone(), overridden(name).unwrap_or(*weight))).collect()
    }

    fn routes<'a>(&self, all: &'a [Weighted]) -> Vec<&'a Weighted> {
        let ours = |route: &&Weighted| match &self.means {
            Means::Runtime(prefix) => route.prefix.as_deref() == Some(prefix),
            Means::File(_) => route.has_any(&self.clusters()),
        };
        all.iter().filter(ours).collect()
    }

    /// What the file tells, where it tells something else than what runs.
    async fn coming(&self, admin: &Admin, now: &Shares) -> Result<Option<(Shares, String)>, Fault> {
        let Means::File(path) = &self.means else { return Ok(None) };
        let file = text::read(path).await?;
        let told = match routes::in_file(&file) {
            Ok(all) => all,
            Err(why) => {
                let why =
                    format!("{} can't be understood ({why}); Envoy keeps the last good one", path.display());
                return Ok(Some((Shares::new(), why)));
            }
        };
        let Some(route) = told.iter().find(|route| route.has_any(&self.clusters())) else {
            return Err(Fault::NotFound(format!(
                "{} has no weighted route to {}",
                path.display(),
                self.clusters().join(" or ")
            )));
        };
        let (shares, _) = by_pool(&self.pools, route.weights(), "cluster");
        if near(&shares, now) {
            return Ok(None);
        }
        let refused = admin.refusals(&routes::names(&file)).await?;
        let why = match refused {
            0 => format!("{} says {}, and Envoy has not taken it over", path.display(), spell(&shares)),
            n => format!(
                "{} says {}; Envoy refused {n} updates since it started (update_failure, update_rejected)",
                path.display(),
                spell(&shares)
            ),
        };
        Ok(Some((shares, why)))
    }

    fn cautions(&self) -> Vec<Caution> {
        match &self.means {
            Means::Runtime(_) => vec![Caution::new(
                "a restart of Envoy forgets the shift: the runtime's overrides live in the process only",
                "after a shift, change the weights in its configuration as well",
            )],
            Means::File(_) => Vec::new(),
        }
    }
}

/// Routes to the same pools that disagree, in words.
fn differing(routes: &[&Weighted]) -> Vec<String> {
    let Some((first, others)) = routes.split_first() else { return Vec::new() };
    let differs = |other: &&&Weighted| other.clusters != first.clusters;
    others
        .iter()
        .filter(differs)
        .map(|other| format!("{} and {} have different weights", first.place, other.place))
        .collect()
}

#[async_trait]
impl Vendor for Envoy {
    const NAME: &'static str = "envoy";

    fn instances(&self) -> &[String] {
        &self.names
    }

    fn pools(&self) -> Vec<&str> {
        self.pools.keys().map(String::as_str).collect()
    }

    async fn read(&self, instance: &str) -> Result<Reading, Fault> {
        let admin = self.admin(instance)?;
        let ((version, runtime), all, health) = try_join3(
            try_join(admin.version(), admin.runtime()),
            admin.routes(),
            admin.clusters(&self.clusters()),
        )
        .await?;
        let ours = self.routes(&all);
        if ours.is_empty() {
            let wanted = match &self.means {
                Means::Runtime(prefix) => format!("runtime_key_prefix {prefix:?}"),
                Means::File(_) => format!("the clusters {}", self.clusters().join(", ")),
            };
            return Err(Fault::NotFound(format!("{instance}: no weighted route with {wanted}")));
        }
        let mut strange = differing(&ours);
        let owned: Vec<Weighted> = ours.into_iter().cloned().collect();
        let weights = self.effective(&owned, &runtime);
        let (shares, strangers) =
            by_pool(&self.pools, weights.iter().map(|(name, weight)| (name.as_str(), *weight)), "cluster");
        strange.extend(strangers);
        let pools = self.pools.iter().map(|(pool, cluster)| {
            let routed = weights.iter().any(|(name, _)| name == cluster);
            (pool.clone(), health.pool(cluster, routed))
        });
        Ok(Reading {
            router: format!("Envoy {version}"),
            pools: pools.collect(),
            coming: self.coming(admin, &shares).await?,
            shares,
            strange,
            cautions: self.cautions(),
            revision: match &self.means {
                Means::Runtime(_) => String::new(),
                Means::File(path) => text::read(path).await?,
            },
            ..Reading::default()
        })
    }

    async fn dry_run(&self, instance: &str, _: &Reading, wanted: &Shares) -> Result<Vec<String>, Fault> {
        match &self.means {
            Means::Runtime(_) => self.admin(instance)?.takes_overrides().await.map(|()| Vec::new()),
            Means::File(path) => {
                self.rewritten(&text::read(path).await?, path, wanted)?;
                text::writable(path).await.map(|()| Vec::new())
            }
        }
    }

    async fn write(&self, to: &[(&str, &Reading)], wanted: &Shares, wrote: &Wrote) -> Result<(), Fault> {
        match &self.means {
            Means::Runtime(prefix) => {
                let keys: Vec<(String, u8)> = self
                    .pools
                    .iter()
                    .map(|(pool, cluster)| {
                        (format!("{prefix}.{cluster}"), wanted.get(pool).copied().unwrap_or(0))
                    })
                    .collect();
                // All weights in one request: Envoy takes them over in one snapshot, so there is no moment in between.
                let each = to.iter().map(|(instance, _)| async {
                    wrote.begins();
                    self.admin(instance)?.override_runtime(&keys).await
                });
                super::worst(join_all(each).await.into_iter().filter_map(Result::err))
            }
            Means::File(path) => {
                // As it was read: whoever wrote it since is not written over.
                let was = to.first().map(|(_, reading)| reading.revision.clone()).unwrap_or_default();
                let now = self.rewritten(&was, path, wanted)?;
                if now == was {
                    return Ok(());
                }
                let before = self.refusals(to, &was).await?;
                wrote.begins();
                text::replace(path, &was, &now).await?;
                self.taken_over(to, &before, path, (&was, &now)).await
            }
        }
    }

    fn remedy(&self, fault: &Fault) -> &'static str {
        match fault {
            Fault::NotFound(_) => {
                "name the clusters, and runtime_key_prefix or file, exactly as Envoy's routes do"
            }
            Fault::Denied(_) => {
                "let lastgood reach the administration interface, and read and replace the file"
            }
            Fault::Unavailable(_) => {
                "is that the address of Envoy's administration interface, reachable from here?"
            }
            _ => "see /config_dump there",
        }
    }
}

impl Envoy {
    async fn refusals(&self, of: &[(&str, &Reading)], file: &str) -> Result<Vec<u64>, Fault> {
        let names = routes::names(file);
        let each = of.iter().map(|(instance, _)| async { self.admin(instance)?.refusals(&names).await });
        join_all(each).await.into_iter().collect()
    }

    /// Waits a moment for Envoys to look at a new file: one that refuses it keeps the old routes and says so only in its
    /// statistics. The old file is then put back, or the next reload of anything would meet the bad one.
    async fn taken_over(
        &self,
        by: &[(&str, &Reading)],
        before: &[u64],
        path: &Path,
        (was, now): (&str, &str),
    ) -> Result<(), Fault> {
        let end = Instant::now() + LOOK;
        loop {
            if self.all_follow(by, now).await {
                return Ok(());
            }
            // What can't be asked now is read back later.
            let after = self.refusals(by, now).await.unwrap_or_else(|_| before.to_vec());
            let grown = by.iter().zip(before.iter().zip(&after)).find(|(_, (before, after))| after > before);
            if let Some(((instance, _), _)) = grown {
                text::replace(path, now, was).await?;
                return Err(Fault::Invalid(format!(
                    "{instance} refused {} (update_failure, update_rejected): it was put back as it was; Envoy's log \
                     says why",
                    path.display()
                )));
            }
            if Instant::now() >= end {
                return Ok(());
            }
            tokio::time::sleep(BETWEEN_LOOKS).await;
        }
    }

    async fn all_follow(&self, by: &[(&str, &Reading)], file: &str) -> bool {
        let told = routes::in_file(file).unwrap_or_default();
        let each = by.iter().map(|(instance, _)| async {
            let all = self.admin(instance)?.routes().await?;
            Ok::<_, Fault>(
                self.routes(&all).iter().all(|now| told.iter().any(|told| told.clusters == now.clusters)),
            )
        });
        join_all(each).await.into_iter().all(|follows| follows.unwrap_or(false))
    }

    fn rewritten(&self, was: &str, path: &Path, wanted: &Shares) -> Result<String, Fault> {
        let weights: BTreeMap<&str, u8> = self
            .pools
            .iter()
            .map(|(pool, cluster)| (cluster.as_str(), wanted.get(pool).copied().unwrap_or(0)))
            .collect();
        routes::rewrite(was, &weights).map_err(|why| Fault::Invalid(format!("{}: {why}", path.display())))
    }
}
