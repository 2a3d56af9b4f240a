//! How far a rollout is, and whether it will get any further by itself.

use super::{
    Rollout,
    snapshot::{self, Snapshot},
    workload::Kind,
};
use crate::{
    Fault,
    traffic::{Progress, kubernetes::gitops},
};

impl Rollout {
    pub(super) fn judged(&self, snapshot: &Snapshot, target: &str) -> Result<Progress, Fault> {
        let seen = self.seen(snapshot)?;
        let workload = snapshot.workload();
        if !Self::asks_for(snapshot, target) {
            let writer = gitops::last_writer(&snapshot.object).unwrap_or_else(|| "somebody".to_owned());
            let (image, _) = snapshot.asked().map_err(|why| self.invalid(&why))?;
            let detail = format!("{} asks for {} again: {writer} wrote it", self.called(), image.as_str());
            return Ok(Progress::Failed { seen, detail });
        }
        if let Some(detail) = workload.does_not_roll() {
            return Ok(Progress::Stuck { seen, detail });
        }
        if self.kind == Kind::Argo {
            return Ok(self.judged_by_controller(snapshot, target, seen));
        }
        let count = workload.count();
        let others = !snapshot.strange.is_empty()
            || snapshot.pods.iter().any(|pod| snapshot::pool(&pod.image, pod.digest.as_ref()) != target);
        if workload.observed() && count.done() && !others {
            return Ok(Progress::Settled(seen));
        }
        let detail = format!(
            "{} {} updated, {} available of {}",
            bar(count.updated.min(count.available), count.wanted),
            count.updated,
            count.available,
            count.wanted
        );
        let of_target =
            snapshot.pods.iter().filter(|pod| snapshot::pool(&pod.image, pod.digest.as_ref()) == target);
        let trouble = of_target
            .filter(|pod| !pod.ready)
            .find_map(|pod| Some(format!("pod {}: {}", pod.name, pod.trouble.as_ref()?)));
        let trouble = trouble.or_else(|| self.waits_for(snapshot, target));
        let since = gitops::written_at(&snapshot.object);
        let stuck = || workload.observed().then(|| workload.stuck(since.as_deref())).flatten();
        Ok(match trouble.or_else(stuck) {
            Some(reason) => Progress::Stuck { seen, detail: format!("{reason} ({detail})") },
            None => Progress::Moving { seen, detail },
        })
    }

    /// A StatefulSet goes on only when the pod before is ready, a broken one of the failing version included (Kubernetes'
    /// documentation, StatefulSets, "Forced rollback").
    fn waits_for(&self, snapshot: &Snapshot, target: &str) -> Option<String> {
        let ordered =
            self.kind == Kind::StatefulSet && snapshot.object["spec"]["podManagementPolicy"] != "Parallel";
        let old =
            snapshot.pods.iter().filter(|pod| snapshot::pool(&pod.image, pod.digest.as_ref()) != target);
        let broken = old.filter(|_| ordered).find_map(|pod| Some((&pod.name, pod.trouble.as_ref()?)))?;
        let (name, trouble) = broken;
        Some(format!(
            "the StatefulSet waits for its broken pod {name} ({trouble}): kubectl delete pod {name} -n {}",
            self.namespace
        ))
    }
}

pub fn bar(done: u64, of: u64) -> String {
    const WIDTH: u64 = 10;
    let full = (done.min(of) * WIDTH).checked_div(of).unwrap_or(0);
    (0..WIDTH).map(|at| if at < full { '▓' } else { '░' }).collect()
}
