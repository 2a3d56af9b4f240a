//! What would be written: which template, and how the server is asked to take it.

use lastgood_core::Digest;
use serde_json::{Value, json};

use super::{
    Restore, Rollout,
    snapshot::{self, Evidence, Snapshot},
    workload::{Kind, cleaned, differences, pinned},
};
use crate::traffic::{Foreseen, Move};

/// What would be written, and what is to be said of it.
pub struct Plan {
    pub template: Value,
    pub said: Foreseen,
}

/// Differences between templates that are named.
const NAMED: usize = 5;

impl Rollout {
    /// The one artifact that is to run. A rollout ends with all pods alike: it can't be left half way.
    pub(super) fn target<'a>(&self, wanted: &'a Move) -> Result<&'a str, String> {
        let some: Vec<_> = wanted.shares.iter().filter(|(_, share)| **share > 0).collect();
        match some[..] {
            [(pool, 100)] => Ok(pool),
            _ => Err(format!(
                "{} can't be put half way between versions: choose one that all its pods are to run",
                self.called()
            )),
        }
    }

    /// Whether what the workload asks for is the target already.
    pub(super) fn asks_for(snapshot: &Snapshot, target: &str) -> bool {
        snapshot.asked().is_ok_and(|(image, digest)| snapshot::pool(&image, digest.as_ref()) == target)
    }

    pub(super) fn plan(&self, snapshot: &Snapshot, wanted: &Move) -> Result<Plan, String> {
        let target = self.target(wanted)?;
        let digest = self.digest(snapshot, target, wanted)?;
        let today = snapshot.workload().template();
        let container = snapshot.container.as_str();
        let version = Some(wanted.version.as_str()).filter(|version| is_tag(version));
        let mut said = Foreseen::default();
        let only_image = |said| Ok(Plan { template: pinned(today, container, version, &digest)?, said });
        if self.restore == Restore::ImageOnly {
            return only_image(said);
        }
        let Some((revision, evidence)) = snapshot.earlier(target, &digest, &wanted.version) else {
            said.caveats.push(format!(
                "no template that ran {} is kept any more: only its image comes back, configuration stays as it is now",
                digest.short()
            ));
            return only_image(said);
        };
        let template = match snapshot.is_standing(revision) && evidence == Evidence::Digest {
            // Pinning it would make other pods of the same bytes, and other steps to them.
            true => cleaned(&revision.template),
            false => pinned(&revision.template, container, None, &digest)?,
        };
        if evidence == Evidence::Tag {
            said.caveats.push(format!(
                "{} was found by its tag {}: which bytes it ran can't be told, the image is pinned to {}",
                revision.name,
                revision.image.tag().unwrap_or_default(),
                digest.short()
            ));
        }
        let differences = differences(
            &pinned(today, container, None, &digest)?,
            &pinned(&template, container, None, &digest)?,
            NAMED,
        );
        if !differences.is_empty() {
            said.notes.push(format!("configuration comes back with it: {}", differences.join(", ")));
        }
        Ok(Plan { template, said })
    }

    /// The target's whole digest: the move's own, or that of a pod or template by that name (an undo says only the name).
    fn digest(&self, snapshot: &Snapshot, target: &str, wanted: &Move) -> Result<Digest, String> {
        let named = wanted.digest.parse::<Digest>().ok().filter(|digest| digest.short() == target);
        let running = snapshot.pods.iter().filter_map(|pod| pod.digest.clone());
        let kept = snapshot.history.iter().filter_map(|revision| revision.image.digest());
        named
            .into_iter()
            .chain(running)
            .chain(kept)
            .find(|digest| digest.short() == target)
            .ok_or_else(|| format!("which digest {target} is can't be told: no pod and no template names it"))
    }

    /// The target's whole digest.
    pub(super) fn whole(&self, snapshot: &Snapshot, wanted: &Move) -> Result<Digest, String> {
        self.digest(snapshot, self.target(wanted)?, wanted)
    }

    pub(super) fn operations(
        &self,
        snapshot: &Snapshot,
        template: &Value,
        wanted: &Move,
        guarded: bool,
    ) -> Value {
        let metadata = &snapshot.object["metadata"];
        let mut operations = Vec::new();
        if guarded {
            // The number of the specification. The object's own version also counts each change of status, of which a rollout
            // makes many.
            operations
                .push(json!({"op": "test", "path": "/metadata/generation", "value": metadata["generation"]}));
        }
        operations.push(json!({"op": "replace", "path": "/spec/template", "value": template}));
        if self.kind == Kind::Argo && snapshot.object["spec"]["paused"] == true {
            // Somebody stopped what was under way; what is written now leads back.
            operations.push(json!({"op": "replace", "path": "/spec/paused", "value": false}));
        }
        let cause = if wanted.note.is_empty() { "lastgood: rollback" } else { &wanted.note };
        operations.push(if metadata["annotations"].is_object() {
            json!({"op": "add", "path": "/metadata/annotations/kubernetes.io~1change-cause", "value": cause})
        } else {
            json!({"op": "add", "path": "/metadata/annotations", "value": {"kubernetes.io/change-cause": cause}})
        });
        Value::Array(operations)
    }
}

/// What an image may be tagged with (OCI distribution, "tag").
pub(super) fn is_tag(text: &str) -> bool {
    let first = text.chars().next().is_some_and(|c| c.is_ascii_alphanumeric() || c == '_');
    first
        && text.len() <= 128
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'))
}
