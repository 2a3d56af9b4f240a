//! Plays the scheduler and one node's kubelet: binds pods, makes them ready, or not, as their version is told to behave, and
//! completes their deletion. Conditions, reasons and messages are those of the real kubelet and scheduler.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{Router, extract::State, routing::get};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use super::{Kubernetes, NAMESPACE};
use crate::shop::artifact;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Ready,
    Crashes,
    NotPulled,
    NotScheduled,
}

#[derive(Default)]
struct Inner {
    /// By version; ready unless told.
    manners: BTreeMap<String, Manner>,
    /// What was last told of a pod, by uid.
    told: BTreeMap<String, Manner>,
    /// Which version a tag means; itself unless said.
    means: BTreeMap<String, String>,
    /// Which version a pod pulled, by uid: a tag may mean another one by now.
    pulled: BTreeMap<String, String>,
    /// The digest that is reported of a version that was pulled by its tag; of its own bytes unless said.
    reported: BTreeMap<String, String>,
    /// Fewest ready pods seen, since it was asked for.
    fewest: Option<usize>,
    /// Images of the pods that are ready.
    serving: Vec<String>,
    /// The version that answers customers with errors, though it is ready.
    ill: Option<String>,
}

pub struct Nodes {
    inner: Arc<Mutex<Inner>>,
    task: JoinHandle<()>,
    /// Customers' own health check.
    at: SocketAddr,
    server: JoinHandle<()>,
}

/// Between two looks at the pods, as a kubelet's own sync loop has.
const EVERY: Duration = Duration::from_millis(50);

impl Nodes {
    pub async fn start(cluster: &Arc<tokio::sync::RwLock<Kubernetes>>) -> Self {
        // A DaemonSet wants a node that is ready.
        let node = json!({"metadata": {"name": "node-1"}});
        cluster.read().await.create("/api/v1/nodes", &node).await;
        let ready = json!({"status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        cluster.read().await.patch("/api/v1/nodes/node-1/status", "test", &ready).await;
        // New nodes are tainted until somebody who is not here finds them ready.
        cluster.read().await.patch("/api/v1/nodes/node-1", "test", &json!({"spec": {"taints": null}})).await;
        let inner = Arc::<Mutex<Inner>>::default();
        let (own, cluster) = (inner.clone(), cluster.clone());
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(EVERY);
            loop {
                tick.tick().await;
                // While the server is being restarted by a test, nobody is there to be asked.
                let cluster = cluster.read().await;
                look(&cluster, &own).await;
            }
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let router = Router::new().route("/healthz", get(health)).with_state(inner.clone());
        let server = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { inner, task, at, server }
    }

    /// 200 as long as somebody serves, and nobody of the ill version.
    pub fn health(&self) -> String {
        format!("http://{}/healthz", self.at)
    }

    pub fn ill(&self, version: &str) {
        self.inner.lock().unwrap().ill = Some(version.to_owned());
    }

    /// Pods of this version behave so, those that are there included.
    pub fn behave(&self, version: &str, manner: Manner) {
        self.inner.lock().unwrap().manners.insert(version.to_owned(), manner);
    }

    /// The tag is pushed anew: pods that start from now on get this version.
    pub fn push(&self, tag: &str, version: &str) {
        self.inner.lock().unwrap().means.insert(tag.to_owned(), version.to_owned());
    }

    /// What is reported of a version that is pulled by its tag: some runtimes name the platform's manifest, others the index.
    pub fn reports(&self, version: &str, digest: &str) {
        self.inner.lock().unwrap().reported.insert(version.to_owned(), digest.to_owned());
    }

    /// From now on the fewest ready pods at any look are kept.
    pub fn count(&self) {
        self.inner.lock().unwrap().fewest = None;
    }

    pub fn fewest(&self) -> usize {
        self.inner.lock().unwrap().fewest.expect("somebody looked")
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        self.task.abort();
        self.server.abort();
    }
}

async fn health(State(inner): State<Arc<Mutex<Inner>>>) -> StatusCode {
    let inner = inner.lock().unwrap();
    let ill = |image: &String| {
        inner.ill.as_ref().is_some_and(|version| match image.split_once('@') {
            Some((_, digest)) => digest == artifact(version).digest.as_str(),
            None => image.ends_with(&format!(":{version}")),
        })
    };
    if inner.serving.is_empty() || inner.serving.iter().any(ill) {
        StatusCode::SERVICE_UNAVAILABLE
    } else {
        StatusCode::OK
    }
}

async fn look(cluster: &Kubernetes, inner: &Mutex<Inner>) {
    let (status, list) =
        cluster.ask(Method::GET, &format!("/api/v1/namespaces/{NAMESPACE}/pods"), None).await;
    if !status.is_success() {
        return;
    }
    let pods = list["items"].as_array().cloned().unwrap_or_default();
    let ready = |pod: &&Value| {
        let conditions = pod["status"]["conditions"].as_array().cloned().unwrap_or_default();
        pod["metadata"]["deletionTimestamp"].is_null()
            && conditions.iter().any(|one| one["type"] == "Ready" && one["status"] == "True")
    };
    let image = |pod: &Value| pod["spec"]["containers"][0]["image"].as_str().unwrap().to_owned();
    let serving: Vec<String> = pods.iter().filter(ready).map(image).collect();
    let count = serving.len();
    {
        let mut inner = inner.lock().unwrap();
        inner.serving = serving;
        inner.fewest = Some(inner.fewest.map_or(count, |fewest| fewest.min(count)));
    }
    for pod in &pods {
        tend(cluster, inner, pod).await;
    }
}

async fn tend(cluster: &Kubernetes, inner: &Mutex<Inner>, pod: &Value) {
    let name = pod["metadata"]["name"].as_str().unwrap();
    let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{name}");
    if !pod["metadata"]["deletionTimestamp"].is_null() {
        cluster.ask(Method::DELETE, &format!("{path}?gracePeriodSeconds=0"), None).await;
        return;
    }
    let uid = pod["metadata"]["uid"].as_str().unwrap().to_owned();
    let image = pod["spec"]["containers"][0]["image"].as_str().unwrap();
    let (manner, told, pulled) = {
        let mut inner = inner.lock().unwrap();
        let (name, digest) =
            image.split_once('@').map_or((image, None), |(name, digest)| (name, Some(digest)));
        let tag = name.rsplit(':').next().unwrap();
        let means = match digest {
            // Who names bytes gets those, whatever the tag beside them means.
            Some(digest) => {
                let known = inner.manners.keys().find(|version| artifact(version).digest.as_str() == digest);
                known.map_or(tag, String::as_str).to_owned()
            }
            None => inner.means.get(tag).map_or(tag, String::as_str).to_owned(),
        };
        let version = inner.pulled.entry(uid.clone()).or_insert(means).clone();
        let manner = inner.manners.get(&version).copied().unwrap_or(Manner::Ready);
        let own = || artifact(&version).digest.to_string();
        let pulled = inner.reported.get(&version).cloned().unwrap_or_else(own);
        (manner, inner.told.get(&uid).copied(), pulled)
    };
    if told == Some(manner) {
        return;
    }
    if manner != Manner::NotScheduled && pod["spec"]["nodeName"].is_null() {
        let binding = json!({"target": {"kind": "Node", "name": "node-1"}});
        cluster.ask(Method::POST, &format!("{path}/binding"), Some(("application/json", &binding))).await;
    }
    let status = status(pod, image, &pulled, manner);
    let patch = ("application/merge-patch+json", &json!({ "status": status }));
    let (answer, _) = cluster.ask(Method::PATCH, &format!("{path}/status"), Some(patch)).await;
    if answer.is_success() {
        inner.lock().unwrap().told.insert(uid, manner);
    }
}

fn status(pod: &Value, image: &str, pulled_by_tag: &str, manner: Manner) -> Value {
    let now = pod["metadata"]["creationTimestamp"].clone();
    let condition = |kind: &str, status: bool| json!({"type": kind, "status": if status { "True" } else { "False" }, "lastTransitionTime": now});
    if manner == Manner::NotScheduled {
        let mut scheduled = condition("PodScheduled", false);
        scheduled["reason"] = "Unschedulable".into();
        scheduled["message"] = "0/1 nodes are available: 1 Insufficient cpu.".into();
        return json!({"phase": "Pending", "conditions": [scheduled]});
    }
    let ready = manner == Manner::Ready;
    let repository =
        image.split(['@']).next().unwrap_or(image).trim_end_matches(|c| c != ':').trim_end_matches(':');
    let digest =
        image.split_once('@').map_or_else(|| pulled_by_tag.to_owned(), |(_, digest)| digest.to_owned());
    let state = match manner {
        Manner::Ready => json!({"running": {"startedAt": now}}),
        Manner::Crashes => json!({"waiting": {"reason": "CrashLoopBackOff",
            "message": "back-off 10s restarting failed container=app"}}),
        _ => json!({"waiting": {"reason": "ImagePullBackOff",
            "message": format!("Back-off pulling image \"{image}\"")}}),
    };
    let pulled = manner != Manner::NotPulled;
    json!({
        "phase": if pulled { "Running" } else { "Pending" },
        "conditions": [condition("PodScheduled", true), condition("Initialized", true), condition("Ready", ready),
                       condition("ContainersReady", ready)],
        "containerStatuses": [{
            "name": pod["spec"]["containers"][0]["name"], "image": image, "ready": ready, "restartCount": 0,
            "imageID": if pulled { format!("{repository}@{digest}") } else { String::new() }, "state": state,
        }],
    })
}
