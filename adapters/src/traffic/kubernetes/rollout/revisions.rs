//! Earlier templates of a workload, where Kubernetes keeps them.

use serde_json::Value;

use super::{
    snapshot::Revision,
    workload::{Kind, image},
};

/// Those that the workload owns and that have the artifact's container.
pub fn read(kind: Kind, owner: &str, items: &[Value], container: Option<&str>) -> Vec<Revision> {
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

fn revision(kind: Kind, item: &Value, container: Option<&str>) -> Option<Revision> {
    let (template, number) = match kind {
        Kind::Deployment => {
            let number = item["metadata"]["annotations"]["deployment.kubernetes.io/revision"].as_str();
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
        image: image(&template, container).ok()?,
        template,
    })
}
