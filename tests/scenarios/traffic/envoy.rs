//! Envoy's traps.

use std::{fs, time::Duration};

use lastgood_adapters::{Fault, traffic::Preflight};
use lastgood_tests::process::poll_async;

use lastgood_tests::rigs::{
    self as rig, Rig as _, apply, ask,
    envoy::{ByFile, ByRuntime},
    from, settled, shares, to,
};

const LIMIT: Duration = Duration::from_secs(10);

async fn post(url: String) -> String {
    reqwest::Client::new().post(url).send().await.unwrap().text().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mistyped_key_is_taken_by_envoy_and_not_by_us() {
    let rig = ByRuntime::start().await;
    let said = post(format!("{}/runtime_modify?routing.chekout.green=100", rig.admin())).await;
    assert_eq!(said.trim(), "OK", "this is the trap");
    let mistyped = rig.under("routing.chekout");
    assert!(matches!(mistyped.observe().await, Err(Fault::NotFound(_))));
    assert!(matches!(apply(&*mistyped, &to(0)).await, Err(Fault::NotFound(_))));
    assert_eq!(rig.adapter().observe().await.unwrap().shares, shares(100));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_zeros_serve_nobody_and_there_is_a_way_out() {
    let rig = ByRuntime::start().await;
    post(format!("{}/runtime_modify?routing.checkout.blue=0&routing.checkout.green=0", rig.admin())).await;
    let front = rig.fronts().remove(0);
    assert_eq!(ask(&front).await, "404 Not Found", "this is the trap");
    let seen = rig.adapter().observe().await.unwrap();
    assert!(seen.disagreement.unwrap().contains("gives nobody anything"));
    apply(&*rig.adapter(), &to(0)).await.unwrap();
    settled(&*rig.adapter(), &to(0)).await;
    assert_eq!(ask(&front).await, "green");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_file_keeps_the_last_good_routes_and_is_told() {
    let rig = ByFile::start().await;
    let adapter = rig.adapter();
    rig::rewrite(rig.file(), |_| "resources: [".to_owned());
    let seen = poll_async("the refusal", LIMIT, || async {
        let seen = adapter.observe().await.ok()?;
        (!seen.warnings.is_empty()).then_some(seen)
    })
    .await;
    assert_eq!(seen.shares, shares(100), "the last good one");
    assert!(seen.warnings[0].contains("can't be understood"), "{seen:?}");
    let Preflight::Refused { reasons } = adapter.preflight(&from(100, 0)).await.unwrap() else {
        panic!("ready")
    };
    assert!(reasons[0].contains("line"), "{reasons:?}");
    assert!(matches!(apply(&*adapter, &to(0)).await, Err(Fault::Invalid(_))));
    assert_eq!(fs::read_to_string(rig.file()).unwrap(), "resources: [", "left to whoever wrote it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_envoy_refuses_is_put_back_as_it_was() {
    let rig = ByFile::start().await;
    let adapter = rig.adapter();
    // Good YAML, and no route configuration: Envoy says so in its statistics only.
    rig::rewrite(rig.file(), |text| text.replace("domains:", "domainz:"));
    let broken = fs::read_to_string(rig.file()).unwrap();
    let refused = apply(&*adapter, &to(0)).await;
    let Err(Fault::Invalid(said)) = refused else { panic!("{refused:?}") };
    assert!(said.contains("update_failure") && said.contains("put back"), "{said}");
    assert_eq!(fs::read_to_string(rig.file()).unwrap(), broken);
    assert_eq!(adapter.observe().await.unwrap().shares, shares(100), "{}", rig.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_is_written_in_place_is_not_read_and_is_told() {
    let rig = ByFile::start().await;
    let adapter = rig.adapter();
    let text = rig::weights_by_hand(&fs::read_to_string(rig.file()).unwrap(), 50);
    fs::write(rig.file(), text).unwrap();
    let seen = adapter.observe().await.unwrap();
    assert_eq!(seen.shares, shares(100), "this is the trap");
    assert!(seen.warnings.iter().all(|told| told.contains("has not taken it over")), "{seen:?}");
    assert_eq!(seen.warnings.len(), 2, "by both");
    // Whoever approves a move from there moves both, the file's and Envoy's.
    apply(&*adapter, &to(0)).await.unwrap();
    settled(&*adapter, &to(0)).await;
    assert_eq!(ask(&rig.fronts()[0]).await, "green");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_refused_file_of_another_route_is_not_ours() {
    let rig = ByFile::start().await;
    let adapter = rig.adapter();
    // It stands in the same folder, which makes Envoy read ours once more with every rename there.
    let beside = rig.file().with_file_name("payments.yaml");
    fs::write(&beside, "resources: [").unwrap();
    for blue in [0, 100] {
        apply(&*adapter, &to(blue)).await.unwrap();
        rig::rewrite(&beside, |text| text + "\n");
        settled(&*adapter, &to(blue)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hand_that_wrote_the_file_since_it_was_read_is_not_written_over() {
    let rig = ByFile::start().await;
    let adapter = rig.adapter();
    for network in rig.networks() {
        network.set(lastgood_tests::lossy::Mode::Delay(Duration::from_millis(300))).await;
    }
    let ours = tokio::spawn(async move { apply(&*adapter, &to(0)).await });
    tokio::time::sleep(Duration::from_millis(1_300)).await;
    rig::rewrite(rig.file(), |text| text.replace("# Routes of", "# Changed: routes of"));
    let outcome = ours.await.unwrap();
    assert!(matches!(outcome, Err(Fault::Conflict(_)) | Ok(())), "{outcome:?}");
    assert!(fs::read_to_string(rig.file()).unwrap().contains("# Changed"), "their change is lost");
}
