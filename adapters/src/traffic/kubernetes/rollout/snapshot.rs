//! A workload with its pods and its earlier templates, as read at one moment.

use std::collections::{BTreeMap, BTreeSet};

use lastgood_core::Digest;
use serde_json::Value;

use super::{
    super::{gitops, image::Image},
    revisions,
    workload::{Kind, Workload, image},
};
use crate::traffic::{Capacity, Observation, Running, shares::percent};

/// Why a pod will not become ready by itself, as the kubelet and the scheduler name it.
const HOPELESS: [&str; 7] = [
    "CrashLoopBackOff",
    "ImagePullBackOff",
    "ErrImageNeverPull",
    "InvalidImageName",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
];

pub struct Snapshot {
    pub kind: Kind,
    pub object: Value,
    /// Which container is the artifact.
    pub container: String,
    pub pods: Vec<Pod>,
    /// Pods that have no such container: what they run can't be told.
    pub strange: Vec<String>,
    pub history: Vec<Revision>,
    /// Of the list of pods: a watch goes on from there.
    pub pods_at: String,
}

#[derive(Debug, Clone)]
pub struct Pod {
    pub name: String,
    pub image: Image,
    /// By the template's pin, else as the kubelet reports what it pulled.
    pub digest: Option<Digest>,
    /// The revision that it was made from; see `Revision::key`.
    pub revision: String,
    pub ready: bool,
    /// Its own reason for not getting ready.
    pub trouble: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Revision {
    pub name: String,
    /// By which its pods name it.
    pub key: String,
    pub number: u64,
    pub template: Value,
    pub image: Image,
}

/// How sure it is that an earlier template ran the target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// The template names the digest, or a pod of it runs it.
    Digest,
    /// The inventory knows the digest by this tag.
    Tag,
}

impl Pod {
    pub fn read(kind: Kind, pod: &Value, container: &str) -> Option<Self> {
        let image = image(pod, container)?;
        let statuses = |key: &str| pod["status"][key].as_array().map_or(&[][..], Vec::as_slice).iter();
        let status = statuses("containerStatuses").find(|status| status["name"] == container);
        let pulled = status.and_then(|status| status["imageID"].as_str()).map(Image::new);
        let waiting =
            statuses("containerStatuses").chain(statuses("initContainerStatuses")).find_map(|status| {
                let waiting = &status["state"]["waiting"];
                let reason = waiting["reason"].as_str().filter(|reason| HOPELESS.contains(reason))?;
                Some(words(reason, waiting["message"].as_str()))
            });
        let conditions = statuses("conditions").collect::<Vec<_>>();
        let condition = |kind: &str| conditions.iter().find(|one| one["type"] == kind);
        let unschedulable = condition("PodScheduled")
            .filter(|one| one["status"] == "False" && one["reason"] == "Unschedulable")
            .map(|one| words("Unschedulable", one["message"].as_str()));
        Some(Self {
            name: pod["metadata"]["name"].as_str().unwrap_or_default().to_owned(),
            digest: image.digest().or_else(|| pulled.and_then(|pulled| pulled.digest())),
            image,
            revision: revisions::of_pod(kind, pod).unwrap_or_default().to_owned(),
            ready: condition("Ready").is_some_and(|one| one["status"] == "True"),
            trouble: waiting.or(unschedulable),
        })
    }
}

fn words(reason: &str, message: Option<&str>) -> String {
    message.map_or_else(|| reason.to_owned(), |message| format!("{reason}: {message}"))
}

/// How what runs is named where there are no pools: by its bytes, else by its tag.
pub fn pool(image: &Image, digest: Option<&Digest>) -> String {
    let tag = || image.tag().unwrap_or(image.as_str()).to_owned();
    digest.map_or_else(tag, |digest| digest.short().to_owned())
}

impl Snapshot {
    pub fn workload(&self) -> Workload<'_> {
        Workload { kind: self.kind, object: &self.object }
    }

    /// What the workload's template asks for.
    pub fn asked(&self) -> Result<(Image, Option<Digest>), String> {
        let none = || format!("its template has no container {:?}", self.container);
        let image = image(self.workload().template(), &self.container).ok_or_else(none)?;
        // While the controller has not seen the newest template, its revision is not there yet.
        let newest =
            self.workload().observed().then(|| self.history.iter().max_by_key(|one| one.number)).flatten();
        let digest = image.digest().or_else(|| self.pulled(newest?));
        Ok((image, digest))
    }

    /// An Argo Rollout's template whose pods are there: to go back to it needs no others.
    pub fn is_standing(&self, revision: &Revision) -> bool {
        self.kind == Kind::Argo && self.pods.iter().any(|pod| pod.revision == revision.key && pod.ready)
    }

    /// How the revision with this key is named as a pool.
    pub fn named(&self, key: &str) -> Option<String> {
        let revision = self.history.iter().find(|revision| revision.key == key)?;
        let digest = revision.image.digest().or_else(|| self.pulled(revision));
        Some(pool(&revision.image, digest.as_ref()))
    }

    /// What the pods of a revision pulled, if they agree: a tag may have come to mean something else in between.
    fn pulled(&self, revision: &Revision) -> Option<Digest> {
        let of = self.pods.iter().filter(|pod| pod.revision == revision.key);
        let digests: BTreeSet<&Digest> = of.filter_map(|pod| pod.digest.as_ref()).collect();
        if digests.len() == 1 { digests.first().map(|digest| (*digest).clone()) } else { None }
    }

    /// The earlier template that ran this artifact, the newest if there are several: found by its bytes, or by the tag under
    /// which the inventory knows them; never by its place in the history.
    pub fn earlier(&self, pool: &str, digest: &Digest, version: &str) -> Option<(&Revision, Evidence)> {
        let newest = |is: &dyn Fn(&Revision) -> bool| {
            self.history.iter().filter(|revision| is(revision)).max_by_key(|revision| revision.number)
        };
        let bytes = |revision: &Revision| revision.image.digest().or_else(|| self.pulled(revision));
        let by_bytes = newest(&|revision| bytes(revision).as_ref() == Some(digest));
        let by_tag = || {
            newest(&|revision| {
                let tag = revision.image.tag();
                // A tag whose bytes are known to be others is none of it.
                bytes(revision).is_none() && tag.is_some() && (tag == Some(version) || tag == Some(pool))
            })
        };
        by_bytes
            .map(|revision| (revision, Evidence::Digest))
            .or_else(|| by_tag().map(|revision| (revision, Evidence::Tag)))
    }

    /// Shares of *pods*, ready or not: one that crashes serves nobody, and is what failing looks like. What the template asks
    /// for is there even while no pod of it could be made.
    pub fn observation(&self) -> Result<Observation, String> {
        let (asked, digest) = self.asked()?;
        let mut seen = Observation::default();
        let mut count: BTreeMap<String, u64> = BTreeMap::new();
        let mut add = |image: &Image, digest: Option<&Digest>, pods: u64, ready: bool| {
            let name = pool(image, digest);
            *count.entry(name.clone()).or_default() += pods;
            let capacity: &mut Capacity = seen.capacity.entry(name.clone()).or_default();
            capacity.all += u32::try_from(pods).unwrap_or(u32::MAX);
            capacity.alive += u32::from(ready);
            seen.runs.entry(name).or_insert_with(|| Running {
                digest: digest.map(ToString::to_string),
                version: image.tag().map(str::to_owned),
            });
        };
        for pod in &self.pods {
            add(&pod.image, pod.digest.as_ref(), 1, pod.ready);
        }
        let asked_for = pool(&asked, digest.as_ref());
        if self.workload().count().wanted > 0
            && !self.pods.iter().any(|p| pool(&p.image, p.digest.as_ref()) == asked_for)
        {
            add(&asked, digest.as_ref(), 1, false);
            seen.capacity.insert(asked_for, Capacity::default());
        }
        if !self.strange.is_empty() {
            seen.warnings.push(format!(
                "what {} runs can't be told: no container {:?} in it",
                self.strange.join(", "),
                self.container
            ));
        }
        seen.shares = percent(count);
        seen.fluid = true;
        seen.writer = gitops::last_writer(&self.object);
        Ok(seen)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod(containers: &[&str]) -> Value {
        let (digest, other) = ("a".repeat(64), "b".repeat(64));
        let status = |name: &str| {
            let digits = if name == "app" { &digest } else { &other };
            json!({"name": name, "imageID": format!("registry.example.com/x@sha256:{digits}"),
                   "state": {"waiting": {"reason": "CrashLoopBackOff"}}})
        };
        json!({"metadata": {"name": "checkout-1"},
               "spec": {"containers": containers.iter().map(|name| json!({"name": name, "image": "x:v1"})).collect::<Vec<_>>()},
               "status": {"containerStatuses": containers.iter().map(|name| status(name)).collect::<Vec<_>>()}})
    }

    #[test]
    fn a_container_that_a_mesh_injected_hides_no_pod() {
        let read = Pod::read(Kind::Deployment, &pod(&["istio-proxy", "app"]), "app").unwrap();
        assert!(read.digest.unwrap().as_str().contains("aaaa"), "of the artifact's own container");
        assert_eq!(read.trouble.as_deref(), Some("CrashLoopBackOff"));
        assert!(Pod::read(Kind::Deployment, &pod(&["other"]), "app").is_none());
    }

    #[test]
    fn a_pod_without_the_container_is_told_and_nothing_is_settled() {
        let template = json!({"spec": {"containers": [{"name": "app", "image": "x:v1"}]}});
        let snapshot = Snapshot {
            kind: Kind::Deployment,
            object: json!({"spec": {"replicas": 1, "template": template}}),
            container: "app".to_owned(),
            pods: Vec::new(),
            strange: vec!["checkout-1".to_owned()],
            history: Vec::new(),
            pods_at: String::new(),
        };
        let warnings = snapshot.observation().unwrap().warnings;
        assert_eq!(warnings, ["what checkout-1 runs can't be told: no container \"app\" in it"]);
    }
}
