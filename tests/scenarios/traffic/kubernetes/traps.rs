//! What would make a rollback wrong, and is found before.

use std::time::Duration;

use lastgood_adapters::{
    Fault,
    check::Verdict,
    traffic::{Move, Progress, Said},
};
use lastgood_tests::{
    process::poll_async,
    real::kubernetes::{configmap, image, nodes::Manner},
    shop::artifact,
};
use reqwest::Method;
use serde_json::json;

use super::{DEPLOYMENT, Scene, env, pool, shifter, template, to};

const BY_TAG: [&str; 2] =
    ["registry.example.com/shop/checkout:v2.4.0", "registry.example.com/shop/checkout:v2.4.1"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_edit_since_it_was_read_is_not_written_over() {
    let scene = Scene::set(2).await;
    let seen = scene.observed().await;
    let wanted = Move { from: Some(seen.shares), ..to("v2.4.0") };
    scene.deploy(&image("v2.4.2"), &env("hotfix")).await;
    let fault = scene.shifter.apply(&wanted, &Said::default()).await.unwrap_err();
    let Fault::Conflict(detail) = &fault else { panic!("{fault:?}") };
    assert!(detail.contains("was changed by kubectl meanwhile"), "{detail}");
    assert_eq!(scene.image().await, image("v2.4.2"), "the hotfix stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_puts_it_back_is_named() {
    let scene = Scene::set(2).await;
    let wanted = to("v2.4.0");
    scene.applies(&wanted).await;
    assert!(matches!(scene.comes_to(&wanted).await, Progress::Settled(_)));
    scene.edit("argocd-controller", &template(&image("v2.4.1"), &env("new"))).await;
    let failed = scene.comes_to(&wanted).await;
    let Progress::Failed { detail, seen } = failed else { panic!("{failed:?}") };
    assert!(detail.contains("argocd-controller wrote it"), "{detail}");
    assert!(seen.shares.contains_key(&pool("v2.4.1")), "{seen:?}");
    assert_eq!(seen.writer.as_deref(), Some("argocd-controller"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_stands_in_the_way_is_found_before() {
    let scene = Scene::set(2).await;
    let wanted = to("v2.4.0");
    scene.edit("kubectl", &json!({"spec": {"paused": true}})).await;
    assert!(scene.refused(&wanted).await.contains("paused"));
    scene.edit("kubectl", &json!({"spec": {"paused": false}})).await;

    let tracked = json!({"argocd.argoproj.io/tracking-id": "shop:apps/Deployment:shop/checkout"});
    scene.edit("kubectl", &json!({"metadata": {"annotations": tracked}})).await;
    let refused = scene.refused(&wanted).await;
    assert!(refused.contains("Argo CD application shop applies it from Git"), "{refused}");
    assert!(refused.contains("argocd app set shop --sync-policy none"), "{refused}");
    assert!(
        scene.shifter.foresee(&wanted).await.unwrap().caveats[0].contains("Argo CD"),
        "said before it is approved"
    );
    let calm = shifter(&*scene.cluster.read().await, &json!({"gitops": "ignore"}));
    assert!(matches!(calm.preflight(&wanted).await, Ok(lastgood_adapters::traffic::Preflight::Ready { .. })));
    let off = json!({"metadata": {"annotations": {"argocd.argoproj.io/tracking-id": null}}});
    scene.edit("kubectl", &off).await;

    let half = Move { shares: [(pool("v2.4.0"), 50), (pool("v2.4.1"), 50)].into(), ..wanted.clone() };
    assert!(scene.refused(&half).await.contains("can't be put half way"));

    scene.edit("kubectl", &json!({"spec": {"replicas": 0}})).await;
    assert!(scene.refused(&wanted).await.contains("scaled to nothing"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_neighbour_that_acts_on_it_is_told() {
    let scene = Scene::set(2).await;
    let cluster = scene.cluster.read().await;
    let scaler = json!({"metadata": {"name": "grow"}, "spec": {"maxReplicas": 9,
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"}}});
    cluster.create("/apis/autoscaling/v1/namespaces/shop/horizontalpodautoscalers", &scaler).await;
    let budget = json!({"metadata": {"name": "all"}, "spec": {"minAvailable": "100%",
        "selector": {"matchLabels": {"app": "checkout"}}}});
    cluster.create("/apis/policy/v1beta1/namespaces/shop/poddisruptionbudgets", &budget).await;
    drop(cluster);
    let warnings = scene.warned(&to("v2.4.0")).await.join("; ");
    assert!(warnings.contains("HorizontalPodAutoscaler grow may change"), "{warnings}");
    assert!(warnings.contains("PodDisruptionBudget all allows no disruption"), "{warnings}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_configmap_that_is_gone_is_missed_before() {
    let scene = Scene::set(2).await;
    let path = "/api/v1/namespaces/shop/configmaps";
    let named = json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "settings-3", "key": "a"}}}]);
    scene.cluster.read().await.create(path, &configmap("settings-3")).await;
    scene.deploy(&image("v2.4.2"), &named).await;
    scene.deploy(&image("v2.4.3"), &env("newest")).await;
    assert!(scene.warned(&to("v2.4.2")).await.join("").contains("FEATURE"));
    scene.cluster.read().await.delete(&format!("{path}/settings-3")).await;
    let refused = scene.refused(&to("v2.4.2")).await;
    assert!(refused.contains("ConfigMap settings-3 is gone"), "{refused}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_template_that_is_no_longer_kept_gives_its_image_only_and_says_so() {
    let scene = Scene::set(2).await;
    let sets = scene.cluster.read().await.get("/apis/apps/v1/namespaces/shop/replicasets").await;
    for set in sets["items"].as_array().unwrap().iter().filter(|set| set["spec"]["replicas"] == 0) {
        let name = set["metadata"]["name"].as_str().unwrap();
        scene.cluster.read().await.delete(&format!("/apis/apps/v1/namespaces/shop/replicasets/{name}")).await;
    }
    let wanted = to("v2.4.0");
    let caveats = scene.shifter.foresee(&wanted).await.unwrap().caveats;
    assert!(caveats.join("").contains("only its image comes back"), "{caveats:?}");
    scene.applies(&wanted).await;
    assert!(matches!(scene.comes_to(&wanted).await, Progress::Settled(_)));
    let object = scene.object().await;
    assert_eq!(object["spec"]["template"]["spec"]["containers"][0]["env"], env("new"));
    assert_eq!(scene.image().await, image("v2.4.0"));
}

/// Tags say nothing about bytes; what pods pulled does, and what is written back is pinned.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn images_by_tag_are_found_by_what_was_pulled_and_come_back_pinned() {
    let scene = Scene::of(2, BY_TAG, &json!({})).await;
    assert_eq!(scene.observed().await.shares, [(pool("v2.4.1"), 100)].into());
    let wanted = to("v2.4.0");
    let caveats = scene.shifter.foresee(&wanted).await.unwrap().caveats.join("; ");
    assert!(caveats.contains("was found by its tag v2.4.0"), "no pod of it is left: {caveats}");
    scene.applies(&wanted).await;
    assert!(matches!(scene.comes_to(&wanted).await, Progress::Settled(_)));
    assert_eq!(scene.image().await, format!("{}@{}", BY_TAG[0], artifact("v2.4.0").digest));
    assert_eq!(scene.object().await["spec"]["template"]["spec"]["containers"][0]["env"], env("old"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn permissions_that_are_missing_are_named() {
    let scene = Scene::set(1).await;
    let lines = scene.shifter.check().await;
    assert!(matches!(lines[0].verdict, Verdict::Good(_)), "{lines:?}");
    let Verdict::Warning { seen, .. } = &lines[1].verdict else { panic!("{lines:?}") };
    assert_eq!(
        seen, "missing: get secrets: whether it is still there is not looked at before a rollback",
        "all else is in the Role that is shipped"
    );
    let role = "/apis/rbac.authorization.k8s.io/v1/namespaces/shop/roles/lastgood-rollout";
    let rules = json!({"rules": [
        {"apiGroups": ["apps"], "resources": ["deployments", "replicasets"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["list"]},
    ]});
    scene.cluster.read().await.patch(role, "test", &rules).await;
    let lines = scene.shifter.check().await;
    let Verdict::Bad { seen, advice } = &lines[1].verdict else { panic!("{lines:?}") };
    assert_eq!(seen, "missing: patch deployments.apps");
    assert!(advice.contains("deploy/kubernetes/rollout.yaml"), "{advice}");
    let refused = scene.refused(&to("v2.4.0")).await;
    assert!(refused.contains("cannot patch resource \"deployments\""), "{refused}");
    let fault = scene.shifter.apply(&to("v2.4.0"), &Said::default()).await.unwrap_err();
    assert!(matches!(fault, Fault::Denied(_)), "{fault:?}");
    let (_, object) = scene.cluster.read().await.ask(Method::GET, DEPLOYMENT, None).await;
    assert_eq!(object["metadata"]["generation"], scene.object().await["metadata"]["generation"]);
}

/// A tag that was pushed anew: pods of one reference run two versions, and the template means the newer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tag_that_moved_is_not_taken_for_what_older_pods_of_it_run() {
    const TAG: &str = "registry.example.com/shop/checkout:prod";
    let scene = Scene::bare(&json!({})).await;
    scene.nodes.push("prod", "v2.4.0");
    scene.create(3, TAG).await;
    scene.nodes.push("prod", "v2.4.1");
    scene.nodes.behave("v2.4.1", Manner::Crashes);
    let restart = json!({"spec": {"template": {"metadata": {"annotations": {"restarted": "once"}}}}});
    scene.edit("kubectl", &restart).await;
    let half_way = poll_async("pods of both", Duration::from_secs(20), || async {
        let seen = scene.observed().await;
        ["v2.4.0", "v2.4.1"].iter().all(|version| seen.shares.contains_key(&pool(version))).then_some(seen)
    })
    .await;
    assert!(half_way.fluid, "{half_way:?}");
    let wanted = Move { from: Some(half_way.shares), ..to("v2.4.0") };
    scene.applies(&wanted).await;
    assert_eq!(
        scene.image().await,
        format!("registry.example.com/shop/checkout:prod@{}", artifact("v2.4.0").digest),
        "written, and pinned"
    );
    let done = scene.comes_to(&wanted).await;
    assert!(matches!(done, Progress::Settled(_)), "{done:?}");
}

/// Shares change all the time while a rollout goes on; only a template that asks for something else is another hand.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_that_went_on_since_it_was_read_is_rolled_back_all_the_same() {
    let scene = Scene::set(4).await;
    scene.nodes.behave("v2.4.2", Manner::Crashes);
    scene.deploy(&image("v2.4.2"), &env("newest")).await;
    let first = [(pool("v2.4.1"), 99), (pool("v2.4.2"), 1)];
    let wanted = Move { from: Some(first.into()), ..to("v2.4.1") };
    poll_async("more of the new ones", Duration::from_secs(20), || async {
        scene.observed().await.shares.get(&pool("v2.4.2")).is_some_and(|share| *share > 10).then_some(())
    })
    .await;
    scene.applies(&wanted).await;
    let done = scene.comes_to(&wanted).await;
    assert!(matches!(done, Progress::Settled(_)), "{done:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rollout_that_is_paused_in_the_middle_is_told() {
    let scene = Scene::set(3).await;
    let wanted = to("v2.4.0");
    scene.nodes.behave("v2.4.0", Manner::NotScheduled);
    scene.applies(&wanted).await;
    scene.edit("kubectl", &json!({"spec": {"paused": true}})).await;
    let stuck = scene.comes_to(&wanted).await;
    let Progress::Stuck { detail, .. } = stuck else { panic!("{stuck:?}") };
    assert!(detail.contains("paused") || detail.contains("Unschedulable"), "{detail}");
    let paused = poll_async("the pause", Duration::from_secs(10), || async {
        match scene.shifter.progress(&wanted).await {
            Ok(Progress::Stuck { detail, .. }) if detail.contains("its rollout is paused") => Some(()),
            _ => None,
        }
    });
    paused.await;
    let again = scene.shifter.apply(&to("v2.4.1"), &Said::default()).await.unwrap_err();
    assert!(again.to_string().contains("its rollout is paused"), "{again}");
}
