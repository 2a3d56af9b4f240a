//! Makes whoever applies an object from Git stand still for a while, and lets them go on as before. What was, is kept on the very
//! object that was changed, where it outlives lastgood's own memory and everybody can read it.
//!
//! The owner's own owners stand still as well, up to the topmost, and that one first: else the suspension itself would be put back.
//!
//! Formats: <https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/>,
//! <https://fluxcd.io/flux/components/kustomize/kustomizations/#suspend>, `…/helm/helmreleases/#suspend`,
//! `…/image/imageupdateautomations/#suspend`.

use std::collections::BTreeSet;

use async_trait::async_trait;
use serde_json::{Value, json};

use super::{
    Cluster, Patch,
    gitops::{Applier, Owner, marked, owner},
    list_of,
};
use crate::{
    Check, Fault,
    traffic::{Held, LetGo, Truce},
};

/// Where it is kept how things were, and for whom they stand still: `{"was": …, "for": ["production/checkout/RB-7"]}`.
const KEPT: &str = "lastgood.io/held";
const KEPT_AT: &str = "/metadata/annotations/lastgood.io~1held";
/// Owners of owners that are looked at.
const DEEPEST: usize = 8;
/// How often a change is tried anew when the object changed in between.
const TRIES: u32 = 5;

/// What may be applied from Git by others.
#[async_trait]
pub trait Applied: Send + Sync {
    fn cluster(&self) -> &Cluster;

    /// Namespace of Argo CD's applications.
    fn argocd(&self) -> &str;

    /// # Errors
    /// `NotFound`, or as the server says.
    async fn object(&self) -> Result<Value, Fault>;
}

#[async_trait]
impl<T: Applied> Truce for T {
    async fn would_hold(&self) -> Result<Vec<String>, Fault> {
        hold(self.cluster(), &self.object().await?, self.argocd(), "", true).await
    }

    async fn hold(&self, holder: &str) -> Result<Vec<String>, Fault> {
        hold(self.cluster(), &self.object().await?, self.argocd(), holder, false).await
    }

    async fn held(&self, holder: &str) -> Result<Vec<Held>, Fault> {
        match self.object().await {
            Err(Fault::NotFound(_)) => Ok(Vec::new()),
            object => held(self.cluster(), &object?, self.argocd(), holder).await,
        }
    }

    async fn let_go(&self, holder: &str) -> Result<LetGo, Fault> {
        match self.object().await {
            Err(Fault::NotFound(_)) => Ok(LetGo::default()),
            object => let_go(self.cluster(), &object?, self.argocd(), holder).await,
        }
    }
}

/// Who would be made to stand still; nobody where none are to.
///
/// # Errors
/// As `Truce::would_hold`.
pub async fn would(truce: Option<&dyn Truce>) -> Result<Vec<String>, Fault> {
    match truce {
        Some(truce) => truce.would_hold().await,
        None => Ok(Vec::new()),
    }
}

/// Whether those who would have to be suspended can be, for `lastgood check`.
pub async fn check(truce: Option<&dyn Truce>) -> Option<Check> {
    let what = "suspending GitOps".to_owned();
    Some(match truce?.would_hold().await {
        Ok(names) if names.is_empty() => {
            Check::good(what, "nobody applies it from Git, or it is suspended already")
        }
        Ok(names) => Check::good(what, format!("{} can be", names.join(", "))),
        Err(fault) => Check::bad(
            what,
            fault.to_string(),
            "compare the Role in its namespace with deploy/kubernetes/gitops.yaml",
        ),
    })
}

/// Somebody who applies things from Git, as an object of the cluster.
struct Found {
    owner: Owner,
    path: String,
    object: Value,
}

fn versions(applier: &Applier) -> (&'static [&'static str], &'static str) {
    match applier {
        Applier::ArgoCd => (&["argoproj.io/v1alpha1"], "applications"),
        Applier::Kustomization => {
            (&["kustomize.toolkit.fluxcd.io/v1", "kustomize.toolkit.fluxcd.io/v1beta2"], "kustomizations")
        }
        Applier::HelmRelease => (
            &[
                "helm.toolkit.fluxcd.io/v2",
                "helm.toolkit.fluxcd.io/v2beta2",
                "helm.toolkit.fluxcd.io/v2beta1",
            ],
            "helmreleases",
        ),
        Applier::ImageAutomation => (
            &[
                "image.toolkit.fluxcd.io/v1",
                "image.toolkit.fluxcd.io/v1beta2",
                "image.toolkit.fluxcd.io/v1beta1",
            ],
            "imageupdateautomations",
        ),
        Applier::Unknown => (&[], ""),
    }
}

async fn find(cluster: &Cluster, owner: Owner) -> Result<Found, Fault> {
    let (versions, plural) = versions(&owner.applier);
    for version in versions {
        let path = format!("/apis/{version}/namespaces/{}/{plural}/{}", owner.namespace, owner.object);
        if let Some(object) = cluster.find(&path).await? {
            return Ok(Found { owner, path, object });
        }
    }
    let advice = match owner.applier {
        Applier::ArgoCd => "; set `argocd_namespace` to where Argo CD keeps its applications",
        _ => "",
    };
    Err(Fault::NotFound(format!("{} is not in namespace {}{advice}", owner.name, owner.namespace)))
}

/// As `chain`, for letting go: who is not there any more stands still for nobody.
async fn left(cluster: &Cluster, object: &Value, argocd: &str) -> Result<Vec<Found>, Fault> {
    match chain(cluster, object, argocd).await {
        Err(Fault::NotFound(_) | Fault::Invalid(_)) => Ok(Vec::new()),
        other => other,
    }
}

/// Everybody who would put a change of this object back, the topmost first; image automation, which would write Git anew, last.
async fn chain(cluster: &Cluster, object: &Value, argocd: &str) -> Result<Vec<Found>, Fault> {
    let mut all: Vec<Found> = Vec::new();
    let mut seen = BTreeSet::new();
    let mut next = owner(object, argocd);
    // Flux' own Kustomization applies itself.
    while let Some(owner) = next.take().filter(|owner| seen.insert(owner.name.clone())) {
        if owner.applier == Applier::Unknown || all.len() == DEEPEST {
            return Err(Fault::Invalid(format!(
                "{} can't be suspended from here: {}",
                owner.name, owner.pause
            )));
        }
        let found = find(cluster, owner).await?;
        // Its own controller writes its status: that is no owner.
        next = marked(&found.object, argocd);
        all.insert(0, found);
    }
    let automations = match all.last() {
        Some(direct) if direct.owner.applier == Applier::Kustomization => {
            automations(cluster, direct).await?
        }
        _ => Vec::new(),
    };
    all.extend(automations);
    Ok(all)
}

/// Those that write the repository which this Kustomization applies.
async fn automations(cluster: &Cluster, of: &Found) -> Result<Vec<Found>, Fault> {
    let source = &of.object["spec"]["sourceRef"]["name"];
    for version in versions(&Applier::ImageAutomation).0 {
        let folder = format!("/apis/{version}/namespaces/{}/imageupdateautomations", of.owner.namespace);
        let items = match cluster.list(&folder).await {
            Err(Fault::NotFound(_)) => continue,
            other => other?,
        };
        let ours = items.into_iter().filter(|item| item["spec"]["sourceRef"]["name"] == *source);
        return Ok(ours
            .map(|object| {
                let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
                let owner = Owner::flux(Applier::ImageAutomation, &of.owner.namespace, &name);
                Found { path: format!("{folder}/{name}"), owner, object }
            })
            .collect());
    }
    Ok(Vec::new())
}

impl Found {
    fn kept(&self) -> Option<Value> {
        serde_json::from_str(self.object["metadata"]["annotations"][KEPT].as_str()?).ok()
    }

    /// For whom it stands still.
    fn holders(&self) -> BTreeSet<String> {
        let kept = self.kept().unwrap_or_default();
        list_of(&kept["for"]).iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
    }

    /// Who would put its own suspension back, and can't be suspended.
    fn master(&self) -> Option<String> {
        let owners = list_of(&self.object["metadata"]["ownerReferences"]);
        let master =
            owners.iter().find(|one| one["controller"] == true || one["kind"] == "ApplicationSet")?;
        Some(format!(
            "{} {} makes {} and would put its sync policy back: revert in Git, or take it out of there",
            master["kind"].as_str().unwrap_or_default(),
            master["name"].as_str().unwrap_or_default(),
            self.owner.name
        ))
    }

    /// Whether it goes on by itself now.
    fn goes_on(&self) -> bool {
        let spec = &self.object["spec"];
        match self.owner.applier {
            Applier::ArgoCd => {
                let automated = &spec["syncPolicy"]["automated"];
                // Version 3 can switch it off in place.
                !automated.is_null() && automated["enabled"] != false
            }
            _ => spec["suspend"] != true,
        }
    }

    fn keep(&self, was: &Value, holders: &BTreeSet<String>) -> Value {
        let kept = json!({"was": was, "for": holders}).to_string();
        match self.object["metadata"]["annotations"].is_object() {
            true => json!({"op": "add", "path": KEPT_AT, "value": kept}),
            false => json!({"op": "add", "path": "/metadata/annotations", "value": {KEPT: kept}}),
        }
    }

    /// So that it stands still for one more. None: it does, or a person has suspended it, whose it stays.
    fn still(&self, holder: &str) -> Option<Vec<Value>> {
        let spec = &self.object["spec"];
        let mut holders = self.holders();
        let new = holders.insert(holder.to_owned());
        if !self.goes_on() {
            let kept = self.kept().filter(|_| new)?;
            return Some(vec![self.keep(&kept["was"], &holders)]);
        }
        // How it is now, though something is kept: somebody has let it go on since, perhaps otherwise than before.
        let (was, change) = match self.owner.applier {
            Applier::ArgoCd => (
                &spec["syncPolicy"]["automated"],
                json!({"op": "remove", "path": "/spec/syncPolicy/automated"}),
            ),
            _ => (&spec["suspend"], json!({"op": "add", "path": "/spec/suspend", "value": true})),
        };
        Some(vec![self.keep(was, &holders), change])
    }

    /// So that it stands still for one less; for nobody any more: as it was. None: it does not stand still for this one.
    fn again(&self, holder: &str) -> Option<Vec<Value>> {
        let (kept, mut holders) = (self.kept()?, self.holders());
        if !holders.remove(holder) {
            return None;
        }
        if !holders.is_empty() {
            return Some(vec![self.keep(&kept["was"], &holders)]);
        }
        Some(self.restored(&kept))
    }

    fn restored(&self, kept: &Value) -> Vec<Value> {
        let mut operations = vec![json!({"op": "remove", "path": KEPT_AT})];
        if self.goes_on() {
            // Somebody has let it go on already.
            return operations;
        }
        let was = &kept["was"];
        match (&self.owner.applier, was.is_null()) {
            (Applier::ArgoCd, false) => {
                if !self.object["spec"]["syncPolicy"].is_object() {
                    operations.push(json!({"op": "add", "path": "/spec/syncPolicy", "value": {}}));
                }
                operations.push(json!({"op": "add", "path": "/spec/syncPolicy/automated", "value": was}));
            }
            (Applier::ArgoCd, true) => {}
            (_, false) => operations.push(json!({"op": "add", "path": "/spec/suspend", "value": was})),
            (_, true) => operations.push(json!({"op": "remove", "path": "/spec/suspend"})),
        }
        operations
    }
}

/// Changes an object as it was read, and reads it anew when it was changed meanwhile. Nothing to change: done.
async fn change(
    cluster: &Cluster,
    mut found: Found,
    dry_run: bool,
    operations: impl Fn(&Found) -> Option<Vec<Value>>,
) -> Result<(), Fault> {
    for attempt in 1.. {
        let Some(mut wanted) = operations(&found) else { return Ok(()) };
        let version = &found.object["metadata"]["resourceVersion"];
        wanted.push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
        let wanted = Value::Array(wanted);
        match cluster.patch(&found.path, &Patch { operations: &wanted, dry_run }).await {
            Err(Fault::Conflict(_)) if attempt < TRIES => found.object = cluster.get(&found.path).await?,
            other => return other.map(drop),
        }
    }
    Ok(())
}

/// Everybody who applies the object stands still for `holder`; whom a person has suspended is left as found. Their names.
///
/// # Errors
/// Why one of them can't be made to. Those above it stand still then; asking again goes on.
async fn hold(
    cluster: &Cluster,
    object: &Value,
    argocd: &str,
    holder: &str,
    dry_run: bool,
) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    for found in chain(cluster, object, argocd).await? {
        if !found.goes_on() && found.kept().is_none() {
            continue;
        }
        if let Some(why) = found.master() {
            return Err(Fault::Invalid(why));
        }
        names.push(found.owner.name.clone());
        change(cluster, found, dry_run, |found| found.still(holder)).await?;
    }
    Ok(names)
}

/// Who stands still for `holder`, and whether it is known that letting them go on would change nothing: that is said of the direct
/// owner only.
///
/// # Errors
/// When who they are can't be read.
async fn held(cluster: &Cluster, object: &Value, argocd: &str, holder: &str) -> Result<Vec<Held>, Fault> {
    let direct = owner(object, argocd).map(|owner| owner.name);
    let mut all = Vec::new();
    for found in left(cluster, object, argocd).await? {
        if found.holders().contains(holder) {
            let is_direct = direct.as_ref() == Some(&found.owner.name);
            let danger = if is_direct { danger(cluster, &found, object).await } else { None };
            all.push(Held { who: found.owner.name.clone(), danger });
        }
    }
    Ok(all)
}

/// Those that stand still for `holder` and for nobody else go on as before, the topmost last.
///
/// # Errors
/// Why one of them could not be let go; asking again goes on.
async fn let_go(cluster: &Cluster, object: &Value, argocd: &str, holder: &str) -> Result<LetGo, Fault> {
    let mut done = LetGo::default();
    for found in left(cluster, object, argocd).await?.into_iter().rev() {
        let holders = found.holders();
        if !holders.contains(holder) {
            continue;
        }
        let name = found.owner.name.clone();
        change(cluster, found, false, |found| found.again(holder)).await?;
        let others: Vec<_> = holders.into_iter().filter(|other| other != holder).collect();
        match others.is_empty() {
            true => done.on.push(name),
            false => done.still.push(format!("{name} (for {})", others.join(", "))),
        }
    }
    Ok(done)
}

/// What the direct owner would do to the object if it went on now. None: nothing, which is known.
async fn danger(cluster: &Cluster, found: &Found, object: &Value) -> Option<String> {
    let who = &found.owner.name;
    let unknown = |why: String| {
        Some(format!("whether Git still wants what failed can't be told ({why}): look there first"))
    };
    match found.owner.applier {
        // Comparing goes on while synchronisation is off.
        Applier::ArgoCd => {
            let (group, _) =
                object["apiVersion"].as_str().unwrap_or_default().rsplit_once('/').unwrap_or_default();
            let resources = list_of(&found.object["status"]["resources"]);
            let ours = resources.iter().find(|one| {
                one["group"].as_str().unwrap_or_default() == group
                    && one["kind"] == object["kind"]
                    && ["namespace", "name"].iter().all(|key| one[*key] == object["metadata"][*key])
            });
            match ours.and_then(|one| one["status"].as_str()) {
                Some("Synced") => None,
                Some("OutOfSync") => {
                    Some(format!("Git still differs from what runs: {who} would apply it again"))
                }
                other => unknown(format!("its comparison says {}", other.unwrap_or("nothing"))),
            }
        }
        // What is suspended compares nothing.
        Applier::Kustomization => {
            let applied = found.object["status"]["lastAppliedRevision"].as_str().unwrap_or("nothing");
            match revision(cluster, found).await {
                Ok(Some(now)) if now == applied => Some(format!(
                    "Git is still at {applied}, which {who} applied before: it would apply that again"
                )),
                Ok(Some(now)) => unknown(format!("it is at {now}, and was at {applied}")),
                Ok(None) => unknown("its source says no revision".to_owned()),
                Err(fault) => unknown(fault.to_string()),
            }
        }
        Applier::HelmRelease | Applier::ImageAutomation | Applier::Unknown => {
            unknown(format!("{who} compares nothing"))
        }
    }
}

/// Of the source that a Kustomization applies.
async fn revision(cluster: &Cluster, of: &Found) -> Result<Option<String>, Fault> {
    let source = &of.object["spec"]["sourceRef"];
    let namespace = source["namespace"].as_str().unwrap_or(&of.owner.namespace);
    let (Some(kind), Some(name)) = (source["kind"].as_str(), source["name"].as_str()) else {
        return Ok(None);
    };
    let plural = match kind {
        "GitRepository" => "gitrepositories",
        "OCIRepository" => "ocirepositories",
        "Bucket" => "buckets",
        _ => return Ok(None),
    };
    for version in ["v1", "v1beta2"] {
        let path = format!("/apis/source.toolkit.fluxcd.io/{version}/namespaces/{namespace}/{plural}/{name}");
        if let Some(found) = cluster.find(&path).await? {
            return Ok(found["status"]["artifact"]["revision"].as_str().map(str::to_owned));
        }
    }
    Ok(None)
}
