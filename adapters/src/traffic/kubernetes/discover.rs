//! What runs in a namespace, for a first configuration. Read page by page: a namespace may hold thousands.

use serde_json::Value;

use super::{
    Cluster, encoded,
    gitops::{ARGOCD, Applier, owner},
    is_name, list_of,
    rollout::Kind,
};
use crate::{BuildError, Fault};

pub use super::cluster::Access;

/// A workload that could be rolled back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `deployment`, `statefulset`, `daemonset` or `rollout`.
    pub kind: &'static str,
    pub name: String,
    /// As the object names its way of replacing pods.
    pub strategy: String,
    pub ready: u64,
    pub wanted: u64,
    /// Container and image.
    pub images: Vec<(String, String)>,
    /// Another controller that makes it, and would put a change back.
    pub controller: Option<String>,
    /// Who applies it from Git, and whether lastgood can suspend that.
    pub git: Option<(String, bool)>,
}

/// Objects asked for at a time.
const PAGE: u32 = 250;

/// Calls `each` for every workload, kind by kind; kinds that the server does not know are left out.
///
/// # Errors
/// A namespace that is no name, as `Invalid`; else as the server says.
pub async fn discover(access: Access, namespace: &str, mut each: impl FnMut(Found)) -> Result<(), Fault> {
    if !is_name(namespace) {
        return Err(Fault::Invalid(format!("{namespace:?} is not the name of a namespace")));
    }
    let cluster =
        Cluster::new(access, None).map_err(|error: BuildError| Fault::Invalid(error.to_string()))?;
    for kind in Kind::ALL.into_iter().chain([Kind::Argo]) {
        let folder =
            format!("/apis/{}/{}/namespaces/{namespace}/{}", kind.group(), kind.version(), kind.plural());
        let mut more = String::new();
        loop {
            let page = match cluster.get(&format!("{folder}?limit={PAGE}{more}")).await {
                Err(Fault::NotFound(_)) => break,
                // Argo's own kind may be there and none of our business.
                Err(Fault::Denied(_)) if kind == Kind::Argo => break,
                other => other?,
            };
            list_of(&page["items"]).iter().filter_map(|item| found(kind, item)).for_each(&mut each);
            match page["metadata"]["continue"].as_str().filter(|token| !token.is_empty()) {
                Some(token) => more = format!("&continue={}", encoded(token)),
                None => break,
            }
        }
    }
    Ok(())
}

fn found(kind: Kind, object: &Value) -> Option<Found> {
    let (spec, status) = (&object["spec"], &object["status"]);
    let of = |key: &str| status[key].as_u64().unwrap_or(0);
    let (ready, wanted) = match kind {
        Kind::DaemonSet => (of("numberReady"), of("desiredNumberScheduled")),
        _ => (of("readyReplicas"), spec["replicas"].as_u64().unwrap_or(1)),
    };
    let named = |value: &Value| value["type"].as_str().unwrap_or("RollingUpdate").to_owned();
    let strategy = match kind {
        Kind::Deployment => named(&spec["strategy"]),
        Kind::StatefulSet | Kind::DaemonSet => named(&spec["updateStrategy"]),
        Kind::Argo if spec["strategy"]["blueGreen"].is_object() => "blueGreen".to_owned(),
        Kind::Argo => "canary".to_owned(),
    };
    let image = |container: &Value| {
        Some((container["name"].as_str()?.to_owned(), container["image"].as_str()?.to_owned()))
    };
    let controller =
        list_of(&object["metadata"]["ownerReferences"]).iter().find(|one| one["controller"] == true);
    let text = |of: &Value, key: &str| of[key].as_str().unwrap_or_default().to_owned();
    Some(Found {
        kind: kind.word(),
        name: object["metadata"]["name"].as_str()?.to_owned(),
        strategy,
        ready,
        wanted,
        images: list_of(&spec["template"]["spec"]["containers"]).iter().filter_map(image).collect(),
        controller: controller.map(|one| format!("{} {}", text(one, "kind"), text(one, "name"))),
        git: owner(object, ARGOCD).map(|owner| (owner.name, owner.applier != Applier::Unknown)),
    })
}
