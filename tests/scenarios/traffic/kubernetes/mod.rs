//! Rollouts on a real API server with its real controllers.

mod argo;
mod many;
mod rollout;
mod routes;
mod traps;
mod truce;

use std::{sync::Arc, time::Duration};

use lastgood_adapters::traffic::{Move, Observation, Preflight, Progress, Said, Shifter, kubernetes_rollout};
use lastgood_tests::{
    process::poll_async,
    real::kubernetes::{Kubernetes, NAMESPACE, as_kind, deployment, image, nodes::Nodes},
    rigs,
    shop::artifact,
};
use serde_json::{Value, json};
use tokio::sync::RwLock;

const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/shop/deployments/checkout";

/// A cluster on which v2.4.0 was deployed, and then v2.4.1.
struct Scene {
    cluster: Arc<RwLock<Kubernetes>>,
    nodes: Nodes,
    shifter: Arc<dyn Shifter>,
    /// Of the workload.
    path: String,
}

fn env(value: &str) -> Value {
    json!([{"name": "FEATURE", "value": value}])
}

fn template(image: &str, env: &Value) -> Value {
    json!({"spec": {"template": {"spec": {"containers": [{"name": "app", "image": image, "env": env}]}}}})
}

impl Scene {
    async fn set(replicas: u32) -> Self {
        Self::of(replicas, [&image("v2.4.0"), &image("v2.4.1")], &json!({})).await
    }

    /// With more keys of the shifter's own section.
    async fn of(replicas: u32, [old, new]: [&str; 2], more: &Value) -> Self {
        let scene = Self::bare(more).await;
        scene.create(replicas, old).await;
        scene.deploy(new, &env("new")).await;
        scene.available(replicas).await;
        scene
    }

    /// A cluster without a workload.
    async fn bare(more: &Value) -> Self {
        let cluster = Kubernetes::start().await;
        let shifter = shifter(&cluster, more);
        let cluster = Arc::new(RwLock::new(cluster));
        let nodes = Nodes::start(&cluster).await;
        Self { cluster, nodes, shifter, path: DEPLOYMENT.to_owned() }
    }

    async fn create(&self, replicas: u32, image: &str) {
        let path = DEPLOYMENT.rsplit_once('/').unwrap().0;
        self.cluster.read().await.create(path, &deployment(replicas, image, &env("old"))).await;
        self.available(replicas).await;
    }

    /// So many, all of the newest template.
    async fn available(&self, replicas: u32) {
        self.rolled("all of the newest template", |object| {
            let keys = ["replicas", "updatedReplicas", "availableReplicas"];
            keys.iter().all(|key| object["status"][*key] == replicas)
        })
        .await;
    }

    /// A StatefulSet or DaemonSet, on which v2.4.0 was deployed and then v2.4.1.
    async fn of_kind(kind: &str) -> Self {
        let cluster = Kubernetes::start().await;
        let shifter = shifter(&cluster, &json!({"workload": format!("{kind}/checkout")}));
        let cluster = Arc::new(RwLock::new(cluster));
        let nodes = Nodes::start(&cluster).await;
        let folder = format!("/apis/apps/v1/namespaces/{NAMESPACE}/{kind}s");
        let scene = Self { cluster, nodes, shifter, path: format!("{folder}/checkout") };
        let object = as_kind(kind, &deployment(2, &image("v2.4.0"), &env("old")));
        scene.cluster.read().await.create(&folder, &object).await;
        scene.runs("v2.4.0").await;
        scene.deploy(&image("v2.4.1"), &env("new")).await;
        scene.runs("v2.4.1").await;
        scene
    }

    /// All of it, and nothing else: as the adapter under test sees it.
    async fn runs(&self, version: &str) {
        poll_async(version, Duration::from_secs(40), || async {
            matches!(self.shifter.progress(&to(version)).await, Ok(Progress::Settled(_))).then_some(())
        })
        .await;
    }

    async fn deploy(&self, image: &str, env: &Value) {
        self.edit("kubectl", &template(image, env)).await;
    }

    async fn edit(&self, manager: &str, patch: &Value) {
        self.cluster.read().await.patch(&self.path, manager, patch).await;
    }

    async fn object(&self) -> Value {
        self.cluster.read().await.get(&self.path).await
    }

    async fn image(&self) -> String {
        let image = self.object().await["spec"]["template"]["spec"]["containers"][0]["image"].clone();
        image.as_str().unwrap().to_owned()
    }

    async fn rolled(&self, what: &str, is: impl Fn(&Value) -> bool) {
        poll_async(what, Duration::from_secs(30), || async {
            let object = self.object().await;
            let seen = object["status"]["observedGeneration"] == object["metadata"]["generation"];
            (seen && is(&object)).then_some(())
        })
        .await;
    }

    async fn observed(&self) -> Observation {
        self.shifter.observe().await.unwrap()
    }

    async fn applies(&self, wanted: &Move) {
        self.shifter.apply(wanted, &Said::default()).await.unwrap();
    }

    /// Asks how far it is until it moves no more; the last answer.
    async fn comes_to(&self, wanted: &Move) -> Progress {
        poll_async("the rollout's end", Duration::from_secs(40), || async {
            match self.shifter.progress(wanted).await {
                Ok(Progress::Moving { .. }) | Err(_) => None,
                Ok(done) => Some(done),
            }
        })
        .await
    }

    async fn refused(&self, wanted: &Move) -> String {
        match self.shifter.preflight(wanted).await.unwrap() {
            Preflight::Refused { reasons } => reasons.join("; "),
            other => panic!("not refused: {other:?}"),
        }
    }

    async fn warned(&self, wanted: &Move) -> Vec<String> {
        match self.shifter.preflight(wanted).await.unwrap() {
            Preflight::Ready { warnings } => warnings,
            other => panic!("not ready: {other:?}"),
        }
    }
}

/// With more keys of its section.
fn shifter(cluster: &Kubernetes, more: &Value) -> Arc<dyn Shifter> {
    let mut config = json!({
        "namespace": NAMESPACE, "workload": "deployment/checkout",
        "cluster": {"kubeconfig": cluster.kubeconfig()}, "timeout": "3s",
    });
    config.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    rigs::built::<kubernetes_rollout::Config>(config)
}

fn pool(version: &str) -> String {
    artifact(version).digest.short().to_owned()
}

fn to(version: &str) -> Move {
    let artifact = artifact(version);
    Move {
        shares: [(artifact.digest.short().to_owned(), 100)].into(),
        digest: artifact.digest.to_string(),
        version: version.to_owned(),
        note: format!("RB-1: back to {version}"),
        ..Move::default()
    }
}
