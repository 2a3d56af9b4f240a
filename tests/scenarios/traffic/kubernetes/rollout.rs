//! A rollback as it should go, and what stops it.

use std::time::Duration;

use lastgood_adapters::{
    Fault,
    traffic::{Preflight, Progress, Said},
};
use lastgood_tests::{process::poll_async, real::kubernetes::nodes::Manner};
use serde_json::json;

use super::{Scene, env, pool, to};
use lastgood_tests::real::kubernetes::image;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_replicas_go_back_with_their_configuration_while_others_write() {
    let scene = Scene::set(10).await;
    let seen = scene.observed().await;
    assert_eq!(seen.shares, [(pool("v2.4.1"), 100)].into());
    assert_eq!(seen.runs[&pool("v2.4.1")].version.as_deref(), Some("v2.4.1"));
    let warnings = scene.warned(&to("v2.4.0")).await;
    assert_eq!(warnings, ["configuration comes back with it: app/env/FEATURE"]);
    assert_eq!(scene.image().await, image("v2.4.1"), "a preflight changes nothing");

    scene.nodes.count();
    // Somebody labels the Deployment all the time: its resource version never stands still.
    let label = async {
        for number in 0.. {
            scene.edit("labeller", &json!({"metadata": {"labels": {"n": number.to_string()}}})).await;
        }
    };
    let wanted = to("v2.4.0");
    let goes = async {
        scene.applies(&wanted).await;
        scene.comes_to(&wanted).await
    };
    let done = tokio::select! { done = goes => done, () = label => unreachable!("it never ends") };
    let Progress::Settled(seen) = done else { panic!("{done:?}") };
    assert_eq!(seen.shares, [(pool("v2.4.0"), 100)].into());
    assert_eq!(seen.capacity[&pool("v2.4.0")].alive, 10);
    assert!(scene.nodes.fewest() >= 9, "maxUnavailable is 1: {}", scene.nodes.fewest());
    let object = scene.object().await;
    assert_eq!(object["spec"]["template"]["spec"]["containers"][0]["env"], env("old"));
    let annotations = &object["metadata"]["annotations"];
    assert_eq!(annotations["kubernetes.io/change-cause"], "RB-1: back to v2.4.0");
    assert_eq!(scene.shifter.preflight(&wanted).await.unwrap(), Preflight::AlreadyThere);
    // Once more is no other rollout.
    scene.applies(&wanted).await;
    assert_eq!(scene.object().await["metadata"]["generation"], object["metadata"]["generation"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_undone_release_is_not_what_comes_back() {
    let scene = Scene::set(2).await;
    // v2.4.1 was bad before, and undone; then v2.4.2 came. `rollout undo` would go by the number before.
    scene.applies(&to("v2.4.0")).await;
    assert!(matches!(scene.comes_to(&to("v2.4.0")).await, Progress::Settled(_)));
    scene.deploy(&image("v2.4.1"), &env("again")).await;
    scene.deploy(&image("v2.4.2"), &env("newest")).await;
    scene.rolled("v2.4.2", |object| object["status"]["updatedReplicas"] == 2).await;
    scene.applies(&to("v2.4.0")).await;
    assert!(matches!(scene.comes_to(&to("v2.4.0")).await, Progress::Settled(_)));
    assert_eq!(scene.image().await, image("v2.4.0"));
}

async fn comes_back(kind: &str) {
    let scene = Scene::of_kind(kind).await;
    let said = scene.shifter.foresee(&to("v2.4.0")).await.unwrap();
    assert_eq!(said.notes, ["configuration comes back with it: app/env/FEATURE"]);
    assert!(matches!(scene.shifter.preflight(&to("v2.4.0")).await, Ok(Preflight::Ready { .. })));
    scene.applies(&to("v2.4.0")).await;
    assert!(matches!(scene.comes_to(&to("v2.4.0")).await, Progress::Settled(_)));
    assert_eq!(scene.image().await, image("v2.4.0"));
    let template = &scene.object().await["spec"]["template"];
    assert_eq!(template["spec"]["containers"][0]["env"], env("old"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stateful_set_comes_back() {
    comes_back("statefulset").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daemon_set_comes_back() {
    comes_back("daemonset").await;
}

/// Kubernetes' own known limit: it waits for ever, and only a person can help.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stateful_set_that_waits_for_its_broken_pod_says_what_to_do() {
    let scene = Scene::of_kind("statefulset").await;
    scene.nodes.behave("v2.4.2", Manner::Crashes);
    scene.deploy(&image("v2.4.2"), &env("newest")).await;
    poll_async("the crash", Duration::from_secs(20), || async {
        scene.observed().await.capacity.get(&pool("v2.4.2")).is_some_and(|c| c.all == 1).then_some(())
    })
    .await;
    scene.applies(&to("v2.4.1")).await;
    let failed = scene.comes_to(&to("v2.4.1")).await;
    let Progress::Stuck { detail, .. } = failed else { panic!("{failed:?}") };
    assert!(detail.contains("kubectl delete pod checkout-1 -n shop"), "{detail}");
    scene.cluster.read().await.delete("/api/v1/namespaces/shop/pods/checkout-1").await;
    scene.runs("v2.4.1").await;
}

async fn failing(manner: Manner, says: &str) {
    let scene = Scene::set(3).await;
    scene.nodes.behave("v2.4.0", manner);
    let wanted = to("v2.4.0");
    scene.applies(&wanted).await;
    let failed = scene.comes_to(&wanted).await;
    let Progress::Stuck { detail, seen } = failed else { panic!("{failed:?}") };
    assert!(detail.contains(says), "{detail}");
    assert!(seen.shares[&pool("v2.4.1")] > 0, "some of the old ones still serve: {seen:?}");
    // The reason goes away, and so does the failure.
    scene.nodes.behave("v2.4.0", Manner::Ready);
    let mended = poll_async("the end", Duration::from_secs(40), || async {
        let progress = scene.shifter.progress(&wanted).await.unwrap();
        matches!(progress, Progress::Settled(_)).then_some(())
    });
    mended.await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_image_that_can_not_be_pulled_is_said_at_once() {
    failing(Manner::NotPulled, "ImagePullBackOff: Back-off pulling image").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_loop_is_said_at_once() {
    failing(Manner::Crashes, "CrashLoopBackOff: back-off 10s restarting").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pod_that_fits_nowhere_is_said_at_once() {
    failing(Manner::NotScheduled, "Unschedulable: 0/1 nodes are available").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_quota_is_said_in_its_own_words() {
    let scene = Scene::set(2).await;
    let quota = json!({"metadata": {"name": "small"}, "spec": {"hard": {"pods": "2"}}});
    let path = "/api/v1/namespaces/shop/resourcequotas";
    scene.cluster.read().await.create(path, &quota).await;
    // One may be unavailable, so that with a quota it could still be done one by one: here none may.
    let all = json!({"spec": {"strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}}});
    scene.edit("kubectl", &all).await;
    let status = json!({"status": {"hard": {"pods": "2"}, "used": {"pods": "2"}}});
    let own = format!("{path}/small/status");
    scene.cluster.read().await.patch(&own, "test", &status).await;
    let wanted = to("v2.4.0");
    scene.applies(&wanted).await;
    let failed = scene.comes_to(&wanted).await;
    let Progress::Stuck { detail, .. } = failed else { panic!("{failed:?}") };
    assert!(detail.contains("FailedCreate") && detail.contains("exceeded quota: small"), "{detail}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_is_restarted_in_the_middle_costs_only_time() {
    let scene = Scene::set(6).await;
    let wanted = to("v2.4.0");
    scene.applies(&wanted).await;
    scene.cluster.write().await.restart_api().await;
    let done = scene.comes_to(&wanted).await;
    assert!(matches!(done, Progress::Settled(_)), "{done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_store_hangs_costs_no_more_than_the_time_limit() {
    let scene = Scene::set(1).await;
    let cluster = scene.cluster.write().await;
    cluster.etcd.signal("STOP");
    let began = std::time::Instant::now();
    let fault = scene.shifter.apply(&to("v2.4.0"), &Said::default()).await.unwrap_err();
    assert!(matches!(fault, Fault::Unavailable(_)), "nothing was sent yet: {fault:?}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    cluster.etcd.signal("CONT");
}
