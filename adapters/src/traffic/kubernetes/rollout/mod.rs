//! A Deployment, StatefulSet or DaemonSet whose pods are replaced. There are no pools: what is running is named by its own bytes,
//! so that a share is that of the pods which run them. To roll back, the template that ran the target is made the workload's own
//! again, and the controller does the rest, in the steps that the workload's own strategy allows.

mod hazards;
mod revisions;
mod snapshot;
mod workload;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use lastgood_core::{Artifact, Digest, Strategy};
use serde::Deserialize;
use serde_json::{Value, json};

use self::{
    snapshot::{Evidence, Pod, Snapshot},
    workload::{Kind, Workload, differences, pinned},
};
use super::{
    Cluster, Patch,
    access::{self, Needed},
    cluster::Access,
    gitops,
};
use crate::{
    BuildError, Check, Fault,
    duration::Span,
    traffic::{Foreseen, Move, Observation, Preflight, Progress, Said, Section, Shifter, shares::on_the_way},
};

/// ```toml
/// namespace = "shop"
/// workload = "deployment/checkout"
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub cluster: Access,
    pub namespace: String,
    /// `deployment/NAME`, `statefulset/NAME` or `daemonset/NAME`.
    pub workload: String,
    /// Which container is the artifact; needed where there are several.
    pub container: Option<String>,
    #[serde(default)]
    pub restore: Restore,
    #[serde(default)]
    pub gitops: Gitops,
    /// What one call to the server may take; `traffic::CALL_LIMIT` unless given.
    pub timeout: Option<Span>,
}

/// How much of an earlier release comes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restore {
    /// The whole pod template: configuration usually changed with the image.
    #[default]
    Template,
    /// The image in today's template.
    ImageOnly,
}

/// What to do about a workload that is applied from Git.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gitops {
    #[default]
    Refuse,
    /// Roll back all the same: its synchronisation was paused by hand.
    Ignore,
}

pub struct Rollout {
    cluster: Cluster,
    namespace: String,
    kind: Kind,
    name: String,
    container: Option<String>,
    restore: Restore,
    gitops: Gitops,
}

/// What would be written, and what is to be said of it.
struct Plan {
    template: Value,
    said: Foreseen,
}

/// How often a change is tried anew when the object changed in between, but not in what it asks for.
const TRIES: u32 = 5;
/// How long one question about progress waits for news.
const NEWS: Duration = Duration::from_secs(1);
/// Differences between templates that are named.
const NAMED: usize = 5;
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

impl Section for Config {
    fn pools(&self) -> Vec<&str> {
        Vec::new()
    }

    fn misfit(&self, strategy: Strategy) -> Option<String> {
        (strategy != Strategy::Rolling)
            .then(|| "kubernetes-rollout replaces pods: its strategy is \"rolling\"".to_owned())
    }

    fn splits(&self) -> bool {
        false
    }

    fn build(&self, _service: &str, _http: &reqwest::Client) -> Result<Arc<dyn Shifter>, BuildError> {
        let written = self.workload.split_once('/').and_then(|(kind, name)| {
            let kind = Kind::ALL.into_iter().find(|one| one.word() == kind)?;
            is_name(name).then(|| (kind, name.to_owned()))
        });
        let why = || {
            format!(
                "{:?}: write it like \"deployment/checkout\", or statefulset/ or daemonset/",
                self.workload
            )
        };
        let (kind, name) = written.ok_or_else(|| BuildError::invalid("workload", why()))?;
        if !is_name(&self.namespace) {
            return Err(BuildError::invalid("namespace", format!("{:?} is not a name", self.namespace)));
        }
        Ok(Arc::new(Rollout {
            cluster: Cluster::new(self.cluster.clone(), self.timeout)?,
            namespace: self.namespace.clone(),
            kind,
            name,
            container: self.container.clone(),
            restore: self.restore,
            gitops: self.gitops,
        }))
    }
}

/// As Kubernetes names objects (RFC 1123): nothing that would mean something else in a path.
fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '.'))
}

fn encoded(selector: &str) -> String {
    url::form_urlencoded::byte_serialize(selector.as_bytes()).collect()
}

impl Rollout {
    fn path(&self) -> String {
        format!("/apis/apps/v1/namespaces/{}/{}/{}", self.namespace, self.kind.plural(), self.name)
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
            Kind::Deployment => history
                .iter()
                .filter(|set| revisions::owned(set, &uid))
                .filter_map(|set| set["metadata"]["uid"].as_str())
                .collect(),
            Kind::StatefulSet | Kind::DaemonSet => vec![&uid],
        };
        let container = self.container.as_deref();
        let items = pods["items"].as_array().map_or(&[][..], Vec::as_slice);
        let ours = items.iter().filter(|pod| {
            let over = matches!(pod["status"]["phase"].as_str(), Some("Succeeded" | "Failed"));
            pod["metadata"]["deletionTimestamp"].is_null()
                && !over
                && owners.iter().any(|uid| revisions::owned(pod, uid))
        });
        let pods_read = ours.filter_map(|pod| Pod::read(pod, container)).collect();
        Ok(Snapshot {
            kind: self.kind,
            container: self.container.clone(),
            pods: pods_read,
            history: revisions::read(self.kind, &uid, &history, container),
            pods_at: pods["metadata"]["resourceVersion"].as_str().unwrap_or_default().to_owned(),
            object,
        })
    }

    fn seen(&self, snapshot: &Snapshot) -> Result<Observation, Fault> {
        snapshot.observation().map_err(|why| self.invalid(&why))
    }

    fn invalid(&self, why: &str) -> Fault {
        Fault::Invalid(format!("{}: {why}", self.called()))
    }

    /// The one artifact that is to run. A rollout ends with all pods alike: it can't be left half way.
    fn target<'a>(&self, wanted: &'a Move) -> Result<&'a str, String> {
        let some: Vec<_> = wanted.shares.iter().filter(|(_, share)| **share > 0).collect();
        match some[..] {
            [(pool, 100)] => Ok(pool),
            _ => Err(format!(
                "{} can't be put half way between versions: choose one that all its pods are to run",
                self.called()
            )),
        }
    }

    /// Whether what the workload asks for is the target already.
    fn asks_for(snapshot: &Snapshot, target: &str) -> bool {
        snapshot.asked().is_ok_and(|(image, digest)| snapshot::pool(&image, digest.as_ref()) == target)
    }

    fn plan(&self, snapshot: &Snapshot, wanted: &Move) -> Result<Plan, String> {
        let target = self.target(wanted)?;
        let digest = self.digest(snapshot, target, wanted)?;
        let today = snapshot.workload().template();
        let container = self.container.as_deref();
        let version = Some(wanted.version.as_str()).filter(|version| is_tag(version));
        let mut said = Foreseen::default();
        let only_image = |said| Ok(Plan { template: pinned(today, container, version, &digest)?, said });
        if self.restore == Restore::ImageOnly {
            return only_image(said);
        }
        let Some((revision, evidence)) = snapshot.earlier(target, &digest, &wanted.version) else {
            said.caveats.push(format!(
                "no template that ran {} is kept any more: only its image comes back, configuration stays as it is now",
                digest.short()
            ));
            return only_image(said);
        };
        let template = pinned(&revision.template, container, None, &digest)?;
        if evidence == Evidence::Tag {
            said.caveats.push(format!(
                "{} was found by its tag {}: which bytes it ran can't be told, the image is pinned to {}",
                revision.name,
                revision.image.tag().unwrap_or_default(),
                digest.short()
            ));
        }
        let differences = differences(&pinned(today, container, None, &digest)?, &template, NAMED);
        if !differences.is_empty() {
            said.notes.push(format!("configuration comes back with it: {}", differences.join(", ")));
        }
        Ok(Plan { template, said })
    }

    /// The target's whole digest: the move's own, or that of a pod or template by that name (an undo says only the name).
    fn digest(&self, snapshot: &Snapshot, target: &str, wanted: &Move) -> Result<Digest, String> {
        let named = wanted.digest.parse::<Digest>().ok().filter(|digest| digest.short() == target);
        let running = snapshot.pods.iter().filter_map(|pod| pod.digest.clone());
        let kept = snapshot.history.iter().filter_map(|revision| revision.image.digest());
        named
            .into_iter()
            .chain(running)
            .chain(kept)
            .find(|digest| digest.short() == target)
            .or_else(|| wanted.digest.parse().ok())
            .ok_or_else(|| format!("which digest {target} is can't be told: no pod and no template names it"))
    }

    fn operations(&self, snapshot: &Snapshot, template: &Value, wanted: &Move, guarded: bool) -> Value {
        let metadata = &snapshot.object["metadata"];
        let mut operations = Vec::new();
        if guarded {
            // The number of the specification. The object's own version also counts each change of status, of which a rollout
            // makes many.
            operations
                .push(json!({"op": "test", "path": "/metadata/generation", "value": metadata["generation"]}));
        }
        operations.push(json!({"op": "replace", "path": "/spec/template", "value": template}));
        let cause = if wanted.note.is_empty() { "lastgood: rollback" } else { &wanted.note };
        operations.push(if metadata["annotations"].is_object() {
            json!({"op": "add", "path": "/metadata/annotations/kubernetes.io~1change-cause", "value": cause})
        } else {
            json!({"op": "add", "path": "/metadata/annotations", "value": {"kubernetes.io/change-cause": cause}})
        });
        Value::Array(operations)
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
            let seen = self.seen(&snapshot)?;
            if Self::asks_for(&snapshot, target) {
                return Ok(());
            }
            let template = snapshot.workload().template().clone();
            let generation = snapshot.object["metadata"]["generation"].clone();
            let mut another =
                wanted.from.as_ref().is_some_and(|from| !on_the_way(&seen.shares, from, &wanted.shares));
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
            match self.write(&snapshot, wanted, false).await {
                // A guard that does not hold is an invalid patch to the server: reading again tells which it was.
                Err(fault @ (Fault::Conflict(_) | Fault::Invalid(_))) if attempt < TRIES => {
                    before = Some((template, generation, fault));
                    tokio::time::sleep(Duration::from_millis(20) * attempt).await;
                }
                other => return other,
            }
        }
        Ok(())
    }

    fn judged(&self, snapshot: &Snapshot, target: &str) -> Result<Progress, Fault> {
        let seen = self.seen(snapshot)?;
        let workload = snapshot.workload();
        if !Self::asks_for(snapshot, target) {
            let writer = gitops::last_writer(&snapshot.object).unwrap_or_else(|| "somebody".to_owned());
            let (image, _) = snapshot.asked().map_err(|why| self.invalid(&why))?;
            let detail = format!("{} asks for {} again: {writer} wrote it", self.called(), image.as_str());
            return Ok(Progress::Failed { seen, detail });
        }
        let count = workload.count();
        let others =
            snapshot.pods.iter().any(|pod| snapshot::pool(&pod.image, pod.digest.as_ref()) != target);
        if workload.observed() && count.done() && !others {
            return Ok(Progress::Settled(seen));
        }
        let detail = format!(
            "{} {} updated, {} available of {}",
            bar(count.updated.min(count.available), count.wanted),
            count.updated,
            count.available,
            count.wanted
        );
        let of_target =
            snapshot.pods.iter().filter(|pod| snapshot::pool(&pod.image, pod.digest.as_ref()) == target);
        let trouble = of_target
            .filter(|pod| !pod.ready)
            .find_map(|pod| Some(format!("pod {}: {}", pod.name, pod.trouble.as_ref()?)));
        let trouble = trouble.or_else(|| self.waits_for(snapshot, target));
        let stuck = || workload.observed().then(|| workload.stuck()).flatten();
        Ok(match trouble.or_else(stuck) {
            Some(reason) => Progress::Failed { seen, detail: format!("{reason} ({detail})") },
            None => Progress::Moving { seen, detail },
        })
    }
}

/// What an image may be tagged with (OCI distribution, "tag").
fn is_tag(text: &str) -> bool {
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    first
        && text.len() <= 128
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}

fn bar(done: u64, of: u64) -> String {
    const WIDTH: u64 = 10;
    let full = (done.min(of) * WIDTH).checked_div(of).unwrap_or(0);
    (0..WIDTH).map(|at| if at < full { '▓' } else { '░' }).collect()
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
        match self.plan(&snapshot, wanted) {
            Ok(plan) => {
                found.warnings.extend(plan.said.caveats);
                found.warnings.extend(plan.said.notes);
                let lost = self.lost(&plan.template).await?;
                found.refused.extend(lost.refused);
                found.warnings.extend(lost.warnings);
            }
            Err(reason) => found.refused.push(reason),
        }
        found.warnings.extend(self.neighbours(&snapshot).await?);
        if found.refused.is_empty() {
            match self.write(&snapshot, wanted, true).await {
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

    async fn how_far(&self, wanted: &Move) -> Result<Progress, Fault> {
        let target = self.target(wanted).map_err(|why| self.invalid(&why))?;
        let snapshot = self.read().await?;
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
        let mut said = match self.plan(&snapshot, wanted) {
            Ok(plan) => plan.said,
            Err(reason) => Foreseen { caveats: vec![reason], notes: Vec::new() },
        };
        // What preflight will refuse is better known before somebody approves.
        said.caveats.splice(0..0, found.refused);
        said.notes.extend(found.warnings);
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
    async fn apply(&self, wanted: &Move, _said: &Said) -> Result<(), Fault> {
        self.change(wanted).await
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

    async fn check(&self) -> Vec<Check> {
        let what = format!("{} ({})", self.called(), self.cluster.name());
        let own = [Needed {
            group: "apps",
            resource: self.kind.plural(),
            verbs: &["get", "patch"],
            for_what: None,
        }];
        let needed: Vec<Needed> = own.into_iter().chain(NEEDED).filter(|one| self.reads(one)).collect();
        let access = access::check(&self.cluster, &self.namespace, &needed, ROLE).await;
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
        vec![seen, access]
    }
}

impl Rollout {
    /// A StatefulSet goes on only when the pod before is ready, a broken one of the failing version included (Kubernetes'
    /// documentation, StatefulSets, "Forced rollback").
    fn waits_for(&self, snapshot: &Snapshot, target: &str) -> Option<String> {
        let ordered =
            self.kind == Kind::StatefulSet && snapshot.object["spec"]["podManagementPolicy"] != "Parallel";
        let old =
            snapshot.pods.iter().filter(|pod| snapshot::pool(&pod.image, pod.digest.as_ref()) != target);
        let broken = old.filter(|_| ordered).find_map(|pod| Some((&pod.name, pod.trouble.as_ref()?)))?;
        let (name, trouble) = broken;
        Some(format!(
            "the StatefulSet waits for its broken pod {name} ({trouble}): kubectl delete pod {name} -n {}",
            self.namespace
        ))
    }

    /// Each kind keeps its history elsewhere.
    fn reads(&self, needed: &Needed) -> bool {
        let histories = [Kind::Deployment.history(), Kind::StatefulSet.history()];
        !histories.contains(&needed.resource) || needed.resource == self.kind.history()
    }
}
