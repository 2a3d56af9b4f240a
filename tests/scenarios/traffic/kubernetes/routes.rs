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
    // Times are whole seconds, and move when a manager's fields do.
    let mut number = 0;
    loop {
        number += 1;
        assert!(number < 500, "who was last is not told");
        rig.edit(
            "argocd-controller",
            &json!({"metadata": {"annotations": {format!("touched-{number}"): "x"}}}),
        )
        .await;
        if adapter.observe().await.unwrap().writer.as_deref() == Some("argocd-controller") {
            break;
        }
    }

    let lines = rig.denied().check().await;
    let denied: Vec<_> = lines.iter().filter(|line| matches!(line.verdict, Verdict::Bad { .. })).collect();
    assert_eq!(denied.len(), 1, "{lines:#?}");
    assert!(
        format!("{denied:?}").contains("missing: patch httproutes.gateway.networking.k8s.io"),
        "{denied:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_route_that_another_controller_drives_is_left_to_it_and_rules_that_differ_are_told() {
    let mut rig = Kube::<Gateway>::start().await;
    let adapter = rig.adapter();
    let to = |service: &str, weight: u8| json!({"name": service, "port": 80, "weight": weight});
    let split = json!({"backendRefs": [to("checkout-blue", 100), to("checkout-green", 0)]});
    let other = json!({"backendRefs": [to("checkout-blue", 0), to("checkout-green", 100)]});
    let pictures = rig.object().await["spec"]["rules"][0].clone();
    rig.edit("kubectl", &json!({"spec": {"rules": [pictures, split, other]}})).await;
    let seen = adapter.observe().await.unwrap();
    let torn = seen.disagreement.unwrap();
    assert_eq!(torn, "rule 2 gives blue 100 %, but rule 3 green 100 %");
    assert_eq!((seen.shares["blue"], seen.shares["green"]), (100, 100), "neither is taken for all of it");
    let refused = adapter.preflight(&from(100, 0)).await.unwrap();
    assert!(matches!(&refused, Preflight::Refused { reasons } if reasons.contains(&torn)), "{refused:?}");
    assert!(matches!(adapter.progress(&from(0, 100)).await.unwrap(), Progress::Failed { .. }));

    rig.by_hand(100).await;
    let (pictures, split) =
        (rig.object().await["spec"]["rules"][0].clone(), rig.object().await["spec"]["rules"][1].clone());
    rig.edit("flagger", &json!({"spec": {"rules": [pictures, split]}})).await;
    let Preflight::Refused { reasons } = adapter.preflight(&from(100, 0)).await.unwrap() else {
        panic!("ready")
    };
    assert!(reasons.concat().contains("Flagger writes its weights"), "{reasons:?}");
}
