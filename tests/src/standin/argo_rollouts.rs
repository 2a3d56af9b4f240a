//! Plays the part of the Argo Rollouts controller that its documentation describes: ReplicaSets by template, a canary that waits at its
//! first step, blue/green with a preview, abort, full promotion, the fast way back to what is stable. Pods are the real
//! ReplicaSet controller's. As the real one does, it scales the stable side down when it is aborted with nothing under way.
//!
//! <https://argo-rollouts.readthedocs.io/en/stable/features/canary/>, `…/features/bluegreen/`, `…/features/rollback/`.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::{sync::RwLock, task::JoinHandle};

use crate::real::kubernetes::{Kubernetes, NAMESPACE};

const HASH: &str = "rollouts-pod-template-hash";
pub const PATH: &str = "/apis/argoproj.io/v1alpha1/namespaces/shop/rollouts/checkout";
/// Between two looks.
const EVERY: Duration = Duration::from_millis(50);

#[derive(Default)]
struct Inner {
    /// What happened, in order: `aborted`, `paused at step 0`, `promoted`, …
    events: Vec<String>,
    /// The result of the analysis of what is under way.
    analysis: Option<(String, String)>,
}

pub struct Controller {
    inner: Arc<Mutex<Inner>>,
    task: JoinHandle<()>,
}

impl Drop for Controller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Controller {
    pub fn start(cluster: &Arc<RwLock<Kubernetes>>) -> Self {
        let inner = Arc::<Mutex<Inner>>::default();
        let (own, cluster) = (inner.clone(), cluster.clone());
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(EVERY);
            loop {
                tick.tick().await;
                let cluster = cluster.read().await;
                let (status, rollout) = cluster.ask(Method::GET, PATH, None).await;
                if status.is_success() {
                    reconcile(&cluster, &own, &rollout).await;
                }
            }
        });
        Self { inner, task }
    }

    pub fn events(&self) -> Vec<String> {
        self.inner.lock().unwrap().events.clone()
    }

    pub fn forget(&self) {
        self.inner.lock().unwrap().events.clear();
    }

    /// The analysis of what is under way has come to this.
    pub fn analysed(&self, phase: &str, message: &str) {
        self.inner.lock().unwrap().analysis = Some((phase.to_owned(), message.to_owned()));
    }
}

impl Inner {
    fn tell(&mut self, event: &str) {
        if self.events.last().is_none_or(|last| last != event) {
            self.events.push(event.to_owned());
        }
    }
}

/// Templates are compared after the server's defaults are filled in, as ReplicaSets have them: what people write counts.
fn hash_of(template: &Value) -> String {
    let of = |container: &Value| json!([container["name"], container["image"], container["env"]]);
    let containers: Vec<Value> =
        template["spec"]["containers"].as_array().into_iter().flatten().map(of).collect();
    let written = json!([template["metadata"]["labels"], containers]);
    Sha256::digest(written.to_string()).iter().take(5).map(|byte| format!("{byte:02x}")).collect()
}

/// A ReplicaSet with how many pods are ready and there.
struct Set {
    name: String,
    hash: String,
    revision: u64,
    wanted: u64,
    ready: u64,
    there: u64,
}

async fn sets(cluster: &Kubernetes) -> Vec<Set> {
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/replicasets");
    let (_, list) = cluster.ask(Method::GET, &path, None).await;
    let items = list["items"].as_array().cloned().unwrap_or_default();
    let set = |item: &Value| {
        let revision = item["metadata"]["annotations"]["rollout.argoproj.io/revision"].as_str()?;
        Some(Set {
            name: item["metadata"]["name"].as_str()?.to_owned(),
            hash: item["metadata"]["labels"][HASH].as_str()?.to_owned(),
            revision: revision.parse().ok()?,
            wanted: item["spec"]["replicas"].as_u64().unwrap_or(0),
            ready: item["status"]["readyReplicas"].as_u64().unwrap_or(0),
            there: item["status"]["replicas"].as_u64().unwrap_or(0),
        })
    };
    items.iter().filter_map(set).collect()
}

async fn scale(cluster: &Kubernetes, set: &Set, replicas: u64) {
    if set.wanted != replicas {
        let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/replicasets/{}", set.name);
        let patch = json!({"spec": {"replicas": replicas}});
        cluster.ask(Method::PATCH, &path, Some(("application/merge-patch+json", &patch))).await;
    }
}

async fn create(cluster: &Kubernetes, rollout: &Value, hash: &str, revision: u64) {
    let mut template = rollout["spec"]["template"].clone();
    template["metadata"]["labels"][HASH] = hash.into();
    let mut labels = rollout["spec"]["selector"]["matchLabels"].clone();
    labels[HASH] = hash.into();
    let owner = json!({"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "name": "checkout", "controller": true,
                       "blockOwnerDeletion": true, "uid": rollout["metadata"]["uid"]});
    let set = json!({
        "metadata": {"name": format!("checkout-{hash}"), "labels": labels, "ownerReferences": [owner],
                     "annotations": {"rollout.argoproj.io/revision": revision.to_string()}},
        "spec": {"replicas": 0, "selector": {"matchLabels": labels}, "template": template},
    });
    let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/replicasets");
    cluster.ask(Method::POST, &path, Some(("application/json", &set))).await;
}

async fn reconcile(cluster: &Kubernetes, inner: &Mutex<Inner>, rollout: &Value) {
    let mut told = Vec::new();
    let hash = hash_of(&rollout["spec"]["template"]);
    let all = sets(cluster).await;
    let last = all.iter().map(|set| set.revision).max().unwrap_or(0);
    let Some(newest) = all.iter().find(|set| set.hash == hash) else {
        return create(cluster, rollout, &hash, last + 1).await;
    };
    if newest.revision != last {
        // What comes back is the newest again.
        let path = format!("/apis/apps/v1/namespaces/{NAMESPACE}/replicasets/{}", newest.name);
        let patch =
            json!({"metadata": {"annotations": {"rollout.argoproj.io/revision": (last + 1).to_string()}}});
        cluster.ask(Method::PATCH, &path, Some(("application/merge-patch+json", &patch))).await;
    }
    let mut status = rollout["status"].clone();
    if status.is_null() {
        status = json!({});
    }
    if status["currentPodHash"] != hash.as_str() {
        // A new template: whatever was said of the one before is over.
        told.push("new template");
        inner.lock().unwrap().analysis = None;
        status["canary"] = json!({"weights": status["canary"]["weights"]});
        for (key, value) in [
            ("abort", json!(null)),
            ("promoteFull", json!(null)),
            ("message", json!(null)),
            ("currentStepIndex", json!(0)),
        ] {
            status[key] = value;
        }
    }
    status["currentPodHash"] = hash.as_str().into();
    status["observedGeneration"] = rollout["metadata"]["generation"].to_string().into();
    let wanted = rollout["spec"]["replicas"].as_u64().unwrap_or(1);
    let stable = all.iter().find(|set| status["stableRS"] == set.hash.as_str());
    let blue_green = !rollout["spec"]["strategy"]["blueGreen"].is_null();
    match stable {
        Some(stable) if stable.hash != hash => {
            under_way(cluster, &mut told, &mut status, newest, stable, wanted, blue_green).await;
        }
        _ => steady(cluster, &mut told, &mut status, newest, &all, wanted, blue_green).await,
    }
    if let Some((phase, message)) = &inner.lock().unwrap().analysis {
        let run = json!({"name": format!("checkout-{hash}-1"), "status": phase, "message": message});
        status["canary"]["currentStepAnalysisRunStatus"] = run;
    }
    let count = |of: &dyn Fn(&Set) -> u64| all.iter().map(of).sum::<u64>();
    status["replicas"] = count(&|set| set.there).into();
    status["readyReplicas"] = count(&|set| set.ready).into();
    status["availableReplicas"] = count(&|set| set.ready).into();
    status["updatedReplicas"] = newest.there.into();
    if status != rollout["status"] {
        // As the real one: lost when somebody wrote in between, and worked out anew.
        let version = rollout["metadata"]["resourceVersion"].clone();
        let patch = json!({"metadata": {"resourceVersion": version}, "status": status});
        let path = format!("{PATH}/status?fieldManager=rollouts-controller");
        let patch = ("application/merge-patch+json", &patch);
        if !cluster.ask(Method::PATCH, &path, Some(patch)).await.0.is_success() {
            return;
        }
    }
    let mut inner = inner.lock().unwrap();
    told.into_iter().for_each(|event| inner.tell(event));
}

fn weights(status: &mut Value, canary: &str, share: u64, stable: &str, blue_green: bool) {
    if blue_green {
        status["blueGreen"]["activeSelector"] = if share == 100 { canary } else { stable }.into();
        status["blueGreen"]["previewSelector"] = canary.into();
    } else {
        status["canary"]["weights"] = json!({
            "canary": {"weight": share, "podTemplateHash": canary, "serviceName": "checkout-canary"},
            "stable": {"weight": 100 - share, "podTemplateHash": stable, "serviceName": "checkout-stable"},
        });
    }
}

/// Newest and stable are one, or there is no stable one yet.
async fn steady(
    cluster: &Kubernetes,
    told: &mut Vec<&'static str>,
    status: &mut Value,
    newest: &Set,
    all: &[Set],
    wanted: u64,
    blue_green: bool,
) {
    if status["abort"] == true {
        told.push("aborted with nothing under way: stable is scaled down");
        status["phase"] = "Degraded".into();
        return scale(cluster, newest, 0).await;
    }
    scale(cluster, newest, wanted).await;
    for other in all.iter().filter(|set| set.hash != newest.hash) {
        // Blue/green keeps what it left for a while.
        if !blue_green {
            scale(cluster, other, 0).await;
        }
    }
    let done = newest.ready == wanted;
    if done {
        status["stableRS"] = newest.hash.as_str().into();
        status["promoteFull"] = Value::Null;
        weights(status, &newest.hash, 0, &newest.hash, blue_green);
    }
    let gone = blue_green || all.iter().all(|set| set.hash == newest.hash || set.there == 0);
    let healthy = done && gone;
    status["phase"] = if healthy { "Healthy" } else { "Progressing" }.into();
    if healthy {
        told.push("healthy");
    }
}

async fn under_way(
    cluster: &Kubernetes,
    told: &mut Vec<&'static str>,
    status: &mut Value,
    newest: &Set,
    stable: &Set,
    wanted: u64,
    blue_green: bool,
) {
    scale(cluster, stable, wanted).await;
    if status["abort"] == true {
        told.push("aborted");
        weights(status, &newest.hash, 0, &stable.hash, blue_green);
        status["phase"] = "Degraded".into();
        status["message"] =
            format!("RolloutAborted: Rollout aborted update to revision {}", newest.revision).into();
        return scale(cluster, newest, 0).await;
    }
    // What is still scaled up from before goes at once.
    let fast = blue_green && newest.ready == wanted && newest.revision < stable.revision;
    if status["promoteFull"] == true || fast {
        told.push("promoted");
        scale(cluster, newest, wanted).await;
        status["phase"] = "Progressing".into();
        if newest.ready == wanted {
            weights(status, &newest.hash, 100, &stable.hash, blue_green);
            status["stableRS"] = newest.hash.as_str().into();
        }
        return;
    }
    let part = if blue_green { wanted } else { (wanted / 5).max(1) };
    scale(cluster, newest, part).await;
    status["phase"] = "Progressing".into();
    if newest.ready >= part {
        weights(status, &newest.hash, if blue_green { 0 } else { 20 }, &stable.hash, blue_green);
        status["phase"] = "Paused".into();
        status["message"] = if blue_green { "BlueGreenPause" } else { "CanaryPauseStep" }.into();
        told.push("paused");
    }
}
