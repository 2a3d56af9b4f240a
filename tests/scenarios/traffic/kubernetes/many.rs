//! A namespace with two thousand Deployments: what `discover` costs there, and whether one of them is still read as fast.

use std::time::{Duration, Instant};

use lastgood_tests::{binary, process::poll, real::kubernetes::image};

use super::{Scene, pool};

const MANY: usize = 2_000;
/// Megabytes that `discover` may hold at its peak (debug build).
const MOST: u64 = 120;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_thousand_deployments_are_listed_page_by_page_and_cost_a_rollback_nothing() {
    let scene = Scene::set(2).await;
    let alone = time_of_reading(&scene).await;
    let cluster = scene.cluster.read().await;
    cluster.crowd(MANY, &image("v2.4.0")).await;

    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = cluster.admins_kubeconfig().display().to_string();
    let arguments = ["discover", "--namespace", "shop", "--kubeconfig", &kubeconfig];
    let out = folder.path().join("found.toml");
    let began = Instant::now();
    let mut command = binary::command(folder.path(), &arguments);
    command.stdout(std::fs::File::create(&out).unwrap());
    let mut child = command.spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = poll("discover", Duration::from_secs(60), || {
        peak = peak.max(high_water(&status).unwrap_or(0));
        child.try_wait().unwrap()
    })
    .await;
    let took = began.elapsed();
    assert!(ended.success());
    let found = std::fs::read_to_string(&out).unwrap();
    assert_eq!(found.matches("\nworkload = \"deployment/crowd-").count(), MANY);
    assert!(found.contains("\n[services.checkout]\n"), "and the one that was there before");

    let among = time_of_reading(&scene).await;
    println!(
        "discover of {MANY}: {took:?}, {peak} MB at its peak; a reading of one: {alone:?} alone, {among:?} among them"
    );
    assert!(peak < MOST, "{peak} MB");
    // It asks for its own workload and pods only; the machine is noisy.
    assert!(among < alone * 5 + Duration::from_millis(100), "{alone:?} alone, {among:?} among {MANY}");
}

/// The median of several.
async fn time_of_reading(scene: &Scene) -> Duration {
    let mut times = Vec::new();
    for _ in 0..9 {
        let began = Instant::now();
        assert_eq!(scene.observed().await.shares[&pool("v2.4.1")], 100);
        times.push(began.elapsed());
    }
    times.sort();
    times[4]
}

/// Most memory that a process held, in megabytes.
fn high_water(status: &str) -> Option<u64> {
    let text = std::fs::read_to_string(status).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}
