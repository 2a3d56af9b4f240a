//! An image has several digests: its index, and the manifest of each platform. What is recorded is one of them, what runs another.

use std::{os::unix::fs::PermissionsExt as _, path::Path};

use lastgood_core::{Artifact, Digest};
use lastgood_tests::{
    database::{Kind, both},
    real::registry::Registry,
};
use serde_json::Value;

use super::{
    stage::{CI_TOKEN, Stage, Wishes},
    world::{ROOM, World},
};

const REPOSITORY: &str = "shop/checkout";

/// One image as it was built: by its index, and by its platform's manifest.
pub struct Image {
    pub index: Artifact,
    pub manifest: Artifact,
}

pub async fn built(registry: &Registry, version: &str) -> Image {
    let (index, manifest) = registry.push_built(REPOSITORY, version).await;
    let artifact =
        |digest: String| Artifact { version: version.to_owned(), digest: Digest::try_from(digest).unwrap() };
    Image { index: artifact(index), manifest: artifact(manifest) }
}

pub fn section(registry: &Registry) -> String {
    format!(
        "registry = {{ kind = 'oci', repository = '{}', plain_http = true, timeout = '1s' }}\nmust_pull = false",
        registry.repository(REPOSITORY)
    )
}

async fn refuses(world: &World, artifact: &Artifact) {
    let answer = world.gate(artifact).await;
    assert_eq!(answer["allowed"], Value::Bool(false), "{answer}");
}

/// Pipelines record one digest, and the pools tell the other; `by_index` says which is which.
async fn recorded_and_run(kind: Kind, by_index: bool) {
    let mut stage = Stage::set().await;
    let registry = Registry::start(stage.folder.path(), true).await;
    let (old, new) = (built(&registry, "v2.4.0").await, built(&registry, "v2.4.1").await);
    let sides = |image: &Image| match by_index {
        true => (image.index.clone(), image.manifest.clone()),
        false => (image.manifest.clone(), image.index.clone()),
    };
    let ((old_recorded, old_runs), (new_recorded, new_runs)) = (sides(&old), sides(&new));
    stage.shop.runs("blue", &old_runs);
    stage.shop.runs("green", &new_runs);
    (stage.old, stage.new) = (old_recorded, new_recorded.clone());
    let world = World::open(stage, kind, &Wishes { service: section(&registry), ..Wishes::default() }).await;
    world.breaks().await;
    // By one click: nothing is other than what was recorded.
    world.presses(&world.ana, "Roll back to v2.4.0").await;
    world.run_ends(1, "recovered").await;
    let failing = world.run(1).await.proposal.and_then(|proposal| proposal.failing).unwrap();
    assert_eq!(failing.artifact, new_recorded);
    assert_eq!(world.stage.routed(), "blue");
    refuses(&world, &new.index).await;
    refuses(&world, &new.manifest).await;
    let (status, answer) =
        world.http.get(&format!("/v1/gate?service=checkout&digest={}", old_runs.digest), CI_TOKEN).await;
    assert_eq!(
        (status, &answer["allowed"]),
        (200, &Value::Bool(true)),
        "known, though not recorded: {answer}"
    );
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_is_a_platform_of_the_recorded_index() {
    for kind in both() {
        recorded_and_run(kind, true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_runs_is_the_index_of_a_recorded_platform() {
    for kind in both() {
        recorded_and_run(kind, false).await;
    }
}

/// A service that is replaced in place, so that any artifact could be a target: v2.4.1 was recorded by its index an hour ago, and now by
/// its manifest once more. Gives the world before the alert.
async fn recorded_twice(kind: Kind, registry: &Registry, folder: &Path) -> (World, Image) {
    let mut stage = Stage::set().await;
    let (old, new) = (built(registry, "v2.4.0").await, built(registry, "v2.4.1").await);
    let roll = folder.join("roll");
    std::fs::write(&roll, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(&roll, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/shifter-example.py");
    let servers = ["blue", "green"].map(|pool| format!("http://{}", stage.shop.pool(pool)[0].at())).join(",");
    let traffic = format!(
        "strategy = 'rolling'\nkind = 'exec'\ncommand = ['python3', '{}']\nenvironment = {{ SERVERS = '{servers}', ROLL = '{}' }}",
        program.display(),
        roll.display()
    );
    let (service, traffic) = (section(registry), Some(traffic));
    stage.shop.runs("blue", &new.manifest);
    stage.shop.runs("green", &new.manifest);
    stage.old = old.index;
    let world = World::open(stage, kind, &Wishes { service, traffic, ..Wishes::default() }).await;
    let half_an_hour_ago = world.bot.app.engine.now() - 1_800_000;
    world.http.records(&new.index, "", Some(half_an_hour_ago)).await;
    world.http.records(&new.manifest, "", None).await;
    (world, new)
}

async fn is_not_its_own_target(kind: Kind) {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::start(folder.path(), true).await;
    let (world, new) = recorded_twice(kind, &registry, folder.path()).await;
    world.alertmanager_sends(&[("HighErrorRate", "firing")]).await;
    world.offered("Roll back to v2.4.0").await;
    let proposal = world.run(1).await.proposal.unwrap();
    assert_eq!(proposal.failing.unwrap().artifact.digest, new.index.digest);
    assert_eq!(proposal.caveats, []);
    world.fills(&world.ana, "Reject", &[("reason", "the test is over")]).await;
    world.run_ends(1, "rejected").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_was_recorded_by_both_digests_is_not_its_own_target() {
    for kind in both() {
        is_not_its_own_target(kind).await;
    }
}

/// Nobody can say whether both are one image: then it costs a click at least.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_registry_that_can_not_be_asked_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut registry = Registry::start(folder.path(), true).await;
    let (world, _) = recorded_twice(Kind::Sqlite, &registry, folder.path()).await;
    registry.process.kill();
    world.alertmanager_sends(&[("HighErrorRate", "firing")]).await;
    let thread = world.reads("are one image can't be told").await;
    assert!(thread.offering("Roll back to v2.4.0").is_none(), "{}", world.chat.transcript(ROOM));
    let caveats = world.run(1).await.proposal.unwrap().caveats;
    assert_eq!(caveats.len(), 1, "{caveats:?}");
}
