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
        found.refused.extend(gitops::master(&snapshot.object));
        if let Some(owner) = gitops::owner(&snapshot.object, &self.argocd) {
            match self.gitops.about(&owner) {
                Ok(warning) => found.warnings.extend(warning),
                Err(refusal) => found.refused.push(refusal),
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
    pub(super) async fn neighbours(&self, snapshot: &Snapshot) -> Vec<String> {
        let (scalers, budgets) = futures_util::future::join(
            self.first_of("horizontalpodautoscalers", &["autoscaling/v1"]),
            self.first_of("poddisruptionbudgets", &["policy/v1", "policy/v1beta1"]),
        )
        .await;
        let mut warnings = Vec::new();
        for scaler in scalers.unwrap_or_else(|why| told(&mut warnings, why)) {
            let of = &scaler["spec"]["scaleTargetRef"];
            if of["kind"] == self.kind.kind() && of["name"] == self.name.as_str() {
                warnings.push(format!(
                    "HorizontalPodAutoscaler {} may change the number of pods meanwhile",
                    scaler["metadata"]["name"].as_str().unwrap_or_default()
                ));
            }
        }
        let labels = &snapshot.workload().template()["metadata"]["labels"];
        for budget in budgets.unwrap_or_else(|why| told(&mut warnings, why)) {
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
        warnings
    }

    /// What the server does not know, or does not show to lastgood, is not there; `check` names missing permissions.
    async fn first_of(&self, resource: &str, versions: &[&str]) -> Result<Vec<Value>, String> {
        for version in versions {
            let path = format!("/apis/{version}/namespaces/{}/{resource}", self.namespace);
            match self.cluster.list(&path).await {
                Err(Fault::NotFound(_)) => {}
                Err(Fault::Denied(_)) => break,
                other => return other.map_err(|fault| format!("{resource} could not be looked at: {fault}")),
            }
        }
        Ok(Vec::new())
    }

    /// ConfigMaps, Secrets and the service account that a template names and that are gone. What can't be looked at is said,
    /// and keeps nobody from rolling back.
    pub(super) async fn lost(&self, template: &Value) -> Found {
        let asked = references(&template["spec"]).into_iter().map(|(resource, name)| async move {
            let path = format!("/api/v1/namespaces/{}/{resource}/{name}", self.namespace);
            (singular(resource), name, self.cluster.find(&path).await)
        });
        let mut found = Found::default();
        for (what, name, answer) in futures_util::future::join_all(asked).await {
            match answer {
                Ok(Some(_)) => {}
                Ok(None) => found.refused.push(format!(
                    "{what} {name} is gone, which the earlier template needs: create it again, or use restore = \"image-only\""
                )),
                Err(Fault::Denied(_)) => found.warnings.push(format!(
                    "whether {what} {name} is still there can't be told: lastgood may not read it"
                )),
                Err(fault) => found
                    .warnings
                    .push(format!("whether {what} {name} is still there could not be looked at: {fault}")),
            }
        }
        found
    }
}

fn told(warnings: &mut Vec<String>, why: String) -> Vec<Value> {
    warnings.push(why);
    Vec::new()
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
