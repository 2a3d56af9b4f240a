//! What would stand in the way of a rollout, found before it is begun rather than discovered after.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Rollout, snapshot::Snapshot};
use crate::{Fault, traffic::kubernetes::gitops};

/// Reasons against a move, and what is worth saying about it.
#[derive(Debug, Default)]
pub struct Found {
    pub refused: Vec<String>,
    pub warnings: Vec<String>,
}

impl Rollout {
    /// About the workload itself and whoever else writes it.
    pub(super) fn standing(&self, snapshot: &Snapshot) -> Found {
        let mut found = Found::default();
        let workload = snapshot.workload();
        found.refused.extend(workload.does_not_roll());
        let owners = snapshot.object["metadata"]["ownerReferences"].as_array().map_or(&[][..], Vec::as_slice);
        if let Some(owner) = owners.iter().find(|owner| owner["controller"] == true) {
            let name = |key: &str| owner[key].as_str().unwrap_or_default().to_owned();
            found.refused.push(format!(
                "{} {} owns it and would put it back: roll that back instead",
                name("kind"),
                name("name")
            ));
        }
        if let Some(owner) = gitops::owner(&snapshot.object) {
            let who = format!("{} applies it from Git, and may put this rollback back", owner.name);
            match self.gitops {
                super::Gitops::Refuse => found.refused.push(format!(
                    "{who}: pause it ({}) and set gitops = \"ignore\", or revert in Git",
                    owner.pause
                )),
                super::Gitops::Ignore => found.warnings.push(who),
            }
        }
        if workload.observed() && !workload.count().done() {
            let count = workload.count();
            found.warnings.push(format!(
                "a rollout is under way: {} of {} pods are of the newest template",
                count.updated, count.wanted
            ));
        }
        if workload.object["spec"]["strategy"]["type"] == "Recreate" {
            found
                .warnings
                .push("its strategy is Recreate: all pods end before the first new one starts".to_owned());
        }
        found
    }

    /// Autoscalers and disruption budgets that act on it. Servers know them under different versions.
    pub(super) async fn neighbours(&self, snapshot: &Snapshot) -> Result<Vec<String>, Fault> {
        let mut warnings = Vec::new();
        let scalers = format!("/apis/autoscaling/v1/namespaces/{}/horizontalpodautoscalers", self.namespace);
        for scaler in self.optional(&scalers).await? {
            let of = &scaler["spec"]["scaleTargetRef"];
            if of["kind"] == self.kind.kind() && of["name"] == self.name.as_str() {
                warnings.push(format!(
                    "HorizontalPodAutoscaler {} may change the number of pods meanwhile",
                    scaler["metadata"]["name"].as_str().unwrap_or_default()
                ));
            }
        }
        let labels = &snapshot.workload().template()["metadata"]["labels"];
        for budget in self.budgets().await? {
            let wanted = budget["spec"]["selector"]["matchLabels"].as_object();
            let covers = wanted
                .is_some_and(|wanted| !wanted.is_empty() && wanted.iter().all(|(k, v)| labels[k] == *v));
            if covers && budget["status"]["disruptionsAllowed"] == 0 {
                warnings.push(format!(
                    "PodDisruptionBudget {} allows no disruption now: nodes that are drained meanwhile will wait",
                    budget["metadata"]["name"].as_str().unwrap_or_default()
                ));
            }
        }
        Ok(warnings)
    }

    async fn budgets(&self) -> Result<Vec<Value>, Fault> {
        for version in ["v1", "v1beta1"] {
            let path = format!("/apis/policy/{version}/namespaces/{}/poddisruptionbudgets", self.namespace);
            match self.cluster.list(&path).await {
                Err(Fault::NotFound(_)) => {}
                Err(Fault::Denied(_)) => return Ok(Vec::new()),
                other => return other,
            }
        }
        Ok(Vec::new())
    }

    /// What the server does not know, or does not show to lastgood, is not there; `check` names missing permissions.
    async fn optional(&self, path: &str) -> Result<Vec<Value>, Fault> {
        match self.cluster.list(path).await {
            Err(Fault::NotFound(_) | Fault::Denied(_)) => Ok(Vec::new()),
            other => other,
        }
    }

    /// ConfigMaps, Secrets and the service account that a template names and that are gone.
    pub(super) async fn lost(&self, template: &Value) -> Result<Found, Fault> {
        let mut found = Found::default();
        for (resource, name) in references(&template["spec"]) {
            let path = format!("/api/v1/namespaces/{}/{resource}/{name}", self.namespace);
            match self.cluster.find(&path).await {
                Ok(Some(_)) => {}
                Ok(None) => found.refused.push(format!(
                    "{} {name} is gone, which the earlier template needs: create it again, or use restore = \"image-only\"",
                    singular(resource)
                )),
                Err(Fault::Denied(_)) => found.warnings.push(format!(
                    "whether {} {name} is still there can't be told: lastgood may not read it",
                    singular(resource)
                )),
                Err(fault) => return Err(fault),
            }
        }
        Ok(found)
    }
}

fn singular(resource: &str) -> &'static str {
    match resource {
        "configmaps" => "ConfigMap",
        "secrets" => "Secret",
        _ => "ServiceAccount",
    }
}

/// What a pod can't start without. References that are marked optional are none.
fn references(spec: &Value) -> BTreeSet<(&'static str, String)> {
    let mut found = BTreeSet::new();
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let mut add = |resource: &'static str, source: &Value, key: &str| {
        if let (Some(name), true) = (source[key].as_str(), source["optional"] != true) {
            found.insert((resource, name.to_owned()));
        }
    };
    for volume in list(&spec["volumes"]) {
        add("configmaps", &volume["configMap"], "name");
        add("secrets", &volume["secret"], "secretName");
        for source in list(&volume["projected"]["sources"]) {
            add("configmaps", &source["configMap"], "name");
            add("secrets", &source["secret"], "name");
        }
    }
    for container in list(&spec["containers"]).into_iter().chain(list(&spec["initContainers"])) {
        for source in list(&container["envFrom"]) {
            add("configmaps", &source["configMapRef"], "name");
            add("secrets", &source["secretRef"], "name");
        }
        for variable in list(&container["env"]) {
            add("configmaps", &variable["valueFrom"]["configMapKeyRef"], "name");
            add("secrets", &variable["valueFrom"]["secretKeyRef"], "name");
        }
    }
    add("serviceaccounts", spec, "serviceAccountName");
    found
}
