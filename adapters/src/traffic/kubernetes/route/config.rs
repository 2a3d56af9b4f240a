//! The section of an adapter that writes a route.

use std::{collections::BTreeMap, marker::PhantomData, sync::Arc};

use lastgood_core::Strategy;
use serde::Deserialize;

use super::{Dialect, Route};
use crate::{
    BuildError,
    client::limit,
    duration::Span,
    traffic::{
        CALL_LIMIT, Section, Shifter,
        fleet::Fleet,
        kubernetes::{
            cluster::{Access, Cluster},
            gitops::{ARGOCD, Gitops},
            is_name,
        },
        no_pods, two_pools,
    },
};

/// ```toml
/// namespace = "shop"
/// route = "checkout"
/// pools = { blue = "checkout-blue", green = "checkout-green" }
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, bound = "")]
pub struct Config<D> {
    #[serde(default)]
    pub cluster: Access,
    pub namespace: String,
    /// The object's name; with its kind before it where the adapter knows several (`grpcroute/checkout`).
    pub route: String,
    /// Pool → its backend there.
    pub pools: BTreeMap<String, String>,
    /// Which container of a pool's pods is the artifact, where there are several.
    pub container: Option<String>,
    #[serde(default)]
    pub gitops: Gitops,
    /// Where Argo CD keeps its applications.
    pub argocd_namespace: Option<String>,
    /// What one call to the server may take; `traffic::CALL_LIMIT` unless given.
    pub timeout: Option<Span>,
    #[serde(skip)]
    pub(super) dialect: PhantomData<D>,
}

impl<D: Dialect> Section for Config<D> {
    fn pools(&self) -> Vec<&str> {
        self.pools.keys().map(String::as_str).collect()
    }

    fn misfit(&self, strategy: Strategy) -> Option<String> {
        if strategy == Strategy::Canary && !D::SPLITS {
            return Some(format!("{} can't split traffic: its strategy is \"blue-green\"", D::NAME));
        }
        no_pods(D::NAME, strategy)
    }

    fn splits(&self) -> bool {
        D::SPLITS
    }

    fn tells_what_runs(&self) -> bool {
        true
    }

    fn build(&self, _service: &str, _http: &reqwest::Client) -> Result<Arc<dyn Shifter>, BuildError> {
        two_pools(&self.pools)?;
        if self.gitops == Gitops::PullRequest {
            return Err(BuildError::invalid("gitops", "pull-request is for kubernetes-rollout: use suspend"));
        }
        if !is_name(&self.namespace) {
            return Err(BuildError::invalid("namespace", format!("{:?} is not a name", self.namespace)));
        }
        let (word, name) = self.route.split_once('/').unwrap_or((D::RESOURCES[0].word, &self.route));
        let resource = D::RESOURCES.iter().find(|resource| resource.word == word).filter(|_| is_name(name));
        let resource = resource.ok_or_else(|| {
            let forms: Vec<String> = D::RESOURCES.iter().map(|one| format!("{}/NAME", one.word)).collect();
            BuildError::invalid("route", format!("{:?}: write its name, or {}", self.route, forms.join(", ")))
        })?;
        let pools = self
            .pools
            .iter()
            .map(|(pool, written)| Ok((pool.clone(), D::backend(&self.namespace, written)?)));
        let pools: BTreeMap<_, _> =
            pools.collect::<Result<_, String>>().map_err(|why| BuildError::invalid("pools", why))?;
        let limit = limit(self.timeout, CALL_LIMIT)?;
        let route = Route::<D> {
            cluster: Cluster::new(self.cluster.clone(), self.timeout)?,
            resource,
            namespace: self.namespace.clone(),
            name: name.to_owned(),
            pools,
            container: self.container.clone(),
            gitops: self.gitops,
            argocd: self.argocd_namespace.clone().unwrap_or_else(|| ARGOCD.to_owned()),
            instances: [format!("{} {}/{name}", resource.kind, self.namespace)],
            dialect: PhantomData,
        };
        Ok(Arc::new(Fleet::new(route, limit)))
    }
}
