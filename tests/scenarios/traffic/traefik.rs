//! Traefik's traps.

use std::time::Duration;

use lastgood_adapters::Fault;
use lastgood_tests::process::poll_async;

use lastgood_tests::rigs::{self as rig, Rig as _, apply, ask, settled, shares, to, traefik::Traefik};

const LIMIT: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_keeps_the_last_good_services_and_is_told() {
    let rig = Traefik::start().await;
    let adapter = rig.adapter();
    let good = std::fs::read_to_string(rig.file()).unwrap();
    rig::rewrite(rig.file(), |_| "http: [".to_owned());
    let seen = adapter.observe().await.unwrap();
    assert_eq!(seen.shares, shares(100));
    assert!(seen.warnings[0].contains("can't be understood"), "{seen:?}");
    assert!(matches!(apply(&*adapter, &to(0)).await, Err(Fault::Invalid(_))));
    rig::rewrite(rig.file(), |_| good);
    apply(&*adapter, &to(0)).await.unwrap();
    settled(&*adapter, &to(0)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_service_that_traefik_disables_serves_nobody() {
    let rig = Traefik::start().await;
    let adapter = rig.adapter();
    // The weights are as wanted, and a part of it does not exist.
    rig::rewrite(rig.file(), |text| {
        text.replace("- name: green", "- { name: gone, weight: 1 }\n        - name: green")
    });
    let seen = poll_async("the disabled service", LIMIT, || async {
        let seen = adapter.observe().await.ok()?;
        (seen.shares["blue"] == 0).then_some(seen)
    })
    .await;
    assert!(seen.warnings.iter().any(|told| told.contains("is disabled")), "{seen:?}");
    assert_ne!(ask(&rig.fronts()[0]).await, "blue", "this is the trap");
    assert!(matches!(
        adapter.preflight(&to(0)).await,
        Ok(lastgood_adapters::traffic::Preflight::Refused { .. })
    ));
}
