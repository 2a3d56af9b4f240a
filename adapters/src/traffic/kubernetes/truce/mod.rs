//! Makes whoever applies an object from Git stand still for a while, and lets them go on as before. What was, is kept on the very
//! object that was changed, where it outlives lastgood's own memory and everybody can read it.
//!
//! The owner's own owners stand still as well, up to the topmost, and that one first: else the suspension itself would be put back.
//!
//! Formats: <https://argo-cd.readthedocs.io/en/stable/user-guide/auto_sync/>,
//! <https://fluxcd.io/flux/components/kustomize/kustomizations/#suspend>, `…/helm/helmreleases/#suspend`,
//! `…/image/imageupdateautomations/#suspend`.

mod danger;
mod owners;

use async_trait::async_trait;
use serde_json::{Value, json};

use self::{
    danger::danger,
    owners::{Found, chain, left},
};
use super::{Cluster, Patch, gitops::owner};
use crate::{
    Check, Fault,
    traffic::{Held, LetGo, Truce},
};

/// How often a change is tried anew when the object changed in between.
const TRIES: u32 = 5;

/// What may be applied from Git by others.
#[async_trait]
pub trait Applied: Send + Sync {
    fn cluster(&self) -> &Cluster;

    /// Namespace of Argo CD's applications.
    fn argocd(&self) -> &str;

    /// # Errors
    /// `NotFound`, or as the server says.
    async fn object(&self) -> Result<Value, Fault>;
}

#[async_trait]
impl<T: Applied> Truce for T {
    async fn would_hold(&self) -> Result<Vec<String>, Fault> {
        hold(self.cluster(), &self.object().await?, self.argocd(), "", true).await
    }

    async fn hold(&self, holder: &str) -> Result<Vec<String>, Fault> {
        hold(self.cluster(), &self.object().await?, self.argocd(), holder, false).await
    }

    async fn held(&self, holder: &str) -> Result<Vec<Held>, Fault> {
        match self.object().await {
            Err(Fault::NotFound(_)) => Ok(Vec::new()),
            object => held(self.cluster(), &object?, self.argocd(), holder).await,
        }
    }

    async fn let_go(&self, holder: &str) -> Result<LetGo, Fault> {
        match self.object().await {
            Err(Fault::NotFound(_)) => Ok(LetGo::default()),
            object => let_go(self.cluster(), &object?, self.argocd(), holder).await,
        }
    }
}

/// Who would be made to stand still; nobody where none are to.
///
/// # Errors
/// As `Truce::would_hold`.
pub async fn would(truce: Option<&dyn Truce>) -> Result<Vec<String>, Fault> {
    match truce {
        Some(truce) => truce.would_hold().await,
        None => Ok(Vec::new()),
    }
}

/// Whether those who would have to be suspended can be, for `lastgood check`.
pub async fn check(truce: Option<&dyn Truce>) -> Option<Check> {
    let what = "suspending GitOps".to_owned();
    Some(match truce?.would_hold().await {
        Ok(names) if names.is_empty() => {
            Check::good(what, "nobody applies it from Git, or it is suspended already")
        }
        Ok(names) => Check::good(what, format!("{} can be", names.join(", "))),
        Err(fault) => Check::bad(
            what,
            fault.to_string(),
            "compare the Role in its namespace with deploy/kubernetes/gitops.yaml",
        ),
    })
}

/// Changes an object as it was read, and reads it anew when it was changed meanwhile. Nothing to change: done.
async fn change(
    cluster: &Cluster,
    mut found: Found,
    dry_run: bool,
    operations: impl Fn(&Found) -> Option<Vec<Value>>,
) -> Result<(), Fault> {
    for attempt in 1.. {
        let Some(mut wanted) = operations(&found) else { return Ok(()) };
        let version = &found.object["metadata"]["resourceVersion"];
        wanted.push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version}));
        let wanted = Value::Array(wanted);
        match cluster.patch(&found.path, &Patch { operations: &wanted, dry_run }).await {
            Err(Fault::Conflict(_)) if attempt < TRIES => found.object = cluster.get(&found.path).await?,
            other => return other.map(drop),
        }
    }
    Ok(())
}

/// Everybody who applies the object stands still for `holder`; whom a person has suspended is left as found. Their names.
///
/// # Errors
/// Why one of them can't be made to. Those above it stand still then; asking again goes on.
async fn hold(
    cluster: &Cluster,
    object: &Value,
    argocd: &str,
    holder: &str,
    dry_run: bool,
) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    for found in chain(cluster, object, argocd).await? {
        if !found.goes_on() && found.kept().is_none() {
            continue;
        }
        if let Some(why) = found.master() {
            return Err(Fault::Invalid(why));
        }
        names.push(found.owner.name.clone());
        change(cluster, found, dry_run, |found| found.still(holder)).await?;
    }
    Ok(names)
}

/// Who stands still for `holder`, and whether it is known that letting them go on would change nothing: that is said of the direct
/// owner only.
///
/// # Errors
/// When who they are can't be read.
async fn held(cluster: &Cluster, object: &Value, argocd: &str, holder: &str) -> Result<Vec<Held>, Fault> {
    let direct = owner(object, argocd).map(|owner| owner.name);
    let mut all = Vec::new();
    for found in left(cluster, object, argocd).await? {
        if found.holders().contains(holder) {
            let is_direct = direct.as_ref() == Some(&found.owner.name);
            let danger = if is_direct { danger(cluster, &found, object).await } else { None };
            all.push(Held { who: found.owner.name.clone(), danger });
        }
    }
    Ok(all)
}

/// Those that stand still for `holder` and for nobody else go on as before, the topmost last.
///
/// # Errors
/// Why one of them could not be let go; asking again goes on.
async fn let_go(cluster: &Cluster, object: &Value, argocd: &str, holder: &str) -> Result<LetGo, Fault> {
    let mut done = LetGo::default();
    for found in left(cluster, object, argocd).await?.into_iter().rev() {
        let holders = found.holders();
        if !holders.contains(holder) {
            continue;
        }
        let name = found.owner.name.clone();
        change(cluster, found, false, |found| found.again(holder)).await?;
        let others: Vec<_> = holders.into_iter().filter(|other| other != holder).collect();
        match others.is_empty() {
            true => done.on.push(name),
            false => done.still.push(format!("{name} (for {})", others.join(", "))),
        }
    }
    Ok(done)
}
