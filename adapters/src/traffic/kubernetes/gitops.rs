//! Who else decides what a workload looks like. A rollback that is put back seconds later is worse than none.

use serde::Deserialize;
use serde_json::Value;

use super::{cluster::MANAGER, list_of};

/// What to do about an object that is applied from Git.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gitops {
    #[default]
    Refuse,
    /// Roll back all the same: its synchronisation was paused by hand.
    Ignore,
    /// Make its owner stand still until the incident closes.
    Suspend,
    /// Change Git instead, by a proposal that people merge.
    PullRequest,
}

impl Gitops {
    /// What is to be said before it is written; who is suspended is said by `said_of`.
    ///
    /// # Errors
    /// Why it must not be written.
    pub fn about(self, owner: &Owner) -> Result<Option<String>, String> {
        let who = format!("{} applies it from Git, and may put this rollback back", owner.name);
        match self {
            Self::Ignore => Ok(Some(who)),
            Self::PullRequest => Ok(Some(format!("{} applies it from Git", owner.name))),
            Self::Suspend if owner.applier == Applier::Unknown => {
                Err(format!("{who}; it can't be suspended from here: {}", owner.pause))
            }
            Self::Suspend => Ok(None),
            Self::Refuse => Err(format!(
                "{who}: pause it ({}) and set gitops = \"ignore\", or set gitops = \"suspend\", or revert in Git",
                owner.pause
            )),
        }
    }
}

/// Before it is done: all of them, since others may be deployed through the topmost.
pub fn said_of(suspended: &[String]) -> Option<String> {
    (!suspended.is_empty()).then(|| {
        format!("applied from Git: {} will be suspended until the incident closes", suspended.join(", "))
    })
}

/// Another controller that makes the object, and would put a change back.
pub fn master(object: &Value) -> Option<String> {
    let owners = list_of(&object["metadata"]["ownerReferences"]);
    let owner = owners.iter().find(|owner| owner["controller"] == true)?;
    let name = |key: &str| owner[key].as_str().unwrap_or_default();
    Some(format!("{} {} owns it and would put it back: roll that back instead", name("kind"), name("name")))
}

/// Controllers that drive routes, by the names under which they write.
const DRIVERS: [(&str, &str); 2] = [("rollouts-controller", "Argo Rollouts"), ("flagger", "Flagger")];

/// Another controller that writes a route's weights.
pub fn driver(route: &Value) -> Option<String> {
    let (_, name) =
        writers(route).find_map(|writer| DRIVERS.iter().find(|(manager, _)| *manager == writer))?;
    Some(format!("{name} writes its weights and would put them back: roll back through that instead"))
}

/// What applies this object again and again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    pub applier: Applier,
    pub namespace: String,
    /// The object's name.
    pub object: String,
    /// `Argo CD application shop/checkout`.
    pub name: String,
    /// What a person can do so that it stops.
    pub pause: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applier {
    ArgoCd,
    Kustomization,
    HelmRelease,
    ImageAutomation,
    /// Only known by the name under which it writes.
    Unknown,
}

impl Owner {
    pub fn flux(applier: Applier, namespace: &str, object: &str) -> Self {
        let (kind, word) = match applier {
            Applier::HelmRelease => ("HelmRelease", "helmrelease"),
            Applier::ImageAutomation => ("ImageUpdateAutomation", "image update"),
            _ => ("Kustomization", "kustomization"),
        };
        Self {
            applier,
            namespace: namespace.to_owned(),
            object: object.to_owned(),
            name: format!("Flux {kind} {namespace}/{object}"),
            pause: format!("flux suspend {word} {object} -n {namespace}"),
        }
    }
}

/// Where Argo CD keeps its applications unless told.
pub const ARGOCD: &str = "argocd";

/// Field managers under which they write, and their names.
const MANAGERS: [(&str, &str); 5] = [
    ("argocd-controller", "Argo CD"),
    ("argocd-application-controller", "Argo CD"),
    ("kustomize-controller", "Flux"),
    ("helm-controller", "Flux"),
    ("fleetagent", "Fleet"),
];

/// Of a label or annotation.
fn mark<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    let metadata = &object["metadata"];
    metadata["annotations"][key].as_str().or_else(|| metadata["labels"][key].as_str())
}

/// By tracking marks, else by who wrote the managed fields. `argocd`: the namespace of Argo CD's applications.
pub fn owner(object: &Value, argocd: &str) -> Option<Owner> {
    marked(object, argocd).or_else(|| {
        let (manager, name) = manager(object)?;
        Some(Owner {
            applier: Applier::Unknown,
            namespace: String::new(),
            object: String::new(),
            name: format!("{name} (field manager {manager})"),
            pause: format!("suspend its synchronisation in {name}"),
        })
    })
}

/// By tracking marks, which name the owner: Argo CD's tracking annotation, Flux's labels.
pub fn marked(object: &Value, argocd: &str) -> Option<Owner> {
    let flux = |applier: Applier, prefix: &str| {
        let name = mark(object, &format!("{prefix}/name"))?;
        let namespace = mark(object, &format!("{prefix}/namespace")).unwrap_or("flux-system");
        Some(Owner::flux(applier, namespace, name))
    };
    let tracked = mark(object, "argocd.argoproj.io/tracking-id").and_then(|id| id.split_once(':'));
    if let Some((application, _)) = tracked.or_else(|| {
        // The label is Helm's as well: it means Argo CD only when that wrote the object.
        let instance = mark(object, "app.kubernetes.io/instance")?;
        (manager(object)?.1 == "Argo CD").then_some((instance, ""))
    }) {
        // Applications outside of Argo CD's own namespace have theirs in front.
        let (namespace, name) = application.split_once('_').unwrap_or((argocd, application));
        return Some(Owner {
            applier: Applier::ArgoCd,
            namespace: namespace.to_owned(),
            object: name.to_owned(),
            name: format!("Argo CD application {}", application.replace('_', "/")),
            pause: format!("argocd app set {name} --sync-policy none"),
        });
    }
    flux(Applier::Kustomization, "kustomize.toolkit.fluxcd.io")
        .or_else(|| flux(Applier::HelmRelease, "helm.toolkit.fluxcd.io"))
}

fn manager(object: &Value) -> Option<(&str, &'static str)> {
    writers(object).find_map(|writer| {
        let (_, name) = MANAGERS.iter().find(|(manager, _)| *manager == writer)?;
        Some((writer, *name))
    })
}

fn writers(object: &Value) -> impl Iterator<Item = &str> {
    list_of(&object["metadata"]["managedFields"]).iter().filter_map(|field| field["manager"].as_str())
}

/// Who wrote the pod template last. None: it was lastgood itself.
pub fn last_writer(object: &Value) -> Option<String> {
    last(template_writes(object))
}

/// Who wrote the specification, or the annotations, last. None: it was lastgood itself.
pub fn writer_of_spec(object: &Value) -> Option<String> {
    let fields = list_of(&object["metadata"]["managedFields"]).iter();
    last(fields.filter(|field| {
        let wrote = &field["fieldsV1"];
        !wrote["f:spec"].is_null() || !wrote["f:metadata"]["f:annotations"].is_null()
    }))
}

fn last<'a>(writes: impl Iterator<Item = &'a Value>) -> Option<String> {
    let last = writes.max_by_key(|field| field["time"].as_str().unwrap_or_default())?;
    last["manager"].as_str().filter(|manager| *manager != MANAGER).map(str::to_owned)
}

/// When lastgood wrote the pod template, as the server says it.
pub fn written_at(object: &Value) -> Option<String> {
    let own = template_writes(object).find(|field| field["manager"] == MANAGER)?;
    own["time"].as_str().map(str::to_owned)
}

fn template_writes(object: &Value) -> impl Iterator<Item = &Value> {
    let fields = list_of(&object["metadata"]["managedFields"]).iter();
    fields.filter(|field| !field["fieldsV1"]["f:spec"]["f:template"].is_null())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn named(metadata: Value) -> Option<String> {
        owner(&json!({ "metadata": metadata }), ARGOCD).map(|owner| owner.name)
    }

    #[test]
    fn an_owner_is_known_by_its_marks_and_a_helm_label_is_none() {
        let id = "shop_checkout:apps/Deployment:shop/checkout";
        let by = |manager: &str| json!([{"manager": manager}]);
        assert_eq!(
            named(json!({"annotations": {"argocd.argoproj.io/tracking-id": id}})).as_deref(),
            Some("Argo CD application shop/checkout")
        );
        let label = json!({"app.kubernetes.io/instance": "checkout"});
        assert_eq!(named(json!({"labels": label})), None, "Helm sets it too");
        assert_eq!(
            named(json!({"labels": label, "managedFields": by("argocd-controller")})).as_deref(),
            Some("Argo CD application checkout")
        );
        let flux = json!({"kustomize.toolkit.fluxcd.io/name": "shop",
                          "kustomize.toolkit.fluxcd.io/namespace": "infra"});
        let owner = owner(&json!({"metadata": {"labels": flux}}), ARGOCD).unwrap();
        assert_eq!(owner.name, "Flux Kustomization infra/shop");
        assert_eq!(owner.pause, "flux suspend kustomization shop -n infra");
        assert_eq!(
            named(json!({"managedFields": by("helm-controller")})).as_deref(),
            Some("Flux (field manager helm-controller)")
        );
        assert_eq!(named(json!({"managedFields": by("kubectl-client-side-apply")})), None);
    }

    #[test]
    fn the_last_writer_of_the_template_is_named() {
        let field = |manager: &str, time: &str, fields: Value| json!({"manager": manager, "time": time, "fieldsV1": fields});
        let template = json!({"f:spec": {"f:template": {}}});
        let fields = json!([
            field("lastgood", "2026-01-01T03:00:00Z", template.clone()),
            field("argocd-controller", "2026-01-01T03:00:05Z", template),
            field("kube-controller-manager", "2026-01-01T03:00:09Z", json!({"f:status": {}})),
        ]);
        let last = last_writer(&json!({"metadata": {"managedFields": fields}}));
        assert_eq!(last.as_deref(), Some("argocd-controller"));
        let own = json!({"metadata": {"managedFields": [
            field("kubectl", "2026-01-01T02:00:00Z", json!({"f:spec": {"f:template": {}}})),
            field("lastgood", "2026-01-01T03:00:00Z", json!({"f:spec": {"f:template": {}}})),
        ]}});
        assert_eq!(last_writer(&own), None, "nobody else is to blame");
        assert_eq!(written_at(&own).as_deref(), Some("2026-01-01T03:00:00Z"));
    }
}
