//! Argo Rollouts: a real API server with the real ReplicaSet controller; the project's own controller is a stand-in.

use std::{sync::Arc, time::Duration};

use lastgood_adapters::traffic::{Move, Observation, Preflight, Progress, Said, Shifter, argo_rollouts};
use lastgood_tests::{
    process::poll_async,
    real::kubernetes::{Kubernetes, NAMESPACE, image, nodes::Nodes},
    rigs::{self, kubernetes::wire::Wire},
    standin::argo_rollouts::{Controller, PATH},
};
use serde_json::{Value, json};
use tokio::sync::RwLock;

use super::{pool, template, to};

const REPLICAS: u64 = 5;

struct Scene {
    cluster: Arc<RwLock<Kubernetes>>,
    controller: Controller,
    shifter: Arc<dyn Shifter>,
    _nodes: Nodes,
    _wire: Wire,
}

fn env(value: &str) -> Value {
    json!([{"name": "FEATURE", "value": value}])
}

/// As a pipeline that does not pin would write it.
fn tagged(version: &str) -> String {
    image(version).split('@').next().unwrap().to_owned()
}

fn rollout(strategy: &Value, image: &str) -> Value {
    json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "checkout"},
        "spec": {
            "replicas": REPLICAS, "selector": {"matchLabels": {"app": "checkout"}}, "strategy": strategy,
            "template": {"metadata": {"labels": {"app": "checkout"}},
                         "spec": {"containers": [{"name": "app", "image": image, "env": env("old")}]}},
        },
    })
}

fn canary() -> Value {
    json!({"canary": {"canaryService": "checkout-canary", "stableService": "checkout-stable",
        "trafficRouting": {"nginx": {"stableIngress": "checkout"}},
        "steps": [{"setWeight": 20}, {"pause": {}}, {"setWeight": 60}]}})
}

fn blue_green() -> Value {
    json!({"blueGreen": {"activeService": "checkout", "previewService": "checkout-preview", "autoPromotionEnabled": false}})
}

impl Scene {
    /// v2.4.0 is stable; v2.4.1 is on its way, and waits.
    async fn under_way(strategy: &Value) -> Self {
        Self::of(strategy, [&image("v2.4.0"), &image("v2.4.1")]).await
    }

    async fn of(strategy: &Value, [old, new]: [&str; 2]) -> Self {
        let cluster = Kubernetes::start().await;
        cluster.permit(include_str!("../../../../deploy/kubernetes/argo-rollouts.yaml"), "lastgood").await;
        cluster.define(include_str!("../../../src/real/kubernetes/crds/Rollout.json")).await;
        let cluster = Arc::new(RwLock::new(cluster));
        let (nodes, controller) = (Nodes::start(&cluster).await, Controller::start(&cluster));
        let wire = Wire::start(&cluster).await;
        let shifter = rigs::built::<argo_rollouts::Config>(json!({
            "namespace": NAMESPACE, "rollout": "checkout", "timeout": "5s",
            "cluster": {"kubeconfig": wire.kubeconfig(wire.at())},
        }));
        let scene = Self { cluster, controller, shifter, _nodes: nodes, _wire: wire };
        let folder = PATH.rsplit_once('/').unwrap().0;
        scene.cluster.read().await.create(folder, &rollout(strategy, old)).await;
        scene.happens("healthy").await;
        scene.edit("kubectl", &template(new, &env("new"))).await;
        scene.happens("paused").await;
        scene
    }

    async fn promoted(strategy: &Value) -> Self {
        let scene = Self::under_way(strategy).await;
        let path = format!("{PATH}/status");
        scene.cluster.read().await.patch(&path, "kubectl", &json!({"status": {"promoteFull": true}})).await;
        scene.happens("healthy").await;
        poll_async("all of the new version", Duration::from_secs(10), || async {
            (scene.observed().await.shares.get(&pool("v2.4.1")) == Some(&100)).then_some(())
        })
        .await;
        scene.controller.forget();
        scene
    }

    async fn happens(&self, event: &str) {
        poll_async(event, Duration::from_secs(30), || async {
            self.controller.events().last().is_some_and(|last| last == event).then_some(())
        })
        .await;
    }

    async fn edit(&self, manager: &str, patch: &Value) {
        self.cluster.read().await.patch(PATH, manager, patch).await;
    }

    async fn observed(&self) -> Observation {
        self.shifter.observe().await.unwrap()
    }

    /// Preflight says that it can be, it is asked for, and comes about.
    async fn goes_back(&self, wanted: &Move) -> Observation {
        let ready = self.shifter.preflight(wanted).await.unwrap();
        assert!(matches!(ready, Preflight::Ready { .. }), "{ready:?}");
        self.shifter.apply(wanted, &Said::default()).await.unwrap();
        let done = poll_async("the end", Duration::from_secs(30), || async {
            match self.shifter.progress(wanted).await {
                Ok(Progress::Moving { .. }) | Err(_) => None,
                Ok(done) => Some(done),
            }
        })
        .await;
        match done {
            Progress::Settled(seen) => seen,
            other => panic!("{other:?}: {:?}", self.controller.events()),
        }
    }

    async fn container(&self) -> Value {
        self.cluster.read().await.get(PATH).await["spec"]["template"]["spec"]["containers"][0].clone()
    }
}

fn shares(of: &[(&str, u8)]) -> lastgood_core::Shares {
    of.iter().map(|(version, share)| (pool(version), *share)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_canary_that_is_under_way_is_aborted_and_its_template_taken_back() {
    let scene = Scene::under_way(&canary()).await;
    scene
        .controller
        .analysed("Failed", "Metric \"success-rate\" assessed Failed due to failed (3) > failureLimit (2)");
    let seen = scene.observed().await;
    assert_eq!(seen.shares, shares(&[("v2.4.0", 80), ("v2.4.1", 20)]), "{seen:?}");
    let wanted = Move { from: Some(seen.shares), ..to("v2.4.0") };
    let notes = poll_async("the analysis", Duration::from_secs(5), || async {
        let said = scene.shifter.foresee(&wanted).await.unwrap();
        said.notes.iter().any(|note| note.starts_with("AnalysisRun")).then_some(said.notes)
    })
    .await;
    assert!(notes.concat().contains("assessed Failed due to failed (3) > failureLimit (2)"), "{notes:?}");
    scene.controller.forget();
    let seen = scene.goes_back(&wanted).await;
    assert_eq!(seen.shares, shares(&[("v2.4.0", 100)]));
    let container = scene.container().await;
    assert_eq!((container["image"].as_str().unwrap(), &container["env"]), (&*image("v2.4.0"), &env("old")));
    let events = scene.controller.events();
    let place = |event: &str| events.iter().position(|one| one == event);
    assert!(place("new template").is_some() && !events.concat().contains("nothing under way"), "{events:?}");
    assert!(place("promoted").is_none(), "back to what is stable needs no promotion: {events:?}");
    assert!(matches!(scene.shifter.preflight(&wanted).await.unwrap(), Preflight::AlreadyThere));
    // Asked once more, nothing is aborted: it would take the stable side down.
    scene.shifter.apply(&wanted, &Said::default()).await.unwrap();
    scene.happens("healthy").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_promoted_already_goes_back_without_steps_and_without_an_abort() {
    for strategy in [canary(), blue_green()] {
        let scene = Scene::promoted(&strategy).await;
        let seen = scene.observed().await;
        assert_eq!(seen.shares.get(&pool("v2.4.1")), Some(&100), "{seen:?}");
        let wanted = Move { from: Some(seen.shares), ..to("v2.4.0") };
        let seen = scene.goes_back(&wanted).await;
        assert_eq!(seen.shares.get(&pool("v2.4.0")), Some(&100), "{seen:?}");
        let events = scene.controller.events();
        assert!(events.contains(&"promoted".to_owned()), "{events:?}");
        assert!(!events.concat().contains("abort"), "{events:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_preview_that_never_went_live_is_given_up() {
    let scene = Scene::under_way(&blue_green()).await;
    let seen = scene.observed().await;
    assert_eq!(seen.shares, shares(&[("v2.4.0", 100), ("v2.4.1", 0)]), "{seen:?}");
    scene.goes_back(&Move { from: Some(seen.shares), ..to("v2.4.0") }).await;
    assert_eq!(scene.container().await["image"], image("v2.4.0"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_aborted_before_is_told_and_what_has_no_template_is_refused() {
    let scene = Scene::under_way(&canary()).await;
    let status = json!({"status": {"abort": true}});
    scene.cluster.read().await.patch(&format!("{PATH}/status"), "kubectl", &status).await;
    scene.happens("aborted").await;
    let seen = poll_async("no canary", Duration::from_secs(10), || async {
        let seen = scene.observed().await;
        (seen.shares.get(&pool("v2.4.0")) == Some(&100) && !seen.warnings.is_empty()).then_some(seen)
    })
    .await;
    assert!(seen.warnings.concat().contains("a retry would bring it back"), "{:?}", seen.warnings);
    // Its specification is put right, which a retry then finds.
    scene.goes_back(&Move { from: Some(seen.shares), ..to("v2.4.0") }).await;

    scene.edit("kubectl", &json!({"spec": {"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "checkout"}}})).await;
    let refused = scene.shifter.preflight(&to("v2.4.1")).await.unwrap();
    let Preflight::Refused { reasons } = refused else { panic!("{refused:?}") };
    assert!(reasons.concat().contains("its template is that of Deployment checkout"), "{reasons:?}");
    let lines = scene.shifter.check().await;
    assert!(format!("{lines:?}").contains("missing: get secrets: whether it is still there"), "{lines:?}");
}

/// Images by tag: what is stable is taken back as it stands, since a pinned one would be a third template with steps of its own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stable_template_without_a_digest_is_taken_back_as_it_stands_and_a_pause_by_hand_is_lifted() {
    let scene = Scene::of(&canary(), [&tagged("v2.4.0"), &tagged("v2.4.1")]).await;
    scene.edit("kubectl", &json!({"spec": {"paused": true}})).await;
    scene.controller.forget();
    let seen = scene.observed().await;
    assert!(seen.warnings.concat().contains("somebody paused it"), "{:?}", seen.warnings);
    scene.goes_back(&Move { from: Some(seen.shares), ..to("v2.4.0") }).await;
    assert_eq!(scene.container().await["image"], tagged("v2.4.0").as_str());
    assert_eq!(scene.cluster.read().await.get(PATH).await["spec"]["paused"], false);
    let events = scene.controller.events();
    assert!(!events.contains(&"promoted".to_owned()), "{events:?}");
}
