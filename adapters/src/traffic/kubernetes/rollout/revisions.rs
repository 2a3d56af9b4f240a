//! Earlier templates of a workload, where Kubernetes keeps them.

use serde_json::Value;

use super::{
    argo,
    snapshot::Revision,
    workload::{Kind, image},
};

/// Those that the workload owns and that have the artifact's container.
pub fn read(kind: Kind, owner: &str, items: &[Value], container: &str) -> Vec<Revision> {
    items
        .iter()
        .filter(|item| owned(item, owner))
        .filter_map(|item| revision(kind, item, container))
        .collect()
}

pub fn owned(item: &Value, owner: &str) -> bool {
    let owners = item["metadata"]["ownerReferences"].as_array().map_or(&[][..], Vec::as_slice);
    owners.iter().any(|one| one["uid"] == owner && one["controller"] == true)
}

/// By which a pod says of which revision it is, but for those of a Deployment, which their ReplicaSet owns.
const HASH: &str = "controller-revision-hash";

/// The key of the revision that a pod was made from; see `Revision::key`.
pub fn of_pod(kind: Kind, pod: &Value) -> Option<&str> {
    match kind {
        Kind::Deployment => {
            let owners = pod["metadata"]["ownerReferences"].as_array()?;
            owners.iter().find(|one| one["controller"] == true)?["uid"].as_str()
        }
        Kind::StatefulSet | Kind::DaemonSet => pod["metadata"]["labels"][HASH].as_str(),
        Kind::Argo => pod["metadata"]["labels"][argo::HASH].as_str(),
    }
}

fn revision(kind: Kind, item: &Value, container: &str) -> Option<Revision> {
    let (template, number) = match kind {
        Kind::Deployment | Kind::Argo => {
            let whose = if kind == Kind::Argo { "rollout.argoproj.io" } else { "deployment.kubernetes.io" };
            let number = item["metadata"]["annotations"][format!("{whose}/revision")].as_str();
            (item["spec"]["template"].clone(), number.and_then(|number| number.parse().ok()))
        }
        // A patch of the workload: the whole template, with a mark that says so.
        Kind::StatefulSet | Kind::DaemonSet => {
            let mut template = item["data"]["spec"]["template"].clone();
            template.as_object_mut()?.remove("$patch");
            (template, item["revision"].as_u64())
        }
    };
    Some(Revision {
        name: item["metadata"]["name"].as_str()?.to_owned(),
        number: number.unwrap_or(0),
        key: match kind {
            Kind::Deployment => item["metadata"]["uid"].as_str()?,
            Kind::StatefulSet => item["metadata"]["name"].as_str()?,
            Kind::DaemonSet => item["metadata"]["labels"][HASH].as_str()?,
            Kind::Argo => item["metadata"]["labels"][argo::HASH].as_str()?,
        }
        .to_owned(),
        image: image(&template, container)?,
        template,
    })
}
