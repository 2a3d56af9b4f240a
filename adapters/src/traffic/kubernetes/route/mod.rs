//! Objects that say which Service gets how much of the traffic: one dialect per kind of router. The object is the one thing that is
//! read and written; the router behind it follows, and says so where its kind has a place for that.

mod backend;
mod config;
pub mod gateway;
pub mod ingress_nginx;
pub mod istio;
mod rule;
pub mod service;
pub mod traefik;

use std::{collections::BTreeMap, marker::PhantomData, time::Duration};

use async_trait::async_trait;
use futures_util::future::try_join_all;
use lastgood_core::{Shares, inventory::live::near};
use serde_json::{Value, json};

pub use self::config::Config;
use self::{
    backend::{Backed, Backend},
    rule::Rule,
};
use super::{
    Cluster, Patch,
    access::{self, Needed},
    gitops::{self, Gitops},
    truce::{self, Applied},
};
use crate::{
    Check, Fault,
    traffic::{
        Truce,
        fleet::{Caution, Reading, Vendor, Wrote},
        shares::spell,
    },
};

/// A kind of object, under every version of its group that servers may know, the newest first.
#[derive(Debug)]
pub struct Resource {
    /// How it is written before a name in the configuration.
    pub word: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub versions: &'static [&'static str],
}

/// What one kind of router writes where.
pub trait Dialect: std::fmt::Debug + Clone + PartialEq + Send + Sync + 'static {
    /// Of the adapter.
    const NAME: &'static str;
    /// The first is meant where only a name is given.
    const RESOURCES: &'static [Resource];
    const GROUP: &'static str;
    /// Whether a pool can get a part of the traffic.
    const SPLITS: bool = true;
    /// Whether routing depends on all objects of the kind in the namespace.
    const AMONG: bool = false;

    /// How a pool is written in the configuration.
    ///
    /// # Errors
    /// What is wrong about it.
    fn backend(namespace: &str, pool: &str) -> Result<Backend, String>;

    /// Who gets what, by each of the object's rules that are about one of the pools.
    ///
    /// # Errors
    /// Why that can't be told.
    fn rules(object: &Value, among: &[Value], pools: &BTreeMap<String, Backend>)
    -> Result<Vec<Rule>, String>;

    /// JSON Patch operations, for what can be written as it is wanted.
    ///
    /// # Errors
    /// Why the object can't be made so.
    fn operations(object: &Value, rules: &[Rule], wanted: &Shares) -> Result<Vec<Value>, String> {
        rule::operations(object, rules, wanted)
    }

    /// What those who route by the object say about it.
    fn told(_object: &Value) -> Told {
        Told::default()
    }

    /// As `Told::behind`, where that is written elsewhere.
    fn behind(
        _cluster: &Cluster,
        _object: &Value,
    ) -> impl Future<Output = Result<Option<String>, Fault>> + Send {
        std::future::ready(Ok(None))
    }

    /// What the adapter needs besides.
    fn needed() -> Vec<Needed> {
        Vec::new()
    }
}

/// What is written about an object by who follows it.
#[derive(Debug, Default)]
pub struct Told {
    /// It is not followed yet.
    pub behind: Option<String>,
    /// It is refused, or followed in part.
    pub refused: Vec<String>,
    /// Nobody is known to follow it.
    pub alone: Option<&'static str>,
}

pub struct Route<D> {
    cluster: Cluster,
    resource: &'static Resource,
    namespace: String,
    name: String,
    pools: BTreeMap<String, Backend>,
    container: Option<String>,
    gitops: Gitops,
    /// Namespace of Argo CD's applications.
    argocd: String,
    /// The one there is, for `Fleet`.
    instances: [String; 1],
    dialect: PhantomData<D>,
}

/// An object, and what it says.
struct Seen {
    path: String,
    object: Value,
    rules: Vec<Rule>,
    shares: Shares,
    torn: Option<String>,
    strange: Vec<String>,
}

/// How often a change is tried anew when the object changed in between, but not in what it routes: those who follow it write their
/// status there.
const TRIES: u32 = 5;

impl<D: Dialect> Route<D> {
    async fn get(&self) -> Result<(String, Value), Fault> {
        let mut missing = None;
        for version in self.resource.versions {
            // The core group has a place of its own.
            let group = if version.contains('/') { "apis" } else { "api" };
            let (plural, name) = (self.resource.plural, &self.name);
            let path = format!("/{group}/{version}/namespaces/{}/{plural}/{name}", self.namespace);
            match self.cluster.get(&path).await {
                Ok(object) => return Ok((path, object)),
                Err(fault @ Fault::NotFound(_)) => missing = missing.or(Some(fault)),
                Err(fault) => return Err(fault),
            }
        }
        Err(missing.unwrap_or_else(|| Fault::NotFound(self.instances[0].clone())))
    }

    async fn seen(&self) -> Result<Seen, Fault> {
        let (path, object) = self.get().await?;
        let among = match path.rsplit_once('/') {
            Some((folder, _)) if D::AMONG => self.cluster.list(folder).await?,
            _ => Vec::new(),
        };
        let invalid = |why| Fault::Invalid(format!("{}: {why}", self.instances[0]));
        let rules = D::rules(&object, &among, &self.pools).map_err(invalid)?;
        if rules.is_empty() {
            return Err(invalid("none of its rules leads to any of the pools".to_owned()));
        }
        let (shares, torn, strange) = rule::shares(&rules, &self.pools);
        Ok(Seen { path, object, rules, shares, torn, strange })
    }

    /// Bound to the very object that was read.
    async fn patch(&self, seen: &Seen, wanted: &Shares, dry_run: bool) -> Result<(), Fault> {
        let invalid = |why| Fault::Invalid(format!("{}: {why}", self.instances[0]));
        let mut operations = D::operations(&seen.object, &seen.rules, wanted).map_err(invalid)?;
        let version = seen.object["metadata"]["resourceVersion"].clone();
        operations.push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
        let operations = Value::Array(operations);
        self.cluster.patch(&seen.path, &Patch { operations: &operations, dry_run }).await.map(drop)
    }

    async fn backed(&self, object: &Value) -> Result<BTreeMap<String, Backed>, Fault> {
        let each = self.pools.iter().map(|(pool, backend)| async move {
            let backed = backend.read(&self.cluster, object, self.container.as_deref()).await?;
            Ok::<_, Fault>((pool.clone(), backed))
        });
        Ok(try_join_all(each).await?.into_iter().collect())
    }

    fn needed(&self) -> Vec<Needed> {
        let mut verbs: &'static [&'static str] = &["get", "patch"];
        if D::AMONG {
            verbs = &["get", "list", "patch"];
        }
        let mut needed = vec![
            Needed { group: D::GROUP, resource: self.resource.plural, verbs, for_what: None },
            Needed { group: "", resource: "services", verbs: &["get"], for_what: None },
            Needed { group: "", resource: "pods", verbs: &["list"], for_what: None },
        ];
        needed.extend(D::needed());
        needed
    }
}

#[async_trait]
impl<D: Dialect> Applied for Route<D> {
    fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn argocd(&self) -> &str {
        &self.argocd
    }

    async fn object(&self) -> Result<Value, Fault> {
        Ok(self.get().await?.1)
    }
}

#[async_trait]
impl<D: Dialect> Vendor for Route<D> {
    const NAME: &'static str = D::NAME;

    fn instances(&self) -> &[String] {
        &self.instances
    }

    fn pools(&self) -> Vec<&str> {
        self.pools.keys().map(String::as_str).collect()
    }

    async fn read(&self, _: &str) -> Result<Reading, Fault> {
        let seen = self.seen().await?;
        let (backed, behind) =
            futures_util::future::try_join(self.backed(&seen.object), D::behind(&self.cluster, &seen.object))
                .await?;
        let told = D::told(&seen.object);
        let (mut pools, mut runs) = (BTreeMap::new(), BTreeMap::new());
        for (name, backed) in backed {
            let mut pool = backed.pool;
            pool.missing = pool.missing.or_else(|| rule::missing(&seen.rules, &self.pools[&name]));
            runs.extend(backed.runs.map(|running| (name.clone(), running)));
            pools.insert(name, pool);
        }
        let mut strange = seen.strange;
        strange.extend(told.refused);
        let behind = told.behind.or(behind);
        let mut cautions = Vec::new();
        cautions.extend(told.alone.map(|seen| Caution::new(seen, "is its router running?")));
        Ok(Reading {
            router: format!(
                "{} {}",
                self.resource.kind,
                seen.object["apiVersion"].as_str().unwrap_or_default()
            ),
            coming: behind.map(|why| (seen.shares.clone(), why)),
            shares: seen.shares,
            torn: seen.torn,
            pools,
            strange,
            cautions,
            runs,
            writer: gitops::writer_of_spec(&seen.object),
            revision: String::new(),
        })
    }

    async fn dry_run(&self, _: &str, now: &Reading, wanted: &Shares) -> Result<Vec<String>, Fault> {
        let seen = self.seen().await?;
        let mut warnings = Vec::new();
        if let Some(owner) = gitops::owner(&seen.object, &self.argocd) {
            match self.gitops.about(&owner) {
                Ok(warning) => warnings.extend(warning),
                Err(refusal) => return Err(Fault::Invalid(refusal)),
            }
        }
        warnings.extend(gitops::said_of(&truce::would(self.truce()).await?));
        if let Some(master) = gitops::master(&seen.object).or_else(|| gitops::driver(&seen.object)) {
            return Err(Fault::Invalid(master));
        }
        match self.patch(&seen, wanted, true).await {
            Err(Fault::Conflict(why)) if near(&now.shares, &seen.shares) => {
                warnings.push(format!("it is being changed just now: {why}"));
            }
            other => other?,
        }
        Ok(warnings)
    }

    async fn write(&self, to: &[(&str, &Reading)], wanted: &Shares, wrote: &Wrote) -> Result<(), Fault> {
        let Some((_, was)) = to.first() else { return Ok(()) };
        for attempt in 1.. {
            let seen = self.seen().await?;
            if !near(&seen.shares, &was.shares) {
                let now = spell(&seen.shares);
                return Err(Fault::Conflict(format!("{} gives {now} since it was read", self.instances[0])));
            }
            wrote.begins();
            match self.patch(&seen, wanted, false).await {
                Err(Fault::Conflict(_)) if attempt < TRIES => {
                    tokio::time::sleep(Duration::from_millis(20) * attempt).await;
                }
                other => return other,
            }
        }
        Ok(())
    }

    fn truce(&self) -> Option<&dyn Truce> {
        (self.gitops == Gitops::Suspend).then_some(self)
    }

    async fn notes(&self) -> Result<Vec<String>, Fault> {
        Ok(gitops::said_of(&truce::would(self.truce()).await?).into_iter().collect())
    }

    async fn also(&self) -> Vec<Check> {
        let role = format!("deploy/kubernetes/{}.yaml", D::NAME);
        let access = access::check(&self.cluster, &self.namespace, &self.needed(), &role).await;
        let owners = truce::check(self.truce()).await;
        [Some(access), owners].into_iter().flatten().collect()
    }

    fn remedy(&self, fault: &Fault) -> &'static str {
        match fault {
            Fault::NotFound(_) => {
                "is it the right cluster, namespace and name, and does the server know its kind?"
            }
            Fault::Denied(_) => "compare its credentials and its Role with those in deploy/kubernetes",
            Fault::Unavailable(_) => "is the server reachable from here?",
            _ => "name the pools as the object names its backends",
        }
    }
}
