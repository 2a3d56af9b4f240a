//! What stands behind a pool: the pods of a Service, or those with certain labels. How many can serve, and what they run, is read
//! from the pods themselves.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::{
    Fault,
    traffic::{
        Running,
        fleet::Pool,
        kubernetes::{Cluster, encoded, image::Image, is_name, list_of},
    },
};

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Backend {
    Service {
        namespace: String,
        name: String,
        /// Of the Service's pods, those that an Istio DestinationRule names so.
        subset: Option<String>,
    },
    /// Pods that the routing object itself selects, told from those of other pools by these labels.
    Pods { namespace: String, labels: BTreeMap<String, String> },
}

/// How a pool is, and what it runs where that can be told.
pub struct Backed {
    pub pool: Pool,
    pub runs: Option<Running>,
}

impl Backend {
    /// `checkout-blue` or `shop/checkout-blue`.
    pub fn service(namespace: &str, written: &str) -> Result<Self, String> {
        let (namespace, name) = written.split_once('/').unwrap_or((namespace, written));
        match is_name(name) && is_name(namespace) {
            true => {
                Ok(Self::Service { namespace: namespace.to_owned(), name: name.to_owned(), subset: None })
            }
            false => Err(format!("{written:?} is no Service: write it like \"checkout-blue\"")),
        }
    }

    /// As most kinds of route refer to a backend, with how the object names it. One of another kind than a Service is none of a pool's,
    /// and its weight counts.
    pub fn referenced(namespace: &str, item: &Value) -> Option<(Self, String)> {
        let name = item["name"].as_str()?;
        let kind = item["kind"].as_str().unwrap_or("Service");
        let namespace = item["namespace"].as_str().unwrap_or(namespace).to_owned();
        let name = if kind == "Service" { name.to_owned() } else { format!("{kind}/{name}") };
        Some((Self::Service { namespace, name: name.clone(), subset: None }, name))
    }

    pub async fn read(
        &self,
        cluster: &Cluster,
        route: &Value,
        container: Option<&str>,
    ) -> Result<Backed, Fault> {
        match self {
            Self::Pods { namespace, labels } => {
                let mut selector = text_map(&route["spec"]["selector"]);
                selector.extend(labels.clone());
                of_pods(cluster, namespace, &selector, container).await
            }
            Self::Service { namespace, name, subset } => {
                let path = format!("/api/v1/namespaces/{namespace}/services/{name}");
                let Some(service) = cluster.find(&path).await? else {
                    return Ok(missing(format!("there is no Service {namespace}/{name}")));
                };
                let mut selector = text_map(&service["spec"]["selector"]);
                if selector.is_empty() || service["spec"]["type"] == "ExternalName" {
                    // Its servers are somewhere else.
                    let pool = Pool { alive: 1, all: 1, unchecked: true, missing: None };
                    return Ok(Backed { pool, runs: None });
                }
                if let Some(subset) = subset {
                    match super::istio::subset(cluster, namespace, name, subset).await? {
                        Some(labels) => selector.extend(labels),
                        None => {
                            return Ok(missing(format!(
                                "no DestinationRule defines subset {subset} of {name}"
                            )));
                        }
                    }
                }
                of_pods(cluster, namespace, &selector, container).await
            }
        }
    }
}

fn missing(why: String) -> Backed {
    Backed { pool: Pool { missing: Some(why), ..Pool::default() }, runs: None }
}

pub fn text_map(value: &Value) -> BTreeMap<String, String> {
    let pairs = value.as_object().into_iter().flatten();
    pairs.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

/// As a selector is written in a query.
pub fn query(selector: &BTreeMap<String, String>) -> String {
    let parts: Vec<String> = selector.iter().map(|(key, value)| format!("{key}={value}")).collect();
    encoded(&parts.join(","))
}

async fn of_pods(
    cluster: &Cluster,
    namespace: &str,
    selector: &BTreeMap<String, String>,
    container: Option<&str>,
) -> Result<Backed, Fault> {
    let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={}", query(selector));
    let pods = cluster.list(&path).await?;
    let there: Vec<&Value> = pods.iter().filter(|pod| is_there(pod)).collect();
    let ready = there.iter().filter(|pod| is_ready(pod)).count();
    let count = |of: usize| u32::try_from(of).unwrap_or(u32::MAX);
    let pool = Pool { alive: count(ready), all: count(there.len()), missing: None, unchecked: false };
    Ok(Backed { pool, runs: running(&there, container) })
}

/// Neither over nor ending.
fn is_there(pod: &Value) -> bool {
    pod["metadata"]["deletionTimestamp"].is_null()
        && !matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"))
}

fn is_ready(pod: &Value) -> bool {
    list_of(&pod["status"]["conditions"]).iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
}

/// What all of them run. None: nobody is there, or which container is the artifact can't be told. Pods that run different things
/// say nothing that can be relied on.
fn running(pods: &[&Value], container: Option<&str>) -> Option<Running> {
    let images: Vec<(Option<String>, Option<String>)> =
        pods.iter().map(|pod| artifact(pod, container)).collect::<Option<_>>()?;
    let digests: BTreeSet<&Option<String>> = images.iter().map(|(digest, _)| digest).collect();
    let tags: BTreeSet<&Option<String>> = images.iter().map(|(_, tag)| tag).collect();
    let only = |set: BTreeSet<&Option<String>>| match set.len() {
        1 => set.into_iter().next().cloned().flatten(),
        _ => None,
    };
    (!images.is_empty()).then(|| Running { digest: only(digests), version: only(tags) })
}

/// Digest and tag of the pod's artifact: of the container that was configured, that `kubectl` takes, or that is the only one.
fn artifact(pod: &Value, container: Option<&str>) -> Option<(Option<String>, Option<String>)> {
    let containers = list_of(&pod["spec"]["containers"]);
    let default = pod["metadata"]["annotations"]["kubectl.kubernetes.io/default-container"].as_str();
    let only = || if let [only] = containers { only["name"].as_str() } else { None };
    let name = container.or(default).or_else(only)?;
    let image = Image::new(containers.iter().find(|one| one["name"] == name)?["image"].as_str()?);
    let status = list_of(&pod["status"]["containerStatuses"]).iter().find(|one| one["name"] == name);
    let pulled = status.and_then(|status| status["imageID"].as_str()).map(Image::new);
    let digest = image.digest().or_else(|| pulled?.digest());
    Some((digest.map(|digest| digest.to_string()), image.tag().map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(digit: char, containers: &[&str]) -> Value {
        let digest = format!("sha256:{}", digit.to_string().repeat(64));
        let each: Vec<Value> = containers.iter().map(|name| json!({"name": name, "image": "x:v1"})).collect();
        let statuses: Vec<Value> =
            containers.iter().map(|name| json!({"name": name, "imageID": format!("x@{digest}")})).collect();
        json!({"spec": {"containers": each}, "status": {"containerStatuses": statuses}})
    }

    #[test]
    fn what_a_pool_runs_is_told_only_if_its_pods_agree() {
        let (a, b) = (pod('a', &["app"]), pod('b', &["app"]));
        let same = running(&[&a, &a], None).unwrap();
        assert_eq!(same.digest.unwrap(), format!("sha256:{}", "a".repeat(64)));
        assert_eq!(same.version.as_deref(), Some("v1"));
        assert_eq!(running(&[&a, &b], None).unwrap().digest, None);
        assert!(running(&[], None).is_none());
    }

    #[test]
    fn a_container_that_a_mesh_injected_is_not_taken_for_the_artifact() {
        let mut two = pod('a', &["istio-proxy", "app"]);
        assert!(running(&[&two], None).is_none(), "which of them can't be told");
        assert!(running(&[&two], Some("app")).is_some());
        two["metadata"] = json!({"annotations": {"kubectl.kubernetes.io/default-container": "app"}});
        assert!(running(&[&two], None).is_some());
    }
}
