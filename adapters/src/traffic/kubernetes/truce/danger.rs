//! What would become of an object if its owner went on now, as far as that can be told.

use serde_json::Value;

use super::owners::Found;
use crate::{
    Fault,
    traffic::kubernetes::{Cluster, gitops::Applier, list_of},
};

/// What the direct owner would do to the object if it went on now. None: nothing, which is known.
pub async fn danger(cluster: &Cluster, found: &Found, object: &Value) -> Option<String> {
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
