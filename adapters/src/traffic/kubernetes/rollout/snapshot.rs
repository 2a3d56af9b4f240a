//! A workload with its pods and its earlier templates, as read at one moment.

use std::collections::BTreeMap;

use lastgood_core::Digest;
use serde_json::Value;

use super::{
    super::{gitops, image::Image},
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
    pub container: Option<String>,
    pub pods: Vec<Pod>,
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
    pub ready: bool,
    /// Its own reason for not getting ready.
    pub trouble: Option<String>,
}

#[derive(Debug, Clone)]
pub struct Revision {
    pub name: String,
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
    pub fn read(pod: &Value, container: Option<&str>) -> Option<Self> {
        let image = image(pod, container).ok()?;
        let statuses = |key: &str| pod["status"][key].as_array().map_or(&[][..], Vec::as_slice).iter();
        let named =
            pod["spec"]["containers"].as_array()?.iter().find(|one| one["image"] == image.as_str())?;
        let status = statuses("containerStatuses").find(|status| status["name"] == named["name"]);
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
        let image = image(self.workload().template(), self.container.as_deref())?;
        let digest = image.digest().or_else(|| self.running(&image));
        Ok((image, digest))
    }

    /// What pods of this reference run.
    fn running(&self, image: &Image) -> Option<Digest> {
        self.pods.iter().filter(|pod| pod.image == *image).find_map(|pod| pod.digest.clone())
    }

    /// The earlier template that ran this artifact, the newest if there are several: found by its bytes, or by the tag under
    /// which the inventory knows them; never by its place in the history.
    pub fn earlier(&self, pool: &str, digest: &Digest, version: &str) -> Option<(&Revision, Evidence)> {
        let newest = |is: &dyn Fn(&Revision) -> bool| {
            self.history.iter().filter(|revision| is(revision)).max_by_key(|revision| revision.number)
        };
        let bytes = |revision: &Revision| revision.image.digest().or_else(|| self.running(&revision.image));
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
        seen.shares = percent(count);
        seen.writer = gitops::last_writer(&self.object);
        Ok(seen)
    }
}
