//! The adapter's section.

use std::sync::Arc;

use lastgood_core::Strategy;
use serde::Deserialize;

use super::{Rollout, workload::Kind};
use crate::{
    BuildError,
    duration::Span,
    forge,
    secret::Source,
    traffic::{
        Section, Shifter,
        kubernetes::{
            cluster::{Access, Cluster},
            gitops::{ARGOCD, Gitops},
            is_name,
        },
    },
};

/// ```toml
/// namespace = "shop"
/// workload = "deployment/checkout"
/// ```
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    #[serde(default)]
    pub cluster: Access,
    pub namespace: String,
    /// `deployment/NAME`, `statefulset/NAME` or `daemonset/NAME`.
    pub workload: String,
    /// Which container is the artifact; needed where there are several.
    pub container: Option<String>,
    #[serde(default)]
    pub restore: Restore,
    #[serde(default)]
    pub gitops: Gitops,
    /// Where Argo CD keeps its applications.
    pub argocd_namespace: Option<String>,
    /// Where going back is proposed, with `gitops = "pull-request"`.
    pub revert: Option<forge::Config>,
    /// What one call to the server may take; `traffic::CALL_LIMIT` unless given.
    pub timeout: Option<Span>,
}

/// How much of an earlier release comes back.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restore {
    /// The whole pod template: configuration usually changed with the image.
    #[default]
    Template,
    /// The image in today's template.
    ImageOnly,
}

impl Section for Config {
    fn pools(&self) -> Vec<&str> {
        Vec::new()
    }

    fn misfit(&self, strategy: Strategy) -> Option<String> {
        (strategy != Strategy::Rolling)
            .then(|| "kubernetes-rollout replaces pods: its strategy is \"rolling\"".to_owned())
    }

    fn splits(&self) -> bool {
        false
    }

    fn replaces_pods(&self) -> bool {
        true
    }

    fn secrets(&self) -> Vec<(&'static str, &Source)> {
        self.revert.iter().map(|revert| ("revert", &revert.token)).collect()
    }

    fn build(&self, _service: &str, http: &reqwest::Client) -> Result<Arc<dyn Shifter>, BuildError> {
        let written = self.workload.split_once('/').and_then(|(kind, name)| {
            let kind = Kind::ALL.into_iter().find(|one| one.word() == kind)?;
            is_name(name).then(|| (kind, name.to_owned()))
        });
        let why = || {
            format!(
                "{:?}: write it like \"deployment/checkout\", or statefulset/ or daemonset/",
                self.workload
            )
        };
        let (kind, name) = written.ok_or_else(|| BuildError::invalid("workload", why()))?;
        if !is_name(&self.namespace) {
            return Err(BuildError::invalid("namespace", format!("{:?} is not a name", self.namespace)));
        }
        let revert = match (&self.revert, self.gitops) {
            (Some(revert), Gitops::PullRequest) => Some(revert.build(self.timeout, http)?),
            (None, Gitops::PullRequest) => {
                return Err(BuildError::invalid(
                    "gitops",
                    "pull-request needs `revert`: which file of which repository",
                ));
            }
            (Some(_), _) => {
                return Err(BuildError::invalid("revert", "it is used with gitops = \"pull-request\" only"));
            }
            (None, _) => None,
        };
        Ok(Arc::new(Rollout {
            cluster: Cluster::new(self.cluster.clone(), self.timeout)?,
            namespace: self.namespace.clone(),
            kind,
            name,
            container: self.container.clone(),
            restore: self.restore,
            gitops: self.gitops,
            revert,
            argocd: self.argocd_namespace.clone().unwrap_or_else(|| ARGOCD.to_owned()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_name_of_a_workload_is_refused() {
        let http = crate::client::client().unwrap();
        let built = |workload: &str, namespace: &str| {
            let section = serde_json::json!({"namespace": namespace, "workload": workload});
            serde_json::from_value::<Config>(section).unwrap().build("checkout", &http).map(drop)
        };
        assert!(built("statefulset/checkout", "shop").is_ok());
        for workload in
            ["checkout", "pod/checkout", "deployment/", "deployment/a/../b", "deployment/a?dryRun=All"]
        {
            let error = built(workload, "shop").unwrap_err().to_string();
            assert!(error.contains("write it like \"deployment/checkout\""), "{error}");
        }
        assert!(built("deployment/checkout", "shop/../kube-system").is_err());
    }
}
