//! Plays the part of Argo CD's application controller that its documentation describes: it compares what Git wants with what runs, says
//! so in the Application's status, and puts it back where automated synchronisation with self-healing is on.
//!
//! <https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/>

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::{sync::RwLock, task::JoinHandle};

use crate::real::kubernetes::Kubernetes;

pub const APPLICATION: &str = "/apis/argoproj.io/v1alpha1/namespaces/argocd/applications/shop";
const DEPLOYMENT: &str = "/apis/apps/v1/namespaces/shop/deployments/checkout";
const MANAGER: &str = "argocd-controller";
/// Between two looks.
const EVERY: Duration = Duration::from_millis(50);

pub struct ArgoCd {
    /// Containers as Git has them.
    git: Arc<Mutex<Value>>,
    task: JoinHandle<()>,
}

impl Drop for ArgoCd {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ArgoCd {
    /// An application that heals itself, of which the Deployment `checkout` is a part.
    pub async fn start(cluster: &Arc<RwLock<Kubernetes>>, git: Value) -> Self {
        let kubernetes = cluster.read().await;
        kubernetes.define(include_str!("../real/kubernetes/crds/Application.json")).await;
        kubernetes.create("/api/v1/namespaces", &json!({"metadata": {"name": "argocd"}})).await;
        let role = include_str!("../../../deploy/kubernetes/gitops.yaml");
        kubernetes.permit_in("argocd", role, "lastgood").await;
        let application = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Application", "metadata": {"name": "shop"},
            "spec": {
                "project": "default", "destination": {"namespace": "shop", "server": "https://kubernetes.default.svc"},
                "source": {"repoURL": "https://git.example.com/shop.git", "path": "."},
                "syncPolicy": {"automated": {"prune": true, "selfHeal": true}, "syncOptions": ["CreateNamespace=true"]},
            },
        });
        kubernetes.create(APPLICATION.rsplit_once('/').unwrap().0, &application).await;
        let tracked = "shop:apps/Deployment:shop/checkout";
        let marks = json!({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": tracked}}});
        kubernetes.patch(DEPLOYMENT, MANAGER, &marks).await;
        drop(kubernetes);
        let git = Arc::new(Mutex::new(git));
        let (own, cluster) = (git.clone(), cluster.clone());
        let task = tokio::spawn(async move {
            let mut tick = tokio::time::interval(EVERY);
            loop {
                tick.tick().await;
                let wanted = own.lock().unwrap().clone();
                reconcile(&*cluster.read().await, &wanted).await;
            }
        });
        Self { git, task }
    }

    /// Somebody pushes.
    pub fn push(&self, containers: Value) {
        *self.git.lock().unwrap() = containers;
    }
}

async fn reconcile(cluster: &Kubernetes, wanted: &Value) {
    let (found, application) = cluster.ask(Method::GET, APPLICATION, None).await;
    let (there, deployment) = cluster.ask(Method::GET, DEPLOYMENT, None).await;
    if !found.is_success() || !there.is_success() {
        return;
    }
    let live = &deployment["spec"]["template"]["spec"]["containers"];
    let written = |of: &Value| json!([of[0]["image"], of[0]["env"]]);
    let same = written(live) == written(wanted);
    let kind = "application/merge-patch+json";
    let automated = &application["spec"]["syncPolicy"]["automated"];
    if !same && automated["selfHeal"] == true {
        let patch = json!({"spec": {"template": {"spec": {"containers": wanted}}}});
        cluster
            .ask(Method::PATCH, &format!("{DEPLOYMENT}?fieldManager={MANAGER}"), Some((kind, &patch)))
            .await;
    }
    let word = if same { "Synced" } else { "OutOfSync" };
    let resource = json!({"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop", "name": "checkout",
                          "status": word});
    let status = json!({"sync": {"status": word}, "resources": [resource]});
    if application["status"] != status {
        let patch = json!({ "status": status });
        cluster
            .ask(Method::PATCH, &format!("{APPLICATION}?fieldManager={MANAGER}"), Some((kind, &patch)))
            .await;
    }
}
