//! A rolling update by a shifter of the user's own: the example program replaces what runs.

use std::{os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use lastgood_core::Artifact;
use lastgood_tests::{
    database::{Kind, both},
    process::poll,
};

use super::{
    stage::{Stage, Wishes},
    world::World,
};

/// What the deployment system was asked to roll to: digest and version.
async fn asked(folder: &Path) -> String {
    let file = folder.join("asked");
    let said = poll("the deployment system to be asked", Duration::from_secs(10), || {
        std::fs::read_to_string(&file).ok()
    })
    .await;
    std::fs::remove_file(file).unwrap();
    said
}

fn line(artifact: &Artifact) -> String {
    format!("{} {}\n", artifact.digest, artifact.version)
}

async fn what_runs_is_replaced(kind: Kind) {
    let stage = Stage::set().await;
    let folder = stage.folder.path().to_owned();
    // The user's own: it writes down what to roll to, and the test is the deployment system.
    let roll = folder.join("roll");
    let script = "#!/bin/sh\ncd \"${0%/*}\"\necho \"$@\" > asked.new && mv asked.new asked\n";
    std::fs::write(&roll, script).unwrap();
    std::fs::set_permissions(&roll, std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/shifter-example.py");
    let servers = ["blue", "green"].map(|pool| format!("http://{}", stage.shop.pool(pool)[0].at())).join(",");
    let traffic = format!(
        "strategy = 'rolling'\nkind = 'exec'\ncommand = ['python3', '{}']\nenvironment = {{ SERVERS = '{servers}', ROLL = '{}' }}",
        program.display(),
        roll.display()
    );
    let wishes =
        Wishes { traffic: Some(traffic), service: "must_pull = false".to_owned(), ..Wishes::default() };
    let world = World::open(stage, kind, &wishes).await;
    let shop = &world.stage.shop;
    let (old, new) = (world.stage.old.clone(), world.stage.new.clone());
    shop.runs("blue", &new);
    world.http.records(&new, "", None).await;
    shop.healthy("blue", false);
    shop.healthy("green", false);
    world.alertmanager_sends(&[("HighErrorRate", "firing")]).await;

    world.presses(&world.ana, "Roll back to v2.4.0").await;
    assert_eq!(asked(&folder).await, line(&old));
    shop.runs("blue", &old);
    world.reads("1 of 2 servers").await;
    shop.runs("green", &old);
    shop.healthy("blue", true);
    shop.healthy("green", true);
    world.run_ends(1, "recovered").await;
    assert_eq!(world.gate(&new).await["allowed"], false);

    // And the way back is the same.
    world.fills(&world.ana, "Undo", &[("reason", "it was the network")]).await;
    world.presses(&world.ben, "Approve: back to v2.4.1").await;
    world.presses(&world.ben, "Approve v2.4.1 anyway").await;
    assert_eq!(asked(&folder).await, line(&new));
    shop.runs("blue", &new);
    shop.runs("green", &new);
    world.run_ends(2, "recovered").await;
    world.ends().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_update_by_a_program_of_the_users_own_goes_back_and_forth() {
    for kind in both() {
        what_runs_is_replaced(kind).await;
    }
}
