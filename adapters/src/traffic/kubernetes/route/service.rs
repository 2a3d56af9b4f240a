//! A Service whose selector is switched: all traffic goes to the pods with one pool's labels. It is done when the Service's endpoints
//! are theirs.

use std::{
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
    sync::Arc,
};

use lastgood_core::{Shares, Strategy};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Backend, Dialect, Resource, Rule,
    backend::{query, text_map},
    rule::{Part, escaped},
};
use crate::{
    BuildError, Fault,
    duration::Span,
    traffic::{
        Section, Shifter,
        kubernetes::{Cluster, access::Needed, cluster::Access, gitops::Gitops, list_of},
    },
};

/// ```toml
/// namespace = "shop"
/// service = "checkout"
/// pools = { blue = "color=blue", green = "color=green" }
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub cluster: Access,
    pub namespace: String,
    /// The Service that customers come through.
    pub service: String,
    /// Pool → the labels by which its pods are told from those of other pools. All pools name the same labels.
    pub pools: BTreeMap<String, String>,
    /// Which container of a pool's pods is the artifact, where there are several.
    pub container: Option<String>,
    #[serde(default)]
    pub gitops: Gitops,
    /// Where Argo CD keeps its applications.
    pub argocd_namespace: Option<String>,
    /// What one call to the server may take; `traffic::CALL_LIMIT` unless given.
    pub timeout: Option<Span>,
}

impl Config {
    fn route(&self) -> super::Config<Service> {
        super::Config {
            cluster: self.cluster.clone(),
            namespace: self.namespace.clone(),
            route: self.service.clone(),
            pools: self.pools.clone(),
            container: self.container.clone(),
            gitops: self.gitops,
            argocd_namespace: self.argocd_namespace.clone(),
            timeout: self.timeout,
            dialect: PhantomData,
        }
    }
}

impl Section for Config {
    fn pools(&self) -> Vec<&str> {
        self.pools.keys().map(String::as_str).collect()
    }

    fn misfit(&self, strategy: Strategy) -> Option<String> {
        self.route().misfit(strategy)
    }

    fn splits(&self) -> bool {
        Service::SPLITS
    }

    fn tells_what_runs(&self) -> bool {
        true
    }

    fn build(&self, service: &str, http: &reqwest::Client) -> Result<Arc<dyn Shifter>, BuildError> {
        let keys: BTreeSet<Vec<String>> = self
            .pools
            .values()
            .filter_map(|written| labels(written).ok())
            .map(|labels| labels.into_keys().collect())
            .collect();
        if keys.len() > 1 {
            // What one pool's selector has and another's has not would stay behind.
            return Err(BuildError::invalid("pools", "all pools have to name the same labels"));
        }
        self.route().build(service, http).map_err(|error| match error {
            BuildError::Invalid { key: "route", why } => BuildError::Invalid { key: "service", why },
            other => other,
        })
    }
}

fn labels(written: &str) -> Result<BTreeMap<String, String>, String> {
    let bad = || format!("{written:?}: write labels like \"color=blue\", with commas between several");
    let ok = |text: &str| {
        !text.is_empty()
            && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/'))
    };
    let pair = |pair: &str| {
        let (key, value) = pair.split_once('=').ok_or_else(bad)?;
        let (key, value) = (key.trim(), value.trim());
        if ok(key) && ok(value) { Ok((key.to_owned(), value.to_owned())) } else { Err(bad()) }
    };
    written.split(',').map(pair).collect()
}

#[derive(Debug, Clone, PartialEq)]
pub struct Service;

impl Dialect for Service {
    const NAME: &'static str = "kubernetes-service";
    const GROUP: &'static str = "";
    const SPLITS: bool = false;
    const RESOURCES: &'static [Resource] =
        &[Resource { word: "service", kind: "Service", plural: "services", versions: &["v1"] }];

    fn backend(namespace: &str, pool: &str) -> Result<Backend, String> {
        Ok(Backend::Pods { namespace: namespace.to_owned(), labels: labels(pool)? })
    }

    fn rules(object: &Value, _: &[Value], pools: &BTreeMap<String, Backend>) -> Result<Vec<Rule>, String> {
        let selector = text_map(&object["spec"]["selector"]);
        if selector.is_empty() {
            return Err("it has no selector that could be switched".to_owned());
        }
        let parts = pools.iter().filter_map(|(pool, backend)| {
            let Backend::Pods { labels, .. } = backend else { return None };
            let selected = labels.iter().all(|(key, value)| selector.get(key) == Some(value));
            Some(Part {
                path: None,
                text: false,
                backend: backend.clone(),
                pool: Some(pool.clone()),
                label: pool.clone(),
                weight: if selected { 100 } else { 0 },
                total: 100,
            })
        });
        let parts: Vec<Part> = parts.collect();
        if parts.iter().all(|part| part.weight == 0) {
            let now: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
            return Err(format!("its selector is {}, which is that of none of the pools", now.join(",")));
        }
        Ok(vec![Rule { name: "its selector".to_owned(), parts }])
    }

    fn operations(_: &Value, rules: &[Rule], wanted: &Shares) -> Result<Vec<Value>, String> {
        let chosen = rules.iter().flat_map(|rule| &rule.parts).find(|part| {
            part.pool.as_ref().and_then(|pool| wanted.get(pool)).is_some_and(|share| *share == 100)
        });
        match chosen.map(|part| &part.backend) {
            Some(Backend::Pods { labels, .. }) => Ok(labels
                .iter()
                .map(|(key, value)| json!({"op": "add", "path": format!("/spec/selector/{}", escaped(key)), "value": value}))
                .collect()),
            _ => Err("a selector names one pool: it can't split traffic".to_owned()),
        }
    }

    async fn behind(cluster: &Cluster, object: &Value) -> Result<Option<String>, Fault> {
        let (namespace, name) = (&object["metadata"]["namespace"], &object["metadata"]["name"]);
        let (namespace, name) = (namespace.as_str().unwrap_or_default(), name.as_str().unwrap_or_default());
        let of = query(&[("kubernetes.io/service-name".to_owned(), name.to_owned())].into());
        let selected = query(&text_map(&object["spec"]["selector"]));
        let selected =
            cluster.list(&format!("/api/v1/namespaces/{namespace}/pods?labelSelector={selected}")).await?;
        let selected: BTreeSet<&str> =
            selected.iter().filter_map(|pod| pod["metadata"]["name"].as_str()).collect();
        for version in ["discovery.k8s.io/v1", "discovery.k8s.io/v1beta1"] {
            let path = format!("/apis/{version}/namespaces/{namespace}/endpointslices?labelSelector={of}");
            match cluster.list(&path).await {
                Err(Fault::NotFound(_)) => {}
                other => return Ok(still(&other?, &selected)),
            }
        }
        Ok(None)
    }

    fn needed() -> Vec<Needed> {
        vec![Needed {
            group: "discovery.k8s.io",
            resource: "endpointslices",
            verbs: &["list"],
            for_what: None,
        }]
    }
}

/// Endpoints of pods that the selector does not mean, or no longer.
fn still(slices: &[Value], selected: &BTreeSet<&str>) -> Option<String> {
    let endpoints: Vec<&Value> = slices.iter().flat_map(|slice| list_of(&slice["endpoints"])).collect();
    let name = |endpoint: &&Value| endpoint["targetRef"]["name"].as_str().map(str::to_owned);
    let other = endpoints.iter().filter_map(name).find(|name| !selected.contains(name.as_str()));
    if let Some(other) = other {
        return Some(format!("{other} is still among its endpoints"));
    }
    (endpoints.is_empty() && !selected.is_empty()).then(|| "it has no endpoints yet".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(blue: &str, green: &str) -> Result<(), String> {
        let config: Config = serde_json::from_value(json!({"namespace": "shop", "service": "checkout",
            "pools": {"blue": blue, "green": green}}))
        .unwrap();
        let http = crate::client::client().unwrap();
        config.build("checkout", &http).map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn pools_are_told_by_the_same_labels() {
        assert_eq!(built("color=blue", "color=green"), Ok(()));
        assert!(built("color=blue", "colour=green").unwrap_err().contains("the same labels"));
        assert!(built("color=blue", "green").unwrap_err().contains("write labels like"));
    }

    #[test]
    fn endpoints_of_other_pods_are_waited_for() {
        let slice = |pods: &[&str]| {
            let each: Vec<Value> = pods.iter().map(|pod| json!({"targetRef": {"name": pod}})).collect();
            [json!({ "endpoints": each })]
        };
        let selected = BTreeSet::from(["green-1", "green-2"]);
        assert_eq!(still(&slice(&["green-1"]), &selected), None);
        assert_eq!(
            still(&slice(&["green-1", "blue-1"]), &selected).unwrap(),
            "blue-1 is still among its endpoints"
        );
        assert!(still(&slice(&[]), &selected).is_some());
    }
}
