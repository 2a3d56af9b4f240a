//! The three kinds of workload that roll, and where each says how far it is. Field names are those of `apps/v1`.

use lastgood_core::Digest;
use serde_json::{Value, json};

use super::{super::image::Image, argo};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Deployment,
    StatefulSet,
    DaemonSet,
    /// Not Kubernetes' own: see `argo`.
    Argo,
}

impl Kind {
    /// Kubernetes' own.
    pub const ALL: [Self; 3] = [Self::Deployment, Self::StatefulSet, Self::DaemonSet];

    pub fn word(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
            Self::DaemonSet => "daemonset",
            Self::Argo => "rollout",
        }
    }

    pub fn plural(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
            Self::DaemonSet => "daemonsets",
            Self::Argo => "rollouts",
        }
    }

    pub fn kind(self) -> &'static str {
        match self {
            Self::Deployment => "Deployment",
            Self::StatefulSet => "StatefulSet",
            Self::DaemonSet => "DaemonSet",
            Self::Argo => "Rollout",
        }
    }

    pub fn group(self) -> &'static str {
        if self == Self::Argo { "argoproj.io" } else { "apps" }
    }

    pub fn version(self) -> &'static str {
        if self == Self::Argo { "v1alpha1" } else { "v1" }
    }

    /// Where its earlier templates are kept.
    pub fn history(self) -> &'static str {
        match self {
            Self::Deployment | Self::Argo => "replicasets",
            Self::StatefulSet | Self::DaemonSet => "controllerrevisions",
        }
    }
}

/// How many pods there should be, and how many are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    pub wanted: u64,
    /// Of the wanted template.
    pub updated: u64,
    /// Of any template, those that may be ending excepted.
    pub all: u64,
    pub available: u64,
}

impl Count {
    pub fn done(&self) -> bool {
        self.updated >= self.wanted && self.all <= self.updated && self.available >= self.updated
    }
}

pub struct Workload<'a> {
    pub kind: Kind,
    pub object: &'a Value,
}

impl<'a> Workload<'a> {
    pub fn template(&self) -> &'a Value {
        &self.object["spec"]["template"]
    }

    /// The controller has seen the newest specification: its status is about that.
    pub fn observed(&self) -> bool {
        let number = |at: &str| {
            let value = self.object.pointer(at)?;
            // Argo writes it as text.
            value.as_u64().or_else(|| value.as_str()?.parse().ok())
        };
        let number = |at: &str| number(at).unwrap_or(0);
        number("/status/observedGeneration") >= number("/metadata/generation")
    }

    pub fn count(&self) -> Count {
        let (spec, status) = (&self.object["spec"], &self.object["status"]);
        let of = |key: &str| status[key].as_u64().unwrap_or(0);
        match self.kind {
            Kind::Deployment | Kind::Argo => Count {
                wanted: spec["replicas"].as_u64().unwrap_or(1),
                updated: of("updatedReplicas"),
                all: of("replicas"),
                available: of("availableReplicas"),
            },
            // Servers before 1.22 count only which are ready, and know no `minReadySeconds` either.
            Kind::StatefulSet => Count {
                wanted: spec["replicas"].as_u64().unwrap_or(1),
                updated: if status["updateRevision"] == status["currentRevision"] {
                    of("replicas")
                } else {
                    of("updatedReplicas")
                },
                all: of("replicas"),
                available: if spec["minReadySeconds"].as_u64().is_some_and(|seconds| seconds > 0) {
                    of("availableReplicas")
                } else {
                    of("readyReplicas")
                },
            },
            Kind::DaemonSet => Count {
                wanted: of("desiredNumberScheduled"),
                updated: of("updatedNumberScheduled"),
                all: of("currentNumberScheduled"),
                available: of("numberAvailable"),
            },
        }
    }

    /// The reason that the workload itself gives for not getting on, if it is about what was written at `since`: a condition
    /// stays until the controller has something else to say.
    pub fn stuck(&self, since: Option<&str>) -> Option<String> {
        let conditions = self.object["status"]["conditions"].as_array()?;
        conditions.iter().find_map(|condition| {
            let (kind, status) = (condition["type"].as_str()?, condition["status"].as_str()?);
            let reason = condition["reason"].as_str().unwrap_or_default();
            // Both are RFC 3339 in UTC with whole seconds, which sort as they are.
            let told = condition["lastUpdateTime"].as_str().or(condition["lastTransitionTime"].as_str());
            if since.zip(told).is_some_and(|(since, told)| told < since) {
                return None;
            }
            let failed = (kind == "ReplicaFailure" && status == "True")
                || (kind == "Progressing" && reason == "ProgressDeadlineExceeded");
            failed.then(|| format!("{reason}: {}", condition["message"].as_str().unwrap_or_default()))
        })
    }

    /// Why its pods would not be replaced by a change of the template.
    pub fn does_not_roll(&self) -> Option<String> {
        let spec = &self.object["spec"];
        if spec["paused"] == true && self.kind != Kind::Argo {
            return Some(
                "its rollout is paused: resume it (`kubectl rollout resume`), or ask who paused it"
                    .to_owned(),
            );
        }
        if let Some(why) = (self.kind == Kind::Argo).then(|| argo::does_not_roll(self.object)).flatten() {
            return Some(why);
        }
        if spec["updateStrategy"]["type"] == "OnDelete" {
            return Some(
                "its updateStrategy is OnDelete: pods are replaced only when somebody deletes them"
                    .to_owned(),
            );
        }
        let partition = spec.pointer("/updateStrategy/rollingUpdate/partition").and_then(Value::as_u64);
        if let Some(from) = partition.filter(|from| *from > 0) {
            return Some(format!("its partition is {from}: pods below that number would keep what they run"));
        }
        (self.kind != Kind::DaemonSet && self.count().wanted == 0)
            .then(|| "it is scaled to nothing: no pod would run the target either".to_owned())
    }

    /// The label selector of its pods, as a query says it.
    pub fn selector(&self) -> String {
        let selector = &self.object["spec"]["selector"];
        let mut parts: Vec<String> = Vec::new();
        if let Some(labels) = selector["matchLabels"].as_object() {
            parts.extend(
                labels.iter().map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())),
            );
        }
        for rule in selector["matchExpressions"].as_array().map_or(&[][..], Vec::as_slice) {
            let key = rule["key"].as_str().unwrap_or_default();
            let values: Vec<_> = rule["values"]
                .as_array()
                .map_or(&[][..], Vec::as_slice)
                .iter()
                .filter_map(Value::as_str)
                .collect();
            parts.push(match rule["operator"].as_str().unwrap_or_default() {
                "In" => format!("{key} in ({})", values.join(",")),
                "NotIn" => format!("{key} notin ({})", values.join(",")),
                "DoesNotExist" => format!("!{key}"),
                _ => key.to_owned(),
            });
        }
        parts.join(",")
    }

    pub fn uid(&self) -> &str {
        self.object["metadata"]["uid"].as_str().unwrap_or_default()
    }
}

fn containers(spec: &Value) -> &[Value] {
    spec["spec"]["containers"].as_array().map_or(&[][..], Vec::as_slice)
}

/// The artifact's container: the named one, or the template's only one. Pods may have more than their template: meshes and
/// vaults inject theirs.
///
/// # Errors
/// Why there is none.
pub fn container(template: &Value, named: Option<&str>) -> Result<String, String> {
    let names: Vec<&str> = containers(template).iter().filter_map(|one| one["name"].as_str()).collect();
    match (named, &names[..]) {
        (Some(name), _) if names.contains(&name) => Ok(name.to_owned()),
        (Some(name), _) => Err(format!("it has no container {name:?}: there are {}", names.join(", "))),
        (None, [only]) => Ok((*only).to_owned()),
        (None, _) => Err(format!("say which `container` the artifact is: there are {}", names.join(", "))),
    }
}

/// The image of a pod's or template's container. None: it has no such container.
pub fn image(of: &Value, container: &str) -> Option<Image> {
    let found = containers(of).iter().find(|one| one["name"] == container)?;
    found["image"].as_str().map(Image::new)
}

/// Without what a controller or the server adds to each of its own, and refuses to find there.
pub fn cleaned(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(labels) = template.pointer_mut("/metadata/labels").and_then(Value::as_object_mut) {
        labels.remove("pod-template-hash");
        labels.remove(argo::HASH);
    }
    if let Some(metadata) = template["metadata"].as_object_mut() {
        metadata.retain(|key, value| key != "creationTimestamp" || !value.is_null());
    }
    template
}

/// The template with its artifact pinned: which bytes run is no longer a matter of what a tag means today.
pub fn pinned(
    template: &Value,
    container: &str,
    tag: Option<&str>,
    digest: &Digest,
) -> Result<Value, String> {
    let mut template = cleaned(template);
    let none = || format!("there is no container {container:?} in that template");
    let image = image(&template, container).ok_or_else(none)?;
    let at = containers(&template).iter().position(|one| one["name"] == container).ok_or_else(none)?;
    let tag = tag.or_else(|| image.tag());
    template["spec"]["containers"][at]["image"] = json!(image.pinned(tag, digest).as_str());
    Ok(template)
}

/// Where two templates differ, as paths; at most so many, the image excepted.
pub fn differences(before: &Value, after: &Value, most: usize) -> Vec<String> {
    fn walk(before: &Value, after: &Value, at: &str, found: &mut Vec<String>) {
        match (before, after) {
            (Value::Object(a), Value::Object(b)) => {
                let keys: std::collections::BTreeSet<_> = a.keys().chain(b.keys()).collect();
                for key in keys {
                    walk(&before[key.as_str()], &after[key.as_str()], &format!("{at}/{key}"), found);
                }
            }
            (Value::Array(a), Value::Array(b)) => {
                // Entries of lists are known by their names: an added variable does not change those behind it.
                let name = |value: &Value| value["name"].as_str().map(str::to_owned);
                if a.iter().chain(b).all(|one| name(one).is_some()) {
                    let names: std::collections::BTreeSet<_> = a.iter().chain(b).filter_map(name).collect();
                    for one in names {
                        let find = |list: &[Value]| {
                            list.iter()
                                .find(|value| value["name"] == one.as_str())
                                .cloned()
                                .unwrap_or_default()
                        };
                        walk(&find(a), &find(b), &format!("{at}/{one}"), found);
                    }
                } else if a != b {
                    found.push(at.to_owned());
                }
            }
            (a, b) if a != b && !at.ends_with("/image") => found.push(at.to_owned()),
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(before, after, "", &mut found);
    let more = found.len().saturating_sub(most);
    found.truncate(most);
    for path in &mut found {
        *path = path.trim_start_matches("/spec/").replace("containers/", "").replace("/value", "");
    }
    if more > 0 {
        found.push(format!("{more} more"));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(env: Value) -> Value {
        json!({"metadata": {"labels": {"app": "checkout", "pod-template-hash": "x"}},
               "spec": {"containers": [{"name": "app", "image": "shop/checkout:v1", "env": env}]}})
    }

    #[test]
    fn what_comes_back_with_it_is_told_by_name() {
        let one = template(json!([{"name": "A", "value": "1"}, {"name": "B", "value": "1"}]));
        let two = template(json!([{"name": "B", "value": "2"}, {"name": "C", "value": "1"}]));
        assert_eq!(differences(&one, &two, 5), ["app/env/A", "app/env/B", "app/env/C"]);
        assert_eq!(differences(&one, &two, 1), ["app/env/A", "2 more"]);
        assert!(differences(&one, &one, 5).is_empty());
    }

    #[test]
    fn a_template_is_pinned_in_the_right_container() {
        let digest: Digest = format!("sha256:{}", "a".repeat(64)).parse().unwrap();
        let pinned = pinned(&template(json!([])), "app", None, &digest).unwrap();
        assert_eq!(pinned["spec"]["containers"][0]["image"], format!("shop/checkout:v1@{digest}"));
        assert_eq!(pinned["metadata"]["labels"], json!({"app": "checkout"}));
        let mut two = template(json!([]));
        two["spec"]["containers"].as_array_mut().unwrap().push(json!({"name": "proxy", "image": "envoy"}));
        assert!(container(&two, None).unwrap_err().contains("app, proxy"));
        assert!(container(&two, Some("web")).unwrap_err().contains("no container \"web\""));
        assert_eq!(container(&two, Some("proxy")).as_deref(), Ok("proxy"));
        assert_eq!(image(&two, "proxy").unwrap().as_str(), "envoy");
    }

    #[test]
    fn a_selector_is_said_as_a_query() {
        let object = json!({"spec": {"selector": {
            "matchLabels": {"app": "checkout"},
            "matchExpressions": [{"key": "tier", "operator": "In", "values": ["a", "b"]},
                                 {"key": "old", "operator": "DoesNotExist"}, {"key": "x", "operator": "Exists"}],
        }}});
        let workload = Workload { kind: Kind::Deployment, object: &object };
        assert_eq!(workload.selector(), "app=checkout,tier in (a,b),!old,x");
    }
}
