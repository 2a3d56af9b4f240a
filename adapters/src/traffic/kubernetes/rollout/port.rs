//! The traffic port's questions and changes, each of several calls to the server.

use std::time::Duration;

use async_trait::async_trait;
use lastgood_core::Artifact;
use serde_json::Value;

use super::{
    NEEDED, ROLE, Rollout, argo, hazards::Found, revert::Standing, snapshot::Snapshot, workload::Kind,
};
use crate::{
    Check, Fault,
    forge::Forge,
    traffic::{
        Foreseen, Move, Observation, Preflight, Progress, Said, Shifter, Truce,
        kubernetes::{
            Cluster,
            access::{self, Needed},
            gitops::{self, Gitops},
            truce::{self, Applied},
        },
    },
};

/// How long one question about progress waits for news.
const NEWS: Duration = Duration::from_secs(1);

/// The port's questions, each of several calls.
impl Rollout {
    async fn can_it(&self, wanted: &Move) -> Result<Preflight, Fault> {
        let snapshot = self.read().await?;
        let target = match self.target(wanted) {
            Ok(target) => target,
            Err(reason) => return Ok(Preflight::Refused { reasons: vec![reason] }),
        };
        if matches!(self.judged(&snapshot, target)?, Progress::Settled(_)) {
            return Ok(Preflight::AlreadyThere);
        }
        let mut found = self.standing(&snapshot);
        if found.refused.is_empty() {
            match truce::would(self.truce()).await {
                Err(fault) if !fault.passes() => {
                    found.refused.push(format!("its owner can't be suspended: {fault}"));
                }
                other => found.warnings.extend(gitops::said_of(&other?)),
            }
        }
        if let Some(forge) = &self.revert {
            return self.can_be_proposed(&**forge, &snapshot, wanted, found).await;
        }
        match self.plan(&snapshot, wanted) {
            Ok(plan) => {
                found.warnings.extend(plan.said.caveats);
                found.warnings.extend(plan.said.notes);
                let lost = self.lost(&plan.template).await;
                found.refused.extend(lost.refused);
                found.warnings.extend(lost.warnings);
            }
            Err(reason) => found.refused.push(reason),
        }
        found.warnings.extend(self.neighbours(&snapshot).await);
        if found.refused.is_empty() {
            let tried = match self.before(&snapshot, target, true).await {
                Ok(()) => self.write(&snapshot, wanted, true).await,
                Err(fault) => Err(fault),
            };
            match tried {
                Ok(()) => {}
                Err(Fault::Conflict(why)) => {
                    found.warnings.push(format!("it is being changed just now: {why}"))
                }
                Err(Fault::Denied(why) | Fault::Invalid(why)) => found.refused.push(why),
                Err(fault) => return Err(fault),
            }
        }
        Ok(if found.refused.is_empty() {
            Preflight::Ready { warnings: found.warnings }
        } else {
            Preflight::Refused { reasons: found.refused }
        })
    }

    /// Whether the file can be changed so that it leads to the target.
    async fn can_be_proposed(
        &self,
        forge: &dyn Forge,
        snapshot: &Snapshot,
        wanted: &Move,
        mut found: Found,
    ) -> Result<Preflight, Fault> {
        match self.change_of(forge, snapshot, wanted).await {
            Ok(_) => found.warnings.push(format!(
                "{}: its change is proposed, and traffic moves when somebody merges it",
                forge.name()
            )),
            Err(fault) if !fault.passes() => found.refused.push(fault.to_string()),
            Err(fault) => return Err(fault),
        }
        Ok(match found.refused.is_empty() {
            true => Preflight::Ready { warnings: found.warnings },
            false => Preflight::Refused { reasons: found.refused },
        })
    }

    async fn how_far(&self, wanted: &Move) -> Result<Progress, Fault> {
        let target = self.target(wanted).map_err(|why| self.invalid(&why))?;
        let snapshot = self.read().await?;
        if let Some(forge) = self.revert.as_ref().filter(|_| !Self::asks_for(&snapshot, target)) {
            let seen = self.seen(&snapshot)?;
            match self.standing_of(&**forge, &snapshot, wanted).await? {
                Standing::Waiting(detail) => return Ok(Progress::Moving { seen, detail }),
                Standing::Closed(detail) => return Ok(Progress::Failed { seen, detail }),
                Standing::Nothing => {}
            }
        }
        let judged = self.judged(&snapshot, target)?;
        if !matches!(judged, Progress::Moving { .. }) {
            return Ok(judged);
        }
        let selector = snapshot.workload().selector();
        self.cluster.changed(&self.pods_path(&selector), &snapshot.pods_at, NEWS).await;
        self.judged(&self.read().await?, target)
    }

    async fn beforehand(&self, wanted: &Move) -> Result<Foreseen, Fault> {
        let snapshot = self.read().await?;
        let found = self.standing(&snapshot);
        if let Some(forge) = &self.revert {
            // Nothing of the template is written.
            let proposed =
                "its change is proposed, and traffic moves when somebody merges it; only the image goes back";
            let notes = found.warnings.into_iter().chain([format!("{}: {proposed}", forge.name())]).collect();
            return Ok(Foreseen { caveats: found.refused, notes });
        }
        let mut said = match self.plan(&snapshot, wanted) {
            Ok(plan) => plan.said,
            Err(reason) => Foreseen { caveats: vec![reason], notes: Vec::new() },
        };
        // What preflight will refuse is better known before somebody approves.
        said.caveats.splice(0..0, found.refused);
        said.notes.extend(found.warnings);
        match truce::would(self.truce()).await {
            Ok(names) => said.notes.extend(gitops::said_of(&names)),
            Err(fault) => said.caveats.push(format!("its owner can't be suspended: {fault}")),
        }
        if self.kind == Kind::Argo {
            said.notes.extend(argo::analyses(&snapshot.object));
        }
        Ok(said)
    }
}

#[async_trait]
impl Shifter for Rollout {
    async fn observe(&self) -> Result<Observation, Fault> {
        self.cluster.within(async { self.seen(&self.read().await?) }).await
    }

    async fn preflight(&self, wanted: &Move) -> Result<Preflight, Fault> {
        self.cluster.within(self.can_it(wanted)).await
    }

    // The caller bounds it: a change that is cut off may have been made.
    async fn apply(&self, wanted: &Move, said: &Said) -> Result<(), Fault> {
        let Some(forge) = &self.revert else { return self.change(wanted).await };
        let snapshot = self.read().await?;
        if Self::asks_for(&snapshot, self.target(wanted).map_err(|why| self.invalid(&why))?) {
            return Ok(());
        }
        let proposed = forge.propose(&self.change_of(&**forge, &snapshot, wanted).await?).await?;
        said.send_replace(format!("waits for somebody to merge {}", proposed.url));
        Ok(())
    }

    async fn progress(&self, wanted: &Move) -> Result<Progress, Fault> {
        self.cluster.within(self.how_far(wanted)).await
    }

    fn pool_of(&self, artifact: &Artifact) -> Option<String> {
        Some(artifact.digest.short().to_owned())
    }

    async fn foresee(&self, wanted: &Move) -> Result<Foreseen, Fault> {
        self.cluster.within(self.beforehand(wanted)).await
    }

    fn truce(&self) -> Option<&dyn Truce> {
        (self.gitops == Gitops::Suspend).then_some(self)
    }

    async fn check(&self) -> Vec<Check> {
        let what = format!("{} ({})", self.called(), self.cluster.name());
        let (group, resource) = (self.kind.group(), self.kind.plural());
        let mut own = vec![Needed { group, resource, verbs: &["get", "patch"], for_what: None }];
        if self.kind == Kind::Argo {
            own.push(Needed { group, resource: "rollouts/status", verbs: &["patch"], for_what: None });
        }
        let needed: Vec<Needed> = own.into_iter().chain(NEEDED).filter(|one| self.reads(one)).collect();
        let role = if self.kind == Kind::Argo { argo::ROLE } else { ROLE };
        let access = access::check(&self.cluster, &self.namespace, &needed, role).await;
        let seen = match self.read().await.and_then(|snapshot| Ok((self.seen(&snapshot)?, snapshot))) {
            Ok((seen, snapshot)) => {
                let gives = crate::traffic::shares::spell(&seen.shares);
                let found = self.standing(&snapshot);
                match found.refused.into_iter().chain(found.warnings).next() {
                    Some(warning) => {
                        Check::warning(what, format!("{gives}; {warning}"), "settle it before it is needed")
                    }
                    None => Check::good(what, gives),
                }
            }
            Err(fault) => Check::bad(what, fault.to_string(), "is it the right cluster, namespace and name?"),
        };
        let owners = truce::check(self.truce()).await;
        [Some(seen), Some(access), owners].into_iter().flatten().collect()
    }
}

#[async_trait]
impl Applied for Rollout {
    fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    fn argocd(&self) -> &str {
        &self.argocd
    }

    async fn object(&self) -> Result<Value, Fault> {
        self.cluster.get(&self.path()).await
    }
}

impl Rollout {
    /// Each kind keeps its history elsewhere.
    fn reads(&self, needed: &Needed) -> bool {
        let histories = [Kind::Deployment.history(), Kind::StatefulSet.history()];
        !histories.contains(&needed.resource) || needed.resource == self.kind.history()
    }
}
