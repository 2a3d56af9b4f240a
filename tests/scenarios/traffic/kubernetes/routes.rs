//! What is particular to routes on Kubernetes: who follows them, who else writes them, and what their pools run.

use std::time::Duration;

use lastgood_adapters::{
    check::Verdict,
    traffic::{Preflight, Progress},
};
use lastgood_tests::{
    process::poll_async,
    rigs::{
        Rig as _, apply, from,
        kubernetes::{Gateway, Kube},
        settled,
    },
    shop::artifact,
};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_that_does_not_follow_is_waited_for_and_named() {
    let rig = Kube::<Gateway>::start().await;
    let (adapter, wanted) = (rig.adapter(), from(100, 0));
    rig.follows(false);
    apply(&*adapter, &wanted).await.unwrap();
    let Progress::Moving { detail, .. } = adapter.progress(&wanted).await.unwrap() else { panic!("settled") };
    assert_eq!(detail, "HTTPRoute shop/checkout: public has not taken it over yet");
    rig.follows(true);
    settled(&*adapter, &wanted).await;
    // What it can't resolve, it says; a move there would fail.
    rig.follows(false);
    let condition = json!({"type": "ResolvedRefs", "status": "False", "reason": "BackendNotFound",
                           "message": "Service checkout-blue not found", "observedGeneration": 99,
                           "lastTransitionTime": "2026-01-01T00:00:00Z"});
    let status = json!({"status": {"parents": [{"parentRef": {"name": "public"}, "controllerName": "example.com/gateway",
                                        "conditions": [condition]}]}});
    let path = format!("{}/status", <Gateway as lastgood_tests::rigs::kubernetes::Kind>::PATH);
    rig.cluster().read().await.patch(&path, "test", &status).await;
    let Preflight::Refused { reasons } = adapter.preflight(&from(0, 100)).await.unwrap() else {
        panic!("ready")
    };
    assert_eq!(
        reasons,
        ["public says ResolvedRefs is false: Service checkout-blue not found (BackendNotFound)"]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_else_writes_a_route_is_known_and_what_its_pools_run() {
    let rig = Kube::<Gateway>::start().await;
    let adapter = rig.adapter();
    let seen = poll_async("what the pools run", Duration::from_secs(5), || async {
        let seen = adapter.observe().await.unwrap();
        (seen.runs.len() == 2).then_some(seen)
    })
    .await;
    for (pool, version) in [("blue", "v2"), ("green", "v1")] {
        assert_eq!(seen.runs[pool].digest.as_deref(), Some(artifact(version).digest.as_str()), "{pool}");
        assert_eq!(seen.runs[pool].version.as_deref(), Some(version));
    }
    let tracked = "shop:gateway.networking.k8s.io/HTTPRoute:shop/checkout";
    let marks = json!({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": tracked}}});
    rig.edit("argocd-controller", &marks).await;
    let Preflight::Refused { reasons } = adapter.preflight(&from(100, 0)).await.unwrap() else {
        panic!("ready")
    };
    assert_eq!(
        reasons,
        [
            "refused: Argo CD application shop applies it from Git, and may put this rollback back: pause it (argocd app set shop \
          --sync-policy none) and set gitops = \"ignore\", or set gitops = \"suspend\", or revert in Git"
        ]
    );
    assert_eq!(adapter.observe().await.unwrap().writer.as_deref(), Some("argocd-controller"));

    let lines = rig.denied().check().await;
    let denied: Vec<_> = lines.iter().filter(|line| matches!(line.verdict, Verdict::Bad { .. })).collect();
    assert_eq!(denied.len(), 1, "{lines:#?}");
    assert!(
        format!("{denied:?}").contains("missing: patch httproutes.gateway.networking.k8s.io"),
        "{denied:?}"
    );
}
