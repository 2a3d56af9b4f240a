//! The world as the demo uses it: over its ports and addresses only.

use std::collections::BTreeSet;

use lastgood_adapters::{
    metrics::Metrics as _,
    traffic::{Move, Observation, Preflight, Progress, Said, Shifter as _},
};
use lastgood_core::Shares;
use sha2::Digest as _;

use super::*;

/// A clock that counts what really passes, from a made-up beginning.
fn clock() -> Now {
    let began = std::time::Instant::now();
    Arc::new(move || 1_700_000_000_000 + i64::try_from(began.elapsed().as_millis()).unwrap())
}

fn all_to(pool: &str) -> Move {
    let shares = [BLUE, GREEN].map(|name| (name.to_owned(), if name == pool { 100 } else { 0 }));
    Move { shares: Shares::from(shares), ..Move::default() }
}

async fn settled(shifter: &SwitchShifter, wanted: &Move) -> (Observation, BTreeSet<u8>) {
    let mut shares = BTreeSet::new();
    let mut ticks = tokio::time::interval(Duration::from_millis(50));
    loop {
        ticks.tick().await;
        match shifter.progress(wanted).await.unwrap() {
            Progress::Settled(seen) => return (seen, shares),
            Progress::Moving { seen, .. } => shares.insert(seen.shares[BLUE]),
            Progress::Stuck { detail, .. } | Progress::Failed { detail, .. } => panic!("{detail}"),
        };
    }
}

async fn rate_after_shift(scenario: Scenario) -> f64 {
    let now = clock();
    let world = World::start(scenario, Arc::clone(&now)).await.unwrap();
    let alert = world.alert().await;
    assert!((0.15..0.45).contains(&alert.rate), "{alert:?}");
    assert_eq!(alert.labels["service"], "checkout");

    let (shifter, metrics) = (world.shifter(), world.metrics());
    let back = all_to(BLUE);
    assert_eq!(shifter.preflight(&all_to(GREEN)).await.unwrap(), Preflight::AlreadyThere);
    assert_eq!(shifter.preflight(&back).await.unwrap(), Preflight::Ready { warnings: vec![] });
    shifter.apply(&back, &Said::default()).await.unwrap();
    shifter.apply(&back, &Said::default()).await.unwrap();
    let (seen, on_the_way) = settled(&shifter, &back).await;
    assert_eq!(seen.shares[BLUE], 100);
    assert!(on_the_way.len() > 5, "moved gradually: {on_the_way:?}");
    assert!(matches!(shifter.progress(&all_to(GREEN)).await.unwrap(), Progress::Failed { .. }));

    let shifted = now();
    let mut requests = world.counts.requests();
    while now() < shifted + 2_200 {
        requests.changed().await.unwrap();
    }
    let sample = metrics.error_rate(shifted + 2_100).await.unwrap().unwrap();
    assert!(sample.requests.unwrap() > 60.0, "{sample:?}");
    let baseline = metrics.error_rate(now() - 10 * 60_000).await.unwrap().unwrap();
    assert!(baseline.rate < 0.005);
    tokio::time::timeout(Duration::from_secs(3), world.stop()).await.unwrap();
    sample.rate
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_back_helps() {
    assert!(rate_after_shift(Scenario::Recovers).await.abs() < f64::EPSILON);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn going_back_does_not_help_when_the_target_is_broken_too() {
    assert!(rate_after_shift(Scenario::TargetBroken).await > 0.15);
}

#[tokio::test]
async fn a_move_that_makes_no_sense_is_refused() {
    let world = World::start(Scenario::Recovers, clock()).await.unwrap();
    let shifter = world.shifter();
    for (shares, reason) in [
        (Shares::from([("red".into(), 100)]), "the switch has no pool \"red\""),
        (Shares::from([(BLUE.into(), 60), (GREEN.into(), 60)]), "shares add up to 120 %, not to 100 %"),
    ] {
        let wanted = Move { shares, ..Move::default() };
        let refused = Preflight::Refused { reasons: vec![reason.to_owned()] };
        assert_eq!(shifter.preflight(&wanted).await.unwrap(), refused);
        assert!(shifter.apply(&wanted, &Said::default()).await.is_err());
    }
    world.stop().await;
}

#[tokio::test]
async fn pools_say_what_they_run() {
    let world = World::start(Scenario::Recovers, clock()).await.unwrap();
    for pool in &world.pools {
        let version: serde_json::Value =
            world.client().get(&pool.version_url).send().await.unwrap().json().await.unwrap();
        assert_eq!(version["digest"], pool.artifact.digest.as_str());
        assert!(world.client().get(&pool.health_url).send().await.unwrap().status().is_success());
    }
    let running: Vec<_> =
        world.pools.iter().map(|pool| (pool.name, pool.artifact.version.as_str())).collect();
    assert_eq!(running, [(BLUE, "v2.4.0"), (GREEN, "v2.5.0")]);
    world.stop().await;
}

#[tokio::test]
async fn the_registry_answers_as_the_distribution_specification_says() {
    let world = World::start(Scenario::Recovers, clock()).await.unwrap();
    let client = world.client();
    let base = format!("{}/v2/{REPOSITORY}", world.registry_url());
    assert!(client.get(format!("{}/v2/", world.registry_url())).send().await.unwrap().status().is_success());
    for release in &world.releases {
        let digest = release.artifact.digest.as_str();
        let url = format!("{base}/manifests/{digest}");
        let head = client.head(&url).send().await.unwrap();
        let got = client.get(&url).send().await.unwrap();
        for answer in [&head, &got] {
            assert_eq!(answer.headers()["docker-content-digest"], digest);
            assert_eq!(answer.headers()["content-type"], "application/vnd.oci.image.manifest.v1+json");
        }
        let length = head.headers()["content-length"].clone();
        let bytes = got.bytes().await.unwrap();
        assert_eq!(length.to_str().unwrap(), bytes.len().to_string());
        let hash: String = sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(format!("sha256:{hash}"), digest);
        let manifest: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let config = format!("{base}/blobs/{}", manifest["config"]["digest"].as_str().unwrap());
        assert!(client.get(config).send().await.unwrap().status().is_success());
    }
    for (path, status, code) in [
        (format!("{base}/manifests/sha256:{}", "0".repeat(64)), 404, "MANIFEST_UNKNOWN"),
        (format!("{base}/manifests/sha256:1"), 400, "DIGEST_INVALID"),
        (format!("{base}/blobs/sha256:{}", "0".repeat(64)), 404, "BLOB_UNKNOWN"),
        (format!("{}/v2/other/manifests/v1", world.registry_url()), 404, "NAME_UNKNOWN"),
    ] {
        let answer = client.get(&path).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), status, "{path}");
        let body: serde_json::Value = answer.json().await.unwrap();
        assert_eq!(body["errors"][0]["code"], code, "{path}");
    }
    world.stop().await;
}

#[test]
fn scenarios_are_named_in_the_error() {
    assert_eq!("target-broken".parse(), Ok(Scenario::TargetBroken));
    let error = "x".parse::<Scenario>().unwrap_err();
    assert_eq!(error, "no scenario \"x\": there are recovers and target-broken");
}
