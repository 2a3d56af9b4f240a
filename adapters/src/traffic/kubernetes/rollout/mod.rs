//! A Deployment, StatefulSet or DaemonSet whose pods are replaced. There are no pools: what is running is named by its own bytes,
//! so that a share is that of the pods which run them. To roll back, the template that ran the target is made the workload's own
//! again, and the controller does the rest, in the steps that the workload's own strategy allows.

pub mod argo;
mod config;
mod hazards;
mod judge;
mod plan;
mod revert;
mod revisions;
mod snapshot;
mod workload;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lastgood_core::{Artifact, Shares};
use serde_json::Value;

pub use self::config::{Config, Restore};
pub(super) use self::workload::Kind;
use self::{
    revert::Standing,
    snapshot::{Pod, Snapshot},
    workload::Workload,
};
use super::{
    Cluster, Patch,
    access::{self, Needed},
    encoded,
    gitops::{self, Gitops},
    truce,
};
use crate::{
    Check, Fault,
    forge::Forge,
    traffic::{Foreseen, Held, LetGo, Move, Observation, Preflight, Progress, Said, Shifter},
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
/// How long one question about progress waits for news.
const NEWS: Duration = Duration::from_secs(1);
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

/// The port's questions, each of several calls.
impl Rollout {
    async fn can_it(&self, wanted: &Move) -> Result<Preflight, Fault> {
        let snapshot = self.read().await?;
        let target = match self.target(wanted) {
            Ok(target) => target,
            Err(reason) => return Ok(Preflight::Refused { reasons: vec![reason] }),
        };
        if matches!(self.judged(&snapshot, target)?, Progress::Settled(_)) {
            return Ok(Preflight::AlreadyThere);
        }
        let mut found = self.standing(&snapshot);
        if found.refused.is_empty() {
            match self.would_hold().await {
                Err(fault) if !fault.passes() => {
                    found.refused.push(format!("its owner can't be suspended: {fault}"));
                }
                other => found.warnings.extend(gitops::said_of(&other?)),
            }
        }
        if let Some(forge) = &self.revert {
            return self.can_be_proposed(&**forge, &snapshot, wanted, found).await;
        }
        match self.plan(&snapshot, wanted) {
            Ok(plan) => {
                found.warnings.extend(plan.said.caveats);
                found.warnings.extend(plan.said.notes);
                let lost = self.lost(&plan.template).await;
                found.refused.extend(lost.refused);
                found.warnings.extend(lost.warnings);
            }
            Err(reason) => found.refused.push(reason),
        }
        found.warnings.extend(self.neighbours(&snapshot).await);
        if found.refused.is_empty() {
            let tried = match self.before(&snapshot, target, true).await {
                Ok(()) => self.write(&snapshot, wanted, true).await,
                Err(fault) => Err(fault),
            };
            match tried {
                Ok(()) => {}
                Err(Fault::Conflict(why)) => {
                    found.warnings.push(format!("it is being changed just now: {why}"))
                }
                Err(Fault::Denied(why) | Fault::Invalid(why)) => found.refused.push(why),
                Err(fault) => return Err(fault),
            }
        }
        Ok(if found.refused.is_empty() {
            Preflight::Ready { warnings: found.warnings }
        } else {
            Preflight::Refused { reasons: found.refused }
        })
    }

    /// Whether the file can be changed so that it leads to the target.
    async fn can_be_proposed(
        &self,
        forge: &dyn Forge,
        snapshot: &Snapshot,
        wanted: &Move,
        mut found: hazards::Found,
    ) -> Result<Preflight, Fault> {
        match self.change_of(forge, snapshot, wanted).await {
            Ok(_) => found.warnings.push(format!(
                "{}: its change is proposed, and traffic moves when somebody merges it",
                forge.name()
            )),
            Err(fault) if !fault.passes() => found.refused.push(fault.to_string()),
            Err(fault) => return Err(fault),
        }
        Ok(match found.refused.is_empty() {
            true => Preflight::Ready { warnings: found.warnings },
            false => Preflight::Refused { reasons: found.refused },
        })
    }

    async fn how_far(&self, wanted: &Move) -> Result<Progress, Fault> {
        let target = self.target(wanted).map_err(|why| self.invalid(&why))?;
        let snapshot = self.read().await?;
        if let Some(forge) = self.revert.as_ref().filter(|_| !Self::asks_for(&snapshot, target)) {
            let seen = self.seen(&snapshot)?;
            match self.standing_of(&**forge, &snapshot, wanted).await? {
                Standing::Waiting(detail) => return Ok(Progress::Moving { seen, detail }),
                Standing::Closed(detail) => return Ok(Progress::Failed { seen, detail }),
                Standing::Nothing => {}
            }
        }
        let judged = self.judged(&snapshot, target)?;
        if !matches!(judged, Progress::Moving { .. }) {
            return Ok(judged);
        }
        let selector = snapshot.workload().selector();
        self.cluster.changed(&self.pods_path(&selector), &snapshot.pods_at, NEWS).await;
        self.judged(&self.read().await?, target)
    }

    async fn beforehand(&self, wanted: &Move) -> Result<Foreseen, Fault> {
        let snapshot = self.read().await?;
        let found = self.standing(&snapshot);
        if let Some(forge) = &self.revert {
            // Nothing of the template is written.
            let proposed =
                "its change is proposed, and traffic moves when somebody merges it; only the image goes back";
            let notes = found.warnings.into_iter().chain([format!("{}: {proposed}", forge.name())]).collect();
            return Ok(Foreseen { caveats: found.refused, notes });
        }
        let mut said = match self.plan(&snapshot, wanted) {
            Ok(plan) => plan.said,
            Err(reason) => Foreseen { caveats: vec![reason], notes: Vec::new() },
        };
        // What preflight will refuse is better known before somebody approves.
        said.caveats.splice(0..0, found.refused);
        said.notes.extend(found.warnings);
        match self.would_hold().await {
            Ok(names) => said.notes.extend(gitops::said_of(&names)),
            Err(fault) => said.caveats.push(format!("its owner can't be suspended: {fault}")),
        }
        if self.kind == Kind::Argo {
            said.notes.extend(argo::analyses(&snapshot.object));
        }
        Ok(said)
    }
}

#[async_trait]
impl Shifter for Rollout {
    async fn observe(&self) -> Result<Observation, Fault> {
        self.cluster.within(async { self.seen(&self.read().await?) }).await
    }

    async fn preflight(&self, wanted: &Move) -> Result<Preflight, Fault> {
        self.cluster.within(self.can_it(wanted)).await
    }

    // The caller bounds it: a change that is cut off may have been made.
    async fn apply(&self, wanted: &Move, said: &Said) -> Result<(), Fault> {
        let Some(forge) = &self.revert else { return self.change(wanted).await };
        let snapshot = self.read().await?;
        if Self::asks_for(&snapshot, self.target(wanted).map_err(|why| self.invalid(&why))?) {
            return Ok(());
        }
        let proposed = forge.propose(&self.change_of(&**forge, &snapshot, wanted).await?).await?;
        said.send_replace(format!("waits for somebody to merge {}", proposed.url));
        Ok(())
    }

    async fn progress(&self, wanted: &Move) -> Result<Progress, Fault> {
        self.cluster.within(self.how_far(wanted)).await
    }

    fn pool_of(&self, artifact: &Artifact) -> Option<String> {
        Some(artifact.digest.short().to_owned())
    }

    async fn foresee(&self, wanted: &Move) -> Result<Foreseen, Fault> {
        self.cluster.within(self.beforehand(wanted)).await
    }

    fn holds(&self) -> bool {
        self.gitops == Gitops::Suspend
    }

    async fn would_hold(&self) -> Result<Vec<String>, Fault> {
        if !self.holds() {
            return Ok(Vec::new());
        }
        let object = self.cluster.get(&self.path()).await?;
        truce::hold(&self.cluster, &object, &self.argocd, "", true).await
    }

    async fn hold(&self, holder: &str) -> Result<Vec<String>, Fault> {
        let object = self.cluster.get(&self.path()).await?;
        truce::hold(&self.cluster, &object, &self.argocd, holder, false).await
    }

    async fn held(&self, holder: &str) -> Result<Vec<Held>, Fault> {
        let object = self.cluster.get(&self.path()).await?;
        truce::held(&self.cluster, &object, &self.argocd, holder).await
    }

    async fn let_go(&self, holder: &str) -> Result<LetGo, Fault> {
        let object = self.cluster.get(&self.path()).await?;
        truce::let_go(&self.cluster, &object, &self.argocd, holder).await
    }

    async fn check(&self) -> Vec<Check> {
        let what = format!("{} ({})", self.called(), self.cluster.name());
        let (group, resource) = (self.kind.group(), self.kind.plural());
        let mut own = vec![Needed { group, resource, verbs: &["get", "patch"], for_what: None }];
        if self.kind == Kind::Argo {
            own.push(Needed { group, resource: "rollouts/status", verbs: &["patch"], for_what: None });
        }
        let needed: Vec<Needed> = own.into_iter().chain(NEEDED).filter(|one| self.reads(one)).collect();
        let role = if self.kind == Kind::Argo { argo::ROLE } else { ROLE };
        let access = access::check(&self.cluster, &self.namespace, &needed, role).await;
        let seen = match self.read().await.and_then(|snapshot| Ok((self.seen(&snapshot)?, snapshot))) {
            Ok((seen, snapshot)) => {
                let gives = crate::traffic::shares::spell(&seen.shares);
                let found = self.standing(&snapshot);
                match found.refused.into_iter().chain(found.warnings).next() {
                    Some(warning) => {
                        Check::warning(what, format!("{gives}; {warning}"), "settle it before it is needed")
                    }
                    None => Check::good(what, gives),
                }
            }
            Err(fault) => Check::bad(what, fault.to_string(), "is it the right cluster, namespace and name?"),
        };
        let owners = gitops::check(self.holds(), self.would_hold().await);
        [Some(seen), Some(access), owners].into_iter().flatten().collect()
    }
}

impl Rollout {
    /// Each kind keeps its history elsewhere.
    fn reads(&self, needed: &Needed) -> bool {
        let histories = [Kind::Deployment.history(), Kind::StatefulSet.history()];
        !histories.contains(&needed.resource) || needed.resource == self.kind.history()
    }
}
