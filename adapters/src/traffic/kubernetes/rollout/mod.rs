//! A Deployment, StatefulSet or DaemonSet whose pods are replaced. There are no pools: what is running is named by its own bytes,
//! so that a share is that of the pods which run them. To roll back, the template that ran the target is made the workload's own
//! again, and the controller does the rest, in the steps that the workload's own strategy allows.

pub mod argo;
mod config;
mod hazards;
mod judge;
mod plan;
mod port;
mod revert;
mod revisions;
mod snapshot;
mod workload;

use std::{sync::Arc, time::Duration};

use lastgood_core::Shares;
use serde_json::Value;

pub use self::config::{Config, Restore};
pub(super) use self::workload::Kind;
use self::{
    snapshot::{Pod, Snapshot},
    workload::Workload,
};
use super::{
    Cluster, Patch,
    access::Needed,
    encoded,
    gitops::{self, Gitops},
};
use crate::{
    Fault,
    forge::Forge,
    traffic::{Move, Observation},
};

pub struct Rollout {
    cluster: Cluster,
    namespace: String,
    kind: Kind,
    name: String,
    container: Option<String>,
    restore: Restore,
    gitops: Gitops,
    /// Namespace of Argo CD's applications.
    argocd: String,
    /// Where going back is proposed, instead of being written.
    revert: Option<Arc<dyn Forge>>,
}

/// How often a change is tried anew when the object changed in between, but not in what it asks for.
const TRIES: u32 = 5;
const ROLE: &str = "deploy/kubernetes/rollout.yaml";

const NEEDED: [Needed; 9] = [
    Needed { group: "apps", resource: "replicasets", verbs: &["list"], for_what: None },
    Needed { group: "apps", resource: "controllerrevisions", verbs: &["list"], for_what: None },
    Needed { group: "", resource: "pods", verbs: &["list"], for_what: None },
    Needed {
        group: "",
        resource: "pods",
        verbs: &["watch"],
        for_what: Some("progress is asked for every second"),
    },
    Needed { group: "", resource: "configmaps", verbs: &["get"], for_what: Some(GONE) },
    Needed { group: "", resource: "secrets", verbs: &["get"], for_what: Some(GONE) },
    Needed { group: "", resource: "serviceaccounts", verbs: &["get"], for_what: Some(GONE) },
    Needed {
        group: "autoscaling",
        resource: "horizontalpodautoscalers",
        verbs: &["list"],
        for_what: Some("autoscalers are not warned of"),
    },
    Needed {
        group: "policy",
        resource: "poddisruptionbudgets",
        verbs: &["list"],
        for_what: Some("disruption budgets are not warned of"),
    },
];
const GONE: &str = "whether it is still there is not looked at before a rollback";

impl Rollout {
    fn path(&self) -> String {
        let (group, version, plural) = (self.kind.group(), self.kind.version(), self.kind.plural());
        format!("/apis/{group}/{version}/namespaces/{}/{plural}/{}", self.namespace, self.name)
    }

    fn called(&self) -> String {
        format!("{} {}/{}", self.kind.word(), self.namespace, self.name)
    }

    fn pods_path(&self, selector: &str) -> String {
        format!("/api/v1/namespaces/{}/pods?labelSelector={}", self.namespace, encoded(selector))
    }

    async fn read(&self) -> Result<Snapshot, Fault> {
        let object = self.cluster.get(&self.path()).await?;
        let workload = Workload { kind: self.kind, object: &object };
        let (selector, uid) = (workload.selector(), workload.uid().to_owned());
        let history = format!(
            "/apis/apps/v1/namespaces/{}/{}?labelSelector={}",
            self.namespace,
            self.kind.history(),
            encoded(&selector)
        );
        let pods_path = self.pods_path(&selector);
        let (history, pods) =
            futures_util::future::try_join(self.cluster.list(&history), self.cluster.get(&pods_path)).await?;
        let owners: Vec<&str> = match self.kind {
            Kind::Deployment | Kind::Argo => history
                .iter()
                .filter(|set| revisions::owned(set, &uid))
                .filter_map(|set| set["metadata"]["uid"].as_str())
                .collect(),
            Kind::StatefulSet | Kind::DaemonSet => vec![&uid],
        };
        let template = Workload { kind: self.kind, object: &object }.template();
        let container =
            workload::container(template, self.container.as_deref()).map_err(|why| self.invalid(&why))?;
        let items = pods["items"].as_array().map_or(&[][..], Vec::as_slice);
        let ours = items.iter().filter(|pod| {
            let over = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
            pod["metadata"]["deletionTimestamp"].is_null()
                && !over
                && owners.iter().any(|uid| revisions::owned(pod, uid))
        });
        let (mut read, mut strange) = (Vec::new(), Vec::new());
        for pod in ours {
            match Pod::read(self.kind, pod, &container) {
                Some(pod) => read.push(pod),
                None => strange.push(pod["metadata"]["name"].as_str().unwrap_or_default().to_owned()),
            }
        }
        Ok(Snapshot {
            kind: self.kind,
            pods: read,
            strange,
            history: revisions::read(self.kind, &uid, &history, &container),
            pods_at: pods["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned(),
            container,
            object,
        })
    }

    fn seen(&self, snapshot: &Snapshot) -> Result<Observation, Fault> {
        let seen = snapshot.observation().map_err(|why| self.invalid(&why))?;
        Ok(if self.kind == Kind::Argo { argo::observed(snapshot, seen) } else { seen })
    }

    fn invalid(&self, why: &str) -> Fault {
        Fault::Invalid(format!("{}: {why}", self.called()))
    }

    async fn write(&self, snapshot: &Snapshot, wanted: &Move, dry_run: bool) -> Result<(), Fault> {
        let plan = self.plan(snapshot, wanted).map_err(|why| self.invalid(&why))?;
        // What is only tried overwrites nothing.
        let operations = self.operations(snapshot, &plan.template, wanted, !dry_run);
        self.cluster.patch(&self.path(), &Patch { operations: &operations, dry_run }).await.map(drop)
    }

    /// Reads and writes until nobody changed the specification in between. What others write elsewhere (status, labels) does
    /// not matter, nor how many pods an autoscaler wants; what they change in the template does.
    async fn change(&self, wanted: &Move) -> Result<(), Fault> {
        let target = self.target(wanted).map_err(|why| self.invalid(&why))?;
        let mut before: Option<(Value, Value, Fault)> = None;
        for attempt in 1.. {
            let snapshot = self.read().await?;
            let (image, digest) = snapshot.asked().map_err(|why| self.invalid(&why))?;
            // A tag that means the target today may mean something else when the next pod starts: that is still to be pinned.
            let there =
                digest.as_ref().filter(|_| self.kind == Kind::Argo).cloned().or_else(|| image.digest());
            if there.is_some_and(|digest| snapshot::pool(&image, Some(&digest)) == target) {
                return self.after(target).await;
            }
            if let Some(why) = snapshot.workload().does_not_roll() {
                return Err(self.invalid(&why));
            }
            let template = snapshot.workload().template().clone();
            let generation = snapshot.object["metadata"]["generation"].clone();
            let asked = snapshot::pool(&image, digest.as_ref());
            // What is only previewed has a name and no share.
            let least = if self.kind == Kind::Argo { 0 } else { 1 };
            let had = |of: &Shares| of.get(&asked).is_some_and(|share| *share >= least);
            // How many pods run what changes by itself; what the template asks for does not.
            let mut another = wanted.from.as_ref().is_some_and(|from| !had(from) && !had(&wanted.shares));
            if let Some((read, then, fault)) = before.take() {
                if then == generation && matches!(fault, Fault::Invalid(_)) {
                    return Err(fault);
                }
                another |= read != template;
            }
            if another {
                let writer = gitops::last_writer(&snapshot.object).unwrap_or_else(|| "somebody".to_owned());
                return Err(Fault::Conflict(format!("{} was changed by {writer} meanwhile", self.called())));
            }
            let written = match self.before(&snapshot, target, false).await {
                Ok(()) => self.write(&snapshot, wanted, false).await,
                Err(fault) => Err(fault),
            };
            match written {
                // A guard that does not hold is an invalid patch to the server: reading again tells which it was.
                Err(fault @ (Fault::Conflict(_) | Fault::Invalid(_))) if attempt < TRIES => {
                    before = Some((template, generation, fault));
                    tokio::time::sleep(Duration::from_millis(20) * attempt).await;
                }
                Ok(()) => return self.after(target).await,
                Err(fault) => return Err(fault),
            }
        }
        Ok(())
    }

    /// What is said to a controller that moves traffic itself, before its template is changed.
    async fn before(&self, snapshot: &Snapshot, target: &str, dry_run: bool) -> Result<(), Fault> {
        match self.kind {
            Kind::Argo => self.abort(snapshot, target, dry_run).await,
            Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet => Ok(()),
        }
    }

    /// And after.
    async fn after(&self, target: &str) -> Result<(), Fault> {
        match self.kind {
            Kind::Argo => self.promote(target).await,
            Kind::Deployment | Kind::StatefulSet | Kind::DaemonSet => Ok(()),
        }
    }
}
