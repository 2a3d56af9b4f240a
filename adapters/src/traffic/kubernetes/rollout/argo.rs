//! An Argo Rollout: a workload that shifts traffic to its newest template by steps of its own. To go back while such steps are under
//! way it is aborted, which takes the weight to zero at once; then the stable template is made its specification, or it would
//! try again. When the failing release is promoted already there is nothing to abort: the earlier template is promoted at once.
//!
//! Formats: <https://argo-rollouts.readthedocs.io/en/stable/features/specification/>, status fields in
//! `pkg/apis/rollouts/v1alpha1/types.go` of the project.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lastgood_core::Strategy;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Restore, Rollout,
    judge::bar,
    snapshot::{self, Snapshot},
    workload::Kind,
};
use crate::{
    BuildError, Fault,
    duration::Span,
    traffic::{
        Observation, Progress, Section, Shifter,
        kubernetes::{
            Patch,
            cluster::{Access, Cluster},
            gitops::{ARGOCD, Gitops},
            is_name,
        },
        shares::percent,
    },
};

/// ```toml
/// namespace = "shop"
/// rollout = "checkout"
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub cluster: Access,
    pub namespace: String,
    /// The Rollout's name.
    pub rollout: String,
    /// Which container is the artifact; needed where there are several.
    pub container: Option<String>,
    #[serde(default)]
    pub restore: Restore,
    #[serde(default)]
    pub gitops: Gitops,
    /// Where Argo CD keeps its applications.
    pub argocd_namespace: Option<String>,
    /// What one call to the server may take; `traffic::CALL_LIMIT` unless given.
    pub timeout: Option<Span>,
}

impl Section for Config {
    fn pools(&self) -> Vec<&str> {
        Vec::new()
    }

    fn misfit(&self, strategy: Strategy) -> Option<String> {
        (strategy == Strategy::Rolling)
            .then(|| "argo-rollouts shifts traffic: its strategy is that of the Rollout, \"canary\" or \"blue-green\"".to_owned())
    }

    fn splits(&self) -> bool {
        false
    }

    fn replaces_pods(&self) -> bool {
        true
    }

    fn build(&self, _service: &str, _http: &reqwest::Client) -> Result<Arc<dyn Shifter>, BuildError> {
        if self.gitops == Gitops::PullRequest {
            return Err(BuildError::invalid("gitops", "pull-request is for kubernetes-rollout: use suspend"));
        }
        for (key, name) in [("namespace", &self.namespace), ("rollout", &self.rollout)] {
            if !is_name(name) {
                return Err(BuildError::invalid(key, format!("{name:?} is not a name")));
            }
        }
        Ok(Arc::new(Rollout {
            cluster: Cluster::new(self.cluster.clone(), self.timeout)?,
            namespace: self.namespace.clone(),
            kind: Kind::Argo,
            name: self.rollout.clone(),
            container: self.container.clone(),
            restore: self.restore,
            gitops: self.gitops,
            revert: None,
            argocd: self.argocd_namespace.clone().unwrap_or_else(|| ARGOCD.to_owned()),
        }))
    }
}

pub const ROLE: &str = "deploy/kubernetes/argo-rollouts.yaml";
/// Of pods and ReplicaSets: which template they are of.
pub const HASH: &str = "rollouts-pod-template-hash";
/// Between two looks at whether the controller has seen a new template.
const LOOK: Duration = Duration::from_millis(200);
/// How often it is looked: half of the time that a call may take unless configured.
const LOOKS: u32 = 25;

fn text<'a>(object: &'a Value, at: &str) -> &'a str {
    object.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

/// Newest and stable template differ, and nobody has given up on it.
fn is_under_way(object: &Value) -> bool {
    let (newest, stable) = (text(object, "/status/currentPodHash"), text(object, "/status/stableRS"));
    !newest.is_empty() && !stable.is_empty() && newest != stable && object["status"]["abort"] != true
}

/// What each template gets of the traffic, by its hash. None: the pods are all there is to go by.
fn weights(object: &Value) -> Option<BTreeMap<String, u64>> {
    let status = &object["status"];
    if !object["spec"]["strategy"]["blueGreen"].is_null() {
        let active = status["blueGreen"]["activeSelector"].as_str().filter(|active| !active.is_empty())?;
        return Some([(active.to_owned(), 100)].into());
    }
    let weights = &status["canary"]["weights"];
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for side in ["canary", "stable"] {
        let hash = weights[side]["podTemplateHash"].as_str().filter(|hash| !hash.is_empty())?;
        *sums.entry(hash.to_owned()).or_default() += weights[side]["weight"].as_u64()?;
    }
    Some(sums)
}

/// Traffic instead of pods, where the controller says how it has split it.
pub fn observed(snapshot: &Snapshot, mut seen: Observation) -> Observation {
    if let Some(weights) = weights(&snapshot.object) {
        let mut sums: BTreeMap<String, u64> = seen.shares.keys().map(|pool| (pool.clone(), 0)).collect();
        for (hash, weight) in weights {
            match snapshot.named(&hash) {
                Some(pool) => *sums.entry(pool).or_default() += weight,
                None if weight > 0 => {
                    seen.warnings.push(format!("{weight} % go to {hash}, of which no template is kept"));
                }
                None => {}
            }
        }
        seen.shares = percent(sums);
    }
    if snapshot.object["spec"]["paused"] == true {
        seen.warnings
            .push("somebody paused it: a rollback lifts that with the template that it writes".to_owned());
    }
    if snapshot.object["status"]["abort"] == true {
        seen.warnings.push(format!(
            "its last update was aborted ({}): its specification still asks for that, and a retry would bring it back",
            text(&snapshot.object, "/status/message")
        ));
    }
    seen
}

/// The results that the controller's own analysis came to.
pub fn analyses(object: &Value) -> Vec<String> {
    const AT: [(&str, &str); 4] = [
        ("canary", "currentStepAnalysisRunStatus"),
        ("canary", "currentBackgroundAnalysisRunStatus"),
        ("blueGreen", "prePromotionAnalysisRunStatus"),
        ("blueGreen", "postPromotionAnalysisRunStatus"),
    ];
    let told = |(part, key): &(&str, &str)| {
        let run = &object["status"][*part][*key];
        let name = run["name"].as_str()?;
        let message = run["message"].as_str().map(|message| format!(": {message}")).unwrap_or_default();
        Some(format!("AnalysisRun {name}: {}{message}", run["status"].as_str().unwrap_or("?")))
    };
    AT.iter().filter_map(told).collect()
}

/// Why it can't be rolled back by its own template.
pub fn does_not_roll(object: &Value) -> Option<String> {
    let of = &object["spec"]["workloadRef"];
    of["name"].as_str().map(|name| {
        let kind = of["kind"].as_str().unwrap_or("Deployment");
        format!("its template is that of {kind} {name}: roll that back instead, or move the template into the Rollout")
    })
}

impl Rollout {
    /// How far it is, when it asks for the target.
    pub(super) fn judged_by_controller(
        &self,
        snapshot: &Snapshot,
        target: &str,
        seen: Observation,
    ) -> Progress {
        let object = &snapshot.object;
        let share = seen.shares.get(target).copied().unwrap_or(0);
        let mut detail = format!("{} {share} % on {target}", bar(share.into(), 100));
        let steps = object["spec"]["strategy"]["canary"]["steps"].as_array().map_or(0, Vec::len);
        if let (Some(step), true) = (object["status"]["currentStepIndex"].as_u64(), steps > 0) {
            detail += &format!(", step {step} of {steps}");
        }
        for analysis in analyses(object) {
            detail += &format!("; {analysis}");
        }
        if !snapshot.workload().observed() {
            return Progress::Moving { seen, detail };
        }
        let message = text(object, "/status/message");
        let trouble = snapshot.pods.iter().find_map(|pod| {
            let ours = snapshot::pool(&pod.image, pod.digest.as_ref()) == target && !pod.ready;
            pod.trouble.as_ref().filter(|_| ours).map(|trouble| format!("pod {}: {trouble}", pod.name))
        });
        let stuck = || match text(object, "/status/phase") {
            // Until the controller has read that it is promoted, it says what it was at.
            "Paused" if object["status"]["promoteFull"] != true => Some(format!(
                "it waits at a step ({message}): `kubectl argo rollouts promote {} --full -n {}`, or finish the shift",
                self.name, self.namespace
            )),
            "Degraded" => Some(format!("the Rollout is degraded: {message}")),
            _ if object["status"]["abort"] == true => Some(format!("it was aborted: {message}")),
            _ => None,
        };
        if let Some(reason) = trouble.or_else(stuck) {
            return Progress::Stuck { seen, detail: format!("{reason} ({detail})") };
        }
        let done = text(object, "/status/phase") == "Healthy" && !is_under_way(object) && share == 100;
        match done && snapshot.strange.is_empty() {
            true => Progress::Settled(seen),
            false => Progress::Moving { seen, detail },
        }
    }

    /// Takes the weight of what is being rolled out to zero, at once: only if that is not the target, and what is stable is. When
    /// nothing is under way this would scale the stable side down.
    pub(super) async fn abort(&self, snapshot: &Snapshot, target: &str, dry_run: bool) -> Result<(), Fault> {
        let stable = snapshot.named(text(&snapshot.object, "/status/stableRS"));
        if !is_under_way(&snapshot.object) || stable.as_deref() != Some(target) {
            return Ok(());
        }
        self.say(snapshot, "abort", dry_run).await
    }

    /// Lets it go all the way without steps, pauses and analysis, once the controller has seen the new template: it forgets what was
    /// said before that.
    pub(super) async fn promote(&self, target: &str) -> Result<(), Fault> {
        for _ in 0..LOOKS {
            let snapshot = self.read().await?;
            if snapshot.workload().observed() {
                let newest = snapshot.named(text(&snapshot.object, "/status/currentPodHash"));
                if !is_under_way(&snapshot.object) || newest.as_deref() != Some(target) {
                    return Ok(());
                }
                match self.say(&snapshot, "promoteFull", false).await {
                    Err(Fault::Conflict(_)) => {}
                    other => return other,
                }
            }
            tokio::time::sleep(LOOK).await;
        }
        // It is asked for; without this it goes by its steps, which progress shows.
        tracing::warn!(rollout = %self.called(), "the controller has not taken the template over: not promoted at once");
        Ok(())
    }

    /// Sets a word in the status, as the project's own command line does. Bound to what was read.
    async fn say(&self, snapshot: &Snapshot, word: &str, dry_run: bool) -> Result<(), Fault> {
        let version = &snapshot.object["metadata"]["resourceVersion"];
        let operations = json!([
            {"op": "add", "path": format!("/status/{word}"), "value": true},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": version},
        ]);
        let patch = Patch { operations: &operations, dry_run };
        match self.cluster.patch(&format!("{}/status", self.path()), &patch).await {
            // Definitions of its first versions have no such subresource.
            Err(Fault::NotFound(_)) => self.cluster.patch(&self.path(), &patch).await.map(drop),
            other => other.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_aborted_when_nothing_is_under_way() {
        let status = |newest: &str, stable: &str, abort: bool| {
            is_under_way(&json!({"status": {"currentPodHash": newest, "stableRS": stable, "abort": abort}}))
        };
        assert!(status("b", "a", false));
        assert!(!status("a", "a", false), "promoted");
        assert!(!status("b", "a", true), "aborted already");
        assert!(!status("a", "", false), "never healthy yet");
    }

    #[test]
    fn traffic_is_what_the_controller_set() {
        let canary = json!({"spec": {"strategy": {"canary": {}}}, "status": {"canary": {"weights": {
            "canary": {"weight": 20, "podTemplateHash": "b"}, "stable": {"weight": 80, "podTemplateHash": "a"}}}}});
        assert_eq!(weights(&canary).unwrap(), [("a".to_owned(), 80), ("b".to_owned(), 20)].into());
        let blue_green = json!({"spec": {"strategy": {"blueGreen": {}}}, "status": {"blueGreen": {"activeSelector": "a"}}});
        assert_eq!(weights(&blue_green).unwrap(), [("a".to_owned(), 100)].into());
        assert!(
            weights(&json!({"spec": {"strategy": {"canary": {}}}, "status": {}})).is_none(),
            "pods are all there is"
        );
    }

    #[test]
    fn results_of_analyses_are_told() {
        let run = json!({"name": "checkout-7", "status": "Failed", "message": "Metric \"success-rate\" assessed Failed"});
        let object = json!({"status": {"canary": {"currentStepAnalysisRunStatus": run}}});
        assert_eq!(
            analyses(&object),
            ["AnalysisRun checkout-7: Failed: Metric \"success-rate\" assessed Failed"]
        );
    }
}
