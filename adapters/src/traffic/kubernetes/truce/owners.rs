//! Who applies an object from Git, as objects of the cluster themselves; and how each is made to stand still and goes on.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::{
    Fault,
    traffic::kubernetes::{
        Cluster,
        gitops::{Applier, Owner, marked, owner},
        list_of,
    },
};

/// Where it is kept how things were, and for whom they stand still: `{"was": …, "for": ["production/checkout/RB-7"]}`.
const KEPT: &str = "lastgood.io/held";
const KEPT_AT: &str = "/metadata/annotations/lastgood.io~1held";
/// Owners of owners that are looked at.
const DEEPEST: usize = 8;

/// Somebody who applies things from Git, as an object of the cluster.
pub struct Found {
    pub owner: Owner,
    pub path: String,
    pub object: Value,
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
pub async fn left(cluster: &Cluster, object: &Value, argocd: &str) -> Result<Vec<Found>, Fault> {
    match chain(cluster, object, argocd).await {
        Err(Fault::NotFound(_) | Fault::Invalid(_)) => Ok(Vec::new()),
        other => other,
    }
}

/// Everybody who would put a change of this object back, the topmost first; image automation, which would write Git anew, last.
pub async fn chain(cluster: &Cluster, object: &Value, argocd: &str) -> Result<Vec<Found>, Fault> {
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
    pub fn kept(&self) -> Option<Value> {
        serde_json::from_str(self.object["metadata"]["annotations"][KEPT].as_str()?).ok()
    }

    /// For whom it stands still.
    pub fn holders(&self) -> BTreeSet<String> {
        let kept = self.kept().unwrap_or_default();
        list_of(&kept["for"]).iter().filter_map(|one| one.as_str().map(str::to_owned)).collect()
    }

    /// Who would put its own suspension back, and can't be suspended.
    pub fn master(&self) -> Option<String> {
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
    pub fn goes_on(&self) -> bool {
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
    pub fn still(&self, holder: &str) -> Option<Vec<Value>> {
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
    pub fn again(&self, holder: &str) -> Option<Vec<Value>> {
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
